/** argv -> which command with which flags. The options come from tables/options.ts; commander does the parsing. */
import { Command as Commander, CommanderError } from 'commander';
import { CAPTURE_HELP } from './capture/help.ts';
import type { Flags } from './config/config.ts';
import { COMMANDS, type ControlCommand } from './control/commands.ts';
import { EXIT, UserError } from './lib/errors.ts';
import { forTerminal } from './lib/escape.ts';
import {
  type ClientCommand,
  type Command,
  OPTIONS,
  type Option,
  type RepeatableOption,
} from './tables/options.ts';
import { DNS_CACHE_HELP } from './tables/options-dnscache.ts';

export type Invocation =
  | { readonly command: 'run' | 'doctor' | 'config'; readonly flags: Flags }
  | { readonly command: 'replay'; readonly file: string; readonly flags: Flags }
  | {
      readonly command: ClientCommand;
      readonly query: Readonly<Record<string, string>>;
      readonly flags: Flags;
    }
  /** Help or version: print and leave with 0. */
  | { readonly command: 'print'; readonly text: string };

const BRIEF: Readonly<Record<Command, string>> = {
  run: 'capture and export every DNS lookup on this host (default)',
  replay: 'the same records from a capture file, without privileges',
  doctor: 'what this host has, which hooks would attach and why not the others',
  config: 'the settings of run with these flags, variables or file, and where each came from',
  ...(Object.fromEntries(Object.entries(COMMANDS).map(([name, { brief }]) => [name, brief])) as Record<
    ClientCommand,
    string
  >),
};

const EPILOGUE = `
All standard OTEL_EXPORTER_OTLP_* variables work. With no OTLP endpoint configured the console is used.

Examples:
  whodns                                      every lookup on this host, live
  whodns --format json --duration 30s         one JSON object a line, for half a minute
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 whodns
  whodns replay capture.pcapng --format json
  whodns config --config otel.yaml            what would hold, and why; secrets masked

Exit codes: 0 success; 1 this host or an endpoint lacks something; 2 bad flag or configuration file, or a
capture file that is damaged.`;

/** @throws UserError (exit code 2) for anything that does not parse, with the nearest valid flag or command. */
export function parseArguments(argv: readonly string[], version: string): Invocation {
  let found: Invocation | undefined;
  let printed = '';
  const program: Commander = new Commander('whodns')
    .description('Which process asked DNS for which name, and what it was told.')
    .version(version, '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    .addHelpText('after', () => `\nOptions of run:\n${optionsPart(program)}\n${EPILOGUE}`)
    .enablePositionalOptions();
  for (const name of ['run', 'replay', 'doctor', 'config'] as const) {
    const command = program.command(name, { isDefault: name === 'run' }).description(BRIEF[name]);
    if (name === 'replay') {
      command.argument(
        '<file>',
        'capture file: pcap or pcapng, also compressed (gzip, zstd); - is standard input',
      );
      command.addHelpText('after', CAPTURE_HELP);
    }
    addOptions(command, name);
    command.action((...given: unknown[]) => {
      const flags = flagsOf(command.opts(), name);
      found = name === 'replay' ? { command: name, file: String(given[0]), flags } : { command: name, flags };
    });
  }
  for (const [name, own] of Object.entries(COMMANDS) as [ClientCommand, ControlCommand][]) {
    const command = program.command(`${name} ${own.arguments ?? ''}`.trimEnd()).description(own.brief);
    addOptions(command, name);
    command.action(() => {
      const given = command.registeredArguments.map((each, index) => [each.name(), command.args[index]]);
      const query = Object.fromEntries(given.filter(([, value]) => value !== undefined));
      found = { command: name, query, flags: flagsOf(command.opts(), name) };
    });
  }
  for (const command of [program, ...program.commands]) {
    command.allowExcessArguments(false).exitOverride().showSuggestionAfterError(true);
    command.configureOutput({
      writeOut: (text) => {
        printed += text;
      },
      writeErr: () => {},
    });
  }
  try {
    program.parse(argv as string[], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { command: 'print', text: printed };
    throw usageError(error, argv);
  }
  if (found === undefined) throw new Error('no command ran');
  if (asksForCacheHelp(found)) return { command: 'print', text: DNS_CACHE_HELP };
  return found;
}

/** `--dnscache help` prints what it takes. */
function asksForCacheHelp(found: Invocation): boolean {
  const given = 'flags' in found ? found.flags['dnsCache'] : undefined;
  return Array.isArray(given) && given.some((text) => String(text).split(',').includes('help'));
}

/** The option list of the default command as its own help shows it. */
function optionsPart(program: Commander): string {
  const help = program.commands.find((command) => command.name() === 'run')?.helpInformation() ?? '';
  return help.slice(help.indexOf('Options:\n') + 'Options:\n'.length).trimEnd();
}

function addOptions(command: Commander, name: Command): void {
  for (const option of Object.values(OPTIONS) as (Option | RepeatableOption)[]) {
    if (option.flag === undefined || !isOf(option, name)) continue;
    const shown = option.shownDefault ?? (option.fallback === undefined ? '' : String(option.fallback));
    const brief = shown === '' || shown === 'false' ? option.brief : `${option.brief} (default: ${shown})`;
    if ('repeatable' in option) {
      command.option(option.flag, brief, (text: string, before: string[] | undefined) => [
        ...(before ?? []),
        text,
      ]);
    } else {
      command.option(option.flag, brief);
    }
  }
}

/** `config` takes what `run` takes. */
function isOf({ commands }: Option | RepeatableOption, name: Command): boolean {
  return commands.includes(name === 'config' ? 'run' : name);
}

/** commander's option names -> setting keys. */
function flagsOf(given: Readonly<Record<string, unknown>>, name: Command): Flags {
  const flags: Record<string, string | readonly string[] | boolean | undefined> = {};
  for (const [key, option] of Object.entries(OPTIONS) as [string, Option | RepeatableOption][]) {
    if (option.flag === undefined || !isOf(option, name)) continue;
    const long = option.flag.split(' ')[0]?.slice(2) ?? '';
    const negative = long.startsWith('no-');
    const camel = (negative ? long.slice(3) : long).replace(/-(\w)/g, (_, letter: string) =>
      letter.toUpperCase(),
    );
    const value = given[camel];
    // commander sets a --no- option to true by itself: only false was given by the user
    if (negative && value !== false) continue;
    flags[key] = value as string | readonly string[] | boolean | undefined;
  }
  return flags;
}

function usageError(error: CommanderError, argv: readonly string[]): UserError {
  const word = argv.find((argument) => !argument.startsWith('-'));
  if (error.code === 'commander.excessArguments' && word !== undefined && !(word in BRIEF)) {
    return new UserError(`unknown command "${forTerminal(word)}"`, {
      hint: `commands: ${Object.keys(BRIEF).join(', ')}; see whodns --help`,
      exitCode: EXIT.usage,
    });
  }
  const text = error.message.replace(/^error: /, '');
  const [message = '', suggestion] = text.split('\n');
  return new UserError(message, {
    hint: suggestion?.replace(/^\(|\)$/g, '') ?? 'see whodns --help',
    exitCode: EXIT.usage,
  });
}
