/** The file of otlp-file: its bound, what others do to it, disks that fill up, directories that vanish. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Ledger } from '../../src/ledger.ts';
import { MemoryStore } from '../../src/sinks/delivery/request-store.ts';
import { createOtlpFileSink } from '../../src/sinks/otlp/file-sink.ts';
import { LinesFile } from '../../src/sinks/otlp/lines-file.ts';
import { MAIN } from '../matrix/program.ts';
import { logEvent } from '../unit/sink-events.ts';

const needsRoot = process.getuid?.() !== 0 && 'needs root to mount';

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-lines-file-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const line = (number: number): Buffer => Buffer.from(`${String(number).padStart(99, '0')}\n`);
const numbers = (path: string): number[] => readFileSync(path, 'utf8').split('\n').slice(0, -1).map(Number);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

test('bounded: PATH, PATH.1, PATH.2 hold the newest lines, all whole, none twice', async (t) => {
  const path = join(temporary(t), 'out');
  const file = LinesFile.open(path, { maxBytes: 1000, backups: 2 }).use();
  // several writers at once, as records and metrics are
  await Promise.all(range(0, 74).map((number) => file.append(line(number))));
  await file.release();
  assert.deepEqual(readdirSync(join(path, '..')).sort(), ['out', 'out.1', 'out.2']);
  assert.deepEqual(numbers(`${path}.2`), range(50, 60));
  assert.deepEqual(numbers(`${path}.1`), range(60, 70));
  assert.deepEqual(numbers(path), range(70, 74));
});

test('a write that is larger than the bound is a file of its own; 0 is no bound', async (t) => {
  const directory = temporary(t);
  const file = LinesFile.open(join(directory, 'out'), { maxBytes: 50, backups: 9 }).use();
  for (const number of range(0, 3)) await file.append(line(number));
  await file.release();
  assert.deepEqual(
    readdirSync(directory).map((name) => numbers(join(directory, name))),
    [[2], [1], [0]],
  );
  const endless = LinesFile.open(join(directory, 'endless')).use();
  for (const number of range(0, 30)) await endless.append(line(number));
  await endless.release();
  assert.deepEqual(numbers(join(directory, 'endless')), range(0, 30));
});

test('a file from before is continued; a line that its writer could not finish is ended', async (t) => {
  const path = join(temporary(t), 'out');
  writeFileSync(path, '{"a":1}\n{"a"');
  const file = LinesFile.open(path).use();
  await file.append(Buffer.from('{"a":2}\n'));
  await file.release();
  assert.equal(readFileSync(path, 'utf8'), '{"a":1}\n{"a"\n{"a":2}\n');
});

test('the next file has the owner and the mode of the one before', {
  skip: process.getuid?.() !== 0 && 'needs root to give a file away',
}, async (t) => {
  const path = join(temporary(t), 'out');
  writeFileSync(path, '');
  chmodSync(path, 0o604);
  chownSync(path, 65534, 65533);
  const file = LinesFile.open(path, { maxBytes: 150, backups: 1 }).use();
  for (const number of range(0, 2)) await file.append(line(number));
  await file.release();
  assert.deepEqual(numbers(path), [1]);
  const { mode, uid, gid } = statSync(path);
  assert.deepEqual([mode & 0o7777, uid, gid], [0o604, 65534, 65533]);
});

test('renamed or removed by somebody else: a new file is begun, by itself and when told to', async (t) => {
  const path = join(temporary(t), 'out');
  const file = LinesFile.open(path).use();
  await file.append(line(0));
  renameSync(path, `${path}-old`);
  await file.append(line(1));
  rmSync(path);
  await file.append(line(2));
  renameSync(path, `${path}-older`);
  await file.reopen();
  assert.deepEqual(numbers(path), []);
  await file.append(line(3));
  await file.release();
  assert.deepEqual([numbers(`${path}-old`), numbers(`${path}-older`), numbers(path)], [[0], [2], [3]]);
  await file.reopen(); // after the end: nothing
  rmSync(path);
  await file.reopen();
  assert.ok(!existsSync(path));
});

test('copied and emptied by somebody else (copytruncate): it goes on at its beginning', async (t) => {
  const path = join(temporary(t), 'out');
  const file = LinesFile.open(path).use();
  await file.append(line(0));
  writeFileSync(path, '');
  await file.append(line(1));
  await file.release();
  assert.deepEqual(numbers(path), [1]);
});

test('a symbolic link is written through and never renamed, /dev/stdout as any other', (t) => {
  const directory = temporary(t);
  const target = join(directory, 'target');
  appendFileSync(target, `${'x'.repeat(1_100_000)}\n`);
  symlinkSync(target, join(directory, 'link'));
  const capture = join(import.meta.dirname, '../golden/pcaps/edns-opts.pcap');
  const replay = `exec ${process.execPath} ${MAIN} replay ${capture} --otlp-file-bytes 1M --exporter otlp-file`;
  execFileSync('sh', ['-c', `${replay}:${directory}/link`], { stdio: 'pipe' });
  const before = statSync(target).size;
  execFileSync('sh', ['-c', `${replay}:/dev/stdout >>${target}`], { stdio: 'pipe' });
  assert.ok(before > 1_100_001 && statSync(target).size > before);
  assert.deepEqual(readdirSync(directory).sort(), ['link', 'target']);
  assert.ok(!existsSync('/dev/stdout.1'));
});

test('a directory that does not allow to rename is said at once', {
  skip: process.getuid?.() !== 0 && 'needs root to become somebody else',
}, (t) => {
  const directory = temporary(t);
  const path = join(directory, 'out');
  writeFileSync(path, '');
  chmodSync(directory, 0o555);
  chmodSync(path, 0o666);
  const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--', process.execPath, MAIN];
  const capture = join(import.meta.dirname, '../golden/pcaps/edns-opts.pcap');
  const replay = [...asNobody, 'replay', capture, '--exporter', `otlp-file:${path}`];
  assert.throws(
    () => execFileSync('setpriv', replay, { encoding: 'utf8', stdio: 'pipe' }),
    /cannot write to .*\/out: it could not be renamed when it is full, its directory is not writable\n {2}--otlp-file-bytes 0/,
  );
  execFileSync('setpriv', [...replay, '--otlp-file-bytes', '0'], { stdio: 'pipe' });
  assert.ok(statSync(path).size > 0);
});

test('a directory that vanishes: one warning, each record counted, and it goes on when it is back', async (t) => {
  const directory = join(temporary(t), 'logs');
  mkdirSync(directory);
  const path = join(directory, 'out');
  const ledger = new Ledger();
  const said: string[] = [];
  const sink = createOtlpFileSink({
    file: LinesFile.open(path),
    scope: { name: 'whodns', version: '0.1.0' },
    ledger,
    notices: { warn: (message) => said.push(message), info: (message) => said.push(message) },
    store: new MemoryStore({ maxBytes: 64_000_000, maxRecords: 100 }),
    limits: { batchSize: 1, delayMs: 1000 },
  });
  const write = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) sink.accept(logEvent());
    await sink.flush();
  };
  await write(2);
  rmSync(directory, { recursive: true });
  await write(3);
  mkdirSync(directory);
  await write(4);
  await sink.close(1000);
  const [stage] = ledger.snapshot();
  assert.deepEqual([stage?.in, stage?.out, stage?.dropped, stage?.missing], [9, 6, { failed: 3 }, 0]);
  assert.equal(readFileSync(path, 'utf8').split('\n').length, 4 + 1);
  assert.deepEqual(said, [
    `otlp-file: 1 record lost: ENOENT: no such file or directory, open '${path}'`,
    'otlp-file: works again (2 records more lost meanwhile)',
  ]);
});

/** A file system of 64 KB that really fills up. */
for (const [name, maxBytes] of [
  ['one file', 0],
  ['rotated', 8192],
] as const) {
  test(`a disk that fills up keeps whole lines only, and takes more when it has room (${name})`, {
    skip: needsRoot,
  }, (t) => {
    const directory = temporary(t);
    const script = join(import.meta.dirname, 'fill-disk.ts');
    const command = `mount -t tmpfs -o size=64k none ${directory} && exec ${process.execPath} ${script} ${directory} ${maxBytes}`;
    interface Stage {
      readonly out: number;
      readonly missing: number;
      readonly dropped: Readonly<Record<string, number>>;
    }
    const result = JSON.parse(
      execFileSync('unshare', ['--mount', 'sh', '-c', command], { encoding: 'utf8' }),
    ) as { whole: number; cut: number; full: Stage; end: Stage; said: string[] };
    assert.equal(result.cut, 0);
    assert.equal(result.full.missing + result.end.missing, 0);
    assert.equal(result.end.out, result.full.out + 5, 'all after the disk had room');
    if (maxBytes === 0) {
      const lost = result.full.dropped['failed'] ?? 0;
      assert.ok(lost > 0);
      assert.equal(result.whole, result.end.out);
      assert.match(result.said[0] ?? '', /^otlp-file: 1 record lost: .*ENOSPC: no space left on device/);
      assert.equal(result.said[1], `otlp-file: works again (${lost - 1} records more lost meanwhile)`);
    } else {
      assert.deepEqual([result.full.dropped, result.said], [{}, []], 'three files of 8 KB fit');
      assert.ok(result.whole > 5 && result.whole < result.end.out);
    }
  });
}
