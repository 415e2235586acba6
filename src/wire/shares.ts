/** The kernel's maps `shares` and `common_shares`: who shares the ring, and what was left out (struct share_key, share_value). */
import type { ShareKey } from '../model.ts';
import { LITTLE } from './byte-order.ts';
import { COMMON_SHARE, SHARE_KEY as K, SHARE_RATE, SHARE_VALUE as V } from './layout.gen.ts';

/** bpf/event.h, SHARE_CONTAINER. */
const CONTAINER = 0xffffffff;
const COMMON_NAMES: readonly string[] = Object.entries(COMMON_SHARE)
  .filter(([name]) => name !== 'SHARE_MAX')
  .map(([name]) => name.toLowerCase());
const INDEX_BYTES = 4;

/** One share, its counts since the programs were loaded. Times are CLOCK_MONOTONIC ns. */
export interface Share {
  /** Key in the map. */
  readonly key: Uint8Array;
  readonly share: ShareKey;
  readonly common: string | undefined;
  readonly requests: number;
  readonly responses: number;
  readonly connections: number;
  /** The first message left out since this was last set to 0; 0n: none. */
  readonly since: bigint;
  /** When its budget is full again if nothing more is asked for. */
  readonly full: bigint;
  /** Something of it is counted that is still there (connections that wait for their port). */
  readonly isHeld: boolean;
}

export function shareKeyAt(view: DataView, at: number): ShareKey {
  const user = view.getUint32(at + K.user, LITTLE);
  return {
    cgroupId: view.getBigUint64(at + K.cgroup_id, LITTLE),
    user: user === CONTAINER ? undefined : user,
  };
}

/** Entries of `shares` as the addon packs them. */
export function decodeShares(bytes: Uint8Array): Share[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shares: Share[] = [];
  for (let at = 0; at + K.SIZEOF + V.SIZEOF <= bytes.length; at += K.SIZEOF + V.SIZEOF) {
    const key = bytes.slice(at, at + K.SIZEOF);
    shares.push({ key, share: shareKeyAt(view, at), common: undefined, ...countsAt(view, at + K.SIZEOF) });
  }
  return shares;
}

/** Entries of `common_shares`. */
export function decodeCommonShares(bytes: Uint8Array): Share[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shares: Share[] = [];
  for (let at = 0; at + INDEX_BYTES + V.SIZEOF <= bytes.length; at += INDEX_BYTES + V.SIZEOF) {
    const common = COMMON_NAMES[view.getUint32(at, LITTLE)];
    const key = bytes.slice(at, at + INDEX_BYTES);
    const share = { cgroupId: 0n, user: undefined };
    shares.push({ key, share, common, ...countsAt(view, at + INDEX_BYTES) });
  }
  return shares;
}

function countsAt(view: DataView, at: number): Omit<Share, 'key' | 'share' | 'common'> {
  const count = (field: number) => Number(view.getBigUint64(at + field, LITTLE));
  return {
    requests: count(V.suppressed_requests),
    responses: count(V.suppressed_responses),
    connections: count(V.suppressed_connections),
    since: view.getBigUint64(at + V.since, LITTLE),
    full: view.getBigUint64(at + V.time, LITTLE) + refillNs(view, at),
    isHeld: view.getUint32(at + V.waiting, LITTLE) > 0,
  };
}

function refillNs(view: DataView, at: number): bigint {
  const rate = BigInt(view.getUint32(at + V.rate, LITTLE));
  const used = view.getBigUint64(at + V.taken, LITTLE) - view.getBigUint64(at + V.drained, LITTLE);
  return rate === 0n ? 0n : (used * 1_000_000_000n) / rate;
}

/** Value of the map `rates`. */
export function encodeRate(rate: number, burst: number): Uint8Array {
  const bytes = new Uint8Array(SHARE_RATE.SIZEOF);
  const view = new DataView(bytes.buffer);
  view.setUint32(SHARE_RATE.rate, rate, LITTLE);
  view.setUint32(SHARE_RATE.burst, burst, LITTLE);
  return bytes;
}
