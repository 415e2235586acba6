/**
 * Keeps a history in a directory until the disk is full, makes room by removing the file `ballast` beside it, and goes on. Prints what
 * became of the lookups. Run by history-faults.test.ts on a disk of its own.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { HistorySink } from '../../src/history/sink.ts';
import type { StoredLookup } from '../../src/history/types.ts';
import { Ledger, type StageSnapshot } from '../../src/ledger.ts';
import { eventOf } from './history-store.ts';
import { identity, lookup } from './sink-events.ts';

export interface FullDisk {
  readonly full: StageSnapshot;
  readonly after: StageSnapshot;
  readonly notices: readonly string[];
  /** Of what was kept after there was room: name and process. */
  readonly kept: readonly (readonly [string, number])[];
  /** Rows that the history has, by its own count. */
  readonly rows: number;
}

const CHUNK = 500;
const MAX_CHUNKS = 200;

async function fill(disk: string): Promise<FullDisk> {
  const ledger = new Ledger();
  const notices: string[] = [];
  const sink = await HistorySink.open({
    place: join(disk, 'history'),
    maxBytes: 256 * 1024 * 1024,
    maxAgeMs: 7 * 86_400_000,
    maxRows: 0,
    ledger,
    notices: { warn: (line) => notices.push(line), info: (line) => notices.push(line) },
  });
  const counts = (): StageSnapshot =>
    ledger.snapshot().find(({ name }) => name === 'sink:history') as StageSnapshot;
  let number = 0;
  const add = async (zone: string, count: number): Promise<void> => {
    for (let i = 0; i < count; i++, number++) {
      const name = `${'n'.repeat(50)}${number}.${zone}`;
      sink.accept(
        eventOf(lookup({ name, process: identity({ pid: 10 + number, startTime: BigInt(number) }) })),
      );
    }
    await sink.flush();
  };
  for (let i = 0; i < MAX_CHUNKS && (counts().dropped['failed'] ?? 0) < 3 * CHUNK; i++)
    await add('full.test', CHUNK);
  const full = counts();
  rmSync(join(disk, 'ballast'));
  const first = number;
  await add('after.test', 20);
  const { rows } = await sink.queries.search({ suffix: '*.after.test', limit: 100 });
  const { lookups } = await sink.queries.status();
  await sink.close(5000);
  const kept = rows.map((row) => {
    const { name, process } = row as StoredLookup;
    return [name, process.pid - 10 - first] as const;
  });
  return { full, after: counts(), notices, kept, rows: lookups };
}

const [disk] = process.argv.slice(2);
if (disk !== undefined) console.log(JSON.stringify(await fill(disk)));
