/**
 * Tells whoever started the agent how it is: a service manager by sd_notify(3) (`NOTIFY_SOCKET`), and any parent by one line on a
 * descriptor (`--ready-fd`). A manager that does not read misses messages: nothing waits for it.
 */
import { closeSync, fstatSync, writeSync } from 'node:fs';
import { UserError } from '../lib/errors.ts';
import type { Log } from '../lib/log.ts';

export interface ReadinessOptions {
  /** `NOTIFY_SOCKET`: path, or `@name` of an abstract socket; undefined or empty: there is no such manager. */
  readonly socket: string | undefined;
  /** `WATCHDOG_USEC`, when it is meant for this process (`WATCHDOG_PID`). */
  readonly watchdogMicroseconds: number | undefined;
  readonly readyFd: number | undefined;
  /** native/notify.h: a descriptor on which each write is a message. @throws Error: why it could not be connected */
  readonly connect: (socket: string) => number;
  /** Whether the agent does its work; when it does not, the manager's watchdog is left to run out. */
  readonly isWell: () => boolean;
  readonly log: Log;
}

/** `WATCHDOG_USEC` that counts for the process `pid`; undefined: none does (sd_watchdog_enabled(3)). */
export function watchdogMicroseconds(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): number | undefined {
  const { WATCHDOG_USEC: time = '', WATCHDOG_PID: whose } = environment;
  if (!/^[1-9]\d{0,14}$/.test(time)) return undefined;
  return whose === undefined || whose === String(pid) ? Number(time) : undefined;
}

export class Readiness {
  readonly #options: ReadinessOptions;
  readonly #socket: number | undefined;
  #readyFd: number | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** While the agent may still open files: it cannot later. @throws UserError: `--ready-fd` is no open descriptor */
  constructor(options: ReadinessOptions) {
    this.#options = options;
    this.#readyFd = options.readyFd;
    if (options.readyFd !== undefined) assertOpen(options.readyFd);
    this.#socket = connected(options);
  }

  /** It captures. */
  ready(status: string): void {
    this.#send(`READY=1\nSTATUS=${status}`);
    this.#tellParent();
    const { watchdogMicroseconds: limit, isWell } = this.#options;
    if (limit === undefined || this.#socket === undefined) return;
    const beat = () => {
      if (isWell()) this.#send('WATCHDOG=1');
    };
    beat();
    // Half of it is what sd_watchdog_enabled(3) recommends; a third survives one beat that comes late.
    this.#timer = setInterval(beat, Math.max(1, limit / 3000)).unref();
  }

  /** Runs `work`, which the manager is told of as long as it takes. */
  reloading(work: () => void, status: string): void {
    this.#send(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
    work();
    this.#send(`READY=1\nSTATUS=${status}`);
  }

  /** The watchdog goes on: what hangs while it stops is ended too. */
  stopping(status: string): void {
    this.#send(`STOPPING=1\nSTATUS=${status}`);
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#socket !== undefined) closeSync(this.#socket);
  }

  #send(message: string): void {
    if (this.#socket === undefined) return;
    try {
      writeSync(this.#socket, message);
    } catch (error) {
      this.#options.log.debug(`the service manager was not told: ${(error as Error).message}`);
    }
  }

  #tellParent(): void {
    const fd = this.#readyFd;
    if (fd === undefined) return;
    this.#readyFd = undefined;
    try {
      writeSync(fd, 'READY=1\n');
      closeSync(fd);
    } catch (error) {
      this.#options.log.warn(`--ready-fd ${fd}: ${(error as Error).message}`);
    }
  }
}

function assertOpen(fd: number): void {
  try {
    fstatSync(fd);
  } catch {
    throw new UserError(`--ready-fd ${fd}: no such descriptor is open`, {
      hint: 'whoever starts the agent opens it, for example a pipe',
    });
  }
}

function connected({ socket, connect, log }: ReadinessOptions): number | undefined {
  if (socket === undefined || socket === '') return undefined;
  try {
    return connect(socket);
  } catch (error) {
    log.warn(
      `NOTIFY_SOCKET: ${(error as Error).message}; the service manager will not hear that the agent is ready`,
    );
    return undefined;
  }
}
