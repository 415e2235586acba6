/** Every reason that a stage can count is declared, spelt alike, and seen by the right alert. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { LOST_RECORDS } from '../../otel-config/grafana/queries.ts';
import { Ledger } from '../../src/ledger.ts';
import type { StageReasons } from '../../src/tables/drop-definition.ts';
import {
  SOURCE_DROPS,
  STAGE_FAMILIES,
  STAGES,
  type StageName,
  stageReasons,
} from '../../src/tables/stages.ts';
import { UNKNOWN_REASONS } from '../../src/tables/unknown-reasons.ts';
import { DROP_REASONS } from '../../src/wire/layout.gen.ts';

const RULES = 'otel-config/prometheus/rules/whodns.rules.yml';
const DECLARED: readonly (readonly [string, StageReasons])[] = [
  ['kernel', { dropped: SOURCE_DROPS, filtered: {} }],
  ...Object.entries(STAGES),
  ...Object.entries(STAGE_FAMILIES).map(([family, reasons]) => [`${family}:any`, reasons] as const),
];

describe('reasons', () => {
  it('are snake_case, in the ledger and in records', () => {
    const words = [
      ...DECLARED.flatMap(([, { dropped, filtered }]) => [...Object.keys(dropped), ...Object.keys(filtered)]),
      ...Object.keys(UNKNOWN_REASONS),
    ];
    assert.ok(words.length > 50);
    for (const word of words) assert.match(word, /^[a-z]+(_[a-z]+)*$/);
  });

  it('of a full bound too, wherever it is counted (whodns.suppressed.bound)', () => {
    const sources = globSync('src/**/*.ts').map((file) => readFileSync(file, 'utf8'));
    const words = sources.flatMap((text) =>
      [...text.matchAll(/'([a-z_-]+[_-]full)'/g)].map(([, word = '']) => word),
    );
    assert.ok(words.length > 8);
    for (const word of words) assert.doesNotMatch(word, /-/);
  });

  it('of the kernel are those of bpf/event.h', () => {
    for (const reason of DROP_REASONS) assert.ok(reason in SOURCE_DROPS, reason);
    const others = Object.keys(SOURCE_DROPS).filter(
      (reason) => !DROP_REASONS.some((each) => each === reason),
    );
    assert.ok(
      others.every((reason) => reason.startsWith('fragment_')),
      others.join(' '),
    );
  });

  it('that are not declared for a stage do not compile', () => {
    const ledger = new Ledger();
    ledger.stage('streams').drop('stream_gap');
    ledger.stage('sink:otlp').drop('queue_full');
    ledger.stage('sink:otlp-spans').filter('unsampled');
    ledger.stage('detector:mine').filter('off');
    // @ts-expect-error spelt otherwise
    ledger.stage('streams').drop('stream-gap');
    // @ts-expect-error of another stage
    ledger.stage('streams').drop('queue_full');
    // @ts-expect-error left out, not lost
    ledger.stage('answers').drop('unmatched');
    // @ts-expect-error left out, not lost
    ledger.stage('detector:mine').drop('off');
    // @ts-expect-error spans alone are sampled
    ledger.stage('sink:otlp').filter('unsampled');
    // @ts-expect-error no such stage
    assert.throws(() => stageReasons(ledger.stage('sinks').name).dropped);
  });

  it('have what they mean and what to do, and a stage of every name has its own', () => {
    for (const [stage, { dropped, filtered }] of DECLARED) {
      for (const [reason, { description, action }] of Object.entries(dropped))
        assert.ok(description.endsWith('.') && action.endsWith('.'), `${stage} ${reason}`);
      for (const [reason, description] of Object.entries(filtered))
        assert.ok(description.endsWith('.'), `${stage} ${reason}`);
      if (stage !== 'kernel') assert.deepEqual(stageReasons(stage as StageName), { dropped, filtered });
    }
  });
});

describe('alerts on whodns.dropped', () => {
  const text = readFileSync(RULES, 'utf8');
  const { groups } = parse(text) as {
    groups: readonly { rules: readonly { alert?: string; expr: string }[] }[];
  };
  const selectorOf = (alert: string): string => {
    const rule = groups.flatMap(({ rules }) => rules).find((each) => each.alert === alert);
    return /whodns_dropped_total\{([^}]*)\}/.exec(rule?.expr ?? '')?.[1] ?? '';
  };
  const matches = (alert: string, stage: string, reason: string): boolean => {
    const inside = selectorOf(alert);
    assert.notEqual(inside, '', alert);
    const labels: Readonly<Record<string, string>> = { whodns_stage: stage, whodns_reason: reason };
    return [...inside.matchAll(/(\w+)(=~|!~|=|!=)"([^"]*)"/g)].every(([, label = '', operator, pattern]) => {
      const is = new RegExp(`^(?:${pattern})$`).test(labels[label] ?? '');
      return operator?.startsWith('!') ? !is : is;
    });
  };

  it('are what the dashboards show as lost', () => {
    assert.equal(selectorOf('WhodnsLosesRecords'), LOST_RECORDS);
  });

  it('tell lost records from what a budget leaves out, and from everything else', () => {
    const alerts = { record: 0, budget: 0, none: 0 };
    for (const [stage, { dropped }] of DECLARED)
      for (const [reason, { cost }] of Object.entries(dropped)) {
        const isBudget = cost === 'record' && reason.endsWith('_suppressed');
        const isRecord = cost === 'record' && !isBudget;
        assert.equal(matches('WhodnsLosesRecords', stage, reason), isRecord, `${stage} ${reason}`);
        assert.equal(matches('WhodnsLeavesOut', stage, reason), isBudget, `${stage} ${reason}`);
        alerts[isBudget ? 'budget' : isRecord ? 'record' : 'none']++;
      }
    assert.ok(alerts.record > 20 && alerts.budget === 2 && alerts.none > 8, JSON.stringify(alerts));
  });
});
