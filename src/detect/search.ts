/**
 * The fan-out of one logical look-up: a stub resolver tries a name with each domain of its search list and as it is, A and AAAA
 * each, until one has an answer (resolv.conf(5), `search` and `ndots`). With `ndots:5` of Kubernetes `google.com` becomes
 * eight queries, of which six are in vain.
 *
 * What is known when a record goes out: the list and ndots of the process's resolv.conf, and what the process asked just
 * before. The first name tried looks the same whether it was expanded or asked for in full:
 *
 *   - `web.default.svc.cluster.local` with fewer dots than ndots: in full it would have been expanded first, so it was.
 *   - otherwise it is taken for an expansion when it fails (a name given in full that fails looks the same: then `base` is
 *     a guess, and nothing is counted as wasted unless a further step follows).
 *
 * Later steps are recognised by the earlier ones: a domain further down the list counts only after the one before.
 */
import type { ResolverConfig } from '../enrich/process/resolver-config.ts';
import { FairMap } from '../lib/fair-map.ts';
import type { HolderId } from '../lib/fairness.ts';
import type { Lookup, Owner, SearchStep } from '../model.ts';
import { OPCODES } from '../tables/classes.ts';
import { RCODES } from '../tables/rcodes.ts';
import { hashOf } from './statistics.ts';

/** Names being looked up, of all processes; the oldest is forgotten, its later steps are then not recognised. */
const MAX_BASES = 8192;
/** A stub resolver gives up a server after 5 s, three times at the default; what comes later is another look-up. */
const TOGETHER_MS = 20_000;

interface Fan {
  readonly pid: number;
  readonly base: string;
  step: number;
  /** Lookups of that step that brought nothing. */
  failed: number;
  last: number;
}

export class SearchFolding {
  readonly #configOf: (owner: Owner) => ResolverConfig | undefined;
  readonly #fans = new FairMap<number, Fan>(MAX_BASES, { reason: 'searches_full' });
  /** Of the lookup at hand. */
  #owner: HolderId = { pid: 0, uid: 0, cgroupId: 0n };

  constructor(configOf: (owner: Owner) => ResolverConfig | undefined) {
    this.#configOf = configOf;
  }

  /** undefined: not part of a fan-out, as far as can be known. */
  fold(lookup: Lookup): SearchStep | undefined {
    const { raw, message } = lookup.request;
    const { owner, time } = raw;
    if (owner === undefined || message.opcode > OPCODES.QUERY) return undefined;
    const config = this.#configOf(owner);
    if (config === undefined || config.search.length === 0) return undefined;
    const asked = message.questions[0]?.name;
    if (asked === undefined || asked === '.') return undefined;
    const name = asked.toLowerCase();
    const failed = hasFailed(lookup);
    const { pid } = owner;
    this.#owner = owner;
    const at = Number(time) / 1e6;
    return this.#asItIs(pid, name, config, failed, at) ?? this.#expanded(pid, name, config, failed, at);
  }

  /** The bare name, after its expansions; or before them, which only later steps can tell. */
  #asItIs(
    pid: number,
    name: string,
    { search, ndots }: ResolverConfig,
    failed: boolean,
    at: number,
  ): SearchStep | undefined {
    const fan = this.#recent(pid, name, name.length, at);
    if (dotsIn(name) >= ndots) {
      // It comes first. Without a failure nothing follows; with one its expansions may, if the resolver has them.
      if (fan === undefined && failed && !endsInAny(name, search)) this.#begin(pid, name, failed, at);
      else if (fan !== undefined && fan.step === 0) note(fan, failed, at);
      return undefined;
    }
    if (fan === undefined) return undefined;
    return { base: name, step: search.length, wasted: advance(fan, search.length, failed, at) };
  }

  #expanded(
    pid: number,
    name: string,
    { search, ndots }: ResolverConfig,
    failed: boolean,
    at: number,
  ): SearchStep | undefined {
    let found: { fan: Fan; base: string; step: number } | undefined;
    for (let i = 0; i < search.length; i++) {
      const domain = search[i] as string;
      if (!isBelow(name, domain)) continue;
      const fan = this.#recent(pid, name, name.length - domain.length - 1, at);
      if (fan === undefined) continue;
      const { base } = fan;
      const step = stepOf(i, base, ndots);
      // `a.b` below `c` and `a` below `b.c` are one name: what was asked for last goes on.
      if (fan.step >= step - 1 && (found === undefined || fan.last > found.fan.last))
        found = { fan, base, step };
    }
    if (found !== undefined) {
      const { fan, base, step } = found;
      return { base, step, wasted: advance(fan, step, failed, at) };
    }
    const first = search[0] as string;
    if (!isBelow(name, first)) return undefined;
    const base = name.slice(0, name.length - first.length - 1);
    if (stepOf(0, base, ndots) > 0 || (!failed && dotsIn(name) >= ndots)) return undefined;
    this.#begin(pid, base, failed, at);
    return { base, step: 0, wasted: 0 };
  }

  /** That of the first `end` characters of `name`. Of two that share a hash the younger one is known. */
  #recent(pid: number, name: string, end: number, at: number): Fan | undefined {
    const fan = this.#fans.get(keyOf(pid, name, end));
    if (fan === undefined || at - fan.last > TOGETHER_MS || fan.pid !== pid) return undefined;
    return fan.base.length === end && name.startsWith(fan.base) ? fan : undefined;
  }

  #begin(pid: number, base: string, failed: boolean, at: number): void {
    const fan = { pid, base, step: 0, failed: failed ? 1 : 0, last: at };
    this.#fans.set(keyOf(pid, base, base.length), fan, this.#owner);
  }
}

/** A name with enough dots is tried as it is before the search list. */
function stepOf(index: number, base: string, ndots: number): number {
  return dotsIn(base) >= ndots ? index + 1 : index;
}

/** Lookups of earlier steps that are now known to have been in vain. */
function advance(fan: Fan, step: number, failed: boolean, at: number): number {
  // A and AAAA of one step end in any order: the later one may come after the next step has begun.
  if (step < fan.step) return failed ? 1 : 0;
  const wasted = step > fan.step ? fan.failed : 0;
  if (step > fan.step) {
    fan.step = step;
    fan.failed = 0;
  }
  note(fan, failed, at);
  return wasted;
}

function note(fan: Fan, failed: boolean, at: number): void {
  fan.failed = failed ? fan.failed + 1 : 0;
  fan.last = Math.max(fan.last, at);
}

/** The resolver goes on after it: no such name, no such record, or no good answer at all. */
function hasFailed({ response, outcome }: Lookup): boolean {
  if (outcome === 'sent' || outcome === 'unknown') return false;
  return (
    response === undefined ||
    response.message.rcode !== RCODES.NOERROR ||
    response.message.answers.length === 0
  );
}

function isBelow(name: string, domain: string): boolean {
  return (
    name.length > domain.length + 1 &&
    name.charCodeAt(name.length - domain.length - 1) === DOT &&
    name.endsWith(domain)
  );
}

function endsInAny(name: string, domains: readonly string[]): boolean {
  return domains.some((domain) => isBelow(name, domain));
}

function keyOf(pid: number, name: string, end: number): number {
  return (hashOf(name, end) ^ Math.imul(pid, 0x9e3779b1)) | 0;
}

const DOT = 0x2e;

function dotsIn(name: string): number {
  let dots = 0;
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) === DOT) dots++;
  return dots;
}
