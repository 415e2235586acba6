/**
 * The task that a record is about. Messages of one thread share one object: most of what waits for an answer is of few threads,
 * and comparing the bytes is cheaper than reading them.
 */

import type { Owner } from '../model.ts';
import { LITTLE } from './byte-order.ts';
import { OWNER } from './layout.gen.ts';
import { Slots } from './slots.ts';
import { commText } from './strings.ts';

const WORDS = OWNER.SIZEOF / 4;
/** Threads remembered: a power of two. One that falls into a taken slot replaces what was there. */
const SLOTS = 512;

const names = new Slots(1024, commText);
const owners = new Array<Owner | undefined>(SLOTS).fill(undefined);
const words = new Uint32Array(SLOTS * WORDS);

/** A task name, NUL-padded. */
export function taskName(view: DataView, bytes: Uint8Array, offset: number): string {
  return names.text(view, bytes, offset);
}

/** @param cached see Owner.cached */
export function ownerAt(view: DataView, bytes: Uint8Array, at: number, cached: boolean): Owner {
  const tid = view.getUint32(at + OWNER.tid, true);
  const hash = Math.imul(tid ^ view.getUint32(at + OWNER.start_time, true), 0x9e3779b1) ^ Number(cached);
  const slot = (hash ^ (hash >>> 15)) & (SLOTS - 1);
  const known = owners[slot];
  if (known !== undefined && known.cached === cached && isSame(view, at, slot)) return known;
  for (let i = 0; i < WORDS; i++) words[slot * WORDS + i] = view.getUint32(at + 4 * i, true);
  const owner = decodeOwner(view, bytes, at, cached);
  owners[slot] = owner;
  return owner;
}

function isSame(view: DataView, at: number, slot: number): boolean {
  for (let i = 0; i < WORDS; i++)
    if (words[slot * WORDS + i] !== view.getUint32(at + 4 * i, true)) return false;
  return true;
}

function decodeOwner(view: DataView, bytes: Uint8Array, at: number, cached: boolean): Owner {
  return {
    pid: view.getUint32(at + OWNER.tgid, LITTLE),
    tid: view.getUint32(at + OWNER.tid, LITTLE),
    parentPid: view.getUint32(at + OWNER.ppid, LITTLE),
    vpid: view.getUint32(at + OWNER.vpid, LITTLE),
    uid: view.getUint32(at + OWNER.uid, LITTLE),
    gid: view.getUint32(at + OWNER.gid, LITTLE),
    pidNamespace: view.getUint32(at + OWNER.pid_ns, LITTLE),
    mountNamespace: view.getUint32(at + OWNER.mnt_ns, LITTLE),
    networkNamespace: view.getUint32(at + OWNER.net_ns, LITTLE),
    startTime: view.getBigUint64(at + OWNER.start_time, LITTLE),
    cgroupId: view.getBigUint64(at + OWNER.cgroup_id, LITTLE),
    threadName: taskName(view, bytes, at + OWNER.comm),
    processName: taskName(view, bytes, at + OWNER.leader_comm),
    cached,
  };
}
