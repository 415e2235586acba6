/**
 * What can only be judged in user space: the executable and user of a process (one container holds many), the names and types
 * that a lookup asks for. Every rule must let a lookup pass; the first that does not is the reason it is filtered. A lookup with
 * several questions passes with any of them: no name hides behind another.
 */
import { labelsOf } from '../lib/domain-labels.ts';
import { matchesGlob } from '../lib/glob.ts';
import type { LookupView } from '../lookup/view.ts';
import type { ProcessIdentity } from '../model.ts';
import { RR_TYPES } from '../tables/rrtypes.ts';

export interface LookupRules {
  /** Patterns: with a `/` of the path, else of the name. */
  readonly includeExecutables: readonly string[];
  readonly excludeExecutables: readonly string[];
  /** Names, or numbers (in containers, whose user list is not known here, numbers only). */
  readonly includeUsers: readonly string[];
  readonly excludeUsers: readonly string[];
  /** Lower case, no dot at the end: the domain and everything below it. */
  readonly includeDomains: readonly string[];
  readonly excludeDomains: readonly string[];
  /** Mnemonics or TYPEnnn, upper case. */
  readonly includeTypes: readonly string[];
  readonly excludeTypes: readonly string[];
}

type Asked = LookupView['asked'];

/** Filter reason of the stage `visibility`. */
export type LookupReason = 'executable' | 'user' | 'domain' | 'type';

export class LookupFilter {
  readonly #rules: LookupRules;
  /** As they are on the wire: nothing is made of a lookup to judge it. */
  readonly #includeDomains: readonly Domain[];
  readonly #excludeDomains: readonly Domain[];
  readonly #includeTypes: readonly number[];
  readonly #excludeTypes: readonly number[];
  /** Of each process once: identities are interned. */
  readonly #processes = new WeakMap<ProcessIdentity, LookupReason | 'pass'>();

  constructor(rules: LookupRules) {
    this.#rules = rules;
    this.#includeDomains = rules.includeDomains.map(labelsOf);
    this.#excludeDomains = rules.excludeDomains.map(labelsOf);
    this.#includeTypes = rules.includeTypes.map(typeNumber);
    this.#excludeTypes = rules.excludeTypes.map(typeNumber);
  }

  get isEmpty(): boolean {
    return Object.values(this.#rules).every((rule: readonly string[]) => rule.length === 0);
  }

  /** undefined: it passes. */
  reason({ process, asked }: LookupView): LookupReason | undefined {
    const ofProcess = this.processReason(process);
    if (ofProcess !== undefined) return ofProcess;
    let reason = this.#questionReason(asked, 0);
    for (let question = 1; question < asked.questionsRead && reason !== undefined; question++) {
      const other = this.#questionReason(asked, question);
      if (other !== 'domain') reason = other;
    }
    return reason;
  }

  /** Without such a question nothing is excluded, and neither included. */
  #questionReason(asked: Asked, question: number): 'domain' | 'type' | undefined {
    if (isIn(this.#excludeDomains, asked, question)) return 'domain';
    if (this.#includeDomains.length > 0 && !isIn(this.#includeDomains, asked, question)) return 'domain';
    const type = question < asked.questionsRead ? asked.typeAsked(question) : -1;
    if (this.#excludeTypes.includes(type)) return 'type';
    return this.#includeTypes.length > 0 && !this.#includeTypes.includes(type) ? 'type' : undefined;
  }

  /** Executable and user alone. */
  processReason(process: ProcessIdentity): LookupReason | undefined {
    let verdict = this.#processes.get(process);
    if (verdict === undefined) {
      verdict = this.#judge(process);
      this.#processes.set(process, verdict);
    }
    return verdict === 'pass' ? undefined : verdict;
  }

  #judge({ executableName, resource }: ProcessIdentity): LookupReason | 'pass' {
    const { includeExecutables, excludeExecutables, includeUsers, excludeUsers } = this.#rules;
    const path = String(resource['process.executable.path'] ?? '');
    const isProgram = (pattern: string) =>
      matchesGlob(pattern, pattern.includes('/') ? path : executableName);
    if (isRefused(includeExecutables, excludeExecutables, isProgram)) return 'executable';
    const name = resource['process.user.name'];
    const id = resource['process.user.id'];
    const isUser = (user: string) => user === name || (typeof id === 'number' && user === String(id));
    return isRefused(includeUsers, excludeUsers, isUser) ? 'user' : 'pass';
  }
}

/** Excluded, or not among what is included. */
function isRefused(
  include: readonly string[],
  exclude: readonly string[],
  matches: (rule: string) => boolean,
): boolean {
  return exclude.some(matches) || (include.length > 0 && !include.some(matches));
}

/** Labels of a domain in lower case, the last one first; none of the root. */
type Domain = readonly Uint8Array[];

function isIn(domains: readonly Domain[], asked: Asked, question: number): boolean {
  if (question >= asked.questionsRead) return false;
  for (const domain of domains) if (asked.asksBelow(question, domain)) return true;
  return false;
}

/** @param mnemonic as the option takes it: of IANA's list, or TYPEnnn */
function typeNumber(mnemonic: string): number {
  return RR_TYPES[mnemonic as keyof typeof RR_TYPES] ?? Number(mnemonic.slice('TYPE'.length));
}
