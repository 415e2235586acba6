/** argv -> which command with which flags. The options come from tables/options.ts; commander does the parsing. */
import { Command as Commander, CommanderError, Option as CommanderOption } from 'commander';
import { CAPTURE_HELP } from '../capture/help.ts';
import type { Flags } from '../config/config.ts';
import { COMMANDS, type ControlCommand } from '../control/commands.ts';
import { EXIT, UserError } from '../lib/errors.ts';
import { forTerminal } from '../lib/escape.ts';
import { nearest } from '../lib/nearest.ts';
import { placeOf } from '../tables/option-groups.ts';
import {
  type ClientCommand,
  type Command,
  flagName,
  type Option,
  type RepeatableOption,
} from '../tables/options.ts';
import { DNS_CACHE_HELP } from '../tables/options-dnscache.ts';
import { SEARCH_HELP } from '../tables/options-search.ts';
import { completion, isShell, SHELLS } from './completion.ts';
import {
  ALL_FLAGS,
  flagNames,
  flagsOf,
  inGroups,
  JSON_FLAG,
  type Key,
  optionsOf,
  WITH_OPTIONAL,
  WITH_VALUE,
} from './flags.ts';

export type Invocation =
  | {
      readonly command: 'run';
      readonly flags: Flags;
      /** What stands after `--`: a program to run and watch. */
      readonly program?: readonly [string, ...string[]];
    }
  | { readonly command: 'doctor' | 'top'; readonly flags: Flags }
  | { readonly command: 'config'; readonly flags: Flags; readonly all: boolean }
  | { readonly command: 'replay'; readonly file: string; readonly flags: Flags }
  | { readonly command: 'search'; readonly what: string | undefined; readonly flags: Flags }
  | {
      readonly command: ClientCommand;
      readonly query: Readonly<Record<string, string>>;
      readonly flags: Flags;
    }
  /** Help, version, completion: print and leave with 0. */
  | { readonly command: 'print'; readonly text: string };

export const DESCRIPTIONS: Readonly<Record<Command, string>> = {
  run: 'capture and export every DNS lookup on this host (default)',
  replay: 'the same records from a capture file, without privileges',
  top: 'who asks most, what fails, which server is slow: a full screen, of the running agent or by itself',
  search: 'what this host has looked up: by name, address, process; needs a history (--history)',
  doctor: 'what this host has, which hooks would attach and why not the others',
  config: 'the settings of run that these flags, variables or file change, and where each came from',
  ...(Object.fromEntries(
    Object.entries(COMMANDS).map(([name, { description }]) => [name, description]),
  ) as Record<ClientCommand, string>),
};
/** Commands that only print. */
const PRINTED = ['help', 'version', 'completion'];
const GLOBAL_FLAGS = ['-h', '--help', '--help-all', '-V', '--version'];
const KNOWN = new Set([...Object.keys(DESCRIPTIONS), ...PRINTED]);

const EPILOGUE = `
All standard OTEL_EXPORTER_OTLP_* variables work. With no OTLP endpoint configured the console is used.
A flag that takes a list can be repeated, or given a list with commas. Times: 500ms, 5s, 10m, 1h. Sizes: 512K, 8M, 1G.

Examples:
  whodns                                      every lookup on this host, live
  whodns --json --duration 30s                one JSON object a line, for half a minute
  whodns -- curl https://example.com          what that program and its children look up and connect to
  OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 whodns
  whodns replay capture.pcapng --json
  whodns config --config-file otel.yaml       what would hold, and why; secrets masked

Exit codes: 0 success; 1 this host or an endpoint lacks something; 2 bad flag or configuration file, or a
capture file that is damaged or not read; 3 records were lost on the way to where they go.`;

/** @throws UserError (exit code 2) for anything that does not parse, with the nearest valid flag or command. */
export function parseArguments(argv: readonly string[], version: string): Invocation {
  const end = argv.indexOf('--');
  const [before, behind] = end < 0 ? [argv, []] : [argv.slice(0, end), argv.slice(end + 1)];
  const words = commandFirst(before);
  const parser = new Parser(version, words.includes('--help-all'));
  const plain = (given: readonly string[]) => given.map((word) => (word === '--help-all' ? '--help' : word));
  if (words[0] !== 'run' || behind[0] === undefined)
    return parser.parse(plain(end < 0 ? words : [...words, ...argv.slice(end)]));
  const found = parser.parse(plain(words));
  return found.command === 'run' ? { ...found, program: [behind[0], ...behind.slice(1)] } : found;
}

/**
 * The command in front of its flags, `run` if there is none. So `whodns --control PATH status` is `status`: what follows a
 * flag that takes a value is that value.
 */
function commandFirst(argv: readonly string[]): readonly string[] {
  const isGlobal = argv.length > 0 && argv.every((word) => GLOBAL_FLAGS.includes(word));
  if (isGlobal) return argv;
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (word.startsWith('-') && word !== '-') {
      // Whether a value follows an unknown flag is unknown too; the parser names the flag.
      if (!ALL_FLAGS.has(word.split('=')[0] ?? '')) break;
      if (WITH_VALUE.has(word) || (WITH_OPTIONAL.has(word) && isValue(argv[i + 1]))) i++;
    } else if (KNOWN.has(word)) return [word, ...argv.slice(0, i), ...argv.slice(i + 1)];
    else throw unknownCommand(word, i > 0);
  }
  return ['run', ...argv];
}

/** Not a flag, nor a command. */
function isValue(word: string | undefined): boolean {
  return word !== undefined && !word.startsWith('-') && !KNOWN.has(word);
}

class Parser {
  readonly #program: Commander;
  readonly #isWhole: boolean;
  #found: Invocation | undefined;
  #printed = '';

  constructor(version: string, isWhole: boolean) {
    this.#isWhole = isWhole;
    this.#program = new Commander('whodns')
      .description('Which process asked DNS for which name, and what it was told.')
      .version(version, '-V, --version', 'print the version')
      .helpOption('-h, --help', 'print this help')
      .helpCommand('help [command]', 'print the help of a command')
      .addHelpText('after', () => `\n${this.#optionsOfRun()}\n${EPILOGUE}`);
    for (const name of ['run', 'replay', 'top', 'search', 'doctor', 'config'] as const)
      this.#addCommand(name);
    for (const [name, own] of Object.entries(COMMANDS) as [ClientCommand, ControlCommand][])
      this.#addClient(name, own);
    this.#program
      .command('version')
      .description('print the version')
      .action(() => this.#print(`${version}\n`));
    this.#program
      .command('completion <shell>')
      .description(`what a shell needs to complete this command: ${SHELLS.join(', ')}`)
      .action((shell: string) => {
        if (!isShell(shell))
          throw new UserError(`no completion for "${forTerminal(shell)}"`, usage(SHELLS.join(', ')));
        this.#print(completion(shell, DESCRIPTIONS));
      });
    for (const command of [this.#program, ...this.#program.commands]) {
      command.allowExcessArguments(false).exitOverride().showSuggestionAfterError(false);
      command.configureOutput({
        writeOut: (text) => {
          this.#printed += text;
        },
        writeErr: () => {},
      });
    }
  }

  parse(words: readonly string[]): Invocation {
    try {
      this.#program.parse(words as string[], { from: 'user' });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      // Its exit code of `help` is the process's own, which is that of a failure until the end (main.ts).
      const isHelp = error.code === 'commander.help' && this.#printed !== '';
      if (isHelp || error.exitCode === 0) return { command: 'print', text: this.#printed };
      if (words[0] === 'help' && words[1] !== undefined) throw unknownCommand(words[1], false);
      throw usageError(error, words);
    }
    if (this.#found === undefined) return { command: 'print', text: this.#printed };
    if (asksForCacheHelp(this.#found)) return { command: 'print', text: DNS_CACHE_HELP };
    return this.#found;
  }

  #print(text: string): void {
    this.#found = { command: 'print', text };
  }

  #addCommand(name: 'run' | 'replay' | 'top' | 'search' | 'doctor' | 'config'): void {
    const command = this.#program
      .command(name, { isDefault: name === 'run' })
      .description(DESCRIPTIONS[name]);
    if (name === 'replay') {
      command.argument('<file>', 'pcap or pcapng file, plain or packed (gzip, zstd); - is standard input');
      command.addHelpText('after', CAPTURE_HELP);
    }
    if (name === 'search') {
      command.argument('[what]', 'NAME, *.example, /regex/, ADDRESS or ADDRESS:PORT');
      command.addHelpText('after', SEARCH_HELP);
    }
    if (name === 'config') command.option('--all', 'those too that have their default');
    this.#addOptions(command, name);
    command.action((...given: unknown[]) => {
      const flags = flagsOf(command.opts(), name);
      if (name === 'replay') this.#found = { command: name, file: String(given[0]), flags };
      else if (name === 'search')
        this.#found = { command: name, what: given[0] === undefined ? undefined : String(given[0]), flags };
      else if (name === 'config') this.#found = { command: name, flags, all: command.opts()['all'] === true };
      else this.#found = { command: name, flags };
    });
  }

  #addClient(name: ClientCommand, own: ControlCommand): void {
    const command = this.#program
      .command(`${name} ${own.arguments ?? ''}`.trimEnd())
      .description(own.description);
    this.#addOptions(command, name);
    command.action(() => {
      const given = command.registeredArguments.map((each, index) => [each.name(), command.args[index]]);
      const query = Object.fromEntries(given.filter(([, value]) => value !== undefined));
      this.#found = { command: name, query, flags: flagsOf(command.opts(), name) };
    });
  }

  #addOptions(command: Commander, name: Command): void {
    const isGrouped = name === 'run' || name === 'replay' || name === 'config';
    for (const [key, option] of isGrouped ? inGroups(optionsOf(name)) : optionsOf(name)) {
      const place = placeOf(key);
      const shown = toCommander(option);
      if (isGrouped && place !== undefined) {
        shown.helpGroup(place.title);
        if (!place.isCommon && !this.#isWhole) shown.hideHelp();
      }
      command.addOption(shown);
      for (const old of option.oldFlags ?? []) {
        // Without a group it would open one of its own here.
        const hidden = toCommander(option, old).hideHelp();
        command.addOption(
          shown.helpGroupHeading === undefined ? hidden : hidden.helpGroup(shown.helpGroupHeading),
        );
      }
      if (key === ('format' satisfies Key) || key === ('searchFormat' satisfies Key)) {
        const json = new CommanderOption(JSON_FLAG, 'the same as --format json');
        command.addOption(isGrouped ? json.helpGroup(placeOf('format')?.title ?? '') : json);
      }
    }
    command.helpOption('-h, --help', 'print this help');
    if (isGrouped)
      command.addOption(new CommanderOption('--help-all', 'print all options').helpGroup('Options:'));
  }

  /** As the help of `run` shows them. */
  #optionsOfRun(): string {
    const help = this.#program.commands.find((command) => command.name() === 'run')?.helpInformation() ?? '';
    return `Options of run (more: whodns --help-all)\n\n${help.slice(help.indexOf('Capture:')).trimEnd()}`;
  }
}

function toCommander(option: Option | RepeatableOption, old?: string): CommanderOption {
  const { flag = '', short } = option;
  const long = old === undefined ? flag : flag.replace(flagName(option) ?? '', old);
  const shown = option.shownDefault ?? (option.default === undefined ? '' : String(option.default));
  const text =
    shown === '' || shown === 'false' ? option.description : `${option.description} (default: ${shown})`;
  const made = new CommanderOption(
    short === undefined || old !== undefined ? long : `${short}, ${long}`,
    text,
  );
  if ('repeatable' in option || option.joins !== undefined)
    made.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
  return made;
}

/** `--dnscache help` prints what it takes. */
function asksForCacheHelp(found: Invocation): boolean {
  const given = 'flags' in found ? found.flags['dnsCache'] : undefined;
  return Array.isArray(given) && given.includes('help');
}

function usage(hint: string): { readonly hint: string; readonly exitCode: number } {
  return { hint, exitCode: EXIT.usage };
}

function unknownCommand(word: string, isBehindFlags: boolean): UserError {
  const meant = nearest(word, KNOWN);
  const commands = `commands: ${[...KNOWN].join(', ')}; see whodns --help`;
  if (meant === undefined && isBehindFlags)
    return new UserError(`unexpected argument "${forTerminal(word)}"`, usage(commands));
  const hint = meant === undefined ? commands : `did you mean ${meant}?`;
  return new UserError(`unknown command "${forTerminal(word)}"`, usage(hint));
}

function usageError(error: CommanderError, words: readonly string[]): UserError {
  const name = words[0] ?? 'run';
  const help = `see whodns ${name in DESCRIPTIONS ? `${name} ` : ''}--help`;
  const text = forTerminal(error.message.replace(/^error: /, '').split('\n')[0] ?? '');
  if (error.code === 'commander.unknownOption' && name in DESCRIPTIONS) {
    const flag = /'(--?[^'=]*)/.exec(error.message)?.[1] ?? '';
    const meant = nearest(flag, flagNames(name as Command));
    return new UserError(text, usage(meant === undefined ? help : `did you mean ${meant}? ${help}`));
  }
  if (error.code === 'commander.excessArguments') {
    const more = forTerminal(excess(words));
    return new UserError(more === '' ? text : `unexpected argument "${more}"`, usage(help));
  }
  return new UserError(text, usage(help));
}

/** The last word that is neither a flag nor the value of one. */
function excess(words: readonly string[]): string {
  return words.filter((word, i) => !word.startsWith('-') && !takesValue(words[i - 1] ?? '')).at(-1) ?? '';
}

function takesValue(flag: string): boolean {
  return WITH_VALUE.has(flag) || WITH_OPTIONAL.has(flag);
}
