/**
 * The kernel stamps events with CLOCK_MONOTONIC (bpf_ktime_get_ns) and processes with CLOCK_BOOTTIME; records carry Unix
 * time. On Linux `process.hrtime.bigint()` is CLOCK_MONOTONIC (libuv, uv_hrtime).
 *
 * Between the clocks lies a constant, except when the wall clock is stepped (settimeofday, a leap second): slewing by NTP
 * turns both alike (kernel/time/timekeeping.c). So the constant is measured once, and again only after a step.
 */
import { readFileSync } from 'node:fs';

const CHECK_EVERY = 1_000_000_000n;
/** Date.now() is cut to whole milliseconds; the rest is room for being interrupted between two readings. */
const TOLERANCE = 2_000_000n;
const SUSPEND = 20_000_000n;

/** What the clock is made of; replaced in tests only. */
export interface TimeSources {
  /** CLOCK_MONOTONIC, ns. */
  readonly monotonic: () => bigint;
  /** CLOCK_REALTIME, whole ms. */
  readonly realtimeMs: () => number;
  /** CLOCK_BOOTTIME in seconds, cut to 1/100; undefined = unknown. */
  readonly uptime: () => number | undefined;
}

const HOST: TimeSources = {
  monotonic: () => process.hrtime.bigint(),
  realtimeMs: () => Date.now(),
  uptime: () => {
    try {
      return Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]);
    } catch {
      return undefined;
    }
  },
};

export class Clock {
  readonly #sources: TimeSources;
  #offset: bigint;
  #checked: bigint;
  #suspendedNs = 0n;

  constructor(sources: TimeSources = HOST) {
    this.#sources = sources;
    this.#offset = this.#measure();
    this.#checked = sources.monotonic();
  }

  /** What to add to CLOCK_MONOTONIC ns to have Unix ns. Cheap: once a second it looks whether the wall clock was stepped. */
  monotonicToUnix(): bigint {
    const now = this.#sources.monotonic();
    if (now - this.#checked >= CHECK_EVERY) {
      this.#checked = now;
      const error = BigInt(this.#sources.realtimeMs()) * 1_000_000n - (now + this.#offset);
      // cut to milliseconds, the reading is up to 1 ms early
      if (error > TOLERANCE || error < -TOLERANCE) this.#offset = this.#measure();
    }
    return this.#offset;
  }

  /** Unix ns now, consistent with the times of events. */
  now(): bigint {
    return this.#sources.monotonic() + this.monotonicToUnix();
  }

  /**
   * Unix ns of a CLOCK_BOOTTIME reading in ns, such as the start of a process. Exact to the microsecond on a host that
   * was never suspended, else to 10 ms.
   */
  boottimeToUnix(boottime: bigint): bigint {
    return boottime - this.#suspended() + this.monotonicToUnix();
  }

  /** CLOCK_BOOTTIME - CLOCK_MONOTONIC: time spent in suspend. */
  #suspended(): bigint {
    const uptime = this.#sources.uptime();
    if (uptime !== undefined && Number.isFinite(uptime)) {
      const difference = BigInt(Math.round(uptime * 1e9)) - this.#sources.monotonic();
      // /proc/uptime is cut to 10 ms: a smaller change, with a moment between the readings, is no suspend
      const change = difference - this.#suspendedNs;
      if (change > SUSPEND || change < -SUSPEND) this.#suspendedNs = difference;
    }
    return this.#suspendedNs;
  }

  /** Waits (at most 1 ms) for the wall clock's next millisecond, which begins now; the tightest of the readings around it. */
  #measure(): bigint {
    const { monotonic, realtimeMs } = this.#sources;
    const first = realtimeMs();
    let before = monotonic();
    let current = realtimeMs();
    while (current === first) {
      before = monotonic();
      current = realtimeMs();
    }
    return BigInt(current) * 1_000_000n - before;
  }
}

let host: Clock | undefined;

/** The host's clock, measured at first use. */
export function hostClock(): Clock {
  host ??= new Clock();
  return host;
}

/** Unix ns now, consistent with the times of events. */
export function wallClock(): bigint {
  return hostClock().now();
}
