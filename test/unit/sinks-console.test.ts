/** The table and the JSON lines, on streams and on real pipes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { Ledger } from '../../src/ledger.ts';
import { displayWidth, padEnd, shortenEnd, shortenMiddle } from '../../src/lib/display-width.ts';
import { safeJson } from '../../src/lib/escape.ts';
import type { LogEvent } from '../../src/model.ts';
import { latencyText } from '../../src/records/latency.ts';
import { ConsoleJsonSink, rfc3339 } from '../../src/sinks/console/json.ts';
import { ConsoleTableSink } from '../../src/sinks/console/table.ts';
import { copyOf } from '../../src/sinks/limits.ts';
import type { TableColumn } from '../../src/tables/table-columns.ts';
import { identity, logEvent, record } from './sink-events.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const COLOR = /\x1b\[[0-9;]*m/g;
const OBEYED =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|\p{Cs}/u;

interface Terminal {
  readonly stream: PassThrough & { isTTY: boolean; columns: number; rows: number };
  text(): string;
}

function terminal(columns: number, isTTY = true): Terminal {
  let text = '';
  const stream = Object.assign(new PassThrough(), { isTTY, columns, rows: 24 });
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return { stream, text: () => text };
}

async function table(
  events: readonly LogEvent[],
  columns: number,
  color = false,
  isTTY = true,
): Promise<string[]> {
  const { stream, text } = terminal(columns, isTTY);
  const sink = new ConsoleTableSink({ stream, ledger: new Ledger(), color });
  for (const event of events) sink.accept(event);
  await sink.close(1000);
  return text().trimEnd().split('\n');
}

const POD = identity({ executableName: 'nginx', pid: 23, workload: 'web-7f9c6d5b4-xk2lp' });
const EVENTS: readonly LogEvent[] = [
  logEvent(),
  logEvent({
    name: 'a-very-long-label-that-goes-on-and-on.of.something.elasticache.eu-central-1.amazonaws.com',
    type: 28,
    answers: [
      record('x', 5, 'y'),
      record('x', 28, '2606:50c0:8003::154'),
      record('x', 28, '2606:50c0:8002::154'),
    ],
    raw: { remote: { address: '2001:4860:4860::8888', port: 5353 }, family: 6 },
    process: identity({
      executableName: '日本語プロセス'.repeat(20),
      pid: 4_194_304,
      workload: 'é'.repeat(200),
    }),
  }),
  logEvent({ name: 'nope.example.com', rcode: 3, answers: [], process: POD }),
  logEvent({ name: 'gone.example.net', outcome: 'timeout', retries: 2, process: POD }),
  logEvent({ name: '.', type: 2, outcome: 'sent', raw: { transport: 'tcp' } }),
];

for (const columns of [20, 60, 80, 99, 103, 104, 110, 120, 149, 150, 200, 300]) {
  test(`table: at ${columns} columns every line fits and every column begins under its title`, async () => {
    const lines = await table(EVENTS, columns);
    assert.equal(lines.filter((line) => !line.startsWith('TIME')).length, EVENTS.length);
    for (const line of lines)
      assert.ok(displayWidth(line) <= Math.max(columns, 79), `${displayWidth(line)}: ${line}`);
    for (const title of ['NAME', 'TYPE', 'PROCESS']) {
      let header = '';
      for (const row of lines) {
        if (row.startsWith('TIME')) {
          header = row;
          continue;
        }
        const at = header.indexOf(title);
        const before = takeCells(row, at);
        assert.match(before, / $/, `${title} in ${row}`);
        assert.notEqual(row.slice(before.length)[0], ' ', `${title} in ${row}`);
      }
    }
  });
}

/** The start of the line that takes so many cells. */
function takeCells(line: string, cells: number): string {
  let end = 0;
  while (displayWidth(line.slice(0, end)) < cells) end++;
  return line.slice(0, end);
}

test('table: what it shows', async () => {
  const all = await table(EVENTS, 200);
  assert.match(all[0] ?? '', /^TIME +PID +PROCESS +TYPE +NAME +RESULT +LATENCY +ANSWERS +SERVER$/);
  // The first process in a container brings the column.
  const lines = all.filter((line, i) => i > 0 || !line.startsWith('TIME'));
  lines.unshift(...lines.splice(1, 1));
  assert.match(
    lines[0] ?? '',
    /^TIME +PID +PROCESS +CONTAINER\/POD +TYPE +NAME +RESULT +LATENCY +ANSWERS +SERVER$/,
  );
  assert.match(
    lines[1] ?? '',
    /^\d\d:\d\d:\d\d\.123 +4711 +curl +A +www\.example\.com +NOERROR +12\.3ms +192\.0\.2\.1 +192\.0\.2\.53$/,
  );
  assert.match(lines[2] ?? '', /…amazonaws\.com|…\S*amazonaws\.com/);
  assert.match(lines[2] ?? '', /2606:50c0:8003::154 \+1|2606:50c0:8003::154, 2606:50c0:8002::154/);
  assert.match(lines[3] ?? '', / nginx +web-7f9c6d5b4-xk2lp +A +nope\.example\.com +NXDOMAIN +12\.3ms +192/);
  assert.match(lines[4] ?? '', / gone\.example\.net +timeout +\(2 retries\) +192\.0\.2\.53$/);
  assert.match(lines[5] ?? '', / NS +\. +sent +192\.0\.2\.53\/tcp$/);
  const narrow = await table(EVENTS, 80);
  assert.match(narrow[1] ?? '', /^\d\d:\d\d:\d\d +4711 curl +A +www\.example\.com +12\.3ms 192\.0\.2\.1$/);
  assert.match(narrow[3] ?? '', / NXDOMAIN$/);
});

test('table: columns asked for, in their order, added, and in full', async () => {
  const of = async (columns: readonly TableColumn[], width: number, wide = false) => {
    const { stream, text } = terminal(width);
    const sink = new ConsoleTableSink({ stream, ledger: new Ledger(), color: false, columns, wide });
    for (const event of EVENTS) sink.accept(event);
    await sink.close(1000);
    return text().trimEnd().split('\n');
  };
  const few = await of(['name', 'pid', 'user'], 80);
  assert.match(few[0] ?? '', /^NAME +PID {2}USER$|^NAME +PID USER$/);
  assert.match(few[1] ?? '', /^www\.example\.com +4711$/);
  const added = await of(['+user', '+parent', '+server'], 80);
  assert.equal(
    added[0]?.replaceAll(/ +/g, ' '),
    'TIME PID PROCESS USER PARENT TYPE NAME LATENCY RESULT SERVER',
  );
  for (const line of added) assert.ok(displayWidth(line) <= 80, line);
  const wide = await of([], 80, true);
  assert.equal(
    wide[0]?.replaceAll(/ +/g, ' '),
    'TIME PID PROCESS USER PARENT COMMAND CONTAINER/POD TYPE NAME RESULT LATENCY ANSWERS SERVER',
  );
  assert.ok(!wide.join('').includes('…'));
});

test('table: an empty column gives its room to the names, and comes back once', async () => {
  const { stream, text } = terminal(160);
  const sink = new ConsoleTableSink({ stream, ledger: new Ledger(), color: false });
  const long = `${'a'.repeat(55)}.example`;
  const timeout = logEvent({ name: long, outcome: 'timeout' });
  for (let i = 0; i < 30; i++) sink.accept(timeout);
  for (let i = 0; i < 60; i++) sink.accept(i % 20 === 0 ? logEvent() : timeout);
  await sink.close(1000);
  const headers = text()
    .split('\n')
    .filter((line) => line.startsWith('TIME'));
  const titles = headers.map((line) => line.replaceAll(/ +/g, ' '));
  assert.equal(titles[0], 'TIME PID PROCESS TYPE NAME RESULT LATENCY ANSWERS SERVER');
  assert.equal(titles[1], 'TIME PID PROCESS TYPE NAME RESULT SERVER');
  assert.deepEqual([...new Set(titles.slice(2))], [titles[0]]);
  assert.ok(text().includes(long), 'shown whole where there is room');
  assert.ok(text().includes('…'));
});

test('table: colours only when asked for, and they change no text', async () => {
  const plain = await table(EVENTS, 120);
  const colored = await table(EVENTS, 120, true);
  assert.doesNotMatch(plain.join('\n'), COLOR);
  assert.deepEqual(
    colored.map((line) => line.replace(COLOR, '')),
    plain,
  );
  const [, good = '', , notice = '', bad = ''] = colored;
  assert.ok(good.includes('\x1b[32mNOERROR'));
  assert.ok(notice.includes('\x1b[33mNXDOMAIN'));
  assert.ok(bad.includes('\x1b[1;31mtimeout'));
});

test('table: not on a terminal nothing is shortened', async () => {
  const lines = await table(EVENTS, 80, false, false);
  const text = lines.join('\n');
  assert.ok(
    text.includes(
      'a-very-long-label-that-goes-on-and-on.of.something.elasticache.eu-central-1.amazonaws.com',
    ),
  );
  assert.ok(!text.includes('…'));
});

test('table: a resized terminal gets a new header and layout; the header returns each screen', async () => {
  const { stream, text } = terminal(120);
  const sink = new ConsoleTableSink({ stream, ledger: new Ledger(), color: false });
  sink.start();
  sink.accept(logEvent());
  stream.columns = 80;
  for (let i = 0; i < 50; i++) sink.accept(logEvent());
  await sink.close(1000);
  const lines = text().trimEnd().split('\n');
  const headers = lines.flatMap((line, at) => (line.startsWith('TIME') ? [at] : []));
  assert.deepEqual(headers, [0, 2, 25, 48]);
  assert.ok((lines[0]?.length ?? 0) > 100 && (lines[2]?.length ?? 0) < 80);
});

test('no text of others reaches the terminal raw, in either format', async () => {
  const names = fc.string({ unit: 'binary', maxLength: 40 });
  const danger = fc.constantFrom(
    '\x1b[2J',
    '\u009b',
    '\u202e',
    '\u2028',
    '\u200b',
    '\ud800',
    '\x07',
    '\r',
    '\x7f',
    '\n',
  );
  const hostile = fc.array(fc.oneof(names, danger), { maxLength: 8 }).map((parts) => parts.join(''));
  await fc.assert(
    fc.asyncProperty(hostile, hostile, fc.integer({ min: 40, max: 250 }), async (one, two, columns) => {
      const process = identity({ executableName: one, workload: two, resource: { 'process.command': one } });
      const events = [
        logEvent({ name: one, process, answers: [record(two, 16, two)] }),
        { ...copyOf(logEvent({ process })), lookup: undefined, body: two },
      ];
      const shown = (await table(events, columns)).join('\n');
      assert.doesNotMatch(shown, OBEYED);
      assert.equal(shown.split('\n').length, 3);
      for (const line of shown.split('\n')) assert.ok(displayWidth(line) <= Math.max(columns, 79));
      for (const event of events) {
        const json = safeJson({ body: event.body, attributes: event.attributes, resource: process.resource });
        assert.doesNotMatch(json, OBEYED);
        assert.deepEqual(JSON.parse(json).attributes, JSON.parse(JSON.stringify(event.attributes)));
      }
    }),
    { numRuns: 500 },
  );
});

test('json: one object a line with every part of the record', async () => {
  const { stream, text } = terminal(0, false);
  const sink = new ConsoleJsonSink({ stream, ledger: new Ledger() });
  sink.accept(logEvent());
  await sink.close(1000);
  const lines = text().split('\n');
  assert.equal(lines.length, 2);
  const { attributes, resource, ...rest } = JSON.parse(lines[0] ?? '');
  assert.deepEqual(rest, {
    time: '2026-10-26T07:33:20.123456789Z',
    observed_time: '2026-10-26T07:33:20.143456789Z',
    event_name: 'whodns.query',
    severity_number: 9,
    body: 'A www.example.com: 192.0.2.1 in 12.3ms (curl)',
  });
  assert.equal(attributes['dns.question.name'], 'www.example.com');
  assert.equal(resource['process.pid'], 4711);
});

test('times and latencies', () => {
  assert.equal(rfc3339(0n), '1970-01-01T00:00:00.000000000Z');
  assert.equal(rfc3339(1_700_000_000_000_000_001n), '2023-11-14T22:13:20.000000001Z');
  const shown: [number, string][] = [
    [0, '0ns'],
    [999, '999ns'],
    [1000, '1µs'],
    [999_499, '999µs'],
    [999_500, '1.00ms'],
    [9_995_000, '10.0ms'],
    [99_949_999, '99.9ms'],
    [123_456_789, '123ms'],
    [1_045_000, '1.05ms'],
    [999_500_000, '1.00s'],
    [5_000_000_000, '5.00s'],
    [600_000_000_000, '600s'],
  ];
  for (const [duration, text] of shown) assert.equal(latencyText(duration), text);
});

test('display width: shortened text fits and keeps its ends', () => {
  assert.equal(displayWidth('日本'), 4);
  assert.equal(displayWidth('e\u0301'), 1);
  assert.equal(shortenEnd('日本語', 5), '日本…');
  assert.equal(shortenMiddle('www.example.com', 11), 'www.e…e.com');
  assert.equal(padEnd('日', 4), '日  ');
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 0, max: 30 }), (text, width) => {
      for (const shorten of [shortenEnd, shortenMiddle]) {
        const short = shorten(text, width);
        assert.ok(displayWidth(short) <= width || short === text, `${text} at ${width}: ${short}`);
        if (displayWidth(text) <= width) assert.equal(short, text);
      }
    }),
  );
});

test('a slow reader: memory is bounded, losses are counted, nothing is lost before the bound', async () => {
  const writes: (() => void)[] = [];
  const stream = new Writable({ write: (_chunk, _encoding, done) => writes.push(done) });
  const ledger = new Ledger();
  const sink = new ConsoleJsonSink({ stream, ledger, maxWaiting: 100_000 });
  for (let i = 0; i < 1000; i++) sink.accept(logEvent());
  const [before] = ledger.snapshot();
  assert.equal(before?.missing, 0);
  assert.ok(before.held > 50 && before.held < 100);
  assert.equal(before.dropped['queue_full'], 1000 - before.held);
  const flushed = sink.flush();
  while (writes.length > 0) {
    writes.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await flushed;
  sink.accept(logEvent());
  const [after] = ledger.snapshot();
  assert.deepEqual([after?.out, after?.held, after?.missing], [before.held, 1, 0]);
});

/** Runs the program below with its standard output on a real pipe. */
const PROGRAM = `
  import { Ledger } from './src/ledger.ts';
  import { ConsoleTableSink } from './src/sinks/console/table.ts';
  import { logEvent } from './test/unit/sink-events.ts';
  const ledger = new Ledger();
  let broken = 0;
  const stream = process.stdout;
  const sink = new ConsoleTableSink({ stream, ledger, color: false, onBroken: () => broken++, maxWaiting: 200_000 });
  const rounds = Number(process.argv[1]);
  for (let i = 0; i < rounds; i++) {
    for (let j = 0; j < 100; j++) sink.accept(logEvent());
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const longest = performance.now();
  await sink.close(Number(process.argv[2]));
  process.stderr.write(JSON.stringify({ broken, closing: performance.now() - longest, stage: ledger.snapshot()[0] }));
  process.exit();
`;

interface PipeResult {
  readonly broken: number;
  readonly closing: number;
  readonly code: number | null;
  readonly stage: { in: number; out: number; missing: number; held: number; dropped: Record<string, number> };
}

async function onPipe(
  rounds: number,
  deadline: number,
  reader: 'closes' | 'stands still',
): Promise<PipeResult> {
  const args = ['--input-type=module-typescript', '-e', PROGRAM, String(rounds), String(deadline)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: process.cwd() });
  if (reader === 'closes') child.stdout.once('data', () => child.stdout.destroy());
  else child.stdout.pause();
  let text = '';
  child.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const code = await new Promise<number | null>((resolve) => {
    child.once('exit', resolve);
  });
  await new Promise((resolve) => setImmediate(resolve));
  child.stdout.destroy();
  return { ...(JSON.parse(text) as Omit<PipeResult, 'code'>), code };
}

test('a closed pipe ends the console quietly, and says so once', async () => {
  const { broken, stage, code } = await onPipe(50, 1000, 'closes');
  assert.deepEqual([code, broken, stage.missing, stage.held], [0, 1, 0, 0]);
  assert.ok((stage.dropped['closed'] ?? 0) > 0);
  assert.equal(stage.in, 5000);
});

test('a pipe whose reader stands still never blocks the program; what does not fit is counted', async () => {
  const { stage, code, closing } = await onPipe(100, 300, 'stands still');
  assert.deepEqual([code, stage.missing, stage.held, stage.in], [0, 0, 0, 10_000]);
  assert.ok(
    (stage.dropped['queue_full'] ?? 0) > 0 && (stage.dropped['shutdown'] ?? 0) > 0,
    JSON.stringify(stage),
  );
  assert.ok(closing < 5000);
});
