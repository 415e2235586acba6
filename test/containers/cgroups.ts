/** A part of every control group hierarchy for the test alone: `/whodns-RANDOM/...`, removed with everything below at the end. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const GONE_MS = 20_000;

export class CgroupTree {
  readonly #name = `/whodns-${randomBytes(4).toString('hex')}`;
  readonly #mounts: readonly string[];

  constructor() {
    this.#mounts = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([, , type]) => type === 'cgroup' || type === 'cgroup2')
      .map(([, path = '']) => path);
  }

  /** Where a control group of the test lies, as runtimes take it. */
  path(below: string): string {
    return `${this.#name}/${below}`;
  }

  /** Moves a process there in every hierarchy that takes it, laid out as asked for; @returns in how many. */
  move(pid: number, below: string): number {
    let moved = 0;
    for (const mount of this.#mounts) {
      const directory = join(mount, this.path(below));
      try {
        mkdirSync(directory, { recursive: true });
        fillCpuset(mount, directory);
        writeFileSync(join(directory, 'cgroup.procs'), String(pid));
        moved++;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ESRCH') throw error;
      }
    }
    return moved;
  }

  /** Waits until nothing is left in them. */
  async close(): Promise<void> {
    const deadline = performance.now() + GONE_MS;
    for (const mount of this.#mounts) {
      const root = join(mount, this.#name);
      while (existsSync(root)) {
        try {
          removeGroups(root);
        } catch (error) {
          if (performance.now() > deadline) throw error;
          await sleep(100);
        }
      }
    }
  }
}

/** Version 1: no process enters before a cpuset says where it may run (cpusets.7). */
function fillCpuset(mount: string, directory: string): void {
  if (!existsSync(join(mount, 'cpuset.cpus'))) return;
  let parent = mount;
  for (const part of directory.slice(mount.length + 1).split('/')) {
    const own = join(parent, part);
    for (const file of ['cpuset.cpus', 'cpuset.mems'])
      if (readFileSync(join(own, file), 'latin1').trim() === '')
        writeFileSync(join(own, file), readFileSync(join(parent, file), 'latin1'));
    parent = own;
  }
}

export function removeGroups(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroups(join(directory, entry.name));
  rmdirSync(directory);
}
