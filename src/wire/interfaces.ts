/** What devices are called: EVENT_KIND.INTERFACE records tell it before the first request that needs it (bpf/interface.h). */
import { LITTLE } from './byte-order.ts';
import { INTERFACE_EVENT } from './layout.gen.ts';
import { commText } from './strings.ts';

/** Devices remembered; the one told longest ago goes first, and is then known by its index. */
const MAX_DEVICES = 4096;
/** Whoever has a network namespace of his own may give any name: others than these are not shown. */
const PLAIN_NAME = /^[\w.:@+-]{1,15}$/;

export class Interfaces {
  readonly #names = new Map<string, string>();

  /** Takes a whole record of kind INTERFACE. */
  learn(view: DataView, bytes: Uint8Array, at: number): void {
    const key = keyOf(
      view.getUint32(at + INTERFACE_EVENT.net_ns, LITTLE),
      view.getUint32(at + INTERFACE_EVENT.index, LITTLE),
    );
    this.#names.delete(key);
    this.#names.set(key, commText(bytes, at + INTERFACE_EVENT.name));
    const oldest = this.#names.keys().next().value;
    if (this.#names.size > MAX_DEVICES && oldest !== undefined) this.#names.delete(oldest);
  }

  /** The zone of an address on that device (RFC 4007 section 11.2): its name, or its index. undefined: index 0. */
  zone(networkNamespace: number, index: number): string | undefined {
    if (index === 0) return undefined;
    const name = this.#names.get(keyOf(networkNamespace, index)) ?? '';
    return PLAIN_NAME.test(name) ? name : String(index);
  }
}

function keyOf(networkNamespace: number, index: number): string {
  return `${networkNamespace} ${index}`;
}
