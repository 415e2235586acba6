/** The files of a history in its directory: `history-000001.db` and so on, the oldest first; SQLite's own beside each. */
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What SQLite puts beside a database. */
const BESIDE = ['-wal', '-shm', '-journal'];
const FILE = /^history-(\d{6,})\.db$/;
const DAMAGED = /^history-\d{6,}\.db\.damaged-\d+(?:-wal)?$/;
/** Damaged databases that are kept, for who wants to look at them. */
const MAX_DAMAGED = 2;

export interface SegmentFile {
  readonly number: number;
  readonly path: string;
}

export function segmentPath(directory: string, number: number): string {
  return join(directory, `history-${String(number).padStart(6, '0')}.db`);
}

/** The oldest first. */
export function segmentFiles(directory: string): SegmentFile[] {
  return readdirSync(directory)
    .flatMap((name) => {
      const number = FILE.exec(name)?.[1];
      return number === undefined ? [] : [{ number: Number(number), path: join(directory, name) }];
    })
    .sort((a, b) => a.number - b.number);
}

/** Of all that is the history's in the directory. */
export function historyBytes(directory: string): number {
  let sum = 0;
  for (const name of readdirSync(directory))
    if (name.startsWith('history-'))
      sum += statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0;
  return sum;
}

/** ms since its last change; 0: it is not there. */
export function idleMs(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? 0 : Date.now() - stat.mtimeMs;
}

/** ms since it was made, where the file system says so. */
export function ageMs(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined || stat.birthtimeMs <= 0 ? 0 : Date.now() - stat.birthtimeMs;
}

export function removeSegment(path: string): void {
  for (const each of [path, ...BESIDE.map((suffix) => path + suffix)]) rmSync(each, { force: true });
}

/** Out of the way, and still there. @returns its new path */
export function setAside(directory: string, path: string): string {
  const aside = `${path}.damaged-${Math.floor(Date.now() / 1000)}`;
  renameSync(path, aside);
  for (const suffix of BESIDE)
    if (suffix === '-wal' && statSync(path + suffix, { throwIfNoEntry: false }) !== undefined)
      renameSync(path + suffix, `${aside}-wal`);
    else rmSync(path + suffix, { force: true });
  removeDamaged(directory, MAX_DAMAGED);
  return aside;
}

/** All but the newest. @returns whether there was one to remove */
export function removeDamaged(directory: string, keep = 0): boolean {
  const names = readdirSync(directory).filter((name) => DAMAGED.test(name));
  const bases = [...new Set(names.map((name) => name.replace(/-wal$/, '')))];
  bases.sort((a, b) => Number(a.split('damaged-')[1]) - Number(b.split('damaged-')[1]));
  const removed = bases.slice(0, Math.max(bases.length - keep, 0));
  for (const name of removed)
    for (const suffix of ['', '-wal']) rmSync(join(directory, name + suffix), { force: true });
  return removed.length > 0;
}
