/**
 * Who a record is about. Records name a thread by an id, which an EVENT_KIND.OWNER record before them has told (struct owner
 * of bpf/event.h: ids count up, and a table of OWNER_IDS.SLOTS entries holds all that can still be named).
 */

import type { Owner } from '../model.ts';
import { LITTLE } from './byte-order.ts';
import { OWNER, OWNER_EVENT, OWNER_IDS } from './layout.gen.ts';
import { Slots } from './slots.ts';
import { commText } from './strings.ts';

const names = new Slots(1024, commText);

/** A task name, NUL-padded. */
export function taskName(view: DataView, bytes: Uint8Array, offset: number): string {
  return names.text(view, bytes, offset);
}

/** Where an id's entry is in a table of OWNER_IDS.SLOTS. Another id may have it: the entry keeps its id to tell. */
export function ownerSlot(id: number): number {
  return id & (OWNER_IDS.SLOTS - 1);
}

/** The id that a whole record of kind OWNER at `at` tells. */
export function toldOwnerId(view: DataView, at: number): number {
  return view.getUint32(at + OWNER_EVENT.owner + OWNER.id, LITTLE);
}

/** What the ring has told of owners. */
export class Owners {
  readonly #ids = new Uint32Array(OWNER_IDS.SLOTS);
  readonly #owners: (Owner | undefined)[] = [];
  /** The same owners where they were remembered for a socket (Owner.cached), as far as asked for. */
  readonly #cached: (Owner | undefined)[] = [];

  /** Takes a whole record of kind OWNER. */
  learn(view: DataView, bytes: Uint8Array, at: number): void {
    const id = toldOwnerId(view, at);
    const slot = ownerSlot(id);
    this.#ids[slot] = id;
    this.#owners[slot] = decodeOwner(view, bytes, at + OWNER_EVENT.owner);
    this.#cached[slot] = undefined;
  }

  /** The same object for the same id. undefined: 0, or an id that was not told. */
  get(id: number, cached = false): Owner | undefined {
    const slot = ownerSlot(id);
    if (id === 0 || this.#ids[slot] !== id) return undefined;
    const owner = this.#owners[slot];
    if (!cached || owner === undefined) return owner;
    this.#cached[slot] ??= { ...owner, cached };
    return this.#cached[slot];
  }
}

/** `at`: offset of a struct owner. */
function decodeOwner(view: DataView, bytes: Uint8Array, at: number): Owner {
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
    cached: false,
  };
}
