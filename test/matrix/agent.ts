/** Runs the agent as its users do and collects the records it prints. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const REPOSITORY = join(import.meta.dirname, '../..');
const STOP_TIMEOUT_MS = 10_000;

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
export const AGENT: readonly string[] = [
  process.execPath,
  join(REPOSITORY, 'src/main.ts'),
  'run',
  '--format',
  'json',
];

export class Agent {
  readonly records: JsonRecord[] = [];
  /** Standard error so far. */
  errors = '';
  readonly #child: ChildProcess;
  readonly #keep: (record: JsonRecord) => boolean;

  private constructor(child: ChildProcess, keep: (record: JsonRecord) => boolean) {
    this.#child = child;
    this.#keep = keep;
  }

  /** Starts `command` and keeps the records that are wanted; lines that are no JSON object are a fault of the agent and thrown by stop(). */
  static start(command: readonly string[], keep: (record: JsonRecord) => boolean = () => true): Agent {
    const [program, ...programArguments] = command;
    if (program === undefined) throw new Error('no agent command');
    // No collector: whatever the environment of the tests says, records are printed.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('OTEL_')));
    const child = spawn(program, programArguments, { stdio: ['ignore', 'pipe', 'pipe'], env });
    const agent = new Agent(child, keep);
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
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #accept(line: string): void {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('attributes' in value) || !('resource' in value)) {
      throw new Error(`not a record: ${line}`);
    }
    const record = value as JsonRecord;
    if (this.#keep(record)) this.records.push(record);
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

  /** Ends the agent and waits until it has flushed. Gives its exit code. */
  async stop(): Promise<number> {
    if (this.running) {
      const closed = once(this.#child, 'close');
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await closed;
      clearTimeout(timer);
    }
    return this.#child.exitCode ?? -1;
  }
}
