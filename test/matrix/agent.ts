/** Runs the agent as its users do and collects the records it prints. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, isRunning } from './children.ts';
import { MAIN } from './program.ts';
import { schemaProblem } from './record-schema.ts';
import { assertRingKeptAt } from './ring.ts';

/** One JSON line of `whodns run --format json`. */
export interface JsonRecord {
  readonly time: string;
  readonly event_name: string;
  readonly trace_id?: string;
  readonly span_id?: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
}

/** The agent's command, a hook family and further options put after it. */
export const AGENT: readonly string[] = [process.execPath, MAIN, 'run', '--format', 'json'];

export class Agent {
  readonly records: JsonRecord[] = [];
  /** Standard error so far. */
  errors = '';
  readonly #child: ChildProcess;
  readonly #keep: (record: JsonRecord) => boolean;
  /** Path of the agent's control socket, if its command gives one. */
  readonly #control: string | undefined;
  /** The first line that was no record. */
  #fault: Error | undefined;

  private constructor(
    child: ChildProcess,
    keep: (record: JsonRecord) => boolean,
    control: string | undefined,
  ) {
    this.#child = child;
    this.#keep = keep;
    this.#control = control;
  }

  /** Starts `command` and keeps the records that are wanted; lines that are no record, cut ones too, are a fault of the agent and thrown by stop(). */
  static start(command: readonly string[], keep: (record: JsonRecord) => boolean = () => true): Agent {
    const [program, ...programArguments] = command;
    if (program === undefined) throw new Error('no agent command');
    // No collector: whatever the environment of the tests says, records are printed.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('OTEL_')));
    const child = spawn(program, programArguments, { stdio: ['ignore', 'pipe', 'pipe'], env });
    const option = command.lastIndexOf('--control');
    const agent = new Agent(child, keep, option < 0 ? undefined : command[option + 1]);
    process.once('exit', () => child.kill('SIGKILL'));
    createInterface({ input: child.stdout }).on('line', (line) => agent.#accept(line));
    child.stderr.on('data', (chunk: Buffer) => {
      agent.errors += chunk.toString();
    });
    return agent;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return isRunning(this.#child);
  }

  /** A record that the published schema does not know is a fault of one of them. */
  #judge(record: JsonRecord): void {
    const problem = schemaProblem(record);
    if (problem !== undefined)
      this.#fault ??= new Error(`not by the schema: ${problem}: ${JSON.stringify(record)}`);
  }

  /** Throws nothing: the stream that the line comes from would never end. */
  #accept(line: string): void {
    const record = recordIn(line);
    if (record === undefined) this.#fault ??= new Error(`not a record: ${line}`);
    else {
      this.#judge(record);
      if (this.#keep(record)) this.records.push(record);
    }
  }

  /** True as soon as `condition` holds; false if it does not within `timeoutMs`. */
  async waitFor(condition: (records: readonly JsonRecord[]) => boolean, timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (!condition(this.records)) {
      if (!this.running)
        throw new Error(`the agent ended (exit code ${this.#child.exitCode}): ${this.errors}`);
      if (performance.now() > deadline) return false;
      await sleep(20);
    }
    return true;
  }

  /** Asserts that `condition` comes to hold, and before it that no record can be missing for want of room (assertRingKept). */
  async expect(
    condition: (records: readonly JsonRecord[]) => boolean,
    timeoutMs: number,
    what = 'records are missing',
  ): Promise<void> {
    const holds = await this.waitFor(condition, timeoutMs);
    await this.assertRingKept();
    assert.ok(holds, `${what}; the agent said: ${this.errors}`);
  }

  /**
   * Asserts by the agent's own ledger that the kernel's ring never was full: what then has no record, or an owner from /proc,
   * says nothing of how requests are attributed. The agent must have been started with --control.
   */
  async assertRingKept(): Promise<void> {
    await assertRingKeptAt(this.#control);
  }

  /** Ends the agent and waits until it has flushed. Gives its exit code. */
  async stop(): Promise<number> {
    await end(this.#child);
    const fault = this.#fault;
    this.#fault = undefined; // told once: who stops it again is cleaning up
    if (fault !== undefined) throw fault;
    return this.#child.exitCode ?? -1;
  }
}

function recordIn(line: string): JsonRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isRecord =
      typeof value === 'object' && value !== null && 'attributes' in value && 'resource' in value;
    return isRecord ? (value as JsonRecord) : undefined;
  } catch {
    return undefined;
  }
}
