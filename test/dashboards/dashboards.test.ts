/**
 * Every panel of every shipped dashboard, drawn in Chromium by Grafana's own components with what real Prometheus, VictoriaLogs and
 * Jaeger answer: an hour of the scenario, and an hour of a healthy host behind a Collector that adds nothing.
 * WHODNS_IMAGES=1 writes the pictures of docs/images.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BOARDS } from '../../otel-config/grafana/dashboards.ts';
import { LOOKUPS } from '../backends/scenario.ts';
import { type Stack, startStack } from '../backends/stack.ts';
import { waitUntil } from '../collector/running-program.ts';
import { licences } from './build.ts';
import { HEALTHY, HOSTILE, HOSTILE_NAME, type Hour, sendHour, TROUBLE } from './hour.ts';
import type { BoardInput } from './page/input.ts';
import { dashboard, type Sources, withFrames } from './panels.ts';
import { type Metrics, startMetrics } from './prometheus.ts';
import { type Drawn, Screen } from './screen.ts';

const IMAGES = join(import.meta.dirname, '../../docs/images');
const now = Math.floor(Date.now() / 60_000) * 60;
const hour: Hour = { start: now - 3600, end: now };
const directory = mkdtempSync(join(tmpdir(), 'whodns-dashboards-'));
let stack: Stack;
let trouble: Metrics;
let healthy: Metrics;
let hostile: Metrics;
let screen: Screen;

before(async () => {
  [screen, stack, trouble, healthy, hostile] = await Promise.all([
    Screen.open(),
    startStack(join(directory, 'stack')),
    startMetrics(join(directory, 'trouble'), hour, TROUBLE),
    startMetrics(join(directory, 'healthy'), hour, HEALTHY),
    startMetrics(join(directory, 'hostile'), hour, HOSTILE),
  ]);
  await sendHour(stack.collector.httpEndpoint, hour);
  const [{ records, traces }] = stack.pairs;
  const count = LOOKUPS.reduce((sum, group) => sum + group.count, 0);
  const query = records.text({ kind: 'whodns.query', filters: [] });
  const arrived = async () =>
    (await records.lines(query, hour)).length === count &&
    (await traces.ofService('checkout', hour)).length > 0;
  assert.ok(await waitUntil(arrived, 60_000), stack.collector.log().slice(-2000));
});

after(async () => {
  await screen?.close();
  await Promise.all([stack?.stop(), trouble?.stop(), healthy?.stop(), hostile?.stop()]);
  rmSync(directory, { recursive: true, force: true });
});

async function draw(
  uid: string,
  sources: Sources,
  chosen: Readonly<Record<string, string>> = {},
): Promise<Drawn> {
  const board = BOARDS.find((each) => each.uid === uid);
  assert.ok(board);
  const all = Object.fromEntries(board.variables.map(({ name, text }) => [name, text ?? '.*']));
  const variables = { ...all, ...chosen };
  const json = dashboard(uid);
  // Jaeger searches one service.
  const traced = uid === 'whodns-workload' ? { ...variables, service: 'checkout' } : variables;
  const panels = await Promise.all(
    json.panels.map((panel) =>
      withFrames(panel, panel.datasource.type === 'jaeger' ? traced : variables, sources, hour),
    ),
  );
  const input: BoardInput = {
    title: json.title,
    panels,
    variables,
    from: hour.start * 1000,
    to: hour.end * 1000,
  };
  return screen.draw(input);
}

const inTrouble = (): Sources => {
  const [{ records, traces }] = stack.pairs;
  return { metrics: trouble.api, records, traces };
};

/** As an attribute or label is spelled, not as one would say it. */
const LABEL_NAME = /\b(?:host|service|k8s|process|whodns|dns|error|otel|cpu|security_rule)[._][a-z_.]+\b/;

describe('the scenario', () => {
  for (const { uid, panels } of BOARDS) {
    test(uid, async () => {
      const { seen, shown, faults } = await draw(uid, inTrouble());
      if (process.env.WHODNS_IMAGES !== undefined)
        await screen.shoot(join(IMAGES, `grafana-${uid.slice(7)}.png`));
      assert.deepEqual(faults, []);
      assert.deepEqual(
        seen.map(({ title }) => title),
        panels.map(({ title }) => title),
      );
      for (const [index, panel] of panels.entries()) {
        const where = `${uid}/${panel.title}`;
        const { empty = '', links = [] } = seen[index] ?? {};
        assert.equal(empty, '', where);
        const {
          text = '',
          legend = [],
          headings = [],
          rows = 0,
          ink = 0,
          axis = [],
          isCut = true,
          box,
        } = shown[index] ?? {};
        assert.doesNotMatch(text, /No data|NaN|undefined|Infinity/, where);
        for (const one of [...legend, ...headings]) {
          assert.notEqual(one, '', where);
          assert.doesNotMatch(one, LABEL_NAME, `${where}: ${one}`);
        }
        if (panel.kind === 'timeseries')
          assert.ok(legend.length > 0 && legend.length <= 20, `${where}: ${legend}`);
        if (panel.kind === 'timeseries') assert.match(axis[0] ?? '', /^0\b/, `${where}: ${axis}`);
        if (panel.kind === 'timeseries' || panel.kind === 'heatmap')
          assert.ok(ink > 0.001, `${where}: ${ink}`);
        if (panel.kind === 'table') {
          // Process ids are no rates, and an absent label is no sentence.
          assert.doesNotMatch(text, /\b(?:4\.20 ?K|991 req)\b|in the time range/, where);
          assert.deepEqual(headings, [...Object.values(panel.columns ?? {}), panel.number], where);
          assert.ok(rows > 0, where);
          assert.ok(!isCut, where);
        }
        if (panel.kind === 'logs') assert.ok(rows > 0, where);
        if (panel.kind === 'stat') assert.match(text, /\d/, where);
        assert.ok(box && box.x >= 0 && box.x + box.width <= 1600, where);
        for (const { href } of links)
          for (const [name, value] of new URL(href, 'http://g').searchParams)
            assert.notEqual(value, '', name);
        assert.deepEqual(
          links.map(({ title, href }) => [title, new URL(href, 'http://g').pathname]),
          (panel.links ?? []).map(({ title, board }) => [title, `/d/${board}`]),
          where,
        );
      }
    });
  }

  test('percent axes go from 0 to 100', async () => {
    const { shown } = await draw('whodns-nxdomain', inTrouble());
    const share = shown.find(({ title }) => title === 'Share wasted by service');
    assert.deepEqual([share?.axis[0], share?.axis.at(-1)], ['0%', '100%']);
  });

  test('the way down: a row leads to its workload, that to its process, that to its records', async () => {
    const { seen: overview } = await draw('whodns-overview', inTrouble());
    const first = linkOf(overview, 'Who asks most', 'This workload');
    assert.equal(first.service, 'checkout');
    assert.equal(first.namespace, 'shop');
    const { seen: workload } = await draw('whodns-workload', inTrouble(), first);
    const second = linkOf(workload, 'Processes', 'This process');
    assert.deepEqual([second.pid, second.executable, second.host], ['4201', 'node', 'node-7']);
    const { seen: process, shown } = await draw('whodns-process', inTrouble(), second);
    assert.match(String(shown.find(({ title }) => title === 'Lookups')?.text), /payments\.example\.com/);
    const third = linkOf(process, 'Names', 'Lookups of this name, and connections to it');
    const last = await draw('whodns-process', inTrouble(), { ...second, ...third });
    const lookups = last.shown.find(({ title }) => title === 'Lookups');
    assert.ok((lookups?.rows ?? 0) > 0);
    assert.doesNotMatch(String(lookups?.text), /gone\.example\.net/);
  });

  test('what somebody called a program or a service cannot choose another variable', async () => {
    for (const { uid } of BOARDS) {
      const { seen, shown, faults } = await draw(uid, { metrics: hostile.api });
      assert.deepEqual(faults, []);
      for (const { title, links } of seen) {
        for (const { href } of links) {
          const { searchParams, hash } = new URL(href, 'http://g');
          assert.equal(hash, '', `${title}: ${href}`);
          for (const name of new Set(searchParams.keys())) {
            const values = searchParams.getAll(name);
            assert.equal(values.length, 1, `${title}: ${href}`);
            if (name === 'var-executable' || name === 'var-service') assert.equal(values[0], '.*');
          }
        }
      }
      const processes = shown.find(({ title }) => title === 'Processes');
      if (processes !== undefined) assert.ok(processes.text.includes(HOSTILE_NAME.slice(0, 20)), uid);
    }
  });
});

/** Variables that a link sets. */
function linkOf(seen: Drawn['seen'], panel: string, link: string): Record<string, string> {
  const found = seen.find(({ title }) => title === panel)?.links.find(({ title }) => title === link);
  assert.ok(found, `${panel}: ${link}`);
  const parameters = [...new URL(found.href, 'http://g').searchParams];
  return Object.fromEntries(
    parameters.filter(([name]) => name.startsWith('var-')).map(([name, value]) => [name.slice(4), value]),
  );
}

describe('a healthy host behind a plain Collector', () => {
  for (const { uid, panels } of BOARDS) {
    test(uid, async () => {
      const { seen, shown, faults } = await draw(uid, { metrics: healthy.api });
      assert.deepEqual(faults, []);
      for (const [index, panel] of panels.entries()) {
        const where = `${uid}/${panel.title}`;
        const { empty = '' } = seen[index] ?? {};
        const { text = '', legend = [] } = shown[index] ?? {};
        assert.doesNotMatch(text, /No data|NaN/, where);
        // Records there are none here: their panels say so in words.
        assert.equal(empty, panel.source === 'metrics' ? '' : (panel.empty ?? '0'), where);
        if (panel.source === 'metrics' && panel.kind === 'timeseries')
          assert.ok(legend.length > 0 && legend.every((one) => !LABEL_NAME.test(one)), `${where}: ${legend}`);
        if (panel.kind === 'stat') assert.match(text, /\d/, where);
      }
      const lost = shown.filter(({ title }) => /^Lost(?: by whodns)?$/.test(title));
      for (const { text } of lost) assert.match(text, /^Lost(?: by whodns)?\s*0$/);
    });
  }
});

test('what draws them may be used: licences of all packages', () => {
  const permissive = /^(?:MIT|Apache-2\.0|ISC|BSD-[23]-Clause|0BSD|Unlicense|CC0-1\.0|BlueOak-1\.0\.0)$/;
  /** In the words of their LICENSE or README: the first two Unlicense, the third MIT. */
  const unsaid = ['fast-shallow-equal', 'react-universal-interface', 'get-document'];
  const found = licences();
  assert.ok(found.size > 400);
  for (const [path, licence] of found) {
    const options = licence.replaceAll(/[()]/g, '').split(' OR ');
    const isFree = options.some((each) =>
      each.split(' AND ').every((one) => one === 'Zlib' || permissive.test(one)),
    );
    assert.ok(isFree || unsaid.some((name) => path.endsWith(`/${name}`)), `${path}: ${licence}`);
  }
});
