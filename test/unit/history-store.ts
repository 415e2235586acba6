/** A history to test with: lookups made as real ones, kept by the thread that keeps them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { HistorySink } from '../../src/history/sink.ts';
import { Ledger } from '../../src/ledger.ts';
import type { LookupView } from '../../src/lookup/view.ts';
import type { LogEvent, Lookup } from '../../src/model.ts';
import { viewOf } from './message-bytes.ts';
import { lookup, recordOf, type Spec } from './sink-events.ts';

export interface TestHistory {
  readonly sink: HistorySink;
  readonly ledger: Ledger;
  readonly notices: string[];
  /** What is kept comes after a flush. */
  add(...specs: Spec[]): Promise<void>;
}

/** Gone after the test. */
export function temporaryDirectory(test: TestContext): string {
  const directory = mkdtempSync(join('/var/tmp', 'whodns-history-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export async function openTestHistory(
  test: TestContext,
  options: { place?: string; maxBytes?: number; maxAgeMs?: number; maxRows?: number } = {},
): Promise<TestHistory> {
  const ledger = new Ledger();
  const notices: string[] = [];
  const sink = await HistorySink.open({
    place: ':memory:',
    maxBytes: 256 * 1024 * 1024,
    maxAgeMs: 7 * 86_400_000,
    maxRows: 100_000,
    ...options,
    ledger,
    notices: { warn: (line) => notices.push(line), info: (line) => notices.push(line) },
  });
  test.after(() => sink.close(2000));
  return {
    sink,
    ledger,
    notices,
    async add(...specs) {
      for (const spec of specs) sink.accept(eventOf(lookup(spec)));
      await sink.flush();
    },
  };
}

export function eventOf(of: Lookup | LookupView): LogEvent {
  return recordOf('keep' in of ? of : viewOf(of));
}
