/** `whodns top` without a terminal: what keys and clicks make of its state, and the lines that it draws. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { StoredLookup, StoredProcess, TopRow } from '../../src/history/types.ts';
import { displayWidth } from '../../src/lib/display-width.ts';
import { type Input, Keys } from '../../src/terminal/top/keys.ts';
import { type Data, render } from '../../src/terminal/top/render.ts';
import { after, questionOf, START, type State, topBy } from '../../src/terminal/top/state.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: what the screen itself writes
const COLOR = /\x1b\[[0-9;]*m/g;
const HOSTILE = '\x1b[2J\x1b]0;x\x07\u202e日本語\u200b\r\n\x9b31m👩‍👩‍👧';

const PROCESS = {
  key: '7-1',
  pid: 4711,
  executable: 'curl',
  workload: 'web-7f9c6d5b4-xk2lp',
} as StoredProcess;

function row(key: string, label = key, rest: Partial<TopRow> = {}): TopRow {
  return {
    key,
    label,
    process: undefined,
    count: 10,
    failed: 1,
    p50: 1500,
    p99: 12_000,
    names: 3,
    ...rest,
  };
}

function lookup(id: number, name: string): StoredLookup {
  return {
    kind: 'lookup',
    id,
    time: 1_793_000_000_000_000,
    process: PROCESS,
    name,
    domain: name,
    type: 'A',
    outcome: 'answered',
    reason: undefined,
    rcode: 'NOERROR',
    failed: false,
    conflicting: false,
    server: { address: '192.0.2.53', port: 53, transport: 'udp' },
    duration: 12_300,
    retries: 0,
    answers: [{ type: 'A', data: '192.0.2.1' }],
    answerCount: 1,
    ttl: 300,
  };
}

function data(top: readonly TopRow[], rest: Partial<Data> = {}): Data {
  return { kind: 'top', top, lookups: [], count: 100, failed: 7, seconds: 10, lost: 0, note: '', ...rest };
}

const key = (name: string, text = '', ctrl = false): Input => ({ kind: 'key', name, text, ctrl });
const ROWS = data(['a', 'b', 'c', 'd'].map((each) => row(each)));

function play(inputs: readonly Input[], answer = ROWS, from = START): State {
  return inputs.reduce((state, input) => {
    const { shown } = render(state, answer, { columns: 80, rows: 24 });
    return after(state, input, shown, (filter) => (filter.includes('bad') ? 'no field' : undefined));
  }, from);
}

describe('top: keys and clicks', () => {
  it('chooses, goes down twice, and comes back', () => {
    const names = play([key('down'), key('return')]);
    assert.equal(topBy(names), 'name');
    assert.deepEqual(questionOf(names, 100e6), { since: 40e6, processKey: 'b' });
    const lookups = play([key('j'), key('enter')], ROWS, names);
    assert.deepEqual(questionOf(lookups, 100e6), { since: 40e6, processKey: 'b', name: 'b' });
    assert.deepEqual(play([key('return')], ROWS, lookups).levels.length, 2, 'there is nothing below');
    assert.equal(play([key('escape')], ROWS, lookups).levels.length, 1);
    assert.equal(play([key('left'), key('escape'), key('escape')], ROWS, lookups).levels.length, 0);
  });

  it('narrows by what its tab is of', () => {
    for (const [tab, narrowing] of [
      ['1', { processKey: 'a' }],
      ['2', { suffix: 'a' }],
      ['3', { server: 'a' }],
      ['4', { rcode: 'a' }],
    ] as const)
      assert.deepEqual(questionOf(play([key('', tab), key('return')]), 60e6), { since: 0, ...narrowing });
  });

  it('takes a filter, refuses a bad one in its place, and leaves it', () => {
    const typed = [
      key('', '/'),
      ...'failed x'.split('').map((text) => key('', text)),
      key('backspace'),
      key('backspace'),
    ];
    assert.equal(play([...typed, key('return')]).filter, 'failed');
    assert.deepEqual(questionOf(play([...typed, key('return')]), 60e6), { since: 0, filter: 'failed' });
    assert.equal(play([...typed, key('escape')]).filter, '');
    const bad = play([key('', '/'), key('', 'bad'), key('return')]);
    assert.deepEqual([bad.filter, bad.typed, bad.problem], ['', 'bad', 'no field']);
    const { lines } = render(bad, ROWS, { columns: 80, rows: 24 });
    assert.match(lines[2]?.replace(COLOR, '') ?? '', /^\/bad {2}no field$/);
    assert.equal(play([key('u', '', true), key('return')], ROWS, bad).filter, '');
    // What is typed is text, not keys.
    assert.equal(play([key('', '/'), key('q', 'q')]).isLeft, false);
  });

  it('sorts, holds, changes the time, helps, leaves', () => {
    assert.equal(play([key('s', 's')]).sort, 'failed');
    assert.equal(play([key('p', 'p')]).isPaused, true);
    assert.equal(questionOf(play([key('w', 'w'), key('w', 'w')]), 1).since, undefined);
    const help = play([key('', '?')]);
    assert.equal(help.isHelp, true);
    assert.equal(play([key('q', 'q')], ROWS, help).isLeft, false);
    for (const leave of [key('q', 'q'), key('c', '', true)]) assert.equal(play([leave]).isLeft, true);
    assert.equal(play([key('', '/'), key('c', '', true)]).isLeft, true);
  });

  it('clicks: rows, twice to go in, tabs, titles; the wheel', () => {
    const second: Input = { kind: 'click', x: 3, y: 5 };
    assert.equal(play([second]).chosen, 'b');
    assert.deepEqual(play([second, second]).levels[0]?.narrowing, { processKey: 'b' });
    assert.equal(play([{ kind: 'click', x: 16, y: 1 }]).tab, 1);
    assert.equal(play([{ kind: 'click', x: 70, y: 3 }]).sort, 'p99');
    assert.equal(play([{ kind: 'wheel', lines: 3 }]).chosen, 'd');
    for (const y of [0, 2, 20, 23, 9999]) assert.deepEqual(play([{ kind: 'click', x: 3, y }]), START);
  });

  it('stays at its row when the order changes, and at the first when it is gone', () => {
    const state = play([key('down')]);
    const moved = data([row('c'), row('b'), row('a')]);
    const { lines } = render(state, moved, { columns: 80, rows: 24 });
    assert.ok(lines[5]?.startsWith('\x1b[7mb'), lines[5]);
    assert.ok(render(state, data([row('x')]), { columns: 80, rows: 24 }).lines[4]?.startsWith('\x1b[7mx'));
  });

  it('is never without an answer, whatever is pressed and shown', () => {
    const inputs = fc.oneof(
      fc
        .constantFrom('up', 'down', 'return', 'escape', 'left', 'tab', 'end', 'home', 'pagedown')
        .map((name) => key(name)),
      fc.string({ maxLength: 2, unit: 'grapheme' }).map((text) => key('', text)),
      fc.record({ kind: fc.constant('click' as const), x: fc.nat(300), y: fc.nat(60) }),
      fc.record({ kind: fc.constant('wheel' as const), lines: fc.integer({ min: -3, max: 3 }) }),
    );
    const rows = fc.array(fc.string({ unit: 'binary', maxLength: 30 }), { maxLength: 60 });
    const sizes = fc.record({
      columns: fc.integer({ min: 1, max: 220 }),
      rows: fc.integer({ min: 1, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(inputs, { maxLength: 25 }), rows, sizes, (all, labels, size) => {
        let state: State = START;
        for (const input of all) {
          const isLookups = state.levels.length === 2;
          const answer = data(
            labels.map((label, i) => row(`${i}`, label)),
            {
              kind: isLookups ? 'lookups' : 'top',
              lookups: labels.map((label, i) => lookup(i, label)),
            },
          );
          const { lines, shown } = render(state, answer, size);
          check(lines, Math.max(size.columns, 40));
          assert.ok(lines.length <= size.rows);
          state = after(state, input, shown, () => undefined);
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** Each line fits, and nothing but colours is obeyed. */
function check(lines: readonly string[], columns: number): void {
  for (const line of lines) {
    const plain = line.replace(COLOR, '');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that there is none
    assert.doesNotMatch(plain, /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/);
    assert.ok(displayWidth(plain) <= columns, `${displayWidth(plain)} of ${columns}: ${plain}`);
  }
}

describe('top: the screen', () => {
  for (const columns of [40, 80, 120, 200])
    it(`is readable at ${columns} columns, whatever the names`, () => {
      const top = [
        row('1', HOSTILE, {
          process: { ...PROCESS, workload: HOSTILE },
          count: 123_456,
          p99: 59e6,
          names: 100_000,
        }),
        row('2', 'x'.repeat(300), { process: PROCESS, failed: 0, p50: undefined, p99: undefined }),
      ];
      for (const [state, answer] of [
        [START, data(top)],
        [play([key('', '2')]), data(top)],
        [
          play([key('return'), key('return')]),
          data([], { kind: 'lookups', lookups: [lookup(1, HOSTILE), lookup(2, 'y'.repeat(255))] }),
        ],
        [{ ...START, filter: HOSTILE }, data([], { note: HOSTILE })],
        [{ ...START, typed: HOSTILE.repeat(20), problem: HOSTILE }, data([])],
      ] as const) {
        const { lines } = render(state, answer, { columns, rows: 24 });
        assert.equal(lines.length, 24);
        check(lines, columns);
      }
    });

  it('shows rate, share, failures, latencies and names at 80 columns', () => {
    const { lines } = render(START, data([row('7-1', 'curl', { process: PROCESS })]), {
      columns: 80,
      rows: 24,
    });
    const plain = lines.map((line) => line.replace(COLOR, ''));
    assert.match(plain[0] ?? '', /^whodns top {2}last 1m · 100 lookups · 10\.0\/s · 7\.0% failed · lost 0$/);
    assert.match(plain[1] ?? '', /^ 1 Processes {2}2 Domains {2}3 Servers {2}4 Failures $/);
    assert.match(plain[3] ?? '', /^PROCESS +PID RATE\/s↓ +SHARE +FAILED +P50 +P99 +NAMES$/);
    assert.match(plain[4] ?? '', /^curl@web-7\S* +4711 +1\.00 +10\.0% +10\.0% +1\.50ms +12\.0ms +3 *$/);
  });
});

describe('top: bytes of a terminal', () => {
  async function read(...chunks: readonly string[]): Promise<Input[]> {
    const found: Input[] = [];
    const keys = new Keys((input) => found.push(input));
    for (const chunk of chunks) keys.push(chunk);
    await sleep(700);
    keys.close();
    return found;
  }

  it('are keys, clicks and the wheel, however they are cut', async () => {
    const all = 'q\x1b[A\x1b[<0;10;5M\x1b[<0;10;5m\x1b[<64;1;1M\x1b[<65;1;1M\r\x03';
    const expected = ['q', 'up', 'click 9 4', 'wheel -3', 'wheel 3', 'return', 'c'];
    const shown = (inputs: readonly Input[]) =>
      inputs.map((input) =>
        input.kind === 'key'
          ? input.name
          : input.kind === 'click'
            ? `click ${input.x} ${input.y}`
            : `wheel ${input.lines}`,
      );
    assert.deepEqual(shown(await read(all)), expected);
    assert.deepEqual(shown(await read(...all)), expected);
    assert.deepEqual(shown(await read('\x1b')), ['escape']);
    assert.deepEqual(shown(await read('\x1b\x1b\x1b[A\x1b')), ['escape', 'escape', 'up', 'escape']);
    assert.deepEqual(shown(await read('é')), ['é']);
  });

  it('that mean nothing do nothing', async () => {
    for (const input of await read('\x1b[<99999999;1;1M', '\x1b[200~\x1b]0;evil\x07', '\x00\u202e'))
      if (input.kind === 'key') assert.doesNotMatch(input.text, /\u202e/);
  });
});
