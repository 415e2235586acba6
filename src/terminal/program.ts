/**
 * `whodns -- curl https://example.com`: a program that is started to be watched. It and all its children are told apart by a control
 * group of their own (cgroups(7)), which every child is born into: what the kernel says of each request names it, however short a
 * process lives, whoever its parent is by then. It is started before the agent gives up its rights, and waits at a gate until the
 * agent sees everything.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants as system } from 'node:os';
import type { Writable } from 'node:stream';
import type { Filter } from '../filter/ast.ts';
import { EXIT, UserError } from '../lib/errors.ts';

/** Who is at the gate leaves with this when it never opens. */
const NOT_STARTED = 125;
/** Waits for a line, then becomes the program, which does not get the gate. */
const GATE = 'read -r go <&3 || exit 125; exec 3<&-; exec "$@"';
/** Of the program's user, so that it may signal it: the agent has no right left to. */
const SIGNALLER = 'while read -r signal pid <&3; do kill -s "$signal" "$pid"; done';
/**
 * Started with all rights, for a group below the root of all, which only who has CAP_DAC_OVERRIDE may remove. Nothing is read from the
 * agent but its end, so that nothing is left of one that was killed either. The kernel counts a process that ends a while longer.
 */
const REMOVER = `trap '' HUP INT QUIT TERM
read -r end <&3
for i in 1 2 3 4 5 6 7 8 9 10; do
  while read -r pid; do echo "$pid" >"$2/cgroup.procs"; done <"$1/cgroup.procs"
  rmdir "$1" && exit
  sleep 0.1
done`;
/** ms that its end is waited for. */
const MAX_REMOVING_MS = 2000;
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'];
const OWN_CGROUP = /^0::(\/.*)$/m;

export interface ProgramOptions {
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where control groups of version 2 are mounted; undefined: nowhere. */
  readonly mount: string | undefined;
}

/** Who called sudo(8), for whom it is run. */
interface Invoker {
  readonly uid: number;
  readonly gid: number;
  readonly name: string | undefined;
  readonly home: string | undefined;
}

export class Program {
  /** Its exit code, 128 and the signal's number where one ended it. */
  readonly ended: Promise<number>;
  /** Lookups and connections of its processes. */
  readonly filter: Filter;
  readonly #child: ChildProcess;
  readonly #signaller: ChildProcess | undefined;
  readonly #remover: ChildProcess;

  private constructor(
    group: string,
    child: ChildProcess,
    signaller: ChildProcess | undefined,
    remover: ChildProcess,
  ) {
    this.#remover = remover;
    this.#child = child;
    this.#signaller = signaller;
    this.filter = inGroup(group.slice(group.lastIndexOf('/') + 1));
    this.ended = new Promise((resolve) => {
      child.once('error', () => resolve(NOT_STARTED));
      child.once('exit', (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
    });
  }

  /** While this process has all its rights. @throws UserError: no control group can be made */
  static start({ command, environment, mount }: ProgramOptions): Program {
    const own = OWN_CGROUP.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1];
    if (mount === undefined || own === undefined) throw noGroup('no control groups of version 2 are mounted');
    const parent = `${mount}${own === '/' ? '' : own}`;
    const group = `${parent}/whodns-${randomBytes(8).toString('hex')}`;
    try {
      mkdirSync(group);
    } catch (error) {
      throw noGroup((error as Error).message);
    }
    const invoker = invokerOf(environment);
    const env = invoker === undefined ? { ...environment } : environmentOf(invoker, environment);
    const remover = helper(undefined, REMOVER, [group, parent], {});
    const [file, first, ids] = as(invoker, shell(GATE, command));
    const child = spawn(file, first, { stdio: ['inherit', 'inherit', 'inherit', 'pipe'], env, ...ids });
    child.stdio[3]?.on('error', () => {});
    const signaller = invoker === undefined ? undefined : helper(invoker, SIGNALLER, [], env);
    const program = new Program(group, child, signaller, remover);
    try {
      if (child.pid === undefined) throw new Error('it could not be started');
      writeFileSync(`${group}/cgroup.procs`, String(child.pid));
    } catch (error) {
      void program.close();
      throw noGroup((error as Error).message);
    }
    return program;
  }

  /** The agent sees everything: it may begin. */
  release(): void {
    (this.#child.stdio[3] as Writable | null)?.end('go\n');
  }

  /** Passes a signal on. */
  signal(name: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const line = `${name.slice('SIG'.length)} ${pid}\n`;
    if (this.#signaller === undefined) this.#child.kill(name);
    else (this.#signaller.stdio[3] as Writable).write(line);
  }

  /** What it left running goes on, in the group that the agent is in. */
  async close(): Promise<void> {
    (this.#child.stdio[3] as Writable | null)?.destroy();
    for (const each of [this.#signaller, this.#remover])
      (each?.stdio[3] as Writable | null | undefined)?.end();
    // It made groups below its own, which are not ours to remove, or all is slow.
    const late = new Promise((resolve) => setTimeout(resolve, MAX_REMOVING_MS));
    if (this.#remover.exitCode === null && this.#remover.pid !== undefined)
      await Promise.race([once(this.#remover, 'exit'), late]);
  }
}

/** What runs beside the program, and neither hears its terminal nor keeps the agent running. */
function helper(
  invoker: Invoker | undefined,
  script: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): ChildProcess {
  const [file, first, ids] = as(invoker, shell(script, args));
  const child = spawn(file, first, {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    env,
    cwd: '/',
    detached: true,
    ...ids,
  });
  child.on('error', () => {});
  child.unref();
  const pipe = child.stdio[3] as Writable & { unref?: () => void };
  pipe.on('error', () => {});
  pipe.unref?.();
  return child;
}

function shell(script: string, args: readonly string[]): readonly string[] {
  return ['/bin/sh', '-c', script, 'whodns', ...args];
}

/** The group's name is random: no other has it. */
function inGroup(name: string): Filter {
  const pattern = (text: string) => ({ kind: 'text', text, isPattern: true }) as const;
  return {
    kind: 'compare',
    field: 'cgroup',
    operator: '=',
    values: [pattern(`*/${name}`), pattern(`*/${name}/*`)],
  };
}

function noGroup(why: string): UserError {
  return new UserError(`cannot make a control group for the program: ${why}`, {
    hint: 'it needs root, and control groups of version 2 mounted writable: mount -t cgroup2 none /sys/fs/cgroup',
    exitCode: EXIT.unavailable,
  });
}

/** sudo(8) says who called it. undefined: no one did, or root. */
function invokerOf({ SUDO_UID, SUDO_GID }: ProgramOptions['environment']): Invoker | undefined {
  const [uid, gid] = [SUDO_UID, SUDO_GID].map((text) =>
    /^\d{1,10}$/.test(text ?? '') ? Number(text) : undefined,
  );
  if (uid === undefined || gid === undefined || uid === 0) return undefined;
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find((fields) => fields[2] === String(uid));
  return { uid, gid, name: entry?.[0], home: entry?.[5] };
}

function environmentOf(
  { name, home }: Invoker,
  environment: ProgramOptions['environment'],
): NodeJS.ProcessEnv {
  return {
    ...environment,
    ...(name === undefined ? {} : { USER: name, LOGNAME: name }),
    ...(home === undefined ? {} : { HOME: home }),
    SUDO_UID: undefined,
    SUDO_GID: undefined,
    SUDO_USER: undefined,
    SUDO_COMMAND: undefined,
  };
}

/** The program as that user, with the user's groups where setpriv(1) is there to set them. */
function as(
  invoker: Invoker | undefined,
  argv: readonly string[],
): readonly [file: string, args: readonly string[], ids: { readonly uid?: number; readonly gid?: number }] {
  const [file = '', ...args] = argv;
  if (invoker === undefined) return [file, args, {}];
  const { uid, gid, name } = invoker;
  const setpriv = name === undefined ? undefined : SETPRIV.find(isExecutable);
  if (setpriv === undefined) return [file, args, { uid, gid }];
  const flags = [`--reuid=${uid}`, `--regid=${gid}`, '--init-groups', '--inh-caps=-all'];
  return [setpriv, [...flags, '--', ...argv], {}];
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : system.signals[signal];
}
