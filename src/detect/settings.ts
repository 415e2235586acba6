/** Settings of each detector: its defaults and what `--detect-set` says. */
import { EXIT, UserError } from '../lib/errors.ts';
import { parseSetting, RULES, type SettingDefinition } from '../tables/detections.ts';
import { givenSetting } from '../tables/options-detect.ts';
import type { Detector } from './detector.ts';

export type Settings = Record<string, number | string | readonly string[]>;

/** @throws UserError naming every setting that no detector has or whose value is wrong. */
export function settingsFor(detectors: readonly Detector[], given: readonly string[]): Map<string, Settings> {
  const all = new Map(detectors.map((detector) => [detector.name, defaultsOf(detector)]));
  const problems: string[] = [];
  for (const text of given) {
    const parsed = givenSetting(text);
    if ('problem' in parsed) {
      problems.push(`--detect-set "${text}" ${parsed.problem}`);
      continue;
    }
    const { rule, key, text: value } = parsed.value;
    const settings = all.get(rule);
    const definition = detectors.find(({ name }) => name === rule)?.settings?.[key];
    // A threshold of a built-in rule that is off changes nothing.
    if (settings === undefined && Object.hasOwn(RULES, rule)) continue;
    if (settings === undefined || definition === undefined) {
      problems.push(`--detect-set "${text}": no detector has such a setting`);
      continue;
    }
    const result = parseSetting(definition, value);
    if ('problem' in result) problems.push(`--detect-set "${text}" ${result.problem}`);
    else settings[key] = definition.kind === 'list' ? grown(settings[key], result.value) : result.value;
  }
  if (problems.length > 0) throw new UserError(problems.join('\n'), { exitCode: EXIT.usage });
  return all;
}

/** Given values of a list add to its default. */
function grown(before: Settings[string] | undefined, value: number | string): readonly string[] {
  return [...(Array.isArray(before) ? (before as readonly string[]) : []), String(value)];
}

function defaultsOf({ settings }: Detector): Settings {
  const entries = Object.entries(settings ?? {}) as [string, SettingDefinition][];
  return Object.fromEntries(entries.map(([key, { default: fallback }]) => [key, fallback]));
}
