/**
 * What can only be judged in user space: the executable and user of a process (one container holds many), the name and type
 * that a lookup asks for. Every rule must let a lookup pass; the first that does not is the reason it is filtered.
 */
import { matchesGlob } from '../lib/glob.ts';
import type { Lookup, ProcessIdentity } from '../model.ts';
import { typeName } from '../tables/rrtypes.ts';

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

/** Filter reason of the stage `visibility`. */
export type LookupReason = 'executable' | 'user' | 'domain' | 'type';

export class LookupFilter {
  readonly #rules: LookupRules;
  /** Of each process once: identities are interned. */
  readonly #processes = new WeakMap<ProcessIdentity, LookupReason | 'pass'>();

  constructor(rules: LookupRules) {
    this.#rules = rules;
  }

  get isEmpty(): boolean {
    return Object.values(this.#rules).every((rule: readonly string[]) => rule.length === 0);
  }

  /** undefined: it passes. */
  reason({ process, request }: Lookup): LookupReason | undefined {
    const ofProcess = this.processReason(process);
    if (ofProcess !== undefined) return ofProcess;
    const { includeDomains, excludeDomains, includeTypes, excludeTypes } = this.#rules;
    const question = request.message.questions[0];
    const name = question?.name.toLowerCase();
    const isBelow = (domain: string) => name !== undefined && isInDomain(name, domain);
    if (isRefused(includeDomains, excludeDomains, isBelow)) return 'domain';
    const type = question === undefined ? undefined : typeName(question.type);
    const isType = (each: string) => each === type || each === `TYPE${question?.type}`;
    return isRefused(includeTypes, excludeTypes, isType) ? 'type' : undefined;
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

/** The domain itself or a name below it, both in presentation form: an escaped dot (`\.`) separates no labels. */
export function isInDomain(name: string, domain: string): boolean {
  if (domain === '.' || name === domain) return true;
  if (!name.endsWith(`.${domain}`)) return false;
  let backslashes = 0;
  for (let i = name.length - domain.length - 2; i >= 0 && name[i] === '\\'; i--) backslashes++;
  return backslashes % 2 === 0;
}
