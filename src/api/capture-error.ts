/** Why a capture, a replay or a history cannot be, for programs. */
import { UserError } from '../lib/errors.ts';

/**
 * - `rights`: this process may not load BPF programs, or not read the file;
 * - `kernel`: this host cannot: no BTF, too old, no hook family attaches;
 * - `addon`: what is built for this machine is not installed, or is damaged;
 * - `options`: an option has no such value;
 * - `file`: it is not there, or no capture file or history;
 * - `damaged`: the file ended before its end. What could be read was given.
 */
export type CaptureErrorCode = 'rights' | 'kernel' | 'addon' | 'options' | 'file' | 'damaged';

export class CaptureError extends Error {
  override readonly name = 'CaptureError';
  readonly code: CaptureErrorCode;
  /** What to do about it. */
  readonly hint: string | undefined;

  constructor(code: CaptureErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

/** @param otherwise what it is when nothing says what it is. A defect of ours stays what it is. */
export function toCaptureError(error: unknown, otherwise: CaptureErrorCode): unknown {
  if (!(error instanceof UserError)) return error;
  const { message, hint, lack } = error;
  // The program has an option `filter`, not a flag.
  return new CaptureError(lack ?? otherwise, message.replace(/^--(?=filter: )/, ''), {
    ...(hint === undefined ? {} : { hint }),
    cause: error,
  });
}
