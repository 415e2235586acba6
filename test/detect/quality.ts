/**
 * How well the rules do: every scenario and five different hours of ordinary traffic, at default settings. As a program it
 * writes test/detect/results.json and the tables of docs/detections.md.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RuleName } from '../../src/tables/detections.ts';
import { ordinaryHour } from './ordinary.ts';
import { ALL, Player } from './player.ts';
import { SCENARIOS } from './scenarios.ts';

const SEEDS = [1, 2, 3, 4, 5];
export const RESULTS = join(import.meta.dirname, 'results.json');

export interface Quality {
  readonly scenarios: readonly { readonly rule: RuleName; readonly name: string; readonly found: boolean }[];
  /** Findings of other rules than the scenario's. */
  readonly strays: readonly string[];
  readonly hours: readonly {
    readonly seed: number;
    readonly lookups: number;
    readonly wasted: number;
    readonly findings: readonly string[];
  }[];
}

export async function measureQuality(): Promise<Quality> {
  const scenarios: { rule: RuleName; name: string; found: boolean }[] = [];
  const strays: string[] = [];
  for (const { rule, name, settings, run } of SCENARIOS) {
    const player = await Player.open(settings);
    run(player);
    const rules = new Set(player.findings.map(({ attributes }) => String(attributes['security_rule.name'])));
    scenarios.push({ rule, name, found: rules.delete(rule) });
    for (const other of rules) strays.push(`${other} in ${rule}, ${name}`);
  }
  const hours = [];
  for (const seed of SEEDS) {
    const player = await Player.open();
    player.play(ordinaryHour(seed));
    const { lookups, wasted } = player;
    hours.push({ seed, lookups, wasted, findings: player.findings.map(({ body }) => body) });
  }
  return { scenarios, strays, hours };
}

/** Markdown lines. Precision counts what was found in the hours and the strays as false. */
export function tablesOf({ scenarios, strays, hours }: Quality): string[] {
  const falseOf = (rule: RuleName) =>
    strays.filter((stray) => stray.startsWith(`${rule} `)).length +
    hours.flatMap(({ findings }) => findings).filter((body) => body.startsWith(`${rule}: `)).length;
  const share = (part: number, whole: number) =>
    whole === 0 ? '' : `${part}/${whole} (${((100 * part) / whole).toFixed(0)} %)`;
  const rows = ALL.map((rule) => {
    const own = scenarios.filter((each) => each.rule === rule);
    const found = own.filter((each) => each.found);
    const missed = own.filter((each) => !each.found).map(({ name }) => name);
    const precision = share(found.length, found.length + falseOf(rule));
    return `| \`${rule}\` | ${precision} | ${share(found.length, own.length)} | ${found.map(({ name }) => name).join('; ')} | ${missed.join('; ')} |`;
  });
  const total = hours.reduce((sum, { lookups }) => sum + lookups, 0);
  const findings = hours.reduce((sum, each) => sum + each.findings.length, 0);
  return [
    '| rule | precision | recall | found | missed |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
    `Ordinary traffic: ${hours.length} different hours, ${total} lookups of some 20 programs, ${findings} findings.`,
  ];
}

const PAGE = join(import.meta.dirname, '../../docs/detections.md');
const BEGIN = '<!-- quality: begin (node test/detect/quality.ts) -->';
const END = '<!-- quality: end -->';

function writePage(quality: Quality): void {
  const text = readFileSync(PAGE, 'utf8');
  const [before = '', rest = ''] = text.split(BEGIN);
  const after = rest.slice(rest.indexOf(END));
  writeFileSync(PAGE, `${before}${BEGIN}\n\n${tablesOf(quality).join('\n')}\n\n${after}`);
}

if (import.meta.main) {
  const quality = await measureQuality();
  writeFileSync(RESULTS, `${JSON.stringify(quality, undefined, 2)}\n`);
  writePage(quality);
  console.log(tablesOf(quality).join('\n'));
}
