/**
 * First-in-first-out queue whose members carry the links, so that any member leaves in constant time. A JavaScript Set
 * would do, but finding its oldest member skips every deleted slot since the last rehash.
 */
export interface Linked<T> {
  newer: T | undefined;
  older: T | undefined;
}

/** A member may be in one queue at a time; the caller keeps track of which. */
export class LinkedQueue<T extends Linked<T>> {
  oldest: T | undefined = undefined;
  size = 0;
  #newest: T | undefined = undefined;

  push(member: T): void {
    member.older = this.#newest;
    member.newer = undefined;
    if (this.#newest === undefined) this.oldest = member;
    else this.#newest.newer = member;
    this.#newest = member;
    this.size++;
  }

  remove(member: T): void {
    if (member.older === undefined) this.oldest = member.newer;
    else member.older.newer = member.newer;
    if (member.newer === undefined) this.#newest = member.older;
    else member.newer.older = member.older;
    member.older = undefined;
    member.newer = undefined;
    this.size--;
  }
}
