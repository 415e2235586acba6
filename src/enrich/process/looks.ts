/** What the inspector is asked about a process, when, and how it is counted. */
import type { Owner, ProcessKey, RawProcess } from '../../model.ts';
import {
  type Asked,
  currentContext,
  currentPlace,
  type FactsOptions,
  type GatheredFacts,
  gatherFacts,
  isMissingAny,
  toldFacts,
} from './facts.ts';
import type { ContextOutcome } from './process-context.ts';
import type { PublishedContext } from './process-context-payload.ts';
import type { ProcessTableCounts } from './process-counts.ts';
import type { ProcessFacts } from './resource.ts';

/** Who wants more of a process context than the identity in it (trace-context.ts). */
export interface ContextListener {
  published(process: Owner, context: PublishedContext): void;
  forget(processes: readonly ProcessKey[]): void;
}

export interface LooksOptions extends FactsOptions {
  /** undefined: nobody is asked, the kernel's record is all there is. */
  readonly inspector: Asked | undefined;
  readonly contexts: ContextListener | undefined;
  readonly counts: ProcessTableCounts;
}

/** Takes a look. undefined: nothing new was learnt. */
export type Take = () => Promise<ProcessFacts | undefined>;

export class Looks {
  readonly #options: LooksOptions;

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  /** What the record tells by itself. */
  told(record: RawProcess | undefined): GatheredFacts {
    return toldFacts(record, this.#options);
  }

  /** At first sight: what the record leaves open; undefined: nothing, or it cannot be asked for. */
  first(owner: Owner, record: RawProcess | undefined): Take | undefined {
    const inspector = this.#askedAbout(owner);
    if (inspector === undefined || !isMissingAny(record, this.#options)) {
      this.#note(owner, this.told(record));
      if (record === undefined) this.#options.counts.bare++;
      return undefined;
    }
    return async () => {
      const found = await gatherFacts(inspector, owner, record, this.#options);
      this.#note(owner, found);
      if (record === undefined) this.#options.counts[found.facts.fromProc ? 'proc' : 'bare']++;
      return found.facts;
    };
  }

  /** The leader has another name (exec whose announcement was lost, or prctl), or the process another cgroup. */
  changed(before: Owner, owner: Owner, facts: ProcessFacts): Take | undefined {
    const inspector = this.#askedAbout(owner);
    if (inspector === undefined) return undefined;
    return async () => {
      const now = await currentPlace(inspector, owner);
      if (now === undefined) return undefined;
      const { executable, cgroup } = now;
      // Both: paths of the kernel's walk and of /proc may differ under chroot, inodes under overlayfs.
      const isOther =
        executable !== undefined &&
        executable.executableInode !== facts.executableInode &&
        executable.executablePath !== facts.executablePath;
      if (before.processName !== owner.processName && isOther) {
        const found = await gatherFacts(inspector, owner, undefined, this.#options);
        this.#note(owner, found);
        return found.facts;
      }
      return before.cgroupId === owner.cgroupId ? undefined : { ...facts, ...cgroup };
    };
  }

  /** A process keeps what it published until it publishes something else: it may be busy, or read too late. */
  again(owner: Owner, facts: ProcessFacts): Take | undefined {
    const inspector = this.#askedAbout(owner);
    if (inspector === undefined) return undefined;
    return async () => {
      const found = await currentContext(inspector, owner);
      if (found === undefined) return undefined;
      this.#noteContext(owner, found.outcome);
      if (found.published === undefined) return undefined;
      const { attributes: published, refused } = found.published;
      this.#options.counts.attributesRefused += refused;
      return { ...facts, published };
    };
  }

  /** Which of them have exited, as far as is known. */
  async exited(owners: readonly Owner[]): Promise<readonly Owner[]> {
    const alive = owners.length === 0 ? undefined : await this.#options.inspector?.alive(owners);
    return owners.filter((_, index) => alive?.[index] === false);
  }

  #askedAbout(owner: Owner): Asked | undefined {
    const { inspector } = this.#options;
    return inspector?.refuses(owner) === false ? inspector : undefined;
  }

  #note(owner: Owner, { service, context, refused }: GatheredFacts): void {
    const { counts } = this.#options;
    counts.attributesRefused += refused;
    this.#noteContext(owner, context);
    if (service === 'unreadable') counts.environmentUnreadable++;
    if (service === 'invalid') counts.resourceAttributesInvalid++;
  }

  #noteContext(owner: Owner, outcome: ContextOutcome): void {
    const { counts, contexts } = this.#options;
    if (outcome.kind === 'busy') counts.contextBusy++;
    else if (outcome.kind === 'invalid') counts.contextInvalid++;
    if (outcome.kind !== 'read') return;
    counts.contextRead++;
    contexts?.published(owner, outcome.context);
  }
}
