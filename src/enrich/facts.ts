/** Where the facts of a process come from: the kernel's process record first, /proc for what it leaves open. */
import type { Owner, RawProcess } from '../model.ts';
import type { Taken } from './claimed-attributes.ts';
import { chooseCgroup } from './container.ts';
import { type ProcDirectory, readFile, readProcess } from './proc.ts';
import { type ContextOutcome, readProcessContext } from './process-context.ts';
import { masked } from './redact.ts';
import type { ProcessFacts } from './resource.ts';
import {
  ENVIRON_BYTES,
  publishedAttributes,
  type ServiceVariables,
  serviceAttributes,
  serviceVariables,
  toldVariables,
} from './service.ts';

const CGROUP_BYTES = 16 * 1024;
/** As much as the kernel's record carries (ARGS_BYTES of bpf/event.h): both ways show the same. */
const ARGS_BYTES = 1024;
const COMM_BYTES = 64;

export interface FactsOptions {
  readonly procRoot: string;
  readonly commandArgs: boolean;
  /** Look for the identity the application publishes in its memory. */
  readonly processContext: boolean;
}

export interface GatheredFacts {
  readonly facts: ProcessFacts;
  readonly service: 'read' | 'unreadable' | 'invalid';
  /** `none` too when it was not looked for. */
  readonly context: ContextOutcome;
  /** Attributes that it gave itself and that were not taken. */
  readonly refused: number;
}

const UNKNOWN: ProcessFacts = {
  announced: false,
  fromProc: false,
  executablePath: '',
  executableInode: undefined,
  executableDeleted: false,
  command: undefined,
  argsCount: undefined,
  args: undefined,
  workingDirectory: '',
  cgroupPath: '',
  cgroupVersion: 2,
  cgroup: '',
  interactive: undefined,
  parentName: '',
  service: undefined,
  published: undefined,
};

/**
 * Everything that can be known now: /proc is read where the kernel's record has gaps, and for what the process publishes.
 */
export function gatherFacts(
  owner: Owner,
  record: RawProcess | undefined,
  options: FactsOptions,
): GatheredFacts {
  const told = record === undefined ? UNKNOWN : factsOfRecord(record, options);
  const read = readProcess(options.procRoot, owner.pid, owner.startTime, (directory) => {
    const environ = record?.environment === undefined ? directory.read('environ', ENVIRON_BYTES) : undefined;
    const context = options.processContext && record?.kernelThread !== true;
    const outcome: ContextOutcome = context ? readProcessContext(directory) : { kind: 'none' };
    return { facts: fillGaps(told, record, directory, options), environ, outcome };
  });
  const context = read?.outcome ?? { kind: options.processContext ? 'unreadable' : 'none' };
  const published = publishedIn(read?.outcome);
  const facts = { ...(read?.facts ?? told), published: published?.attributes };
  const variables = variablesOf(record?.environment, read?.environ);
  const refused = published?.refused ?? 0;
  if (variables === undefined) return { facts, service: 'unreadable', context, refused };
  const { attributes, invalid, refused: more } = serviceAttributes(variables);
  const service = invalid ? 'invalid' : 'read';
  return { facts: { ...facts, service: attributes }, service, context, refused: refused + more };
}

function variablesOf(
  told: RawProcess['environment'],
  read: Buffer | undefined,
): ServiceVariables | undefined {
  if (told !== undefined) return toldVariables(told);
  return read === undefined ? undefined : serviceVariables(read);
}

/** The published identity as it is now; undefined: the process is gone. */
export function currentContext(
  owner: Owner,
  procRoot: string,
): { readonly outcome: ContextOutcome; readonly published: Taken | undefined } | undefined {
  return readProcess(procRoot, owner.pid, owner.startTime, (directory) => {
    const outcome = readProcessContext(directory);
    return { outcome, published: publishedIn(outcome) };
  });
}

function publishedIn(outcome: ContextOutcome | undefined): Taken | undefined {
  return outcome?.kind === 'read' ? publishedAttributes(outcome.context.resource) : undefined;
}

/** Cgroup of the process as it is now; undefined: it is gone. */
export function currentCgroup(
  owner: Owner,
  procRoot: string,
): Pick<ProcessFacts, 'cgroup' | 'cgroupPath' | 'cgroupVersion'> | undefined {
  return readProcess(procRoot, owner.pid, owner.startTime, cgroupOf);
}

/** The executable as it is now; undefined: the process is gone, or has none. */
export function currentExecutable(
  owner: Owner,
  procRoot: string,
): { readonly path: string; readonly inode: bigint | undefined } | undefined {
  return readProcess(procRoot, owner.pid, owner.startTime, (directory) => {
    const { executablePath, executableInode } = executableFacts(directory);
    return executablePath === undefined ? undefined : { path: executablePath, inode: executableInode };
  });
}

function factsOfRecord(record: RawProcess, options: FactsOptions): ProcessFacts {
  return {
    ...UNKNOWN,
    announced: true,
    executablePath: record.executablePath,
    executableInode: record.executableInode,
    executableDeleted: record.executableDeleted,
    ...argumentFacts(record.args, record.argsCut, options),
    workingDirectory: record.workingDirectory,
    cgroupPath: record.cgroupPath,
    cgroupVersion: record.cgroupVersion,
    // The record does not say which controller's hierarchy a version 1 path is of.
    cgroup:
      record.cgroupVersion === 2 && record.cgroupPath !== '' ? `0::${record.cgroupPath}` : record.cgroupPath,
    interactive: record.tty !== 0,
    parentName: record.parentName,
  };
}

function argumentFacts(
  args: readonly string[],
  cut: boolean,
  options: FactsOptions,
): Pick<ProcessFacts, 'command' | 'argsCount' | 'args'> {
  return {
    command: args[0],
    argsCount: cut || args.length === 0 ? undefined : args.length,
    args: options.commandArgs && args.length > 0 ? masked(args) : undefined,
  };
}

function fillGaps(
  told: ProcessFacts,
  record: RawProcess | undefined,
  directory: ProcDirectory,
  options: FactsOptions,
): ProcessFacts {
  const gaps: Partial<Omit<ProcessFacts, 'announced' | 'fromProc'>> = {
    // A kernel thread has no executable and no arguments: nothing to look for.
    ...(told.executablePath === '' && record?.kernelThread !== true ? executableFacts(directory) : {}),
    ...(told.command === undefined && record?.kernelThread !== true
      ? commandLineFacts(directory, options)
      : {}),
    ...(told.workingDirectory === '' ? { workingDirectory: directory.link('cwd') ?? '' } : {}),
    ...(told.cgroupPath === '' ? cgroupOf(directory) : {}),
    ...(told.interactive === undefined ? { interactive: directory.stat.tty !== 0 } : {}),
    ...(told.parentName === '' ? { parentName: nameOf(directory.stat.parentPid, options.procRoot) } : {}),
  };
  return { ...told, ...gaps, fromProc: Object.keys(gaps).length > 0 };
}

function executableFacts(directory: ProcDirectory): Partial<ProcessFacts> {
  const target = directory.link('exe');
  if (target === undefined) return {};
  const file = directory.inode('exe');
  // proc(5): the kernel appends this to the path of an unlinked file. A file may also be called so.
  const path = file?.links === 0n ? target.replace(/ \(deleted\)$/, '') : target;
  return { executablePath: path, executableInode: file?.inode, executableDeleted: file?.links === 0n };
}

function commandLineFacts(directory: ProcDirectory, options: FactsOptions): Partial<ProcessFacts> {
  const bytes = directory.read('cmdline', ARGS_BYTES + 1);
  if (bytes === undefined || bytes.length === 0) return {};
  const cut = bytes.length > ARGS_BYTES;
  const text = bytes.toString('utf8', 0, Math.min(bytes.length, ARGS_BYTES));
  const args = (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
  return argumentFacts(args, cut, options);
}

function cgroupOf(directory: ProcDirectory): Pick<ProcessFacts, 'cgroup' | 'cgroupPath' | 'cgroupVersion'> {
  const chosen = chooseCgroup(directory.read('cgroup', CGROUP_BYTES)?.toString('utf8') ?? '');
  return {
    cgroup: chosen?.line ?? '',
    cgroupPath: chosen?.path ?? '',
    cgroupVersion: chosen?.version ?? 2,
  };
}

/** comm of a process: as the kernel's record has it of the parent. */
function nameOf(pid: number, procRoot: string): string {
  if (pid === 0) return '';
  const name = readFile(`${procRoot}/${pid}/comm`, COMM_BYTES)?.toString('utf8') ?? '';
  return name.endsWith('\n') ? name.slice(0, -1) : name;
}
