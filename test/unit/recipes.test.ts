/** docs/recipes.md: short, complete, and what it sets is what the agent takes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseArguments } from '../../src/cli/arguments.ts';
import { resolveConfig } from '../../src/config/config.ts';
import { SECTIONS, variablesOf } from './recipes-page.ts';

const MAX_LINES = 20;
const WANTED = [
  ...['Grafana Cloud', 'Grafana Alloy', 'Datadog', 'Elastic', 'Splunk', 'ClickHouse', 'Honeycomb', 'SigNoz'],
  ...['VictoriaLogs', 'New Relic', 'AWS (ADOT, CloudWatch)', 'Google Cloud', 'Azure Monitor'],
];

describe('recipes', () => {
  it('there is one for each place', () => assert.deepEqual([...SECTIONS.keys()], WANTED));

  for (const [name, text] of SECTIONS)
    it(`${name}: at most ${MAX_LINES} lines, one pitfall, and what was run`, () => {
      assert.ok(text.split('\n').length <= MAX_LINES);
      assert.equal([...text.matchAll(/^- Pitfall: /gm)].length, 1);
      assert.match(text, /^- (Run|Not run)\b/m);
      assert.match(text, /^ {4}\S/m, 'what to copy');
    });

  for (const [name, text] of SECTIONS)
    it(`${name}: the agent takes its variables as they are meant`, () => {
      const environment = variablesOf(text);
      const invocation = parseArguments(['run'], '0.0.0');
      assert.ok(invocation.command !== 'print');
      const { config, warnings } = resolveConfig(invocation.command, invocation.flags, environment);
      assert.deepEqual(warnings, []);
      const headers = {
        OTEL_EXPORTER_OTLP_HEADERS: config.otlpHeaders,
        OTEL_EXPORTER_OTLP_LOGS_HEADERS: config.logsHeaders,
        OTEL_EXPORTER_OTLP_METRICS_HEADERS: config.metricsHeaders,
      };
      for (const [variable, taken] of Object.entries(headers)) {
        const pairs = (environment[variable] ?? '').split(',').filter((pair) => pair !== '');
        const meant = pairs.map((pair) => pair.split('=').map(decodeURIComponent));
        assert.deepEqual(
          [...taken],
          meant.map(([key = '', value]) => [key.toLowerCase(), value]),
          variable,
        );
      }
    });
});
