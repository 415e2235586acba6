/** Completion of commands, flags and their choices for bash, zsh and fish, from the option table. */
import { type Command, flagName, type Option, type RepeatableOption } from '../tables/options.ts';
import { JSON_FLAG, optionsOf } from './flags.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];
type Descriptions = Readonly<Record<Command, string>>;

export function isShell(text: string): text is Shell {
  return (SHELLS as readonly string[]).includes(text);
}

interface Flag {
  readonly name: string;
  readonly description: string;
  /** What can follow it; undefined: it takes no value. */
  readonly value: { readonly choices: readonly string[]; readonly isFile: boolean } | undefined;
}

/** The text that the shell is to read. */
export function completion(shell: Shell, descriptions: Descriptions): string {
  if (shell === 'bash') return bash(descriptions);
  return shell === 'zsh' ? zsh(descriptions) : fish(descriptions);
}

function flagsOf(command: Command): Flag[] {
  const flags = optionsOf(command).map(([, option]) => flagOf(option));
  const json: Flag = { name: JSON_FLAG, description: 'the same as --format json', value: undefined };
  return [...flags, json, { name: '--help', description: 'print help', value: undefined }];
}

function flagOf(option: Option | RepeatableOption): Flag {
  const { flag = '', description, parse } = option;
  const argument = /<(.*)>/.exec(flag)?.[1];
  const { choices = [] } = parse as { choices?: readonly string[] };
  const isFile = argument === 'file' || argument === 'path' || argument === 'directory';
  return {
    name: flagName(option) ?? '',
    description: description,
    value: argument === undefined ? undefined : { choices, isFile },
  };
}

/** Within single quotes of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function bash(descriptions: Descriptions): string {
  const commands = Object.keys(descriptions) as Command[];
  const cases = commands.map(
    (command) =>
      `    ${command}) flags="${flagsOf(command)
        .map(({ name }) => name)
        .join(' ')}" ;;`,
  );
  const all = new Map(commands.flatMap(flagsOf).map((flag) => [flag.name, flag]));
  const values = [...all.values()].flatMap(({ name, value }) => {
    if (value === undefined) return [];
    if (value.choices.length > 0)
      return [`    ${name}) COMPREPLY=($(compgen -W "${value.choices.join(' ')}" -- "$word")); return ;;`];
    return [`    ${name}) ${value.isFile ? 'COMPREPLY=($(compgen -f -- "$word")); ' : ''}return ;;`];
  });
  return `# bash completion of whodns: source <(whodns completion bash)
_whodns() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} command=run each flags
  for each in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $each in ${commands.join('|')}) command=$each; break ;; esac
  done
  case $before in
${values.join('\n')}
  esac
  case $command in
${cases.join('\n')}
  esac
  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [[ $command == replay ]]; then COMPREPLY=($(compgen -f -- "$word"))
  elif [[ $COMP_CWORD == 1 ]]; then COMPREPLY=($(compgen -W "${commands.join(' ')} help version completion" -- "$word"))
  fi
}
complete -o filenames -F _whodns whodns
`;
}

function zsh(descriptions: Descriptions): string {
  const commands = Object.entries(descriptions) as [Command, string][];
  const bracketed = (text: string) => text.replace(/[[\]:]/g, '\\$&');
  const argument = ({ name, description, value }: Flag) => {
    const what = value?.choices.length ? `(${value.choices.join(' ')})` : value?.isFile ? '_files' : '';
    return quoted(`*${name}[${bracketed(description)}]${value === undefined ? '' : `:value:${what}`}`);
  };
  const cases = commands.map(([command]) => {
    const files = command === 'replay' ? " '*:file:_files'" : '';
    return `    ${command}) _arguments ${flagsOf(command).map(argument).join(' ')}${files} ;;`;
  });
  return `#compdef whodns
# zsh completion of whodns: whodns completion zsh > "\${fpath[1]}/_whodns"
_whodns() {
  local -a commands=(${commands.map(([name, text]) => quoted(`${name}:${text}`)).join(' ')})
  local command=run each
  for each in \${words[2,CURRENT-1]}; do
    (( \${commands[(I)$each:*]} )) && { command=$each; break }
  done
  (( CURRENT == 2 )) && [[ $PREFIX != -* ]] && { _describe command commands; return }
  case $command in
${cases.join('\n')}
  esac
}
compdef _whodns whodns
`;
}

function fish(descriptions: Descriptions): string {
  const commands = Object.entries(descriptions) as [Command, string][];
  const names = commands.map(([name]) => name).join(' ');
  const lines = commands.map(
    ([name, text]) =>
      `complete -c whodns -f -n "not __fish_seen_subcommand_from ${names}" -a ${name} -d ${quoted(text)}`,
  );
  for (const [command] of commands) {
    const others = command === 'run' ? ` or not __fish_seen_subcommand_from ${names}` : '';
    for (const { name, description, value } of flagsOf(command)) {
      const what =
        value === undefined
          ? ''
          : value.choices.length > 0
            ? ` -x -a ${quoted(value.choices.join(' '))}`
            : value.isFile
              ? ' -r -F'
              : ' -x';
      lines.push(
        `complete -c whodns -n "__fish_seen_subcommand_from ${command};${others}" -l ${name.slice(2)}${what} -d ${quoted(description)}`,
      );
    }
  }
  return `# fish completion of whodns: whodns completion fish > ~/.config/fish/completions/whodns.fish\n${lines.join('\n')}\n`;
}
