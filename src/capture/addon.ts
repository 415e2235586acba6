/** What native/addon.cc exports. Expected failures are values; kernel.ts makes typed errors of them. */

export interface NativeError {
  /** open, family, rodata, ring, load, attach, map, thread, start, closed, threads, seccomp */
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
  /** Programs named `<family>_*` are loaded. */
  readonly family: string;
  /** Prefixes of programs that are loaded whatever the family. No others are. */
  readonly besides: readonly string[];
  readonly ringBytes: number;
  /** Read-only data of the object (bpf/config.h) by name. */
  readonly knobs: Readonly<Record<string, readonly number[]>>;
}

export interface NativeCapture {
  /**
   * Starts the reader. `onBatch` gets a batch of its own, or undefined when after `finish` nothing more will come. Four
   * batches are handed out at most until `release` is called for them.
   */
  start(onBatch: (batch: Uint8Array | undefined) => void): NativeResult<object>;
  release(): void;
  /** Detaches, empties the ring, then `onBatch(undefined)`. */
  finish(): void;
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
  ring(): NativeResult<{ readonly used: number; readonly size: number }>;
  recursionMisses(): NativeResult<{ readonly value: number }>;
}

export interface NativeAddon {
  /** SHA-256 of the BPF object that it was built with, hexadecimal. */
  readonly objectDigest: string;
  /** `skipped`: programs of the family that this kernel has nothing to attach to. */
  open(
    options: NativeOptions,
  ): NativeResult<{ readonly capture: NativeCapture; readonly skipped: readonly string[] }>;
  /** `fires`: whether the programs saw a test datagram; absent = none could be sent. `portsKnob` names the ports setting. */
  tryFamily(options: NativeOptions, portsKnob: string): NativeResult<{ readonly fires?: boolean }>;
  /** The capability (its number) that this kernel asks for to use a map that is open; absent = none. */
  mapCapability(): { readonly capability?: number };
  /** In every thread: no capability is left but these; `forever` sets no_new_privs. */
  limitCapabilities(keep: readonly number[], forever: boolean): NativeResult<object>;
  /** In every thread, for good: native/seccomp.h. */
  filterSystemCalls(mode: 'enforce' | 'log'): NativeResult<object>;
}
