/** Every alert and every reason has its place in docs/runbook.md, and what the page names exists. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { METRICS } from '../../src/tables/metrics.ts';
import { OPTIONS, type Option } from '../../src/tables/options.ts';
import { SOURCE_DROPS, STAGE_FAMILIES, STAGES } from '../../src/tables/stages.ts';
import { UNKNOWN_REASONS } from '../../src/tables/unknown-reasons.ts';

const PAGE = readFileSync('docs/runbook.md', 'utf8');

/** As GitHub makes it of a heading. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');
const ANCHORS = new Set([
  ...[...PAGE.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading)),
  ...[...PAGE.matchAll(/<a id="([^"]+)"><\/a>/g)].map(([, id = '']) => id),
]);

test('every alert leads to a section with steps', () => {
  const { groups } = parse(readFileSync('otel-config/prometheus/rules/whodns.rules.yml', 'utf8')) as {
    groups: readonly {
      rules: readonly { alert?: string; annotations?: Readonly<Record<string, string>> }[];
    }[];
  };
  const alerts = groups.flatMap(({ rules }) => rules).filter(({ alert }) => alert !== undefined);
  assert.ok(alerts.length >= 13);
  for (const { alert = '', annotations } of alerts) {
    assert.equal(annotations?.['runbook_url'], `docs/runbook.md#${alert.toLowerCase()}`);
    const section = new RegExp(`^## ${alert}$([\\s\\S]*?)^## `, 'm').exec(PAGE)?.[1] ?? '';
    assert.match(section, /^1\. /m, alert);
  }
  const sections = [...PAGE.matchAll(/^## ((?:Dns|Whodns)\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual(
    sections,
    alerts.map(({ alert }) => alert),
    'in the order of the rules, none of an alert that is gone',
  );
});

test('promtool is told for every alert when it is raised, and when not', () => {
  const { tests } = parse(readFileSync('otel-config/prometheus/rules/whodns.test.yml', 'utf8')) as {
    tests: readonly {
      alert_rule_test?: readonly { alertname: string; exp_alerts: readonly unknown[] }[];
    }[];
  };
  const cases = tests.flatMap(({ alert_rule_test = [] }) => alert_rule_test);
  for (const name of [...PAGE.matchAll(/^## ((?:Dns|Whodns)\w+)$/gm)].map(([, one]) => one)) {
    const own = cases.filter(({ alertname }) => alertname === name);
    assert.ok(
      own.some(({ exp_alerts }) => exp_alerts.length > 0),
      `${name}: raised`,
    );
    assert.ok(
      own.some(({ exp_alerts }) => exp_alerts.length === 0),
      `${name}: not raised`,
    );
  }
});

test('every reason has an anchor', () => {
  const stages = { kernel: { dropped: SOURCE_DROPS, filtered: {} }, ...STAGES, ...STAGE_FAMILIES };
  for (const [stage, { dropped, filtered }] of Object.entries(stages))
    for (const reason of [...Object.keys(stage.startsWith('sink:') ? {} : dropped), ...Object.keys(filtered)])
      assert.ok(ANCHORS.has(`${stage}-${reason}`), `${stage}-${reason}`);
  for (const reason of Object.keys(UNKNOWN_REASONS)) assert.ok(ANCHORS.has(`unknown-${reason}`), reason);
});

test('links within the page, flags and metrics exist', () => {
  for (const [, anchor = ''] of PAGE.matchAll(/\]\(#([^)]+)\)/g)) assert.ok(ANCHORS.has(anchor), anchor);
  const flags = new Set(
    (Object.values(OPTIONS) as readonly Pick<Option, 'flag'>[]).map(({ flag }) => flag?.split(' ')[0]),
  );
  for (const [flag] of PAGE.matchAll(/--[a-z][a-z-]+/g)) assert.ok(flags.has(flag), flag);
  for (const [, name = ''] of PAGE.matchAll(/`(whodns\.(?:dropped|filtered|inspector|process)\.?[\w.]*)`/g))
    assert.ok(name in METRICS, name);
});
