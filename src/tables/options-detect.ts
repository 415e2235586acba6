/** Settings of the detections: which rules, their thresholds, detectors of users. */
import { boolean, duration, list, oneOf, type Parsed } from '../lib/values.ts';
import { type GivenSetting, parseSetting, RULES, type RuleDefinition, type RuleName } from './detections.ts';
import { type Command, option, repeatable } from './option.ts';

const CAPTURE: readonly Command[] = ['run', 'replay'];
const NAMES = Object.keys(RULES) as RuleName[];

export const DETECT_OPTIONS = {
  detect: option<readonly RuleName[]>({
    flag: '--detect <rules>',
    joins: ',',
    commands: CAPTURE,
    env: ['WHODNS_DETECT'],
    description: `detections: all, or a comma list of ${NAMES.join(', ')}`,
    parse: (text) => {
      const parsed = list(oneOf('all', ...NAMES))(text);
      if ('problem' in parsed) return parsed;
      const all = parsed.value.includes('all');
      return { value: NAMES.filter((name) => all || parsed.value.includes(name)) };
    },
    default: [],
    shownDefault: 'none',
  }),
  detectSet: repeatable<string>({
    flag: '--detect-set <rule.key=value>',
    repeatable: true,
    commands: CAPTURE,
    env: ['WHODNS_DETECT_SET'],
    description:
      'a threshold or list of a detection, see docs/detections.md; repeat or comma list, lists grow',
    parse: (text) => {
      const given = givenSetting(text);
      return 'problem' in given ? given : { value: text };
    },
    default: [],
    shownDefault: 'see docs/detections.md',
  }),
  detectors: repeatable<string>({
    flag: '--detector <file>',
    repeatable: true,
    commands: CAPTURE,
    env: ['WHODNS_DETECTORS'],
    description: 'a detector of your own: an ECMAScript or TypeScript module; repeat or comma list',
    parse: (text) =>
      text === '' || text.includes('\0') ? { problem: 'is not a file name' } : { value: text },
    default: [],
    shownDefault: 'none',
  }),
  detectCooldownMs: option<number>({
    flag: '--detect-cooldown <duration>',
    commands: CAPTURE,
    env: ['WHODNS_DETECT_COOLDOWN'],
    description:
      'the same finding about the same process and subject is not repeated for this long, 0s to 24h',
    parse: duration(0, 24 * 3_600_000),
    default: 600_000,
    shownDefault: '10m',
  }),
  detectPauseMs: option<number>({
    flag: '--detect-pause <duration>',
    commands: CAPTURE,
    env: ['WHODNS_DETECT_PAUSE'],
    description:
      'a detector that throws or is slow is switched off for this long, 1s to 24h; each further time twice as long, up to 1 h',
    parse: duration(1000, 24 * 3_600_000),
    default: 60_000,
    shownDefault: '1m',
  }),
  searchFolding: option<boolean>({
    flag: '--no-search-folding',
    commands: ['run'],
    env: ['WHODNS_SEARCH_FOLDING'],
    description: "do not recognise the fan-out of a process's DNS search list (whodns.search.*)",
    parse: boolean,
    default: true,
    shownDefault: 'it is recognised',
  }),
} as const;

/** Checked as far as the rule is known here: a detector of a file is not. */
export function givenSetting(text: string): Parsed<GivenSetting> {
  const match = /^([a-z][a-z0-9-]*)\.([a-z][a-z0-9_-]*)=(.*)$/s.exec(text);
  if (match === null) return { problem: 'is not RULE.KEY=VALUE' };
  const [, rule = '', key = '', value = ''] = match;
  const given = { rule, key, text: value };
  if (!Object.hasOwn(RULES, rule)) return { value: given };
  const { settings }: RuleDefinition = RULES[rule as RuleName];
  const definition = Object.hasOwn(settings, key) ? settings[key] : undefined;
  if (definition === undefined)
    return { problem: `names no setting of ${rule}; it has ${Object.keys(settings).join(', ')}` };
  const parsed = parseSetting(definition, value);
  return 'problem' in parsed ? { problem: `${parsed.problem} (${rule}.${key})` } : { value: given };
}
