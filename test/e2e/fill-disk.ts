/** Writes 500 records to argv[2], one a line, and prints what became of them. Run by otlp-file.test.ts on a tiny disk. */
import { readFileSync } from 'node:fs';
import { Ledger } from '../../src/health.ts';
import { createOtlpFileSink, LinesFile } from '../../src/sinks/otlp-file.ts';
import { MemoryStore } from '../../src/sinks/request-store.ts';
import { logEvent } from '../unit/sink-events.ts';

const path = process.argv[2];
if (path === undefined) throw new Error('usage: fill-disk.ts PATH');
const ledger = new Ledger();
const scope = { name: 'whodns', version: '0.1.0' };
const notices = { warn: () => {}, info: () => {} };
const sink = createOtlpFileSink({
  file: LinesFile.open(path),
  scope,
  ledger,
  notices,
  store: new MemoryStore({ maxBytes: 64_000_000, maxRecords: 1000 }),
  limits: { batchSize: 1, delayMs: 1000 },
});
for (let i = 0; i < 500; i++) sink.accept(logEvent());
await sink.close(10_000);
const text = readFileSync(path, 'utf8');
const lines = text.trimEnd().split('\n');
for (const line of lines) JSON.parse(line);
process.stdout.write(JSON.stringify({ size: text.length, whole: lines.length, stage: ledger.snapshot()[0] }));
