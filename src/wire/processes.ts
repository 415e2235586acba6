/** The kernel's map `processes`: messages per process, counted where they are sent (struct process_key, process_value). */

import type { ProcessCount, ProcessKey } from '../model.ts';
import { LITTLE } from './byte-order.ts';
import { PROCESS_KEY as K, PROCESS_VALUE as V } from './layout.gen.ts';
import { shareKeyAt } from './shares.ts';

/** Entries as the addon packs them: key and value, one after the other. */
export function decodeProcessCounts(bytes: Uint8Array, toUnix: bigint): ProcessCount[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const counts: ProcessCount[] = [];
  for (let key = 0; key + K.SIZEOF + V.SIZEOF <= bytes.length; key += K.SIZEOF + V.SIZEOF)
    counts.push(processCountAt(view, key, key + K.SIZEOF, toUnix));
  return counts;
}

export function processCountAt(view: DataView, key: number, value: number, toUnix: bigint): ProcessCount {
  return {
    pid: view.getUint32(key + K.tgid, LITTLE),
    startTime: view.getBigUint64(key + K.start_time, LITTLE),
    // exact up to 2^53
    udpRequests: Number(view.getBigUint64(value + V.udp_requests, LITTLE)),
    tcpRequests: Number(view.getBigUint64(value + V.tcp_requests, LITTLE)),
    requestBytes: Number(view.getBigUint64(value + V.request_bytes, LITTLE)),
    lastSeen: view.getBigUint64(value + V.last_seen, LITTLE) + toUnix,
    cgroupId: view.getBigUint64(value + V.cgroup_id, LITTLE),
    share: shareKeyAt(view, value + V.share),
    ...(view.getUint16(value + V.exited, LITTLE) === 0 ? {} : { exited: true }),
  };
}

/** Packed keys, as the addon takes them. */
export function encodeProcessKeys(keys: readonly ProcessKey[]): Uint8Array {
  const bytes = new Uint8Array(keys.length * K.SIZEOF);
  const view = new DataView(bytes.buffer);
  keys.forEach((key, index) => {
    view.setBigUint64(index * K.SIZEOF + K.start_time, key.startTime, LITTLE);
    view.setUint32(index * K.SIZEOF + K.tgid, key.pid, LITTLE);
  });
  return bytes;
}
