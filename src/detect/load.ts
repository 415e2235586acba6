/** Config -> the detectors of a run: built-in rules by name, detectors of files by their path. */
import { registerHooks } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Config } from '../config/config.ts';
import { EXIT, UserError } from '../lib/errors.ts';
import { importFile } from '../lib/import-file.ts';
import { OWN_MODULES } from '../lib/package-files.ts';
import { trustedFile } from '../lib/safe-file.ts';
import { RULES, type RuleName } from '../tables/detections.ts';
import type { Detector } from './detector.ts';
import { FINDING_SEVERITY } from './finding.ts';
import { Origin } from './origin.ts';
import { textOf } from './text-of.ts';

const NEEDS = ['connections', 'dns'];

const BUILT_IN: Readonly<Record<RuleName, () => Promise<{ readonly default: unknown }>>> = {
  tunnel: () => import('./rules/tunnel.ts'),
  'new-domain-connect': () => import('./rules/new-domain-connect.ts'),
  'non-cluster-domain': () => import('./rules/non-cluster-domain.ts'),
  'nxdomain-burst': () => import('./rules/nxdomain-burst.ts'),
  'unknown-binary': () => import('./rules/unknown-binary.ts'),
  'rogue-resolver': () => import('./rules/rogue-resolver.ts'),
  'encrypted-dns': () => import('./rules/encrypted-dns.ts'),
};

/** @throws UserError: a file is no detector, or two have one name. */
export async function loadDetectors(
  config: Pick<Config, 'detect' | 'detectors'>,
): Promise<readonly Detector[]> {
  const detectors: Detector[] = [];
  for (const name of config.detect) detectors.push((await BUILT_IN[name]()).default as Detector);
  if (config.detectors.length > 0) judgeModules();
  for (const file of config.detectors) {
    const detector = await loadFile(file);
    if (Object.hasOwn(RULES, detector.name) || detectors.some(({ name }) => name === detector.name))
      throw bad(file, `there is a detector ${detector.name} already`);
    detectors.push(detector);
  }
  return detectors;
}

/**
 * What is loaded from now on runs with the agent's privileges: a detector, and what it imports, today or in an hour. Each file is judged
 * as a detector is.
 */
function judgeModules(): void {
  registerHooks({
    load(url, context, next) {
      if (url.startsWith('file:') && !isOwn(url)) judge(fileURLToPath(url));
      return next(url, context);
    },
  });
}

/** The agent's own modules are loaded as whoever started it chose. */
function isOwn(url: string): boolean {
  return OWN_MODULES !== undefined && url.startsWith(OWN_MODULES);
}

/** @returns its path without symbolic links @throws Error, with what to do */
function judge(file: string): string {
  try {
    return trustedFile(file).path;
  } catch (error) {
    const hint = error instanceof UserError && error.hint !== undefined ? `; ${error.hint}` : '';
    throw new Error(`${file}: ${(error as Error).message}${hint}`);
  }
}

async function loadFile(file: string): Promise<Detector> {
  let origin: Origin;
  let detector: Detector | string;
  try {
    const url = pathToFileURL(judge(file)).href;
    origin = new Origin(url);
    const { default: found } = (await origin.run(() => importFile(url))) as { default?: unknown };
    detector = problemOf(found) ?? copyOf(found as Detector);
  } catch (error) {
    throw bad(file, textOf(error));
  }
  if (typeof detector === 'string') throw bad(file, detector);
  origin.owns(detector);
  return detector;
}

/** Its parts as they are now: a detector may be an object whose properties change, or throw later. */
function copyOf(found: Detector): Detector {
  const { name, severity, describe, settings, needs, init, onEvent } = found;
  return {
    name,
    severity,
    describe,
    ...(settings === undefined ? {} : { settings }),
    ...(needs === undefined ? {} : { needs: [...needs] }),
    ...(init === undefined ? {} : { init: (context) => init.call(found, context) }),
    onEvent: (event, context) => onEvent.call(found, event, context),
  };
}

function bad(file: string, why: string): UserError {
  return new UserError(`--detector ${file}: ${why}`, {
    hint: 'docs/detections.md has an example',
    exitCode: EXIT.usage,
  });
}

/** What keeps a value from being a detector. */
function problemOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'has no default export that is a detector';
  const { name, severity, describe, init, onEvent, settings, needs } = value as Record<string, unknown>;
  if (typeof name !== 'string' || !/^[a-z][a-z0-9-]{0,62}$/.test(name))
    return 'name is not lower-case letters, digits and -';
  if (typeof severity !== 'string' || !Object.hasOwn(FINDING_SEVERITY, severity))
    return `severity is not one of ${Object.keys(FINDING_SEVERITY).join(', ')}`;
  if (typeof describe !== 'string') return 'describe is not a text';
  if (typeof onEvent !== 'function') return 'onEvent is not a function';
  if (init !== undefined && typeof init !== 'function') return 'init is not a function';
  if (needs !== undefined && !(Array.isArray(needs) && needs.every((need) => NEEDS.includes(need as string))))
    return `needs is not a list of ${NEEDS.join(', ')}`;
  return settings === undefined ? undefined : settingsProblem(settings);
}

function settingsProblem(settings: unknown): string | undefined {
  if (typeof settings !== 'object' || settings === null) return 'settings is not an object';
  for (const [key, definition] of Object.entries(settings as Record<string, unknown>)) {
    if (!/^[a-z][a-z0-9_-]*$/.test(key))
      return `settings: "${key}" is not lower-case letters, digits, - and _`;
    const { kind, default: fallback, min, max } = (definition ?? {}) as Record<string, unknown>;
    const isNumber = ['count', 'fraction', 'duration'].includes(kind as string);
    const isGood = isNumber
      ? [fallback, min, max].every((each) => typeof each === 'number')
      : kind === 'list'
        ? Array.isArray(fallback)
        : kind === 'file' && typeof fallback === 'string';
    if (!isGood)
      return `settings: ${key} is not a definition of kind count, fraction, duration, list or file`;
  }
  return undefined;
}
