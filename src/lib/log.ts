/** The agent's own messages on stderr, at or above the level asked for: lines that are safe for a terminal, or JSON objects. */
import { forTerminal, safeJson } from './escape.ts';

const LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type Level = (typeof LEVELS)[number];
export type LogFormat = 'text' | 'json';

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
export function createLog(level: string, write: (line: string) => void, format: LogFormat = 'text'): Log {
  const max = level === 'none' ? -1 : (LEVELS as readonly string[]).indexOf(level);
  const limit = max < 0 && level !== 'none' ? LEVELS.length : max;
  const lines = format === 'json' ? jsonLines : textLines;
  const at = (own: Level) => (text: string) => {
    if (LEVELS.indexOf(own) > limit) return;
    for (const line of lines(own, text)) write(`${line}\n`);
  };
  return { error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') };
}

function textLines(level: Level, text: string): string[] {
  const label = level === 'info' ? '' : level === 'warn' ? 'warning: ' : `${level}: `;
  return text.split('\n').map((line) => `whodns: ${label}${forTerminal(line)}`);
}

/** One object whatever the text: `time` (ISO 8601), `level`, `message`. */
export function jsonLines(level: Level, message: string): string[] {
  return [safeJson({ time: new Date().toISOString(), level, message })];
}
