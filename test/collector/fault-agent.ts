/** The real agent for the fault tests: its environment, its memory, what it says of itself at the end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StageSnapshot } from '../../src/ledger.ts';
import type { SourceStats } from '../../src/model.ts';
import { end, isRunning } from '../matrix/children.ts';
import { MAIN } from '../matrix/program.ts';
import { waitUntil } from './running-program.ts';

const START_MS = 60_000;

export interface Statistics {
  readonly stages: readonly StageSnapshot[];
  readonly source: SourceStats;
}

export interface AgentStart {
  readonly directory: string;
  readonly endpoint: string;
  /** DNS port. */
  readonly port: string;
  readonly spool: string | undefined;
  readonly env: NodeJS.ProcessEnv;
}

export class FaultAgent {
  /** Everything it said, over all its lives. */
  log = '';
  /** Highest resident memory of any of its lives, bytes. */
  highWater = 0;
  readonly #start: AgentStart;
  #child: ChildProcess | undefined;

  constructor(start: AgentStart) {
    this.#start = start;
  }

  get #statsFile(): string {
    return join(this.#start.directory, 'stats.json');
  }

  /** Ready when its hooks are in the kernel. */
  async start(): Promise<void> {
    const { endpoint, port, spool, env } = this.#start;
    const words = ['run', '--port', port, '--stats', this.#statsFile];
    const said = this.log.length;
    const clean = Object.entries(process.env).filter(([name]) => !/^(OTEL|WHODNS|NODE_TEST)_/.test(name));
    const child = spawn(
      process.execPath,
      [MAIN, ...words, ...(spool === undefined ? [] : ['--spool', spool])],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          ...Object.fromEntries(clean),
          OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
          OTEL_LOGS_EXPORTER: 'otlp',
          OTEL_METRICS_EXPORTER: 'none',
          ...env,
        },
      },
    );
    this.#child = child;
    process.once('exit', () => child.kill('SIGKILL'));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.log += text;
    });
    const ready = () => this.log.slice(said).includes('capturing with');
    if (!(await waitUntil(ready, START_MS, () => child.exitCode !== null)))
      throw new Error(`the agent did not start: ${this.log}`);
  }

  /** Reads the high-water mark (proc(5), VmHWM); it is gone with the process. */
  measure(): void {
    try {
      const status = readFileSync(`/proc/${this.#child?.pid}/status`, 'latin1');
      const kilobytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
      this.highWater = Math.max(this.highWater, kilobytes * 1024);
    } catch {
      // it has just ended
    }
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !isRunning(child)) return;
    this.measure();
    await end(child, signal, 30_000);
  }

  /** What it wrote when it ended by SIGTERM. */
  statistics(): Statistics {
    return JSON.parse(readFileSync(this.#statsFile, 'utf8')) as Statistics;
  }
}
