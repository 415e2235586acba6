/**
 * Writes records, one a line, to DIRECTORY/out on a tiny disk half of which another file holds: until the disk is full, and again
 * when the other file has gone. Prints what became of them. Run by lines-file.test.ts.
 *
 * Usage: fill-disk.ts DIRECTORY MAX-BYTES
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ledger } from '../../src/ledger.ts';
import { MemoryStore } from '../../src/sinks/delivery/request-store.ts';
import { createOtlpFileSink } from '../../src/sinks/otlp/file-sink.ts';
import { LinesFile } from '../../src/sinks/otlp/lines-file.ts';
import { logEvent } from '../unit/sink-events.ts';

const [directory = '', maxBytes = ''] = process.argv.slice(2);
const other = join(directory, 'other');
writeFileSync(other, Buffer.alloc(32_768));
const ledger = new Ledger();
const said: string[] = [];
const sink = createOtlpFileSink({
  file: LinesFile.open(join(directory, 'out'), { maxBytes: Number(maxBytes), backups: 2 }),
  scope: { name: 'whodns', version: '0.1.0' },
  ledger,
  notices: { warn: (message) => said.push(message), info: (message) => said.push(message) },
  store: new MemoryStore({ maxBytes: 64_000_000, maxRecords: 1000 }),
  limits: { batchSize: 1, delayMs: 1000 },
});
for (let i = 0; i < 200; i++) sink.accept(logEvent());
await sink.flush();
const full = ledger.snapshot()[0];
rmSync(other);
for (let i = 0; i < 5; i++) sink.accept(logEvent());
await sink.close(10_000);

const files = readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
const lines = files.flatMap((text) => text.split('\n').slice(0, -1));
for (const line of lines) JSON.parse(line);
const cut = files.filter((text) => text !== '' && !text.endsWith('\n')).length;
process.stdout.write(JSON.stringify({ whole: lines.length, cut, full, end: ledger.snapshot()[0], said }));
