/** `replay` of the package: back-pressure, errors, ends. All of it on capture files made here; nothing is dropped, whatever the reader does. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { CaptureError, type CaptureErrorCode, type LookupEvent, replay } from '../../src/api/index.ts';
import { encodeMessage, labels } from './dns-encode.ts';
import { ipv4, pcap, udp } from './pcap-write.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodns-api-'));
after(() => rmSync(directory, { recursive: true }));

function message(id: number, flags: number): Uint8Array {
  const questions = [{ name: labels(`n${id}.test`), type: 1, class: 1 }];
  return encodeMessage({ id, flags, questions, answers: [], authorities: [], additionals: [] });
}

/** Lookups 1 to `count`, each with its answer. */
function captureOf(count: number): Buffer {
  const frames = Array.from({ length: count }, (_, i) => {
    const id = i + 1;
    const time = 1_700_000_000_000_000_000n + BigInt(id) * 1_000_000n;
    const answer = ipv4(udp(53, 40_000, message(id & 0xffff, 0x8180)), { identification: id & 0xffff });
    answer.set([10, 0, 0, 2, 10, 0, 0, 1], 12);
    const query = ipv4(udp(40_000, 53, message(id & 0xffff, 0x0100)), { identification: id & 0xffff });
    return [
      { bytes: query, time },
      { bytes: answer, time: time + 1000n },
    ];
  });
  return pcap(101, frames.flat());
}

function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
}

async function names(events: AsyncIterable<LookupEvent>): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for await (const { question } of events) found.push(question?.name);
  return found;
}

const expected = (count: number) => Array.from({ length: count }, (_, i) => `n${i + 1}.test`);

async function failsWith(code: CaptureErrorCode, what: AsyncIterable<LookupEvent>): Promise<CaptureError> {
  const error = await names(what).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CaptureError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

test('a path, a URL, and bytes as they come: the same lookups', async () => {
  const path = fileOf('some.pcap', captureOf(20));
  async function* pieces() {
    const bytes = gzipSync(captureOf(20));
    for (let at = 0; at < bytes.length; at += 100) {
      await sleep(1);
      yield bytes.subarray(at, at + 100);
    }
  }
  for (const file of [path, pathToFileURL(path), pieces()]) {
    const events = replay(file);
    const uids = new Set<string>();
    const found: (string | undefined)[] = [];
    for await (const { uid, question } of events) {
      assert.match(uid, /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
      uids.add(uid);
      found.push(question?.name);
    }
    assert.deepEqual([found, uids.size], [expected(20), 20]);
    await events.ready;
    assert.deepEqual(
      { ...events.stats(), hook: undefined },
      {
        hook: undefined,
        given: 20,
        waiting: 0,
        dropped: 0,
        filtered: 0,
        losses: {},
      },
    );
    assert.deepEqual(await events.next(), { done: true, value: undefined });
  }
});

test('a slow reader loses nothing, and no more of the file than a batch waits for it', async () => {
  const events = replay(fileOf('long.pcap', captureOf(10_000)));
  let most = 0;
  let count = 0;
  for await (const { question } of events) {
    count++;
    assert.equal(question?.name, `n${count}.test`);
    if (count % 1000 === 0) await sleep(1);
    most = Math.max(most, events.stats().waiting);
  }
  assert.deepEqual([count, events.dropped, events.stats().losses], [10_000, 0, {}]);
  assert.ok(most > 0 && most <= 1024, `${most} waited`);
});

test('leaving the loop closes it: what waits is dropped and counted', async () => {
  const events = replay(fileOf('left.pcap', captureOf(5000)));
  for await (const _ of events) break;
  await events.closed;
  const { given, waiting, losses } = events.stats();
  assert.deepEqual([given, waiting], [1, 0]);
  assert.ok((losses['sink:api/closed'] ?? 0) > 0);
  assert.equal((await events.next()).done, true);
  assert.deepEqual(await events.return(), { done: true, value: undefined });
});

test('await using closes, also before the first event and with readers that wait', async () => {
  let waiting: Promise<unknown>[] = [];
  async function* never() {
    yield captureOf(1).subarray(0, 24);
    await new Promise(() => {});
  }
  {
    await using events = replay(never());
    await events.ready;
    waiting = [events.next(), events.next()];
  }
  assert.deepEqual(await Promise.all(waiting), [
    { done: true, value: undefined },
    { done: true, value: undefined },
  ]);
});

test('a signal ends it with its reason, before the start and in the middle', async () => {
  const path = fileOf('aborted.pcap', captureOf(2000));
  const reason = new Error('enough');
  await assert.rejects(names(replay(path, { signal: AbortSignal.abort(reason) })), reason);
  const controller = new AbortController();
  const events = replay(path, { signal: controller.signal });
  await events.next();
  controller.abort(reason);
  await assert.rejects(events.next(), reason);
  assert.equal((await events.next()).done, true);
  await events.closed;
});

test('errors have a code: no file, none of ours, damaged, no such option', async () => {
  const missing = replay(join(directory, 'nowhere'));
  await failsWith('file', missing);
  await assert.rejects(missing.ready, CaptureError);
  await failsWith('file', replay(fileOf('text', Buffer.from('no capture file, but a longer text'))));
  await failsWith('options', replay('x', { ports: [0] }));
  await failsWith('options', replay('x', { timeoutMs: 1 }));
  const whole = captureOf(10);
  const cut = replay(fileOf('cut.pcap', whole.subarray(0, whole.length - 5)));
  const read: (string | undefined)[] = [];
  const warned = await (async () => {
    for await (const { question } of cut) read.push(question?.name);
  })().catch((error: unknown) => error);
  assert.ok(warned instanceof CaptureError && warned.code === 'damaged', String(warned));
  assert.deepEqual(read, expected(10));
});

test('a stream that breaks: what came before it is given, then its error', async () => {
  async function* broken() {
    yield captureOf(3);
    throw new Error('the other side is gone');
  }
  const read: (string | undefined)[] = [];
  await assert.rejects(async () => {
    for await (const { question } of replay(broken())) read.push(question?.name);
  }, /the other side is gone|cannot read the stream/);
  assert.deepEqual(read, expected(3));
});

test('several at a time do not know of each other', async () => {
  const path = fileOf('both.pcap', captureOf(3000));
  const all = await Promise.all([names(replay(path)), names(replay(path)), names(replay(path))]);
  for (const each of all) assert.deepEqual(each, expected(3000));
});
