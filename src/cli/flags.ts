/** The option table as flags: which a command takes, and what was given. */
import type { Flags } from '../config/config.ts';
import { OPTION_GROUPS } from '../tables/option-groups.ts';
import { type Command, flagName, OPTIONS, type Option, type RepeatableOption } from '../tables/options.ts';

type AnyOption = Option | RepeatableOption;
export type Key = keyof typeof OPTIONS;

const ENTRIES = Object.entries(OPTIONS) as [Key, AnyOption][];

/** What every command with `--format` takes as well. */
export const JSON_FLAG = '--json';

/** `config` takes what `run` takes. */
export function optionsOf(name: Command): readonly (readonly [Key, AnyOption])[] {
  const command = name === 'config' ? 'run' : name;
  return ENTRIES.filter(([, { flag, commands }]) => flag !== undefined && commands.includes(command));
}

/** Every long name of a command's flags, old ones with them. */
export function flagNames(name: Command): string[] {
  const names = optionsOf(name).flatMap(([, option]) => [flagName(option) ?? '', ...(option.oldFlags ?? [])]);
  return [...names, JSON_FLAG, '--help', '--help-all'];
}

/** In the order of their groups. */
export function inGroups(options: ReturnType<typeof optionsOf>): ReturnType<typeof optionsOf> {
  const order = OPTION_GROUPS.flatMap(({ common, further }) => [...common, ...further]);
  return [...options].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
}

/** Every flag of every command. */
export const ALL_FLAGS: ReadonlySet<string> = new Set([
  ...ENTRIES.flatMap(([, option]) => [
    flagName(option) ?? '',
    option.short ?? '',
    ...(option.oldFlags ?? []),
  ]),
  ...[JSON_FLAG, '-h', '--help', '--help-all', '-V', '--version', '--all'],
]);

/** Flags that are followed by a value, of all commands. */
export const WITH_VALUE: ReadonlySet<string> = new Set(
  ENTRIES.filter(([, { flag }]) => flag?.includes('<') === true).flatMap(([, option]) => [
    flagName(option) ?? '',
    ...(option.short === undefined ? [] : [option.short]),
    ...(option.oldFlags ?? []),
  ]),
);

/** Flags that a value may follow, of all commands. */
export const WITH_OPTIONAL: ReadonlySet<string> = new Set(
  ENTRIES.filter(([, { flag }]) => flag?.includes('[') === true).map(([, option]) => flagName(option) ?? ''),
);

/** commander's names of options -> setting keys. */
export function flagsOf(given: Readonly<Record<string, unknown>>, name: Command): Flags {
  const flags: Record<string, string | readonly string[] | boolean | undefined> = {};
  for (const [key, option] of optionsOf(name)) {
    const names = [flagName(option) ?? '', ...(option.oldFlags ?? [])];
    const isNegative = names[0]?.startsWith('--no-') === true;
    const values = names.map((each) => given[propertyOf(each)]).filter((value) => value !== undefined);
    // commander sets a --no- option to true by itself: only false was given by the user
    if (values.length === 0 || (isNegative && values[0] !== false)) continue;
    flags[key] = merged(option, values);
  }
  if (given['json'] === true) flags[name === 'search' ? 'searchFormat' : 'format'] = 'json';
  return flags;
}

/** `--container-runtime` is `containerRuntime`. */
function propertyOf(flag: string): string {
  return flag.replace(/^--(?:no-)?/, '').replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function merged(option: AnyOption, values: readonly unknown[]): string | readonly string[] | boolean {
  const texts = values.flat();
  if ('repeatable' in option)
    return texts.flatMap((text) =>
      String(text)
        .split(option.separator ?? ',')
        .map((part) => part.trim()),
    );
  if (option.joins !== undefined) return texts.join(option.joins);
  return texts.at(-1) as string | boolean;
}
