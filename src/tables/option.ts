/** What a setting is: one entry of the tables options.ts and options-telemetry.ts. */
import type { Parser } from '../lib/values.ts';

export type Command = 'run' | 'replay' | 'search' | 'doctor' | 'config' | ClientCommand;
/** Commands that ask a running agent (control/commands.ts). */
export type ClientCommand = 'stats' | 'status' | 'cache';

export interface Option<T = unknown> {
  /** As commander takes it; undefined = environment only. */
  readonly flag?: string;
  /** One letter: `-o`. */
  readonly short?: string;
  /** Names it had before; accepted, not shown. */
  readonly oldFlags?: readonly string[];
  readonly commands: readonly Command[];
  /** The first one that is set and not empty wins. A repeatable setting is a comma list there. */
  readonly env?: readonly string[];
  readonly description: string;
  readonly parse: Parser<T>;
  readonly default: T | undefined;
  /** How help and docs show the default where the value does not speak for itself. */
  readonly shownDefault?: string;
  /** `parse` takes a list: the flag may be given several times, and its texts are joined by this. */
  readonly joins?: ',' | ';';
  /** Never shown: `whodns config` masks it. */
  readonly secret?: true;
}

/** The flag can be given several times; each value is checked by `parse`, the setting is the list of them. */
export interface RepeatableOption<T = unknown> extends Omit<Option<T>, 'default'> {
  readonly repeatable: true;
  /** Between the values of one text; default: a comma. */
  readonly separator?: RegExp;
  readonly default: readonly T[] | undefined;
}

/** The long name of the flag, `--port`; undefined: the setting has none. */
export function flagName({ flag }: Pick<Option, 'flag'>): string | undefined {
  return flag?.split(' ')[0];
}

export function option<T>(spec: Option<T>): Option<T> {
  return spec;
}

export function repeatable<T>(spec: RepeatableOption<T>): RepeatableOption<T> {
  return spec;
}
