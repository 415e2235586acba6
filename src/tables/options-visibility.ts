/** Who is captured (docs/visibility.md): part of OPTIONS. */
import { type LabelSelector, parseSelector } from '../lib/label-selector.ts';
import { oneOf, type Parsed, type Parser } from '../lib/values.ts';
import { type Command, option, repeatable } from './option.ts';
import { RR_TYPES } from './rrtypes.ts';

type Level = 'on' | 'off' | 'metrics';
const level = oneOf('on', 'off', 'metrics');
const RUN: readonly Command[] = ['run'];
const CAPTURE: readonly Command[] = ['run', 'replay'];
const MAX_CHARACTERS = 4096;

export const VISIBILITY_OPTIONS = {
  capture: option<Level>({
    flag: '--capture <level>',
    commands: RUN,
    env: ['WHODNS_CAPTURE'],
    description:
      'what holds where no annotation says otherwise: on, off, metrics (counted by process, no records)',
    parse: level,
    default: 'on',
  }),
  captureHost: option<Level | undefined>({
    flag: '--capture-host <level>',
    commands: RUN,
    env: ['WHODNS_CAPTURE_HOST'],
    description: 'the same of processes in no container',
    parse: level,
    default: undefined,
    shownDefault: 'as --capture',
  }),
  includeNamespaces: names(
    '--include-namespace <name>',
    'WHODNS_INCLUDE_NAMESPACES',
    RUN,
    'only pods of this Kubernetes namespace (* and ? match); repeat or comma list',
    pattern,
  ),
  excludeNamespaces: names(
    '--exclude-namespace <name>',
    'WHODNS_EXCLUDE_NAMESPACES',
    RUN,
    'no pod of this Kubernetes namespace',
    pattern,
  ),
  includePods: selectors(
    '--include-pods <selectors>',
    'WHODNS_INCLUDE_PODS',
    'only pods that one of these label selectors matches: app=web,env in (a,b); tier=db',
  ),
  excludePods: selectors(
    '--exclude-pods <selectors>',
    'WHODNS_EXCLUDE_PODS',
    'no pod that one of these label selectors matches',
  ),
  includeExecutables: names(
    '--include-executable <glob>',
    'WHODNS_INCLUDE_EXECUTABLES',
    RUN,
    'only processes of this executable: a name, or a path if it has a /; * ** ? match; repeat or comma list',
    pattern,
  ),
  excludeExecutables: names(
    '--exclude-executable <glob>',
    'WHODNS_EXCLUDE_EXECUTABLES',
    RUN,
    'no process of this executable',
    pattern,
  ),
  includeUsers: names(
    '--include-user <user>',
    'WHODNS_INCLUDE_USERS',
    RUN,
    'only processes of this user (name or number); repeat or comma list',
    pattern,
  ),
  excludeUsers: names(
    '--exclude-user <user>',
    'WHODNS_EXCLUDE_USERS',
    RUN,
    'no process of this user',
    pattern,
  ),
  includeDomains: names(
    '--include-domain <domain>',
    'WHODNS_INCLUDE_DOMAINS',
    CAPTURE,
    'only names in this domain; repeat or comma list',
    domain,
  ),
  excludeDomains: names(
    '--exclude-domain <domain>',
    'WHODNS_EXCLUDE_DOMAINS',
    CAPTURE,
    'no name in this domain',
    domain,
  ),
  includeTypes: names(
    '--include-type <type>',
    'WHODNS_INCLUDE_TYPES',
    CAPTURE,
    'only questions of this type (A, AAAA, TYPE65 ...); repeat or comma list',
    questionType,
  ),
  excludeTypes: names(
    '--exclude-type <type>',
    'WHODNS_EXCLUDE_TYPES',
    CAPTURE,
    'no question of this type',
    questionType,
  ),
} as const;

function names(
  flag: string,
  env: string,
  commands: readonly Command[],
  description: string,
  parse: Parser<string>,
) {
  return repeatable<string>({
    flag,
    repeatable: true,
    commands,
    env: [env],
    description,
    parse,
    default: [],
    shownDefault: '',
  });
}

/** Commas belong to a selector: several are separated by semicolons, and one that matches is enough. */
function selectors(flag: string, env: string, description: string) {
  return option<readonly LabelSelector[]>({
    flag,
    joins: ';',
    commands: RUN,
    env: [env],
    description,
    parse: (text) => {
      const parsed = text.split(';').map((part) => parseSelector(part.trim()));
      const problem = parsed.find((each) => 'problem' in each);
      if (problem !== undefined) return problem;
      return { value: parsed.flatMap((each) => ('value' in each ? [each.value] : [])) };
    },
    default: [],
    shownDefault: '',
  });
}

function pattern(text: string): Parsed<string> {
  if (text === '') return { problem: 'is empty' };
  return text.length > MAX_CHARACTERS ? { problem: 'is too long' } : { value: text };
}

function domain(text: string): Parsed<string> {
  const name = text
    .toLowerCase()
    .replace(/(?<=.)\.$/, '')
    .replace(/^\*\./, '');
  const isName = name === '.' || (name.length <= 253 && /^[^\s.]{1,63}(?:\.[^\s.]{1,63})*$/.test(name));
  return isName ? { value: name } : { problem: 'is not a domain name' };
}

function questionType(text: string): Parsed<string> {
  const type = text.toUpperCase();
  const number = /^TYPE(\d{1,5})$/.exec(type)?.[1];
  if (Object.hasOwn(RR_TYPES, type) || (number !== undefined && Number(number) < 65536))
    return { value: type };
  return { problem: 'is not a type of a DNS question' };
}
