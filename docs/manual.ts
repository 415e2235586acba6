/** The manual page whodns(1) from the option table: roff of man(7). */
import { DESCRIPTIONS } from '../src/cli/arguments.ts';
import { OPTION_GROUPS } from '../src/tables/option-groups.ts';
import { OPTIONS, type Option, type RepeatableOption } from '../src/tables/options.ts';

type AnyOption = Option | RepeatableOption;

/** Text of a paragraph: a backslash is doubled, a line does not begin with a request, hyphens of flags stay hyphens. */
function roff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1');
}

function entry(option: AnyOption): string[] {
  const { flag = '', short, env = [], description } = option;
  const [name = '', argument] = flag.split(' ');
  const names = [short, name].filter((each) => each !== undefined).map((each) => `\\fB${roff(each)}\\fR`);
  const value = argument === undefined ? '' : ` \\fI${roff(argument.replace(/[<>]/g, ''))}\\fR`;
  const shown = option.shownDefault ?? (option.default === undefined ? '' : String(option.default));
  const lines = ['.TP', `${names.join(', ')}${value}`, roff(description)];
  if (shown !== '' && shown !== 'false') lines.push(roff(`(default: ${shown})`));
  if (env.length > 0) lines.push(`Variables: ${env.map((each) => `\\fB${each}\\fR`).join(', ')}.`);
  return lines;
}

/** The page, with the line break. */
export function manual(version: string): string {
  const commands = Object.entries(DESCRIPTIONS).flatMap(([name, text]) => [
    '.TP',
    `\\fB${name}\\fR`,
    roff(text),
  ]);
  const groups = OPTION_GROUPS.flatMap(({ title, common, further }) => [
    `.SS ${roff(title.replace(/:$/, ''))}`,
    ...[...common, ...further].flatMap((key) => entry(OPTIONS[key] as AnyOption)),
  ]);
  return `${[
    '.\\" Generated from src/tables/options.ts by npm run fix.',
    `.TH WHODNS 1 "" "whodns ${version}" "User Commands"`,
    '.SH NAME',
    'whodns \\- which process asked DNS for which name, and what it was told',
    '.SH SYNOPSIS',
    '.B whodns',
    '[\\fIcommand\\fR] [\\fIoptions\\fR]',
    '.SH DESCRIPTION',
    'Shows every DNS lookup on this host with the process that asked. Each becomes one OpenTelemetry log record.',
    'Without an OTLP endpoint the console is used.',
    '.SH COMMANDS',
    ...commands,
    '.SH OPTIONS',
    'A flag that takes a list can be repeated, or given a list with commas. Times: 500ms, 5s, 10m, 1h. Sizes: 512K, 8M, 1G.',
    ...groups,
    '.SH ENVIRONMENT',
    'A flag wins over a variable, a variable over the default. All standard \\fBOTEL_EXPORTER_OTLP_*\\fR variables work.',
    '.SH EXIT STATUS',
    '.TP',
    '0',
    'Success.',
    '.TP',
    '1',
    'This host or an endpoint lacks something.',
    '.TP',
    '2',
    'Bad flag or configuration file, or a capture file that is damaged or not read.',
    '.SH SEE ALSO',
    'The page docs/operating.md of the project.',
  ].join('\n')}\n`;
}
