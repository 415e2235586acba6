/** The real collector follows the agent's file through rotations, its own and logrotate's, and through a restart of itself. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger } from '../../src/ledger.ts';
import type { DeliverySink } from '../../src/sinks/delivery/delivery.ts';
import { MemoryStore } from '../../src/sinks/delivery/request-store.ts';
import { createOtlpFileSink } from '../../src/sinks/otlp/file-sink.ts';
import { type FileBounds, LinesFile } from '../../src/sinks/otlp/lines-file.ts';
import { identity, logEvent } from '../unit/sink-events.ts';
import { type Collector, startCollector } from './collector.ts';
import { readRecords } from './otlp-json.ts';
import { waitUntil } from './running-program.ts';

const FILE_SINK = join(import.meta.dirname, 'file-sink.yaml');
const CASE_LIMIT_MS = 180_000;
const RECORDS = 3000;
/** A record each; some 1.5 KB of a line is the resource. */
const PAUSE_MS = 4;

/** One busy daemon: every file begins with the same resource, more than the 1000 bytes that a receiver compares unless told. */
const DAEMON = identity({ resource: { 'process.pid': 1, 'process.command_line': 'x'.repeat(4000) } });

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-rotation-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

function fileSink(
  path: string,
  bounds: FileBounds,
): { readonly file: LinesFile; readonly sink: DeliverySink } {
  const file = LinesFile.open(path, bounds);
  const sink = createOtlpFileSink({
    file,
    scope: { name: 'whodns', version: '0.1.0' },
    ledger: new Ledger(),
    notices: { warn: assert.fail, info: assert.fail },
    store: new MemoryStore({ maxBytes: 64_000_000, maxRecords: RECORDS }),
    limits: { batchSize: 1, delayMs: 1000 },
  });
  return { file, sink };
}

/** Writes names n<from>.test and so on, not faster than a collector that polls every 200 ms can follow. */
async function write(sink: DeliverySink, from: number, to: number, each = (_: number) => {}): Promise<void> {
  for (let number = from; number < to; number++) {
    sink.accept(logEvent({ name: `n${number}.test`, process: DAEMON }));
    await sleep(PAUSE_MS);
    each(number);
  }
  await sink.flush();
}

const names = (collector: Collector): string[] =>
  readRecords(collector.sink).map(({ attributes }) => String(attributes['dns.question.name']));

async function assertEachOnce(collector: Collector, count: number): Promise<void> {
  await waitUntil(() => names(collector).length >= count, 60_000);
  await sleep(1000); // what would come twice
  const seen = names(collector);
  const missing = Array.from({ length: count }, (_, i) => `n${i}.test`).filter(
    (name) => !seen.includes(name),
  );
  assert.deepEqual([seen.length, missing], [count, []], collector.log().slice(-2000));
}

test('bounded files: every record exactly once, over a restart of the collector too', {
  timeout: CASE_LIMIT_MS,
}, async () => {
  const work = join(directory, 'bounded');
  mkdirSync(work);
  let collector = await startCollector(['agent', 'file', FILE_SINK], work);
  try {
    const { sink } = fileSink(join(work, 'otlp.jsonl'), { maxBytes: 2_000_000, backups: 3 });
    await write(sink, 0, RECORDS / 2);
    // While it is away the file becomes PATH.1 and a new one begins.
    await collector.stop();
    await write(sink, RECORDS / 2, RECORDS / 2 + 400);
    collector = await startCollector(['agent', 'file', FILE_SINK], work);
    await write(sink, RECORDS / 2 + 400, RECORDS);
    await sink.close(1000);
    assert.ok(readdirSync(work).includes('otlp.jsonl.3'));
    await assertEachOnce(collector, RECORDS);
  } finally {
    await collector.stop();
  }
});

test('renamed by logrotate every second, with SIGHUP: every record exactly once', {
  timeout: CASE_LIMIT_MS,
}, async () => {
  const work = join(directory, 'logrotate');
  mkdirSync(work);
  const path = join(work, 'otlp.jsonl');
  const collector = await startCollector(['agent', 'file', FILE_SINK], work);
  try {
    const { file, sink } = fileSink(path, { maxBytes: 0, backups: 1 });
    await write(sink, 0, RECORDS, (number) => {
      if (number % 250 !== 249) return;
      renameSync(path, `${path}-${number}`);
      void file.reopen(); // what SIGHUP does
    });
    await sink.close(1000);
    assert.ok(readdirSync(work).filter((name) => name.startsWith('otlp.jsonl')).length > 10);
    await assertEachOnce(collector, RECORDS);
  } finally {
    await collector.stop();
  }
});
