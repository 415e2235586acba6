/** The exit codes of the command (documented in docs/operating.md). */
export const EXIT = {
  ok: 0,
  /** The host lacks something: privileges, BPF, a hook family, a file that cannot be opened. */
  unavailable: 1,
  /** Usage: unknown flag, value out of range; or a capture file that is damaged (what could be read was given). */
  usage: 2,
  /** A search that found nothing. */
  nothing: 3,
  /** A defect of whodns itself, after what was in flight was flushed (EX_SOFTWARE of sysexits.h). */
  internal: 70,
  /** The event loop stood still, mostly in a user's detector: what was in flight is lost. */
  stuck: 71,
} as const;

/**
 * An error that a user can act on. `message` is one line without stack; `hint` says what to do.
 */
export class UserError extends Error {
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(message: string, options: { hint?: string; exitCode?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'UserError';
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? EXIT.unavailable;
  }
}
