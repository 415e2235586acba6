/** What the kernel left out, by share: the difference between one look at its maps and the next. */
import type { Suppression } from '../model.ts';
import type { Share } from '../wire/shares.ts';

/** A share whose budget has been full this long: another entry in its place would be the same. */
const IDLE_NS = 300_000_000_000n;

interface Reported {
  readonly requests: number;
  readonly responses: number;
  readonly connections: number;
}
const NOTHING: Reported = { requests: 0, responses: 0, connections: 0 };

export class Suppressions {
  #reported = new Map<string, Reported>();
  /** CLOCK_MONOTONIC ns of the last look. */
  #last = 0n;

  /**
   * @param shares all there are
   * @param now CLOCK_MONOTONIC, ns; @param toUnix to be added to it to have Unix time
   * @returns what was left out since the last call, and the keys of shares that the kernel may forget
   */
  look(
    shares: readonly Share[],
    now: bigint,
    toUnix: bigint,
  ): { readonly found: readonly Suppression[]; readonly idle: readonly Uint8Array[] } {
    const found: Suppression[] = [];
    const idle: Uint8Array[] = [];
    const reported = new Map<string, Reported>();
    for (const each of shares) {
      const name = each.common ?? `${each.share.cgroupId} ${each.share.user}`;
      const before = this.#before(name, each);
      const requests = each.requests - before.requests;
      const responses = each.responses - before.responses;
      const connections = each.connections - before.connections;
      if (requests > 0 || responses > 0 || connections > 0) {
        // The kernel keeps the time of the very first; later ones began since the last look at the earliest.
        const since = (each.since > this.#last ? each.since : this.#last) + toUnix;
        found.push({ share: each.share, common: each.common, requests, responses, connections, since });
      } else if (each.common === undefined && !each.isHeld && now - each.full > IDLE_NS) {
        idle.push(each.key);
        continue;
      }
      reported.set(name, each);
    }
    this.#reported = reported;
    this.#last = now;
    return { found, idle };
  }

  /** Counts that went down are those of another entry. */
  #before(name: string, { requests, responses, connections }: Reported): Reported {
    const before = this.#reported.get(name) ?? NOTHING;
    const isSame =
      requests >= before.requests && responses >= before.responses && connections >= before.connections;
    return isSame ? before : NOTHING;
  }
}
