/** Records of kind INTERFACE: what a device is called, before the first request that needs it (bpf/interface.h). */
import { rememberInterface } from '../lib/interface-names.ts';
import { LITTLE } from './byte-order.ts';
import { INTERFACE_EVENT } from './layout.gen.ts';
import { commText } from './strings.ts';

/** Takes a whole record. */
export function learnInterface(view: DataView, bytes: Uint8Array, at: number): void {
  rememberInterface(
    view.getUint32(at + INTERFACE_EVENT.net_ns, LITTLE),
    view.getUint32(at + INTERFACE_EVENT.index, LITTLE),
    commText(bytes, at + INTERFACE_EVENT.name),
  );
}
