/** Label selectors, patterns, and what is judged by lookup in user space. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { labelsOf } from '../../src/lib/domain-labels.ts';
import { matchesGlob } from '../../src/lib/glob.ts';
import { matchesSelector, parseSelector } from '../../src/lib/label-selector.ts';
import { EventView, LookupView } from '../../src/lookup/view.ts';
import type { ProcessIdentity } from '../../src/model.ts';
import { LookupFilter, type LookupRules } from '../../src/visibility/lookup-filter.ts';
import { messageOf } from './message-bytes.ts';

describe('label selectors', () => {
  const labels = { app: 'web', 'example.com/tier': 'front', empty: '' };
  const MATCHES: readonly (readonly [selector: string, matches: boolean])[] = [
    ['app=web', true],
    ['app==web', true],
    ['app = web', true],
    ['app=db', false],
    ['app!=db', true],
    ['other!=db', true],
    ['app!=web', false],
    ['app', true],
    ['other', false],
    ['!other', true],
    ['! app', false],
    ['app in (web, db)', true],
    ['app in(web)', true],
    ['app notin (web,db)', false],
    ['other notin (web)', true],
    ['empty=', true],
    ['empty in ()', true],
    ['example.com/tier=front,app=web', true],
    ['example.com/tier=front,app=db', false],
    ['app in (web,db),!other,empty', true],
  ];
  for (const [text, matches] of MATCHES) {
    it(`${text}: ${matches}`, () => {
      const parsed = parseSelector(text);
      assert.ok('value' in parsed, text);
      assert.equal(matchesSelector(parsed.value, labels), matches);
    });
  }

  const BAD = [
    '',
    ',',
    'app=web,',
    'app=a=b',
    '=web',
    'app in web',
    'app in (a',
    'app in (a))',
    '-app',
    'app=-',
    'UPPER.example/x y',
    `${'a'.repeat(64)}=b`,
    'a/b/c=d',
    'x'.repeat(5000),
    'app=\u001b[31m',
    '((((((((',
  ];
  for (const text of BAD)
    it(`refuses ${JSON.stringify(text.slice(0, 40))}`, () => assert.ok('problem' in parseSelector(text)));
});

describe('patterns', () => {
  const CASES: readonly (readonly [pattern: string, text: string, matches: boolean])[] = [
    ['curl', 'curl', true],
    ['curl', 'curl2', false],
    ['cur?', 'curl', true],
    ['python*', 'python3.11', true],
    ['*', 'a/b', false],
    ['**', 'a/b', true],
    ['/usr/*/curl', '/usr/bin/curl', true],
    ['/usr/*/curl', '/usr/local/bin/curl', false],
    ['/usr/**/curl', '/usr/local/bin/curl', true],
    ['a.c', 'abc', false],
    ['[ab]', 'a', false],
    ['', '', true],
  ];
  for (const [pattern, text, matches] of CASES)
    it(`${pattern} on ${text}: ${matches}`, () => assert.equal(matchesGlob(pattern, text), matches));

  it('stays quick on hostile pairs', () => {
    const started = performance.now();
    assert.equal(matchesGlob(`${'*a'.repeat(50)}b`, 'a'.repeat(4000)), false);
    assert.ok(performance.now() - started < 5000);
  });
});

describe('domains', () => {
  const CASES: readonly (readonly [name: string, domain: string, inside: boolean])[] = [
    ['example.com', 'example.com', true],
    ['www.example.com', 'example.com', true],
    ['notexample.com', 'example.com', false],
    ['example.com.evil.org', 'example.com', false],
    ['com', 'example.com', false],
    ['.', '.', true],
    ['a.b', '.', true],
    ['evil\\.example.com', 'example.com', false], // one label `evil.example`
    ['evil\\\\.example.com', 'example.com', true], // a label that ends in a backslash
    ['evil\\\\\\.example.com', 'example.com', false],
  ];
  for (const [name, domain, inside] of CASES)
    it(`${name} in ${domain}: ${inside}`, () => {
      const message = messageOf({ questions: [{ name, type: 1, class: 1 }] });
      assert.equal(message.asksBelow(0, labelsOf(domain)), inside);
    });
});

const NO_RULES: LookupRules = {
  includeExecutables: [],
  excludeExecutables: [],
  includeUsers: [],
  excludeUsers: [],
  includeDomains: [],
  excludeDomains: [],
  includeTypes: [],
  excludeTypes: [],
};

function lookup(name: string | undefined, type: number, identity: Partial<ProcessIdentity> = {}): LookupView {
  return asking(name === undefined ? [] : [[name, type]], identity);
}

function asking(
  questions: readonly (readonly [name: string, type: number])[],
  identity: Partial<ProcessIdentity> = {},
): LookupView {
  const process = {
    pid: 1,
    executableName: 'curl',
    resource: {
      'process.executable.path': '/usr/bin/curl',
      'process.user.id': 1000,
      'process.user.name': 'ann',
    },
    ...identity,
  } as ProcessIdentity;
  const message = messageOf({ questions: questions.map(([name, type]) => ({ name, type, class: 1 })) });
  return new LookupView(process, new EventView(undefined, message));
}

describe('rules by lookup', () => {
  const CASES: readonly (readonly [rules: Partial<LookupRules>, reason: string | undefined])[] = [
    [{}, undefined],
    [{ excludeExecutables: ['wget'] }, undefined],
    [{ excludeExecutables: ['cur*'] }, 'executable'],
    [{ excludeExecutables: ['/usr/bin/*'] }, 'executable'],
    [{ includeExecutables: ['dig', 'curl'] }, undefined],
    [{ includeExecutables: ['dig'] }, 'executable'],
    [{ excludeUsers: ['ann'] }, 'user'],
    [{ excludeUsers: ['1000'] }, 'user'],
    [{ includeUsers: ['root', '0'] }, 'user'],
    [{ excludeDomains: ['example.com'] }, 'domain'],
    [{ includeDomains: ['example.com'] }, undefined],
    [{ includeDomains: ['example.org'] }, 'domain'],
    [{ excludeTypes: ['HTTPS'] }, undefined],
    [{ excludeTypes: ['AAAA'] }, 'type'],
    [{ excludeTypes: ['TYPE28'] }, 'type'],
    [{ includeTypes: ['A', 'AAAA'] }, undefined],
    [{ includeTypes: ['A'] }, 'type'],
    [{ includeExecutables: ['curl'], excludeExecutables: ['curl'] }, 'executable'],
    [{ excludeTypes: ['AAAA'], excludeDomains: ['com'] }, 'domain'],
  ];
  for (const [rules, reason] of CASES) {
    it(`${JSON.stringify(rules)}: ${reason ?? 'passes'}`, () =>
      assert.equal(
        new LookupFilter({ ...NO_RULES, ...rules }).reason(lookup('WWW.Example.com', 28)),
        reason,
      ));
  }

  it('no question hides behind another', () => {
    const covered = asking([
      ['cover.example.com', 16],
      ['HIDDEN.Evil.test', 28],
    ]);
    const of = (rules: Partial<LookupRules>) => new LookupFilter({ ...NO_RULES, ...rules }).reason(covered);
    assert.equal(of({ includeDomains: ['evil.test'] }), undefined);
    assert.equal(of({ includeDomains: ['evil.test'], includeTypes: ['AAAA'] }), undefined);
    assert.equal(of({ includeDomains: ['evil.test'], includeTypes: ['TXT'] }), 'type');
    assert.equal(of({ excludeDomains: ['example.com'] }), undefined);
    assert.equal(of({ excludeDomains: ['example.com', 'evil.test'] }), 'domain');
    assert.equal(of({ excludeTypes: ['TXT'] }), undefined);
    assert.equal(of({ excludeDomains: ['example.com'], excludeTypes: ['AAAA'] }), 'type');
    assert.equal(of({ includeDomains: ['example.org'] }), 'domain');
  });

  it('what is not known is not excluded, but neither included', () => {
    const bare = lookup(undefined, 0, { executableName: '', resource: {} });
    const of = (rules: Partial<LookupRules>) => new LookupFilter({ ...NO_RULES, ...rules }).reason(bare);
    assert.equal(
      of({ excludeDomains: ['example.com'], excludeUsers: ['root'], excludeTypes: ['A'] }),
      undefined,
    );
    assert.equal(of({ includeDomains: ['example.com'] }), 'domain');
    assert.equal(of({ includeUsers: ['root'] }), 'user');
    assert.equal(of({ includeTypes: ['A'] }), 'type');
  });
});
