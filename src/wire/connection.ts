/**
 * A connection record (EVENT_KIND.CONNECTION, struct connection_event), read where it lies (record.ts). Only for records that
 * `isConnection` has looked at.
 */
import { LITTLE } from './byte-order.ts';
import { CONNECTION_ADDRESSES as A, CONNECTION_EVENT as C, CONNECTION_FLAGS } from './layout.gen.ts';

/** Whether the record of `size` bytes is whole and says nothing that cannot be. */
export function isConnection(view: DataView, at: number, size: number): boolean {
  if (size < C.SIZEOF) return false;
  const family = connectionFamily(view, at);
  return family === 4 || (family === 6 && size >= C.SIZEOF + A.SIZEOF);
}

/** 4 or 6. */
export function connectionFamily(view: DataView, at: number): number {
  return view.getUint8(at + C.family);
}

/** Id of the owner (owner.ts); 0: not known. */
export function connectionOwner(view: DataView, at: number): number {
  const known = (view.getUint8(at + C.flags) & CONNECTION_FLAGS.OWNER) !== 0;
  return known ? view.getUint32(at + C.owner_id, LITTLE) : 0;
}

/** Inode of the network namespace. */
export function connectionNamespace(view: DataView, at: number): number {
  return view.getUint32(at + C.net_ns, LITTLE);
}

/** 0: not chosen yet. */
export function connectionLocalPort(view: DataView, at: number): number {
  return view.getUint16(at + C.local_port, LITTLE);
}

export function connectionRemotePort(view: DataView, at: number): number {
  return view.getUint16(at + C.remote_port, LITTLE);
}

/** Offset of the local address: 4 bytes in network order where the family is 4, else 16. */
export function connectionLocal(view: DataView, at: number): number {
  return at + (connectionFamily(view, at) === 4 ? C.local_ipv4 : C.SIZEOF + A.local_address);
}

/** Offset of the remote address, as `connectionLocal`. */
export function connectionRemote(view: DataView, at: number): number {
  return at + (connectionFamily(view, at) === 4 ? C.remote_ipv4 : C.SIZEOF + A.remote_address);
}
