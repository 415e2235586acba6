/** Budgets other than the general one (`--cgroup-rate-for`): told to the kernel for the control groups of processes that match. */
import { readlinkSync } from 'node:fs';
import { LRUCache } from 'lru-cache';
import type { Owner, ProcessIdentity } from '../../model.ts';
import type { RateRule } from '../../tables/options-shares.ts';

/** As many as the kernel keeps (bpf/maps.h, `rates`). */
const MAX_GROUPS = 4096;

export interface RateRulesOptions {
  readonly rules: readonly RateRule[];
  /** Records a second and at once without a rule. */
  readonly rate: number;
  readonly burst: number;
  readonly setRate: (group: bigint, rate: number, burst: number) => void;
  /** Inode of the host's mount namespace: only there an executable's path says which it is. */
  readonly mountNamespace?: number;
}

export class RateRules {
  readonly #options: RateRulesOptions;
  readonly #mountNamespace: number | undefined;
  readonly #groups = new LRUCache<bigint, number>({ max: MAX_GROUPS });

  constructor(options: RateRulesOptions) {
    this.#options = options;
    this.#mountNamespace = options.mountNamespace ?? hostMountNamespace();
  }

  /** A process was announced, or more was learnt of its workload. */
  seen(owner: Owner, { resource }: ProcessIdentity): void {
    const rule = this.#options.rules.find(({ subject, name }) =>
      subject === 'namespace'
        ? resource['k8s.namespace.name'] === name
        : owner.mountNamespace === this.#mountNamespace && resource['process.executable.path'] === name,
    );
    if (rule === undefined || this.#groups.get(owner.cgroupId) === rule.rate) return;
    this.#groups.set(owner.cgroupId, rule.rate);
    const { rate, burst, setRate } = this.#options;
    // As many seconds at once as without a rule.
    const scaled = rate === 0 ? burst : Math.ceil((burst / rate) * rule.rate);
    setRate(owner.cgroupId, rule.rate, Math.min(Math.max(scaled, 1), 0xffffffff));
  }
}

/** That of process 1: the agent itself may run in a container. */
function hostMountNamespace(): number | undefined {
  try {
    return Number(/\d+/.exec(readlinkSync('/proc/1/ns/mnt'))?.[0]);
  } catch {
    return undefined;
  }
}
