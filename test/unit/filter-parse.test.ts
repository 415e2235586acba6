import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Filter } from '../../src/filter/ast.ts';
import { explainProblem } from '../../src/filter/explain.ts';
import { MAX_DEPTH, MAX_TEXT, MAX_VALUES, parseFilter } from '../../src/filter/parse.ts';
import { FILTER_FIELDS, type FilterField, filterField } from '../../src/tables/filter-fields.ts';

function parsed(text: string): Filter {
  const result = parseFilter(text);
  if ('problem' in result) throw new assert.AssertionError({ message: explainProblem(text, result.problem) });
  return result.value;
}

function problem(text: string): string {
  const result = parseFilter(text);
  assert.ok('problem' in result, `${text} is no error`);
  return `${result.problem.at} ${result.problem.message}`;
}

const text = (value: string, isPattern = false) => ({ kind: 'text', text: value, isPattern }) as const;
const number = (value: number) => ({ kind: 'number', number: value }) as const;
const is = (field: FilterField, ...values: readonly object[]) =>
  ({ kind: 'compare', field, operator: '=', values }) as unknown as Filter;
const not = (operand: Filter): Filter => ({ kind: 'not', operand });

describe('a filter', () => {
  it('binds not before and before or', () => {
    assert.deepEqual(parsed('rcode=NXDOMAIN and process=curl and latency>50ms'), {
      kind: 'and',
      operands: [
        is('rcode', number(3)),
        is('process', text('curl')),
        { kind: 'compare', field: 'latency', operator: '>', values: [number(50e6)] },
      ],
    });
    const failed = is('failed', { kind: 'boolean', boolean: true });
    const server = is('server', {
      kind: 'address',
      bytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 53],
      prefix: 128,
    });
    assert.deepEqual(parsed('name=*.example or (not failed and server=10.0.0.53)'), {
      kind: 'or',
      operands: [is('name', text('*.example', true)), { kind: 'and', operands: [not(failed), server] }],
    });
    assert.deepEqual(parsed('failed or failed and !failed'), parsed('failed || (failed && (not failed))'));
  });

  it('takes words in any case, aliases and blanks anywhere', () => {
    assert.deepEqual(parsed('  PROC = curl  AND NOT Failed '), parsed('process=curl and not failed'));
    assert.deepEqual(parsed('qname!=a.example.'), parsed('not name=A.EXAMPLE'));
  });

  for (const [given, value] of [
    ['type in (A, aaaa,TYPE65, 16)', is('type', number(1), number(28), number(65), number(16))],
    ['type not in (A)', not(is('type', number(1)))],
    ['rcode=RCODE3841', is('rcode', number(3841))],
    ['outcome=Timeout', is('outcome', text('timeout'))],
    ['failed=false', is('failed', { kind: 'boolean', boolean: false })],
    ['latency<=1.5s', { kind: 'compare', field: 'latency', operator: '<=', values: [number(1.5e9)] }],
    ['latency>=200µs', { kind: 'compare', field: 'latency', operator: '>=', values: [number(2e5)] }],
    ['process="a \\"b\\" *"', is('process', text('a "b" *'))],
    ["process='it is'", is('process', text('it is'))],
    ['domain=*.Shop.Example.', is('domain', { kind: 'domain', domain: 'shop.example' })],
    ['domain=.', is('domain', { kind: 'domain', domain: '.' })],
    ['name=a\\.b.example', is('name', text('a\\.b.example'))],
    ['answer=mail.example', is('answer', text('mail.example'))],
    ['executable=/usr/bin/*', is('executable', text('/usr/bin/*', true))],
    [
      'server=2001:db8:ffff::1/33',
      is('server', {
        kind: 'address',
        bytes: [0x20, 1, 0xd, 0xb8, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        prefix: 33,
      }),
    ],
    [
      'answer=10.9.8.7/8',
      is('answer', {
        kind: 'address',
        bytes: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 0],
        prefix: 104,
      }),
    ],
    [
      'name~/^[a/]+\\/x(?:y|z)$/i',
      {
        kind: 'compare',
        field: 'name',
        operator: '~',
        values: [{ kind: 'regex', source: '^[a/]+/x(?:y|z)$', ignoreCase: true }],
      },
    ],
    [
      'process !~ curl',
      not({
        kind: 'compare',
        field: 'process',
        operator: '~',
        values: [{ kind: 'regex', source: 'curl', ignoreCase: false }],
      }),
    ],
  ] as const)
    it(`reads ${given}`, () => assert.deepEqual(parsed(given), value));

  for (const [given, message] of [
    ['', '0 the filter ends here: expected a field such as name, process or rcode, not, or ('],
    ['rcod=NXDOMAIN', '0 "rcod" is no field: did you mean rcode?'],
    ['failed and latenyc>5ms', '11 "latenyc" is no field: did you mean latency?'],
    ['rcode=NXDOMIAN', '6 "NXDOMIAN" is nothing that rcode can be: did you mean NXDOMAIN?'],
    ['outcome=timout', '8 "timout" is nothing that outcome can be: did you mean timeout?'],
    ['type=AAAAA', '5 "AAAAA" is nothing that type can be: did you mean AAAA?'],
    ['latency>50', '8 "50" is nothing that latency can be: expected a time with its unit: 500us, 50ms, 2s'],
    ['latency', '7 the filter ends here: expected =, !=, <, <=, >, >= or in after latency'],
    ['process>curl', '7 process takes =, !=, ~, !~ or in, not >'],
    ['server~/10/', '6 server takes =, != or in, not ~'],
    ['process=curl failed', '13 "failed": expected and, or, or the end'],
    ['(failed', '7 the filter ends here: expected )'],
    ['failed)', '6 ")": expected and, or, or the end'],
    ['type in A', '8 "A": expected ('],
    ['type in (A B)', '11 "B": expected , or )'],
    ['type in ()', '9 ")": expected a type: A, AAAA, MX, TYPE65'],
    ['process="curl', '8 the quote " is not closed'],
    ['name~/a', '5 the regular expression is not closed: /.../'],
    ['name~/a(/', '5 not a regular expression: Unterminated group'],
    [
      'name~/(?=a)/',
      '5 look-around and back-references are not possible: matching takes linear time (RE2 syntax)',
    ],
    [
      'name~/(a)\\1/',
      '5 look-around and back-references are not possible: matching takes linear time (RE2 syntax)',
    ],
    ['name~/a/g', '5 a regular expression takes the flag i only, not g'],
    [
      'server=10.0.0.0/33',
      '7 "10.0.0.0/33" is nothing that server can be: expected an address or a block of addresses: 10.0.0.53, 10.0.0.0/8, 2001:db8::/32',
    ],
    [
      'server=010.0.0.1',
      '7 "010.0.0.1" is nothing that server can be: expected an address or a block of addresses: 10.0.0.53, 10.0.0.0/8, 2001:db8::/32',
    ],
    [
      'domain=*.a*.example',
      '7 domain takes no * or ?: it is all below the domain; name=*.a*.example matches',
    ],
    ['pid=-1', '4 "-1" is nothing that pid can be: expected a whole number'],
    ['name=a & b', '7 unexpected &'],
  ] as const)
    it(`refuses ${JSON.stringify(given)}`, () => assert.equal(problem(given), message));

  it('names every field where no name is near', () => {
    assert.match(problem('curl'), /"curl" is no field: expected one of name, domain, type, rcode,/);
  });

  it('is bounded in length, depth and values', () => {
    assert.match(problem('!'.repeat(MAX_TEXT + 1)), /longer than 4096/);
    assert.match(problem(`${'('.repeat(MAX_DEPTH + 1)}failed${')'.repeat(MAX_DEPTH + 1)}`), /more than 32/);
    assert.match(problem(`${'not '.repeat(MAX_DEPTH + 1)}failed`), /more than 32/);
    parsed(`${'('.repeat(MAX_DEPTH)}failed${')'.repeat(MAX_DEPTH)}`);
    assert.match(problem(`pid in (${'1,'.repeat(MAX_VALUES)}1)`), /more than 256 values/);
    assert.match(problem(`name~/${'a'.repeat(513)}/`), /longer than 512/);
  });

  it('shows the place, and nothing raw', () => {
    const bad = 'failed and "\x1b[2J\u202e" = 1';
    const result = parseFilter(bad);
    assert.ok('problem' in result);
    const shown = explainProblem(bad, result.problem);
    for (const raw of ['\x1b', '\u202e']) assert.ok(!shown.includes(raw));
    const [, line = '', mark = ''] = shown.split('\n');
    assert.equal(line.slice(mark.indexOf('^'), mark.lastIndexOf('^') + 1), '"\\x1b[2J\\u{202e}"');
  });

  it('has an example of each field that is one', () => {
    for (const field of Object.keys(FILTER_FIELDS) as FilterField[]) {
      const filter = parsed(filterField(field).example);
      assert.ok(filter.kind === 'compare' && filter.field === field, field);
    }
  });

  it('never throws, whatever the text, and says a place in it', () => {
    const words = [
      'and',
      'or',
      'not',
      'in',
      '(',
      ')',
      ',',
      '=',
      '!=',
      '~',
      '/a/',
      '"',
      "'",
      '\\',
      ' ',
      'name',
      'failed',
    ];
    const any = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary', maxLength: 5 })), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(any, (parts) => {
        const filter = parts.join('');
        const result = parseFilter(filter);
        if ('value' in result) return;
        const { at, end } = result.problem;
        assert.ok(at >= 0 && at <= end && end <= filter.length, `${at}..${end} of ${filter.length}`);
        explainProblem(filter, result.problem);
      }),
      { numRuns: 3000 },
    );
  });
});
