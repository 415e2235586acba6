#!/usr/bin/env node
/** argv, signals, exit codes. The only file with process.env and process.exit. */
import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { isSea } from 'node:sea';
import { setFlagsFromString } from 'node:v8';
import type { Agent } from './agent.ts';
import { connectDatagram } from './capture/notify-socket.ts';
import { confine, limitToStart } from './capture/rights.ts';
import { parseArguments } from './cli/arguments.ts';
import { type Config, type Flags, type Origins, resolveConfig } from './config/config.ts';
import { describeConfig } from './config/describe.ts';
import type { LoadedFile } from './config/file.ts';
import { adaptToMemory } from './config/memory.ts';
import { COMMANDS, show } from './control/commands.ts';
import { Readiness, watchdogMicroseconds } from './control/readiness.ts';
import { blameDetector, currentOrigin } from './detect/origin.ts';
import { lostRecords } from './ledger.ts';
import { EXIT, UserError } from './lib/errors.ts';
import { forTerminal } from './lib/escape.ts';
import { createLog, jsonLines, type Log, type LogFormat } from './lib/log.ts';
import { readPackageFile } from './lib/package-files.ts';
import { assertWritable, replaceText } from './lib/safe-file.ts';
import type { ClientCommand } from './tables/options.ts';
import type { Summary } from './terminal/summary.ts';
import type { Watch } from './terminal/watch.ts';

// The young generation stays at its first size. V8 would let it grow with the allocation rate, to tens of megabytes, for objects that
// die within a batch of some milliseconds.
setFlagsFromString('--semi-space-growth-factor=1');
// So small a space is swept by one thread.
setFlagsFromString('--no-parallel-scavenge');
// The old generation is collected when it has grown by a fifth, not by half and more: less memory for some more processor time.
setFlagsFromString('--heap-growing-percent=20');
// V8's last compiler takes a third of a second of processor time for the hot path, which a host with few lookups never gets back: it
// comes in at ten times as many calls as V8 would have it. Before that the code of the compiler before it runs.
setFlagsFromString('--invocation-count-for-turbofan=30000');

/** Everything in flight leaves within this time after the first signal. */
const STOP_DEADLINE_MS = 5000;
const LINGER_MS = 500;
/** Bytes that there must be for more than capturing. */
const LITTLE_MEMORY = 256 * 1024 * 1024;

/** How the message is written that says why the agent did not start; known once the settings are. */
let logFormat: LogFormat = 'text';

const stderr = (line: string): void => {
  process.stderr.write(line);
};

async function main(): Promise<number> {
  const version = packageVersion();
  const invocation = parseArguments(process.argv.slice(2), version);
  if (invocation.command === 'print') {
    process.stdout.write(invocation.text);
    return EXIT.ok;
  }
  const { command, flags } = invocation;
  const file = await configFile(flags);
  const resolved = resolveConfig(command, flags, process.env, file?.settings);
  const { config, origins, note, heapBytes } = adaptToMemory(
    resolved.config,
    resolved.origins,
    process.constrainedMemory(),
  );
  if (note !== undefined && (config.command === 'run' || config.command === 'replay')) startWithin(heapBytes);
  const { warnings } = resolved;
  logFormat = config.logFormat;
  const log = createLog(config.logLevel, stderr, logFormat);
  for (const warning of [...(file?.warnings ?? []), ...warnings]) log.warn(warning);
  if (config.command === 'config') {
    process.stdout.write(describeConfig(config, origins, invocation.command === 'config' && invocation.all));
    return EXIT.ok;
  }
  if (config.command === 'doctor') {
    const { reportHost } = await import('./doctor.ts');
    return reportHost(config, version, (text) => process.stdout.write(text), log);
  }

  if ('query' in invocation) return askAgent(invocation.command, invocation.query, config);

  if (invocation.command === 'search') return search(invocation.what, config, origins, version, log);

  if (config.command === 'top') return showTop(config, version, log);

  const capture = invocation.command === 'replay' ? invocation.file : undefined;
  const plain = (process.env['NO_COLOR'] ?? '') !== '' || process.env['TERM'] === 'dumb';
  const program = invocation.command === 'run' ? invocation.program : undefined;
  if (config.command === 'run') requireProc();
  // Half of the program, which only capturing needs.
  const { Agent: Capturing } = await import('./agent.ts');
  const watch = program === undefined ? undefined : await startProgram(program, config);
  if (config.command === 'run') {
    // First of all: a file that cannot be used without them later is refused now.
    limitToStart();
  }
  if (config.stats !== undefined) checkStats(config.stats);
  if (note !== undefined) log.info(note);
  const { env: environment } = process;
  // Standard output is the program's.
  const stdout = watch === undefined ? process.stdout : process.stderr;
  const readiness = createReadiness(config, log, () => agent?.isWell === true);
  const onAttached = config.command === 'run' ? () => confine(config.seccomp) : undefined;
  const host = {
    stdout,
    color: stdout.isTTY === true && !plain,
    environment,
    ...(onAttached === undefined ? {} : { onAttached }),
  };
  const crash = catchStrays(log);
  let agent: Agent | undefined;
  try {
    agent = await Capturing.create({
      config: watch?.config ?? config,
      version,
      log,
      file: capture,
      ...host,
    });
    return await run(config, agent, log, crash, readiness, watch);
  } finally {
    await watch?.close();
  }
}

/** Before any right is given up. @throws UserError */
async function startProgram(program: readonly [string, ...string[]], config: Config): Promise<Watch> {
  if (config.durationMs !== undefined)
    throw new UserError('--duration and a program exclude each other', {
      hint: 'the run lasts as long as the program: timeout(1) ends it',
      exitCode: EXIT.usage,
    });
  const { Watch: Watched } = await import('./terminal/watch.ts');
  // What this program may have given itself is not for the other (startWithin).
  const NODE_OPTIONS = process.env['NODE_OPTIONS']?.replace(/ ?--max-old-space-size=\d+$/, '');
  const environment = { ...process.env, ...(NODE_OPTIONS === '' ? {} : { NODE_OPTIONS }) };
  if (NODE_OPTIONS === '') delete environment['NODE_OPTIONS'];
  return Watched.start(program, environment, config);
}

/**
 * Little memory is worth more than some processor time. Pages that a collection empties go back to the system. V8 fixes the bound of
 * its heap when it starts, so the program starts itself once more with one that fits (execve(2): same process, same descriptors).
 */
function startWithin(heapBytes: number): void {
  const bound = '--max-old-space-size';
  const options = process.env['NODE_OPTIONS'] ?? '';
  if (![...process.execArgv, options].some((each) => each.includes(bound)) && process.execve !== undefined) {
    const [program = '', file = '', ...rest] = process.argv;
    // By the environment: the single file takes no option of Node's.
    const NODE_OPTIONS = `${options} ${bound}=${Math.floor(heapBytes / 1024 / 1024)}`.trim();
    const script = isSea() ? [] : [...process.execArgv, file];
    process.execve(process.execPath, [program, ...script, ...rest], { ...process.env, NODE_OPTIONS });
  }
  setFlagsFromString('--optimize-for-size');
}

async function showTop(config: Config, version: string, log: Log): Promise<number> {
  const { top } = await import('./terminal/top/command.ts');
  const stop = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.resolve());
  let agent: Agent | undefined;
  const capture = async () => {
    requireProc();
    const { Agent: Capturing } = await import('./agent.ts');
    limitToStart();
    const onAttached = () => confine(config.seccomp);
    const own: Config = {
      ...config,
      command: 'run',
      logs: [],
      metrics: [],
      control: undefined,
      filter: undefined,
    };
    const quiet = createLog('error', stderr);
    const { stdout, env: environment } = process;
    agent = await Capturing.create({
      config: { ...own, lookupFilter: undefined },
      version,
      log: quiet,
      file: undefined,
      stdout,
      color: false,
      environment,
      onAttached,
    });
    const history = await agent.history();
    await agent.start();
    return { history, stats: agent.stats.bind(agent) };
  };
  void catchStrays(log).then(() => stop.resolve());
  try {
    await top({ config, input: process.stdin, output: process.stdout, stopped: stop.promise, capture });
  } finally {
    await agent?.stop(0);
  }
  return EXIT.ok;
}

async function search(
  what: string | undefined,
  config: Config,
  origins: Origins,
  version: string,
  log: Log,
): Promise<number> {
  const { searchHistory } = await import('./search/command.ts');
  const stop = Promise.withResolvers<void>();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.resolve());
  let isRead = true;
  // Whoever read it has left (a pager, head).
  process.stdout.on('error', () => {
    isRead = false;
    stop.resolve();
  });
  const write = (text: string): Promise<boolean> =>
    new Promise((resolve) => {
      if (text === '') resolve(isRead);
      else process.stdout.write(text, () => resolve(isRead));
    });
  return searchHistory({ what, config, origins, version, log, write, stopped: stop.promise });
}

async function askAgent(
  name: ClientCommand,
  query: Readonly<Record<string, string>>,
  config: Config,
): Promise<number> {
  const { ask } = await import('./control/client.ts');
  const command = COMMANDS[name];
  const given = config.scope === undefined ? query : { ...query, scope: config.scope };
  const answer = await ask(config.control, command.route, given);
  process.stdout.write(show(command, answer, config.format));
  return command.exit?.(answer) ?? EXIT.ok;
}

/** Loaded only when asked for: the schema is large. @throws UserError: not valid. */
async function configFile(flags: Flags): Promise<LoadedFile | undefined> {
  const path = (flags['configFile'] as string | undefined) ?? process.env['OTEL_CONFIG_FILE'] ?? '';
  if (path === '') return undefined;
  const { loadConfigFile } = await import('./config/file.ts');
  return loadConfigFile(path);
}

/** Until the source ends, the time is over or a signal comes; the second signal leaves at once. */
async function run(
  config: Config,
  agent: Agent,
  log: Log,
  crash: Promise<unknown>,
  readiness: Readiness | undefined,
  watch: Watch | undefined,
): Promise<number> {
  const stop = Promise.withResolvers<void>();
  let signals = 0;
  if (watch === undefined)
    for (const [signal, number] of [['SIGINT', 2] as const, ['SIGTERM', 15] as const]) {
      process.on(signal, () => {
        signals++;
        if (signals > 1) dieOf(signal, number);
        stop.resolve();
      });
    }
  const terminal = process.stdin.isTTY === true;
  if (watch === undefined)
    process.on('SIGHUP', () => {
      if (terminal && !hasTerminal()) stop.resolve();
      else if (readiness === undefined) agent.reopenFiles();
      else readiness.reloading(agent.reopenFiles, agent.status);
    });
  const summary = await summaryFor(config, agent);
  await agent.start();
  readiness?.ready(agent.status);
  const timer = config.durationMs === undefined ? undefined : setTimeout(stop.resolve, config.durationMs);
  let isBroken = false;
  let code: number = EXIT.ok;
  watch?.run(hasTerminal).then((ended) => {
    code = ended;
    stop.resolve();
  }, stop.reject);
  crash.then(() => {
    isBroken = true;
    stop.resolve();
    // Whatever the defect left behind may never end.
    setTimeout(() => process.exit(EXIT.internal), STOP_DEADLINE_MS + LINGER_MS).unref();
  });
  try {
    await Promise.race([agent.finished, agent.broken, stop.promise]);
  } finally {
    clearTimeout(timer);
    readiness?.stopping('delivering what is in flight');
    const lines = await summary?.();
    await agent.stop(STOP_DEADLINE_MS);
    readiness?.close();
    if (lines !== undefined) printSummary(lines(agent.stats()));
    if (config.stats !== undefined) writeStats(config.stats, agent, log);
  }
  if (isBroken) return EXIT.internal;
  const { stages, source } = agent.stats();
  const lost = lostRecords(stages, source.drops);
  if (lost.size > 0)
    log.warn(`records were lost: ${[...lost].map(([where, count]) => `${count} ${where}`).join(', ')}`);
  const report = agent.captureReport;
  // What was watched says how it ended.
  const ended = lost.size === 0 || watch !== undefined ? code : EXIT.lost;
  if (report === undefined) return ended;
  for (const line of report.errors) log.error(line);
  for (const line of report.warnings) log.warn(line);
  log.info(report.summary);
  return report.errors.length === 0 ? ended : EXIT.usage;
}

/** Someone looks on. The history that it is made of begins now. */
async function summaryFor(config: Config, agent: Agent): Promise<Summary | undefined> {
  const isSeen = process.stderr.isTTY === true || process.stdout.isTTY === true;
  // Little memory is for lookups.
  if (!isSeen || config.emit === 'request' || process.constrainedMemory() < LITTLE_MEMORY) return undefined;
  const { beginSummary } = await import('./terminal/summary.ts');
  return beginSummary(await agent.history());
}

function printSummary(lines: readonly string[]): void {
  const stream = process.stderr.isTTY === true ? process.stderr : process.stdout;
  // Over the ^C that a terminal echoes.
  stream.write(`${stream.isTTY === true ? '\r' : ''}${lines.join('\n')}\n`);
}

/**
 * Errors that nothing caught. One of a user's detector switches that detector off. One of ours is a defect: it is shown, and the
 * returned promise ends the run, which flushes what is in flight. More of them on the way out are not shown.
 */
function catchStrays(log: Log): Promise<unknown> {
  const crash = Promise.withResolvers<unknown>();
  let isCrashing = false;
  const onStray = (error: unknown) => {
    if (blameDetector(error) || isCrashing) return;
    isCrashing = true;
    log.error(`internal error, the agent stops: ${stackOf(error)}`);
    crash.resolve(error);
  };
  process.on('uncaughtException', onStray);
  process.on('unhandledRejection', onStray);
  const exit = process.exit;
  process.exit = (...code) => {
    if (currentOrigin() !== undefined) throw new Error('process.exit(): a detector does not end the agent');
    // Without a code it is process.exitCode that counts; undefined would set it.
    return exit.apply(process, code);
  };
  return crash.promise;
}

/** The signal's own end of a process, not process.exit(), which can hang (see below). Process 1 of a container does not die of it. */
function dieOf(signal: NodeJS.Signals, number: number): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  process.exit(128 + number);
}

/** The kernel takes the controlling terminal away before it tells that it has hung up. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY));
    return true;
  } catch {
    return false;
  }
}

/** What processes are, the agent itself among them, is read there. @throws UserError */
function requireProc(): void {
  if (existsSync('/proc/self/ns/pid')) return;
  throw new UserError('/proc is not mounted', { hint: 'mount -t proc proc /proc, in a chroot too' });
}

/** Now, not when all is over. @throws UserError: the statistics cannot be written there */
function checkStats(file: string): void {
  try {
    assertWritable(file);
  } catch (error) {
    const hint = error instanceof UserError && error.hint !== undefined ? { hint: error.hint } : {};
    throw new UserError(`cannot write to ${file}: ${(error as Error).message}`, hint);
  }
}

function writeStats(file: string, agent: Agent, log: Log): void {
  const text = JSON.stringify(agent.stats(), (_, value) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  try {
    replaceText(file, `${text}\n`);
  } catch (error) {
    log.error(`cannot write the statistics: ${(error as Error).message}`);
  }
}

function packageVersion(): string {
  return (JSON.parse(readPackageFile('package.json')) as { version: string }).version;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/**
 * Who started the agent is told by it when it captures; undefined: no one asked. The variables are for this process alone.
 * @throws UserError
 */
function createReadiness(config: Config, log: Log, isWell: () => boolean): Readiness | undefined {
  const { NOTIFY_SOCKET: socket } = process.env;
  const watchdog = watchdogMicroseconds(process.env, process.pid);
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete process.env[name];
  const { readyFd } = config;
  if (config.command !== 'run' || ((socket ?? '') === '' && readyFd === undefined)) return undefined;
  return new Readiness({
    socket,
    watchdogMicroseconds: watchdog,
    readyFd,
    connect: connectDatagram,
    isWell,
    log,
  });
}

function explain(error: unknown): number {
  if (logFormat === 'json') {
    const text =
      error instanceof UserError ? [error.message, error.hint ?? ''].join('\n').trim() : stackOf(error);
    for (const line of jsonLines('error', text)) stderr(`${line}\n`);
    return error instanceof UserError ? error.exitCode : EXIT.internal;
  }
  if (!(error instanceof UserError)) {
    stderr(`whodns: internal error: ${forTerminal(stackOf(error))}\n`);
    return EXIT.internal;
  }
  for (const line of error.message.split('\n')) stderr(`whodns: ${forTerminal(line)}\n`);
  for (const line of error.hint?.split('\n') ?? []) stderr(`  ${forTerminal(line)}\n`);
  return error.exitCode;
}

// Unless the end of main() says otherwise: it never came.
process.exitCode = EXIT.internal;
main().catch(explain).then(leave);

// Everything that counts is flushed. Node ends when nothing is open any more; what an exporter keeps (the timer of a retry) is not waited
// for. Never process.exit() at once: now and then that hung for good. Node joins V8's threads there, one of them may be compiling
// what has just run and wait for a garbage collection, which takes this thread (nodejs/node#54918). Later they have nothing to do.
function leave(code: number): void {
  process.exitCode = code;
  setTimeout(() => process.exit(), LINGER_MS).unref();
}
