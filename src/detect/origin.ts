/**
 * Whose code an error comes from that nobody catches: the file of a user's detector, if it is one's. Timers, promises and
 * callbacks that a detector starts keep its asynchronous context; where that got lost the stack may still name the file.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Detector } from './detector.ts';
import { textOf } from './text-of.ts';

/** Loaded, running or failed: from a detector's import to the end of the agent. */
export class Origin {
  /** Its file's URL, as stacks show it. */
  readonly url: string;
  #blamed: string | undefined;
  #onBlame: ((reason: string) => void) | undefined;

  constructor(url: string) {
    this.url = url;
    known.push(this);
  }

  /** Runs `code` so that what it starts is known to be of this file. */
  run<Arguments extends unknown[], Result>(
    code: (...parameters: Arguments) => Result,
    ...parameters: Arguments
  ): Result {
    return context.run(this, code, ...parameters);
  }

  owns(detector: Detector): void {
    origins.set(detector, this);
  }

  /** What went wrong before is told at once. */
  listen(onBlame: (reason: string) => void): void {
    this.#onBlame = onBlame;
    if (this.#blamed !== undefined) onBlame(this.#blamed);
  }

  blame(reason: string): void {
    this.#blamed ??= reason;
    // What the agent starts in answer to it (an export, say) is the agent's own.
    context.exit(() => this.#onBlame?.(reason));
  }
}

const context = new AsyncLocalStorage<Origin>();
const known: Origin[] = [];
const origins = new WeakMap<Detector, Origin>();

/** undefined: a rule of our own. */
export function originOf(detector: Detector): Origin | undefined {
  return origins.get(detector);
}

/** The file whose code runs now; undefined: the agent's own. */
export function currentOrigin(): Origin | undefined {
  return context.getStore();
}

/**
 * For an error that arrived at `uncaughtException` or `unhandledRejection`, asked there. True: it was a detector's, which is
 * switched off; false: it is the agent's own.
 */
export function blameDetector(error: unknown): boolean {
  if (known.length === 0) return false;
  const origin = context.getStore() ?? fromStack(error);
  origin?.blame(`outside of its calls it threw: ${textOf(error)}`);
  return origin !== undefined;
}

function fromStack(error: unknown): Origin | undefined {
  try {
    const stack = error instanceof Error ? error.stack : undefined;
    return typeof stack === 'string' ? known.find(({ url }) => stack.includes(url)) : undefined;
  } catch {
    return undefined; // a getter of someone's own
  }
}
