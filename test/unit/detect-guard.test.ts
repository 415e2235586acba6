/** Detectors of users: what a bad one does to itself, and that it does nothing to the others. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Detector, Finding } from '../../src/detect/detector.ts';
import { loadDetectors } from '../../src/detect/load.ts';
import { UserError } from '../../src/lib/errors.ts';
import { costSince, threadTime } from '../../src/lib/thread-time.ts';
import { sceneOf, sceneWith } from './detect-events.ts';

const GOOD: Detector = {
  name: 'good',
  severity: 'info',
  describe: 'Every lookup.',
  onEvent: (event) => ({ subject: event.kind, message: 'seen' }),
};

function detector(name: string, onEvent: Detector['onEvent'], more: Partial<Detector> = {}): Detector {
  return { name, severity: 'info', describe: 'For a test.', onEvent, ...more };
}

/** Of this thread's own time: a busy host must not shorten it. */
function spin(ms: number): undefined {
  const before = threadTime();
  while (costSince(before).own < ms);
}

describe('a bad detector is switched off, the others go on', () => {
  const cases: readonly [string, Detector['onEvent'], RegExp, number][] = [
    ['throws', () => assert.fail('broken\nin two lines'), /switched off for 60 s: it threw: broken/, 1],
    [
      'throws what cannot be shown',
      () => {
        throw { toString: () => assert.fail('no') };
      },
      /switched off for 60 s: it threw: something/,
      1,
    ],
    ['is very slow now and then', () => spin(40), /3 of \d+ calls took more than 25 ms/, 4],
    ['is a bit slow always', () => spin(0.6), /most of its calls take more than 250 us/, 6000],
    ['returns something else', () => 'x' as unknown as Finding, /not a finding/, 1],
    [
      'is asynchronous',
      (async () => assert.fail('later')) as unknown as Detector['onEvent'],
      /not a finding/,
      1,
    ],
    [
      'has evidence that throws',
      () => ({
        subject: 's',
        message: 'm',
        evidence: Object.defineProperty({}, 'x', { enumerable: true, get: () => assert.fail('gotcha') }),
      }),
      /it threw: gotcha/,
      1,
    ],
  ];
  for (const [name, onEvent, message, max] of cases) {
    it(name, async () => {
      const scene = sceneWith([detector('bad', onEvent), GOOD], [], {}, 0);
      let events = 0;
      while (events < max && !scene.messages.some((text) => text.includes('bad is switched off'))) {
        scene.ask(events, {});
        events++;
      }
      assert.match(scene.messages.at(-1) ?? '', message);
      for (let i = 0; i < 10; i++) scene.ask(events + i, {});
      assert.equal(scene.rules().filter((rule) => rule === 'good').length, events + 10);
      const stage = scene.ledger.stage('detector:bad').snapshot();
      assert.equal(stage.filtered['off'], 10);
      assert.equal(stage.missing, 0);
      assert.equal(scene.messages.length, 1, 'said once');
      assert.equal(scene.ledger.stage('detector:good').snapshot().filtered['off'], undefined);
      await new Promise(setImmediate); // a rejection that nobody handles would end the process now
    });
  }

  it('a quick one stays on', () => {
    const scene = sceneWith([GOOD]);
    for (let i = 0; i < 20_000; i++) scene.ask(i / 1000, {});
    assert.equal(scene.ledger.stage('detector:good').snapshot().out, 20_000);
    assert.deepEqual(scene.messages, []);
  });
});

describe('findings', () => {
  it('are not repeated for a while, then say how many there were', () => {
    const scene = sceneWith([GOOD], [], {}, 60_000);
    for (let second = 0; second <= 120; second++) scene.ask(second, {});
    assert.deepEqual(
      scene.findings.map(({ attributes }) => attributes['whodns.finding.suppressed']),
      [undefined, 59, 59],
    );
    assert.equal(scene.ledger.stage('detect').filtered.get('cooldown'), 118);
  });

  it('are bounded in every part', () => {
    const evidence = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, 'x'.repeat(1e6)]));
    const scene = sceneWith([
      detector('large', () => ({ subject: 's'.repeat(1e6), message: 'm'.repeat(1e6), evidence })),
    ]);
    scene.ask(0, {});
    const [found] = scene.findings;
    assert.ok(JSON.stringify(found?.attributes).length < 50_000);
    assert.equal(found?.body.length, 1024);
  });

  it('keep what the rule itself says', () => {
    const evidence = { 'security_rule.name': 'other', bad: Number.NaN, list: ['a'] };
    const scene = sceneWith([detector('mine', () => ({ subject: 's', message: 'm', evidence }))]);
    scene.ask(0, {});
    assert.equal(scene.findings[0]?.attributes['security_rule.name'], 'mine');
    assert.equal(scene.findings[0]?.attributes['bad'], undefined);
    assert.deepEqual(scene.findings[0]?.attributes['list'], ['a']);
  });
});

describe('state', () => {
  it('of a process goes with the process, and is bounded', () => {
    let made = 0;
    const counts: number[] = [];
    const scene = sceneWith([
      detector('counter', (event, { state }) => void counts.push(++(state as Counter).of(event).seen), {
        init: (context) =>
          context.perProcess(() => {
            made++;
            return { seen: 0 };
          }),
      }),
    ]);
    interface Counter {
      of(event: unknown): { seen: number };
    }
    const spec = (pid: number, startTime: bigint) => ({
      process: {
        pid,
        startTime,
        attribution: 'kernel' as const,
        executableName: '',
        containerId: undefined,
        workload: '',
        resource: {},
      },
    });
    scene.ask(0, spec(1, 1n));
    scene.ask(0, spec(1, 1n));
    scene.ask(0, spec(1, 2n)); // the pid is another process's now
    assert.deepEqual(counts, [1, 2, 1]);
    for (let pid = 2; pid < 10_000; pid++) scene.ask(1, spec(pid, 1n));
    scene.ask(2, spec(1, 2n));
    assert.equal(counts.at(-1), 1, 'forgotten: there were too many');
    assert.equal(made, 9998 + 3);
  });
});

describe('settings', () => {
  const rejected = (settings: readonly string[], message: RegExp) =>
    assert.rejects(
      sceneOf(['tunnel'], settings),
      (error) => error instanceof UserError && message.test(error.message) && error.exitCode === 2,
    );
  it('are checked', async () => {
    await rejected(['tunnel.rate=0'], /rate=0.*whole number from 1/);
    await rejected(['tunnel.speed=1'], /no setting of tunnel; it has window, rate/);
    await rejected(['mine.rate=1'], /no detector has such a setting/);
    await rejected(['rubbish'], /is not RULE.KEY=VALUE/);
    await rejected(['tunnel.distinct=2', 'tunnel.window=1x'], /distinct=2.*\n.*window=1x/s);
    await rejected(['tunnel.__proto__=1'], /is not RULE.KEY=VALUE/);
    await rejected(['tunnel.constructor=1'], /names no setting/);
  });
  it('of a built-in rule that is off change nothing', async () => {
    await sceneOf(['tunnel'], ['nxdomain-burst.count=10']);
  });
});

describe('--detector FILE', () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-detector-'));
  after(() => rmSync(directory, { recursive: true }));
  let files = 0;
  const load = (text: string, mode = 0o644) => {
    const file = join(directory, `d${files++}.ts`);
    writeFileSync(file, text);
    chmodSync(file, mode);
    return loadDetectors({ detect: ['tunnel'], detectors: [file] });
  };
  const body = (parts: string) =>
    `export default { name: 'mine', severity: 'warn', describe: 'x', onEvent() { return undefined }, ${parts} };`;

  it('is loaded beside the built-in ones', async () => {
    const all = await load(
      body("settings: { most: { kind: 'count', default: 1, min: 0, max: 9, description: '' } }"),
    );
    assert.deepEqual(
      all.map(({ name }) => name),
      ['tunnel', 'mine'],
    );
    sceneWith(all, ['mine.most=5']);
    assert.throws(() => sceneWith(all, ['mine.most=10']), /from 0 to 9/);
    assert.throws(() => sceneWith(all, ['mine.least=1']), /no detector has/);
  });

  const refusals: readonly [string, string, RegExp][] = [
    ['no default export', 'export const x = 1', /no default export/],
    ['a syntax error', 'export default {', /--detector/],
    ['one that throws', 'throw new Error("at import")', /at import/],
    ['a name of a built-in rule', body("name: 'tunnel'"), /already/],
    ['a bad name', body("name: 'Mine!'"), /lower-case/],
    ['an unknown severity', body("severity: 'toString'"), /severity is not one of info, warn, error/],
    ['no onEvent', body('onEvent: 1'), /onEvent is not a function/],
    ['bad settings', body('settings: { x: {} }'), /settings: x/],
    ['bad needs', body("needs: ['root']"), /needs is not a list/],
  ];
  for (const [what, text, message] of refusals)
    it(`refuses ${what}`, () =>
      assert.rejects(load(text), (error) => error instanceof UserError && message.test(error.message)));

  it('refuses a file that others can write to, and one that is not there', async () => {
    await assert.rejects(load(body(''), 0o666), /chmod go-w/);
    await assert.rejects(loadDetectors({ detect: [], detectors: ['/nonexistent/x.ts'] }), /ENOENT/);
  });

  it('refuses one that cannot start', async () => {
    const all = await load(body("init() { throw new Error('no licence') }"));
    assert.throws(() => sceneWith(all), /detector mine cannot start: no licence/);
  });
});
