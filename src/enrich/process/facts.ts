/** Where the facts of a process come from: the kernel's process record first, the inspector for what it leaves open. */
import type { Inspector } from '../../inspector/inspector.ts';
import { inodeOf, type Read, type ReadResult } from '../../inspector/protocol.ts';
import type { Owner, RawProcess } from '../../model.ts';
import { chooseCgroup } from '../containers/container.ts';
import type { Taken } from './claimed-attributes.ts';
import { parseStat } from './proc.ts';
import { CONTEXT_MAPS, type ContextOutcome, readProcessContext } from './process-context.ts';
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

/** Asked for what belongs to processes. */
export type Asked = Pick<Inspector, 'inspect' | 'alive' | 'refuses'>;

const CGROUP_BYTES = 16 * 1024;
/** As much as the kernel's record carries (ARGS_BYTES of bpf/event.h): both ways show the same. */
const ARGS_BYTES = 1024;
const COMM_BYTES = 64;
const STAT_BYTES = 4096;

export interface FactsOptions {
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

/** What can be missing, and where it is read. */
const READS = {
  environ: { kind: 'file', name: 'environ', limit: ENVIRON_BYTES },
  maps: CONTEXT_MAPS,
  exe: { kind: 'link', name: 'exe' },
  exeFile: { kind: 'inode', name: 'exe' },
  cmdline: { kind: 'file', name: 'cmdline', limit: ARGS_BYTES + 1 },
  cwd: { kind: 'link', name: 'cwd' },
  cgroup: { kind: 'file', name: 'cgroup', limit: CGROUP_BYTES },
  stat: { kind: 'file', name: 'stat', limit: STAT_BYTES },
} as const satisfies Readonly<Record<string, Read>>;
type Part = keyof typeof READS;
type Found = Readonly<Partial<Record<Part, ReadResult>>>;

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

/** What the record tells by itself. */
export function toldFacts(record: RawProcess | undefined, options: FactsOptions): GatheredFacts {
  const facts = record === undefined ? UNKNOWN : factsOfRecord(record, options);
  return withService(
    facts,
    record?.environment === undefined ? undefined : toldVariables(record.environment),
  );
}

/** Whether the record leaves anything open. For most processes that is only what they may publish. */
export function isMissingAny(record: RawProcess | undefined, options: FactsOptions): boolean {
  return missing(toldFacts(record, options).facts, record, options).length > 0;
}

/** Everything that can be known now. */
export async function gatherFacts(
  inspector: Asked,
  owner: Owner,
  record: RawProcess | undefined,
  options: FactsOptions,
): Promise<GatheredFacts> {
  const told = toldFacts(record, options);
  const found = await readParts(inspector, owner, missing(told.facts, record, options));
  const isWanted = options.processContext && record?.kernelThread !== true;
  if (found === undefined) return { ...told, context: { kind: isWanted ? 'unreadable' : 'none' } };
  const parentName = told.facts.parentName === '' ? await nameOf(inspector, owner) : told.facts.parentName;
  const gaps = fillGaps(told.facts, found, options, parentName);
  const context: ContextOutcome = isWanted
    ? await readProcessContext(inspector, owner, found.maps?.bytes)
    : { kind: 'none' };
  const published = publishedIn(context);
  const facts = { ...gaps, published: published?.attributes };
  const environ = found.environ?.bytes;
  const variables =
    record?.environment !== undefined
      ? toldVariables(record.environment)
      : environ === undefined
        ? undefined
        : serviceVariables(environ);
  const whole = withService(facts, variables);
  return { ...whole, context, refused: whole.refused + (published?.refused ?? 0) };
}

function withService(facts: ProcessFacts, variables: ServiceVariables | undefined): GatheredFacts {
  if (variables === undefined) return { facts, service: 'unreadable', context: { kind: 'none' }, refused: 0 };
  const { attributes, invalid, refused } = serviceAttributes(variables);
  return {
    facts: { ...facts, service: attributes },
    service: invalid ? 'invalid' : 'read',
    context: { kind: 'none' },
    refused,
  };
}

function missing(told: ProcessFacts, record: RawProcess | undefined, options: FactsOptions): Part[] {
  // A kernel thread has no executable, no arguments and no memory: nothing to look for.
  const isProgram = record?.kernelThread !== true;
  const wanted: Readonly<Record<Part, boolean>> = {
    environ: record?.environment === undefined,
    maps: options.processContext && isProgram,
    exe: told.executablePath === '' && isProgram,
    exeFile: told.executablePath === '' && isProgram,
    cmdline: told.command === undefined && isProgram,
    cwd: told.workingDirectory === '',
    cgroup: told.cgroupPath === '',
    stat: told.interactive === undefined,
  };
  return (Object.keys(wanted) as Part[]).filter((part) => wanted[part]);
}

/** undefined: the process is gone, or cannot be looked into. */
async function readParts(inspector: Asked, owner: Owner, parts: readonly Part[]): Promise<Found | undefined> {
  const results = await inspector.inspect(
    owner,
    parts.map((part) => READS[part]),
  );
  if (results === undefined) return undefined;
  return Object.fromEntries(parts.map((part, index) => [part, results[index]]));
}

/** The published identity as it is now; undefined: the process is gone. */
export async function currentContext(
  inspector: Asked,
  owner: Owner,
): Promise<{ readonly outcome: ContextOutcome; readonly published: Taken | undefined } | undefined> {
  const found = await readParts(inspector, owner, ['maps']);
  if (found === undefined) return undefined;
  const outcome = await readProcessContext(inspector, owner, found.maps?.bytes);
  return { outcome, published: publishedIn(outcome) };
}

function publishedIn(outcome: ContextOutcome): Taken | undefined {
  return outcome.kind === 'read' ? publishedAttributes(outcome.context.resource) : undefined;
}

/** Cgroup and executable of the process as they are now; undefined: it is gone. */
export async function currentPlace(
  inspector: Asked,
  owner: Owner,
): Promise<
  | { readonly cgroup: Partial<ProcessFacts>; readonly executable: Partial<ProcessFacts> | undefined }
  | undefined
> {
  const found = await readParts(inspector, owner, ['exe', 'exeFile', 'cgroup']);
  if (found === undefined) return undefined;
  const executable = executableFacts(found);
  return {
    cgroup: cgroupOf(found),
    executable: executable.executablePath === undefined ? undefined : executable,
  };
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

function fillGaps(told: ProcessFacts, found: Found, options: FactsOptions, parentName: string): ProcessFacts {
  const gaps: Partial<Omit<ProcessFacts, 'announced' | 'fromProc'>> = {
    ...(found.exe === undefined ? {} : executableFacts(found)),
    ...(found.cmdline === undefined ? {} : commandLineFacts(found.cmdline.bytes, options)),
    ...(found.cwd === undefined ? {} : { workingDirectory: found.cwd.bytes?.toString('utf8') ?? '' }),
    ...(found.cgroup === undefined ? {} : cgroupOf(found)),
    ...(found.stat === undefined ? {} : terminalOf(found.stat.bytes)),
    ...(told.parentName === '' ? { parentName } : {}),
  };
  return { ...told, ...gaps, fromProc: Object.keys(gaps).length > 0 };
}

function executableFacts({ exe, exeFile }: Found): Partial<ProcessFacts> {
  const target = exe?.bytes?.toString('utf8');
  if (target === undefined) return {};
  const file = inodeOf(exeFile);
  // proc(5): the kernel appends this to the path of an unlinked file. A file may also be called so.
  const path = file?.links === 0n ? target.replace(/ \(deleted\)$/, '') : target;
  return { executablePath: path, executableInode: file?.inode, executableDeleted: file?.links === 0n };
}

function commandLineFacts(bytes: Buffer | undefined, options: FactsOptions): Partial<ProcessFacts> {
  if (bytes === undefined || bytes.length === 0) return {};
  const cut = bytes.length > ARGS_BYTES;
  const text = bytes.toString('utf8', 0, Math.min(bytes.length, ARGS_BYTES));
  const args = (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
  return argumentFacts(args, cut, options);
}

function cgroupOf({ cgroup }: Found): Pick<ProcessFacts, 'cgroup' | 'cgroupPath' | 'cgroupVersion'> {
  const chosen = chooseCgroup(cgroup?.bytes?.toString('utf8') ?? '');
  return {
    cgroup: chosen?.line ?? '',
    cgroupPath: chosen?.path ?? '',
    cgroupVersion: chosen?.version ?? 2,
  };
}

function terminalOf(stat: Buffer | undefined): Partial<ProcessFacts> {
  const parsed = parseStat(stat);
  return parsed === undefined ? {} : { interactive: parsed.tty !== 0 };
}

/** comm of the parent, as the kernel's record has it. */
async function nameOf(inspector: Asked, { parentPid, cgroupId, uid }: Owner): Promise<string> {
  if (parentPid === 0) return '';
  const parent = { pid: parentPid, startTime: 0n, cgroupId, uid };
  const results = await inspector.inspect(parent, [{ kind: 'file', name: 'comm', limit: COMM_BYTES }]);
  const name = results?.[0]?.bytes?.toString('utf8') ?? '';
  return name.endsWith('\n') ? name.slice(0, -1) : name;
}
