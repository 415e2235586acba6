/** What native/addon.cc exports, and loading it: nothing else does. Expected failures are values; kernel.ts makes typed errors of them. */
import { createRequire } from 'node:module';
import { UserError } from '../lib/errors.ts';
import { nativeFile } from '../lib/package-files.ts';

export interface NativeError {
  /** open, btf, family, rodata, ring, load, attach, map, wakeup, start, closed, threads, seccomp, notify */
  readonly op: string;
  /** File, program, map or setting that it is about. */
  readonly subject: string;
  readonly errno: number;
  /** Name of errno: EPERM, ENOTSUPP, ... */
  readonly code: string;
  readonly hint: string;
  /** End of libbpf's and the verifier's log. */
  readonly detail: string;
}

export type NativeResult<T> = T | { readonly error: NativeError };

export interface NativeOptions {
  /** Content of the BPF object. */
  readonly object: Uint8Array;
  /** Of this kernel, where it has none of its own: checked (btf.ts), since libbpf does not survive every damage. */
  readonly btf?: Uint8Array;
  /** Programs named `<family>_*` are loaded. */
  readonly family: string;
  /** Prefixes of programs that are loaded whatever the family. No others are. */
  readonly besides: readonly string[];
  readonly ringBytes: number;
  /** Read-only data of the object (bpf/config.h) by name. */
  readonly knobs: Readonly<Record<string, readonly number[]>>;
}

export interface NativeCapture {
  /** From now on the programs run. After an error: `close`. */
  attach(): NativeResult<object>;
  /**
   * From now on `onReady` is called when the ring is a quarter full, or a `wait` has found records in it; with the ms of that wait.
   * Must not throw. Once.
   */
  watch(onReady: (waitedMs: number) => void): NativeResult<object>;
  /** Looks into the ring in `ms`, and while it is empty again after twice as long, up to `maxMs`: nothing is called for that. */
  wait(ms: number, maxMs: number): void;
  /**
   * Moves records from the ring into `buffer` (each as in bpf/event.h, padded to 8 bytes) until there is none, the next one
   * does not fit, or `enough` bytes are written.
   * @returns bytes written; 0 after `close` as well
   */
  drain(buffer: Uint8Array, enough: number): number;
  /** Detaches the programs and waits until none runs: afterwards ring and counters stand still. */
  detach(): void;
  /** Frees everything at once. Idempotent; the other methods then give the error `closed`. */
  close(): void;
  /** Sums over all CPUs of an array map's values. */
  sums(map: string): NativeResult<{ readonly values: readonly number[] }>;
  /** Entries of a hash or array map: key and value of each after the other. */
  entries(map: string): NativeResult<{ readonly bytes: Uint8Array }>;
  /** Sets an entry of a map. */
  update(map: string, key: Uint8Array, value: Uint8Array): NativeResult<object>;
  /** Deletes entries of a map: packed keys. Those that are not there are ignored. */
  remove(map: string, keys: Uint8Array): NativeResult<object>;
  /** Bytes in the ring; 0 after `close` as well. */
  ringUsed(): number;
  recursionMisses(): NativeResult<{ readonly value: number }>;
}

export interface NativeAddon {
  /** SHA-256 of the BPF object that it was built with, hexadecimal. */
  readonly objectDigest: string;
  /** For the whole process: malloc gives back what it does not need. Before `open`. */
  keepMemorySmall(): void;
  /** Loads the programs, on another thread. `skipped`: programs of the family that this kernel has nothing to attach to. */
  open(
    options: NativeOptions,
  ): Promise<NativeResult<{ readonly capture: NativeCapture; readonly skipped: readonly string[] }>>;
  /** `fires`: whether the programs saw a test datagram; absent = none could be sent. `portsKnob` names the ports setting. */
  tryFamily(options: NativeOptions, portsKnob: string): NativeResult<{ readonly fires?: boolean }>;
  /** The capability (its number) that this kernel asks for to use a map that is open; absent = none. */
  mapCapability(): { readonly capability?: number };
  /** In every thread: no capability is left but these; `forever` sets no_new_privs. */
  limitCapabilities(keep: readonly number[], forever: boolean): NativeResult<object>;
  /** In every thread, for good: native/seccomp.h. */
  filterSystemCalls(mode: 'enforce' | 'log'): NativeResult<object>;
  /** native/notify.h */
  connectDatagram(path: string): NativeResult<{ readonly fd: number }>;
  /**
   * From now on the process ends with `exitCode`, and a line that says whose code it was, when the calling thread has spent so much
   * processor time, or so long a time has passed, since `cells[0]` changed. `cells[1]`: whose code runs, the place in `names` from 1 on, or 0.
   */
  watchdog(options: {
    readonly cells: Uint32Array;
    readonly names: readonly string[];
    readonly processorSeconds: number;
    readonly seconds: number;
    readonly exitCode: number;
  }): NativeResult<object>;
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
      lack: 'addon',
      cause,
    });
  }
}
