/**
 * The running kernel as a source of events. The only file that loads the native addon.
 * One BPF object for all kernels; the hook family is chosen when it is opened.
 */
import { randomInt } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { Stage } from '../health.ts';
import { type Clock, hostClock } from '../lib/clock.ts';
import { UserError } from '../lib/errors.ts';
import type { ProcessCount, ProcessKey, SourceStats, TracePlace } from '../model.ts';
import { decodeBatch } from '../wire/decode.ts';
import { COUNTERS, DROP_REASONS, TRACE_CONTEXT, VISIBILITY_LEVEL } from '../wire/layout.gen.ts';
import { decodeProcessCounts, encodeProcessKeys } from '../wire/processes.ts';
import { encodeTracePlace } from '../wire/trace-places.ts';
import type { NativeAddon, NativeCapture, NativeResult } from './addon.ts';
import { CaptureError } from './capture-error.ts';
import { currentPreemption, isPreempted, type Preemption } from './preemption.ts';
import { RingReader } from './ring-reader.ts';
import type { OnBatch, Source } from './source.ts';

export type KernelFamily = 'fentry' | 'kprobe' | 'tracepoint';

/** Best first: `auto` takes the first that attaches. Where kernel code is preempted, fentry misses messages (preemption.ts). */
export function familiesInOrder(mode: Preemption): readonly KernelFamily[] {
  return isPreempted(mode) ? ['kprobe', 'tracepoint', 'fentry'] : ['fentry', 'kprobe', 'tracepoint'];
}

/** Both are in build/ of the package, two folders above src/capture/ and dist/capture/. */
const ADDON = new URL('../../build/whodns.node', import.meta.url);
const OBJECT = fileURLToPath(new URL('../../build/dns.bpf.o', import.meta.url));

export interface KernelOptions {
  readonly hook: 'auto' | KernelFamily;
  /** Remote ports that are DNS; at most 4. */
  readonly ports: readonly number[];
  /** Payload bytes copied of one message. */
  readonly maxPayload: number;
  /** Size of the kernel's ring: a power of two, at least one page. */
  readonly ringBytes: number;
  /** TCP connections too (bpf/connect.h); default false: nothing of it is loaded. */
  readonly connections?: boolean;
  /** The levels of `setLevels` hold; without, everybody is captured at no cost. */
  readonly levels?: boolean;
  /** Read the context of the thread that sends (`tracePlaces`); default false. */
  readonly traceContext?: boolean;
  /** The stage `wire`. */
  readonly stage: Stage;
  readonly clock?: Clock;
  /** BPF object file; default: the package's own. */
  readonly object?: string;
}

/** bpf/event.h, enum visibility_level. */
export type CaptureLevel = 'on' | 'off' | 'metrics';
const KERNEL_LEVEL: Readonly<Record<CaptureLevel, number>> = {
  on: VISIBILITY_LEVEL.ON,
  off: VISIBILITY_LEVEL.OFF,
  metrics: VISIBILITY_LEVEL.METRICS,
};
const LEVELS_MAP = 'visibility';
const GENERATION_MAP = 'visibility_generation';

export class KernelSource implements Source {
  readonly #options: KernelOptions;
  readonly #clock: Clock;
  readonly #done = Promise.withResolvers<void>();
  #capture: NativeCapture | undefined;
  #reader: RingReader | undefined;
  #family: KernelFamily | undefined;
  #fallbacks: readonly CaptureError[] = [];
  #stopping: Promise<void> | undefined;
  #batches = 0;
  #batchBytes = 0;
  #generation = 0;
  #lastStats: SourceStats | undefined;
  #lastProcesses: readonly ProcessCount[] = [];

  constructor(options: KernelOptions) {
    this.#options = options;
    this.#clock = options.clock ?? hostClock();
  }

  get finished(): Promise<void> {
    return this.#done.promise;
  }

  /** Why the families better than the one in use did not attach (`auto` only). */
  get fallbacks(): readonly CaptureError[] {
    return this.#fallbacks;
  }

  /** What the operator should know of the family in use on this kernel. */
  get warning(): string | undefined {
    if (this.#family !== 'fentry' || !isPreempted(currentPreemption())) return undefined;
    return 'this kernel preempts kernel code: with the fentry hooks single messages go unseen, counted as whodns.kernel.missed_runs; --hook auto tries the others first here';
  }

  /** @throws UserError: no addon, no privileges, no family that attaches. Nothing is left in the kernel then. */
  start(onBatch: OnBatch): void {
    if (this.#capture !== undefined || this.#stopping !== undefined)
      throw new Error('started twice or after stop');
    const { capture, family, failures } = openFirst(this.#options);
    const reader = new RingReader(capture, this.#options.ringBytes, (bytes) => this.#deliver(bytes, onBatch));
    const started = reader.start();
    if ('error' in started) {
      capture.close();
      throw new CaptureError(started.error);
    }
    this.#capture = capture;
    this.#reader = reader;
    this.#family = family;
    this.#fallbacks = failures;
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  stats(): SourceStats {
    return this.#lastStats ?? this.#readStats();
  }

  processes(): readonly ProcessCount[] {
    if (this.#capture === undefined) return this.#lastProcesses;
    const { bytes } = unwrap(this.#capture.processes());
    return decodeProcessCounts(bytes, this.#clock.monotonicToUnix());
  }

  forget(keys: readonly ProcessKey[]): void {
    this.#remove('processes', keys);
  }

  /** Where processes keep the contexts of their threads. False: no room for another, in the map or in memory. */
  readonly tracePlaces = {
    add: (key: ProcessKey, place: TracePlace): boolean => {
      const [name, value] = [encodeProcessKeys([key]), encodeTracePlace(place)];
      const added = this.#capture?.update('trace_places', name, value);
      return added !== undefined && !('error' in added);
    },
    remove: (keys: readonly ProcessKey[]): void => this.#remove('trace_places', keys),
  };

  #remove(map: string, keys: readonly ProcessKey[]): void {
    if (this.#capture !== undefined && keys.length > 0)
      unwrap(this.#capture.remove(map, encodeProcessKeys(keys)));
  }

  /**
   * What holds at control groups (cgroup v2 ids) and below them; undefined: nothing is said there any more. In force when
   * it returns.
   * @returns groups that found no room in the kernel's map
   */
  setLevels(changes: ReadonlyMap<bigint, CaptureLevel | undefined>): readonly bigint[] {
    const capture = this.#capture;
    if (capture === undefined || this.#options.levels !== true) return [];
    const refused: bigint[] = [];
    for (const [group, level] of changes) {
      const key = new Uint8Array(BigUint64Array.of(group).buffer);
      if (level === undefined) {
        unwrap(capture.remove(LEVELS_MAP, key));
        continue;
      }
      const set = capture.update(LEVELS_MAP, key, word(KERNEL_LEVEL[level]));
      if (!('error' in set)) continue;
      if (set.error.code !== 'E2BIG') throw new CaptureError(set.error);
      refused.push(group);
    }
    // After the levels: what a program finds in between counts for the generation before.
    this.#generation = (this.#generation + 1) >>> 0;
    unwrap(capture.update(GENERATION_MAP, word(0), word(this.#generation)));
    return refused;
  }

  #deliver(batch: Uint8Array, onBatch: OnBatch): void {
    this.#batches++;
    this.#batchBytes += batch.length;
    onBatch(decodeBatch(batch, this.#clock.monotonicToUnix(), this.#options.stage));
  }

  async #stop(): Promise<void> {
    const capture = this.#capture;
    if (capture !== undefined) {
      await this.#reader?.finish();
      this.#lastProcesses = this.processes();
      this.#lastStats = this.#readStats();
      this.#capture = undefined;
      capture.close();
    }
    this.#done.resolve();
  }

  #readStats(): SourceStats {
    const capture = this.#capture;
    const sums = (map: string) => (capture === undefined ? [] : unwrap(capture.sums(map)).values);
    return {
      hook: this.#family,
      counters: named(COUNTERS, sums('counters')),
      drops: named(DROP_REASONS, sums('drops')),
      missedRuns: capture === undefined ? 0 : unwrap(capture.recursionMisses()).value,
      batches: this.#batches,
      batchBytes: this.#batchBytes,
      ring: capture === undefined ? undefined : unwrap(capture.ring()),
    };
  }
}

/** Tries one family: load, attach, one datagram to itself, and out again. Seen by `whodns doctor`. */
export function tryFamily(
  family: KernelFamily,
  object: string = OBJECT,
): { readonly fires: boolean | undefined } | { readonly error: CaptureError } {
  const tried = loadAddon().tryFamily(
    { object, family, besides: [], ringBytes: 65536, knobs: selfKnobs() },
    'dns_ports',
  );
  return 'error' in tried ? { error: new CaptureError(tried.error) } : { fires: tried.fires };
}

function openFirst(options: KernelOptions): {
  readonly capture: NativeCapture;
  readonly family: KernelFamily;
  readonly failures: readonly CaptureError[];
} {
  const addon = loadAddon();
  const failures: CaptureError[] = [];
  for (const family of options.hook === 'auto' ? familiesInOrder(currentPreemption()) : [options.hook]) {
    const opened = addon.open({
      object: options.object ?? OBJECT,
      family,
      besides:
        options.connections === true ? [`connect_${family === 'kprobe' ? 'kprobe' : 'tracepoint'}`] : [],
      ringBytes: options.ringBytes,
      knobs: {
        ...selfKnobs(),
        dns_ports: options.ports,
        dns_port_count: [options.ports.length],
        payload_limit: [options.maxPayload],
        wakeup_bytes: [options.ringBytes / 4],
        identity_seed: [randomInt(2 ** 48 - 1)],
        visibility_enforced: [options.levels === true ? 1 : 0],
        trace_bytes: [options.traceContext === true ? TRACE_CONTEXT.SIZEOF : 0],
      },
    });
    if ('capture' in opened) return { capture: opened.capture, family, failures };
    failures.push(new CaptureError(opened.error));
  }
  throw noFamily(failures);
}

/** One cause for all families: that one. Else each family's. */
function noFamily(failures: readonly CaptureError[]): UserError {
  const [first] = failures;
  if (first === undefined) throw new Error('no family was tried');
  if (!existsSync('/sys/kernel/btf/vmlinux')) {
    return new UserError('this kernel has no BTF (/sys/kernel/btf/vmlinux is not there)', {
      hint: 'use a kernel built with CONFIG_BPF_SYSCALL and CONFIG_DEBUG_INFO_BTF: those of Debian 11 and later are',
      cause: first,
    });
  }
  const general = !['load', 'attach', 'family'].includes(first.op);
  if (failures.length === 1 || general) return first;
  // Families that this kernel has not at all (op `family`) are not what stands in the way.
  const refused = failures.filter(({ op }) => op !== 'family');
  if (refused.length > 0 && refused.every(({ code }) => code === 'EPERM' || code === 'EACCES')) {
    return new UserError('not allowed to load BPF programs', {
      hint: refused[0]?.hint ?? '',
      cause: refused[0],
    });
  }
  const hint = failures.map((failure) => `- ${failure.message}`).join('\n');
  return new UserError('no hook family attaches on this kernel (whodns doctor says more)', {
    hint,
    cause: first,
  });
}

/** The agent itself, as the kernel knows it: its own lookups (of the collector, say) are left out. */
function selfKnobs(): Readonly<Record<string, readonly number[]>> {
  return { self_pid_ns: [statSync('/proc/self/ns/pid').ino], self_vpid: [process.pid] };
}

function loadAddon(): NativeAddon {
  try {
    return createRequire(import.meta.url)(fileURLToPath(ADDON)) as NativeAddon;
  } catch (cause) {
    throw new UserError('the native addon build/whodns.node cannot be loaded', {
      hint: `build it with npm run build (${(cause as Error).message.split('\n')[0]})`,
      cause,
    });
  }
}

function word(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function unwrap<T extends object>(result: NativeResult<T>): T {
  if ('error' in result) throw new CaptureError(result.error);
  return result;
}

function named(names: readonly string[], values: readonly number[]): Record<string, number> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? 0]));
}
