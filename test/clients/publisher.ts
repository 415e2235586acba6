/** A child process that publishes who it is (OTEP 4719): build/clients/process_context, or what is named. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CLIENTS } from './build.ts';

const PUBLISHER = join(CLIENTS, 'process_context');

export class Publisher {
  readonly child: ChildProcess & { pid: number };
  readonly #lines: AsyncIterator<string>;

  private constructor(child: ChildProcess & { pid: number }) {
    this.child = child;
    assert.ok(child.stdout);
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  static async start(
    args: readonly string[],
    wrapper: readonly string[] = [],
    env = {},
    publisherProgram = PUBLISHER,
  ): Promise<Publisher> {
    const [program = '', ...rest] = [...wrapper, publisherProgram, ...args];
    const child = spawn(program, rest, {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    const publisher = new Publisher(child as ChildProcess & { pid: number });
    assert.equal(await publisher.line(), 'ready');
    return publisher;
  }

  async line(): Promise<string | undefined> {
    const { value, done } = await this.#lines.next();
    return done === true ? undefined : value;
  }

  say(text: string): void {
    this.child.stdin?.write(`${text}\n`);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await gone;
  }
}
