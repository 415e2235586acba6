/** Errors of questions. */
import { EXIT, UserError } from '../lib/errors.ts';

/** The question is none. */
export function usageError(message: string, hint?: string): UserError {
  return new UserError(message, { exitCode: EXIT.usage, ...(hint === undefined ? {} : { hint }) });
}
