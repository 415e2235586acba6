/** The agent's own messages: one line each on stderr, safe for a terminal, at or above the level asked for. */
import { forTerminal } from './escape.ts';

const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof LEVELS)[number];

export interface Log {
  error(text: string): void;
  warn(text: string): void;
  info(text: string): void;
  debug(text: string): void;
}

/**
 * @param level OTEL_LOG_LEVEL: none, error, warn, info, debug; verbose and all are debug.
 * @param write takes one line with its line break.
 */
export function createLog(level: string, write: (line: string) => void): Log {
  const max = level === 'none' ? -1 : (LEVELS as readonly string[]).indexOf(level);
  const limit = max < 0 && level !== 'none' ? LEVELS.length : max;
  const at = (own: Level) => (text: string) => {
    if (LEVELS.indexOf(own) > limit) return;
    const label = own === 'info' ? '' : own === 'warn' ? 'warning: ' : `${own}: `;
    for (const line of text.split('\n')) write(`whodns: ${label}${forTerminal(line)}\n`);
  };
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}
