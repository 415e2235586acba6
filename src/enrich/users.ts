/** Names of user ids, from the host's passwd file. */
import { statSync } from 'node:fs';
import { readFile } from '../lib/read-file.ts';

/** A larger file is read up to here: its further users have no name. */
const MOST_BYTES = 4 * 1024 * 1024;
const MOST_USERS = 65_536;
/** How often the file is looked at for a change, ms. */
const CHECK_MS = 5_000;

export interface UserNamesOptions {
  readonly path?: string;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** Users of other sources (LDAP, systemd-homed) have no name here: asking NSS could block, and would itself ask DNS. */
export class UserNames {
  readonly #path: string;
  readonly #now: () => number;
  #names = new Map<number, string>();
  #version = '';
  #checked = Number.NEGATIVE_INFINITY;

  constructor(options: UserNamesOptions = {}) {
    this.#path = options.path ?? '/etc/passwd';
    this.#now = options.now ?? (() => performance.now());
  }

  /** undefined: not listed. */
  name(uid: number): string | undefined {
    const now = this.#now();
    if (now - this.#checked >= CHECK_MS) {
      this.#checked = now;
      this.#refresh();
    }
    return this.#names.get(uid);
  }

  #refresh(): void {
    const version = versionOf(this.#path);
    if (version === this.#version) return;
    this.#version = version;
    this.#names = parsePasswd(readFile(this.#path, MOST_BYTES)?.toString('utf8') ?? '');
  }
}

/** Changes whenever the file does; editors and useradd rename a new file into place. */
function versionOf(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch {
    return 'none';
  }
}

/** passwd(5). Of an id listed twice the first name counts, as getpwuid has it. */
export function parsePasswd(text: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':', 3);
    if (name === undefined || name === '' || id === undefined || !/^\d{1,10}$/.test(id)) continue;
    const uid = Number(id);
    if (!names.has(uid) && names.size < MOST_USERS) names.set(uid, name);
  }
  return names;
}
