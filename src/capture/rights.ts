/** The rights of the agent's own process: what its threads hold, and how they give up what is not needed any more. */
import { readdirSync, readFileSync } from 'node:fs';
import { UserError } from '../lib/errors.ts';
import { CAPABILITIES, type Capability, TO_START } from '../tables/capabilities.ts';
import type { NativeResult } from './addon.ts';
import { loadAddon } from './addon.ts';
import { CaptureError } from './capture-error.ts';

export type SeccompMode = 'enforce' | 'log' | 'off';

/** Of a process: what at least one of its threads holds. Capabilities are a thread's own in the kernel. */
export interface Rights {
  readonly threads: number;
  readonly effective: readonly Capability[];
  readonly permitted: readonly Capability[];
  readonly inheritable: readonly Capability[];
  readonly ambient: readonly Capability[];
  /** What a program that it starts could get; nothing where all have `noNewPrivs`. */
  readonly bounding: readonly Capability[];
  /** Every thread. */
  readonly noNewPrivs: boolean;
  /** Every thread has a filter of system calls (its own or one that the agent was started under). */
  readonly seccomp: boolean;
}

/** @param process a pid; @throws the process has ended, or /proc is not there. */
export function readRights(process: number | 'self' = 'self'): Rights {
  const task = `/proc/${process}/task`;
  const texts = readdirSync(task).flatMap((thread) => {
    try {
      return [readFileSync(`${task}/${thread}/status`, 'latin1')];
    } catch {
      return []; // it has ended
    }
  });
  const field = (text: string, name: string) => new RegExp(`^${name}:\\s*(\\w+)$`, 'm').exec(text)?.[1] ?? '';
  const union = (name: string): readonly Capability[] => {
    const bits = texts.reduce((all, text) => all | BigInt(`0x${field(text, name) || '0'}`), 0n);
    return CAPABILITIES.filter((_, bit) => ((bits >> BigInt(bit)) & 1n) === 1n);
  };
  return {
    threads: texts.length,
    effective: union('CapEff'),
    permitted: union('CapPrm'),
    inheritable: union('CapInh'),
    ambient: union('CapAmb'),
    bounding: union('CapBnd'),
    noNewPrivs: texts.every((text) => field(text, 'NoNewPrivs') === '1'),
    seccomp: texts.every((text) => field(text, 'Seccomp') === '2'),
  };
}

/** Before anything is opened, of a process that does nothing else: what no start needs goes. @throws UserError: no addon. */
export function limitToStart(): void {
  loadAddon().keepMemorySmall();
  done(loadAddon().limitCapabilities(TO_START.map(bitOf), false));
}

/**
 * After attaching, for good: every thread keeps what this kernel asks for to use a map and nothing else, no program that is
 * started later gets more, and only listed system calls are made.
 * @throws UserError: a thread could not be changed, or the kernel has no filters.
 */
export function confine(seccomp: SeccompMode): void {
  const addon = loadAddon();
  const { capability } = addon.mapCapability();
  done(addon.limitCapabilities(capability === undefined ? [] : [capability], true));
  if (seccomp !== 'off') done(addon.filterSystemCalls(seccomp));
}

/** What the agent's processes hold. */
export interface ProcessRights {
  readonly agent: Rights;
  /** undefined: there is none. */
  readonly inspector: Rights | undefined;
}

export function rightsOf(inspector: number | undefined): ProcessRights {
  return { agent: readRights(), inspector: inspector === undefined ? undefined : rightsOrNone(inspector) };
}

function rightsOrNone(process: number): Rights | undefined {
  try {
    return readRights(process);
  } catch {
    return undefined; // it has ended
  }
}

export interface MeasuredRights {
  /** As the program was started. */
  readonly started: Rights;
  /** What is left of them while it captures; undefined: `problem`. */
  readonly capturing: ProcessRights | undefined;
  /** Why the agent would not start. */
  readonly problem: string | undefined;
}

/** Really gives up what the agent does, for good: the last thing that a program does with its rights. */
export function measureRights(seccomp: SeccompMode, inspector: number | undefined): MeasuredRights {
  const started = readRights();
  try {
    confine(seccomp);
    return { started, capturing: rightsOf(inspector), problem: undefined };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { started, capturing: undefined, problem: error.message };
  }
}

const bitOf = (name: Capability): number => CAPABILITIES.indexOf(name);

function done(result: NativeResult<object>): void {
  if ('error' in result) throw new CaptureError(result.error);
}
