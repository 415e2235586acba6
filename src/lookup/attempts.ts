/**
 * The attempts of a lookup: ways (socket, server) on which it was sent. The first one is the lookup's own slot, further ones are
 * chained to it. Further ones have a part of the slab that is theirs, so that whoever sends again from ever new sockets takes no
 * slot from a lookup.
 */
import type { Message } from '../dns/message.ts';
import type { ProcessIdentity } from '../model.ts';
import type { Envelope } from './envelope.ts';
import { SLOT, SLOT_WORDS, type Slab } from './slab.ts';

/** An answer on a further way is 'unmatched'. */
const MAX_ATTEMPTS = 8;

export class Attempts {
  readonly #slab: Slab;
  readonly #max: number;
  /** Further ones, of all lookups. */
  #further = 0;

  /** @param max further attempts of all lookups */
  constructor(slab: Slab, max: number) {
    this.#slab = slab;
    this.#max = max;
  }

  /** The lookup that an attempt is of. */
  lookupOf(attempt: number): number {
    const lookup = this.#slab.words[attempt * SLOT_WORDS + SLOT.LOOKUP] as number;
    return lookup === 0 ? attempt : lookup - 1;
  }

  /** The attempt after this one; -1: it is the last. */
  next(slot: number): number {
    return (this.#slab.words[slot * SLOT_WORDS + SLOT.NEXT_ATTEMPT] as number) - 1;
  }

  /** A further attempt; -1: the lookup has too many, or all have. */
  add(lookup: number, raw: Envelope, message: Message, process: ProcessIdentity): number {
    let last = lookup;
    let count = 1;
    for (let slot = this.next(lookup); slot >= 0; slot = this.next(slot)) {
      last = slot;
      count++;
    }
    if (count >= MAX_ATTEMPTS || this.#further >= this.#max) return -1;
    const { words } = this.#slab;
    const slot = this.#slab.take(raw, message, process);
    words[last * SLOT_WORDS + SLOT.NEXT_ATTEMPT] = slot + 1;
    words[slot * SLOT_WORDS + SLOT.LOOKUP] = lookup + 1;
    this.#further++;
    return slot;
  }

  /** The lookup and all its attempts are over. */
  free(lookup: number): void {
    for (let slot = lookup; slot >= 0; ) {
      const next = this.next(slot);
      if (slot !== lookup) this.#further--;
      this.#slab.free(slot);
      slot = next;
    }
  }
}
