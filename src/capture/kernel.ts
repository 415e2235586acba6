/**
 * The running kernel as a source of events. The only file that loads the native addon.
 * One BPF object for all kernels; the hook family is chosen when it is opened.
 */
import { createHash, randomInt } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { release } from 'node:os';
import type { Stage } from '../ledger.ts';
import { type Clock, hostClock } from '../lib/clock.ts';
import { UserError } from '../lib/errors.ts';
import { nativeFile } from '../lib/package-files.ts';
import type {
  ExitedCounts,
  ProcessCount,
  ProcessKey,
  RawEvent,
  RawExit,
  SourceStats,
  Suppression,
  TracePlace,
} from '../model.ts';
import { decodeBatch } from '../wire/decode.ts';
import { COUNTERS, DROP_REASONS, GONE, TRACE_CONTEXT, VISIBILITY_LEVEL } from '../wire/layout.gen.ts';
import { Owners } from '../wire/owners.ts';
import { decodeProcessCounts, encodeProcessKeys } from '../wire/processes.ts';
import { decodeCommonShares, decodeShares, encodeRate } from '../wire/shares.ts';
import { encodeTracePlace } from '../wire/trace-places.ts';
import type { NativeAddon, NativeCapture, NativeError, NativeResult } from './addon.ts';
import { CaptureError } from './capture-error.ts';
import { currentPreemption, isPreempted, type Preemption } from './preemption.ts';
import { RingReader } from './ring-reader.ts';
import type { OnBatch, Source } from './source.ts';
import { Suppressions } from './suppressions.ts';

export type KernelFamily = 'fentry' | 'kprobe' | 'tracepoint';

/** Best first: `auto` takes the first that attaches. Where kernel code is preempted, fentry misses messages (preemption.ts). */
export function familiesInOrder(mode: Preemption): readonly KernelFamily[] {
  return isPreempted(mode) ? ['kprobe', 'tracepoint', 'fentry'] : ['fentry', 'kprobe', 'tracepoint'];
}

/** The first with the BPF ring buffer. 5.10 is the oldest that is tested. */
const OLDEST_KERNEL = [5, 8] as const;

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
  /** Records a second of one control group, and how many at once; rate 0 (default): no bound (bpf/share.h). */
  readonly cgroupRate?: number;
  readonly cgroupBurst?: number;
  /** The stage `wire`. */
  readonly stage: Stage<'wire'>;
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
const RATES_MAP = 'rates';
const RATES_GENERATION_MAP = 'rates_generation';
/** Processes that have exited are remembered until they are forgotten; of more than these only the sums. */
const MAX_EXITED = 16_384;

export class KernelSource implements Source {
  readonly #options: KernelOptions;
  readonly #clock: Clock;
  readonly #done = Promise.withResolvers<void>();
  #capture: NativeCapture | undefined;
  #reader: RingReader | undefined;
  #loading: Promise<Loaded> | undefined;
  #isStarted = false;
  #family: KernelFamily | undefined;
  #fallbacks: readonly CaptureError[] = [];
  #stopping: Promise<void> | undefined;
  #batches = 0;
  #batchBytes = 0;
  #generation = 0;
  #lastStats: SourceStats | undefined;
  #lastProcesses: readonly ProcessCount[] = [];
  #lastExited: ExitedCounts = { udpRequests: 0, tcpRequests: 0, requestBytes: 0, processes: 0 };
  #suppressedAnswers: {
    readonly total: number;
    readonly groups: readonly { readonly cgroupId: bigint; readonly count: number }[];
  } = { total: 0, groups: [] };
  #lastSuppressed: readonly Suppression[] = [];
  readonly #exited = new Map<string, ProcessCount>();
  readonly #suppressions = new Suppressions();
  #ratesGeneration = 0;
  readonly #owners = new Owners();

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

  /** Begins to load the programs, on another thread: `start` then has less to wait for. What fails is told there. */
  prepare(): void {
    this.#loading ??= loadFirst(this.#options);
    this.#loading.catch(noop);
  }

  /** @throws UserError: no addon, no privileges, no family that attaches. Nothing is left in the kernel then. */
  async start(onBatch: OnBatch): Promise<void> {
    if (this.#isStarted || this.#stopping !== undefined) throw new Error('started twice or after stop');
    this.#isStarted = true;
    this.prepare();
    let loaded = await this.#loading;
    // Stopped meanwhile: that closes it.
    while (loaded !== undefined && this.#stopping === undefined) {
      const attached = loaded.capture.attach();
      if (!('error' in attached)) return this.#run(loaded, onBatch);
      loaded.capture.close();
      this.#loading = loadFirst(this.#options, [...loaded.failures, new CaptureError(attached.error)]);
      loaded = await this.#loading;
    }
  }

  #run({ capture, family, failures }: Loaded, onBatch: OnBatch): void {
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
    const { bytes } = unwrap(this.#capture.entries('processes'));
    const living = decodeProcessCounts(bytes, this.#clock.monotonicToUnix());
    // An entry of an exited one is there until its exit is read.
    return [...living, ...this.#exited.values()];
  }

  exited(): ExitedCounts {
    const capture = this.#capture;
    if (capture === undefined) return this.#lastExited;
    const { values } = unwrap(capture.sums('gone'));
    return {
      udpRequests: values[GONE.UDP_REQUESTS] ?? 0,
      tcpRequests: values[GONE.TCP_REQUESTS] ?? 0,
      requestBytes: values[GONE.REQUEST_BYTES] ?? 0,
      processes: values[GONE.PROCESSES] ?? 0,
    };
  }

  suppressed(): readonly Suppression[] {
    const capture = this.#capture;
    if (capture === undefined) {
      const last = this.#lastSuppressed;
      this.#lastSuppressed = [];
      return last;
    }
    const shares = [
      ...decodeShares(unwrap(capture.entries('shares')).bytes),
      ...decodeCommonShares(unwrap(capture.entries('common_shares')).bytes),
    ];
    const now = process.hrtime.bigint();
    const { found, idle } = this.#suppressions.look(shares, now, this.#clock.monotonicToUnix());
    for (const key of idle) unwrap(capture.remove('shares', key));
    return found;
  }

  suppressedAnswers(total: number): readonly { readonly cgroupId: bigint; readonly count: number }[] {
    const capture = this.#capture;
    if (capture === undefined || total === this.#suppressedAnswers.total)
      return this.#suppressedAnswers.groups;
    const counts = new Map<bigint, number>();
    for (const { share, responses } of decodeShares(unwrap(capture.entries('shares')).bytes))
      if (responses > 0) counts.set(share.cgroupId, (counts.get(share.cgroupId) ?? 0) + responses);
    const groups = Array.from(counts, ([cgroupId, count]) => ({ cgroupId, count }));
    this.#suppressedAnswers = { total, groups };
    return groups;
  }

  /** Another budget of a control group (cgroup v2 id) and those below it. The least recently used is forgotten when there are too many. */
  setRate(group: bigint, rate: number, burst: number): void {
    const capture = this.#capture;
    if (capture === undefined) return;
    unwrap(
      capture.update(RATES_MAP, new Uint8Array(BigUint64Array.of(group).buffer), encodeRate(rate, burst)),
    );
    this.#ratesGeneration = (this.#ratesGeneration + 1) >>> 0;
    unwrap(capture.update(RATES_GENERATION_MAP, word(0), word(this.#ratesGeneration)));
  }

  forget(keys: readonly ProcessKey[]): void {
    for (const key of keys) this.#exited.delete(keyOf(key));
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
    const events = decodeBatch(batch, this.#clock.monotonicToUnix(), this.#options.stage, this.#owners);
    onBatch(this.#withoutExits(events));
  }

  #withoutExits(events: readonly (RawEvent | RawExit)[]): readonly RawEvent[] {
    const exited: ProcessKey[] = [];
    const others = events.filter((event): event is RawEvent => {
      if (event.kind === 'exit') {
        this.#noteExit(event.count);
        exited.push(event.count);
      }
      return event.kind !== 'exit';
    });
    this.#remove('processes', exited);
    return others;
  }

  #noteExit(count: ProcessCount): void {
    this.#exited.set(keyOf(count), count);
    if (this.#exited.size <= MAX_EXITED) return;
    const [oldest] = this.#exited.keys();
    if (oldest !== undefined) this.#exited.delete(oldest);
  }

  async #stop(): Promise<void> {
    const capture = this.#capture;
    if (capture !== undefined) {
      await this.#reader?.finish();
      this.#lastProcesses = this.processes();
      this.#lastExited = this.exited();
      this.#lastSuppressed = this.suppressed();
      this.#lastStats = this.#readStats();
      this.#capture = undefined;
      capture.close();
    } else {
      await this.#loading?.then((loaded) => loaded.capture.close(), noop);
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
  object: string = nativeFile('dns.bpf.o'),
): { readonly fires: boolean | undefined } | { readonly error: CaptureError } {
  const addon = loadAddon();
  const read = readObject(addon, object);
  if ('error' in read) return read;
  const tried = addon.tryFamily(
    { object: read.bytes, family, besides: [], ringBytes: 65536, knobs: selfKnobs() },
    'dns_ports',
  );
  return 'error' in tried ? { error: new CaptureError(tried.error) } : { fires: tried.fires };
}

/** Loaded, not attached. */
interface Loaded {
  readonly capture: NativeCapture;
  readonly family: KernelFamily;
  readonly failures: readonly CaptureError[];
}

const noop = (): void => undefined;

/** The first family that loads, behind those that failed already. */
async function loadFirst(options: KernelOptions, failed: readonly CaptureError[] = []): Promise<Loaded> {
  const addon = loadAddon();
  const read = readObject(addon, options.object ?? nativeFile('dns.bpf.o'));
  if ('error' in read) throw read.error;
  const failures = [...failed];
  const families = options.hook === 'auto' ? familiesInOrder(currentPreemption()) : [options.hook];
  for (const family of families.slice(failed.length)) {
    const opened = await addon.open({
      object: read.bytes,
      family,
      besides: [
        'exit',
        ...(family === 'tracepoint' ? ['redirect_tracepoint'] : []),
        ...(options.connections === true ? [`connect_${family === 'kprobe' ? 'kprobe' : 'tracepoint'}`] : []),
      ],
      ringBytes: options.ringBytes,
      knobs: {
        ...selfKnobs(),
        dns_ports: options.ports,
        dns_port_count: [options.ports.length],
        payload_limit: [options.maxPayload],
        wakeup_bytes: [options.ringBytes / 4],
        calm_bytes: [options.ringBytes / 2],
        exit_bytes: [(options.ringBytes / 8) * 7],
        share_rate: [options.cgroupRate ?? 0],
        share_burst: [options.cgroupBurst ?? 0],
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

/** The BPF object, if it is the one that the addon was built with: libbpf does not survive every damage. */
function readObject(
  addon: NativeAddon,
  path: string,
): { readonly bytes: Uint8Array } | { readonly error: CaptureError } {
  const refusal = (fault: Partial<NativeError>) => {
    const blank = { op: 'open', subject: path, errno: 0, code: '', hint: '', detail: '' };
    return { error: new CaptureError({ ...blank, ...fault }) };
  };
  try {
    const bytes = readFileSync(path);
    const digest = createHash('sha256').update(bytes).digest('hex');
    if (digest === addon.objectDigest) return { bytes };
    const hint = 'it is damaged, or of another build than the addon: build it again with npm run build';
    return refusal({ hint, detail: `SHA-256 ${digest}, expected ${addon.objectDigest}` });
  } catch (cause) {
    const { errno = 0, code = '' } = cause as NodeJS.ErrnoException;
    return refusal({ errno: -errno, code, hint: 'build it with npm run build' });
  }
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
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (major < OLDEST_KERNEL[0] || (major === OLDEST_KERNEL[0] && minor < OLDEST_KERNEL[1])) {
    return new UserError(`kernel ${release()} is too old: whodns needs ${OLDEST_KERNEL.join('.')} or later`, {
      hint: first.message,
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

let loaded: NativeAddon | undefined;

/** @throws UserError: it is not built, or a library is missing. */
export function loadAddon(): NativeAddon {
  if (loaded !== undefined) return loaded;
  const path = nativeFile('whodns.node');
  try {
    loaded = createRequire(path)(path) as NativeAddon;
    return loaded;
  } catch (cause) {
    throw new UserError(`the native addon ${path} cannot be loaded`, {
      hint: `install whodns again, or in a checkout: npm run build (${(cause as Error).message.split('\n')[0]})`,
      cause,
    });
  }
}

function keyOf({ pid, startTime }: ProcessKey): string {
  return `${pid}:${startTime}`;
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
