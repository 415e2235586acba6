/** Files, directories and links of several owners, for tests of who may bend what. */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A user who is not the agent. */
export const STRANGER = 1000;
export const SECRET = 'what only root may change\n';
const needsRoot = process.getuid?.() !== 0 && 'needs root to play other users';
export const skip = { skip: needsRoot };

export function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-hostile-'));
  chmodSync(directory, 0o755);
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export interface Owned {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export function directoryAt(path: string, { mode = 0o755, uid = 0, gid = 0 }: Owned = {}): string {
  mkdirSync(path, { recursive: true });
  chownSync(path, uid, gid);
  chmodSync(path, mode);
  return path;
}

export function fileAt(path: string, text: string, { mode = 0o644, uid = 0, gid = 0 }: Owned = {}): string {
  writeFileSync(path, text);
  chownSync(path, uid, gid);
  chmodSync(path, mode);
  return path;
}

export function linkAt(path: string, target: string, uid = 0): string {
  symlinkSync(target, path);
  execFileSync('chown', ['-h', `${uid}:${uid}`, path]);
  return path;
}
