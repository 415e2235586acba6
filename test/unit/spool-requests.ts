/** Requests whose bytes say which one they are, and spools over temporary directories. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SealedRequest } from '../../src/sinks/delivery/request-store.ts';
import { Spool } from '../../src/sinks/delivery/spool.ts';

export const MEMORY = { maxBytes: 1 << 20, maxRecords: 1 << 20 };

/** @param serial stands in the first four bytes; the rest repeats it, so that bytes look alike across requests */
export function numbered(serial: number, length = 20, records = 1): SealedRequest {
  const bytes = Buffer.alloc(length, serial);
  bytes.writeUInt32LE(serial);
  return { bytes, records, resourceCount: 1 };
}

export function serialOf(request: SealedRequest): number {
  return Buffer.from(request.bytes).readUInt32LE();
}

export interface Workplace {
  readonly directory: string;
  readonly warnings: string[];
  open(maxBytes?: number): Spool;
  remove(): void;
}

export function workplace(): Workplace {
  const base = mkdtempSync(join(tmpdir(), 'whodns-spool-'));
  const directory = join(base, 'logs');
  const warnings: string[] = [];
  const notices = { warn: (message: string) => warnings.push(message), info: () => {} };
  return {
    directory,
    warnings,
    open: (maxBytes = 1 << 26) => new Spool({ directory, maxBytes, memory: MEMORY, notices }),
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}

/** Takes and settles everything; gives the serial numbers in order. */
export function drain(spool: Spool): number[] {
  const serials: number[] = [];
  for (let request = spool.take(); request !== undefined; request = spool.take()) {
    serials.push(serialOf(request));
    spool.done(request);
  }
  return serials;
}
