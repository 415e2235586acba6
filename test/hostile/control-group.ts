/** Control groups of a test's own, with a bound of memory or processor time; v1 and v2. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const ROOT = '/sys/fs/cgroup';
const PERIOD_US = 100_000;

export class ControlGroup {
  readonly #directory: string;
  readonly #isV2: boolean;

  private constructor(controller: 'cpu' | 'memory', name: string) {
    this.#isV2 = existsSync(join(ROOT, 'cgroup.controllers'));
    if (this.#isV2) writeFileSync(join(ROOT, 'cgroup.subtree_control'), `+${controller}`);
    this.#directory = join(this.#isV2 ? ROOT : join(ROOT, controller), name);
    mkdirSync(this.#directory);
  }

  /** @param share of one processor */
  static cpu(name: string, share: number): ControlGroup {
    const group = new ControlGroup('cpu', name);
    const quota = Math.round(share * PERIOD_US);
    if (group.#isV2) group.#write('cpu.max', `${quota} ${PERIOD_US}`);
    else {
      group.#write('cpu.cfs_period_us', PERIOD_US);
      group.#write('cpu.cfs_quota_us', quota);
    }
    return group;
  }

  static memory(name: string, bytes: number): ControlGroup {
    const group = new ControlGroup('memory', name);
    group.#write(group.#isV2 ? 'memory.max' : 'memory.limit_in_bytes', bytes);
    return group;
  }

  /** Arguments that put a program, and nothing else, into the group. */
  enter(argv: readonly string[]): string[] {
    const procs = join(this.#directory, 'cgroup.procs');
    return ['sh', '-c', `echo $$ > ${procs} && exec "$@"`, 'sh', ...argv];
  }

  /** Bytes, the most there ever were. */
  get peak(): number {
    return Number(this.#read(this.#isV2 ? 'memory.peak' : 'memory.max_usage_in_bytes'));
  }

  /** Processes that the kernel ended for want of memory. */
  get killed(): number {
    const text = this.#read(this.#isV2 ? 'memory.events' : 'memory.oom_control');
    return Number(/oom_kill (\d+)/.exec(text)?.[1]);
  }

  async remove(): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        rmdirSync(this.#directory);
        return;
      } catch (error) {
        if (attempt === 50) throw error;
        await sleep(100); // what was in it has only just ended
      }
    }
  }

  #write(name: string, value: string | number): void {
    writeFileSync(join(this.#directory, name), String(value));
  }

  #read(name: string): string {
    return readFileSync(join(this.#directory, name), 'utf8');
  }
}
