import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Clock } from '../../src/lib/clock.ts';

const MS = 1_000_000n;

/** Clocks set by hand; every reading of the monotonic clock takes 100 ns. */
class Hands {
  monotonicNs = 50_000n * MS;
  realtimeNs = 1_700_000_000_123n * MS + 456_789n;
  suspendedNs = 0n;
  pass(ns: bigint): void {
    this.monotonicNs += ns;
    this.realtimeNs += ns;
  }
  get offset(): bigint {
    return this.realtimeNs - this.monotonicNs;
  }
  sources = {
    monotonic: () => {
      this.pass(100n);
      return this.monotonicNs;
    },
    realtimeMs: () => Number(this.realtimeNs / MS),
    uptime: () => Math.floor(Number(this.monotonicNs + this.suspendedNs) / 1e7) / 100,
  };
}

function assertNear(actual: bigint, expected: bigint, tolerance: bigint): void {
  const error = actual > expected ? actual - expected : expected - actual;
  assert.ok(error <= tolerance, `${actual} is ${error} ns from ${expected}`);
}

describe('Clock', () => {
  it('finds the offset to better than the millisecond that Date.now() shows', () => {
    const hands = new Hands();
    assertNear(new Clock(hands.sources).monotonicToUnix(), hands.offset, 1000n);
  });

  it('keeps the same offset while nothing is stepped', () => {
    const hands = new Hands();
    const clock = new Clock(hands.sources);
    const offset = clock.monotonicToUnix();
    for (let i = 0; i < 1000; i++) {
      hands.pass(777_777_777n);
      assert.equal(clock.monotonicToUnix(), offset);
    }
  });

  it('follows steps of the wall clock, forward and back', () => {
    const hands = new Hands();
    const clock = new Clock(hands.sources);
    for (const step of [3600n * 1000n * MS, -7200n * 1000n * MS, 5n * MS, -5n * MS]) {
      hands.realtimeNs += step;
      hands.pass(1001n * MS);
      assertNear(clock.monotonicToUnix(), hands.offset, 1000n);
    }
  });

  it('takes the start of a process from CLOCK_BOOTTIME, the same on every call', () => {
    const hands = new Hands();
    const clock = new Clock(hands.sources);
    const first = clock.boottimeToUnix(40_000n * MS);
    assertNear(first, 40_000n * MS + hands.offset, 1000n);
    hands.pass(123_456_789n);
    assert.equal(clock.boottimeToUnix(40_000n * MS), first);
    hands.suspendedNs = 3_600_000n * MS;
    assertNear(clock.boottimeToUnix(3_640_000n * MS), 40_000n * MS + hands.offset, 11n * MS);
  });

  it('agrees with the host', () => {
    const clock = new Clock();
    const before = BigInt(Date.now()) * MS;
    const now = clock.now();
    const after = BigInt(Date.now() + 1) * MS;
    assert.ok(now >= before - MS && now <= after + MS, `${before} ${now} ${after}`);
    // field 22: start time in ticks of 10 ms since boot (proc_pid_stat(5))
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const ticks = BigInt(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '0');
    const age = clock.now() - clock.boottimeToUnix(ticks * 10n * MS);
    // Node's uptime begins when Node does, on a busy machine some time after the process.
    assertNear(age, BigInt(Math.round(process.uptime() * 1e9)), 3000n * MS);
  });
});
