/** Facts of processes that come later, and detectors that are off: what becomes of the judgements, counted to one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Detector, LookupEvent } from '../../src/detect/detector.ts';
import { FactCache } from '../../src/detect/fact-cache.ts';
import { Later, NO_FACT } from '../../src/detect/later.ts';
import type { Owner } from '../../src/model.ts';
import { OWNER } from './correlate-events.ts';
import { AGENT, sceneOf, sceneWith } from './detect-events.ts';
import { identity } from './sink-events.ts';

const DEADLINE_MS = 60;

function ownerOf(pid: number, cgroupId = 1n): Owner {
  return { ...OWNER, pid, startTime: BigInt(pid), cgroupId };
}

/** A cache whose facts the test gives. */
function cacheOf(max = Number.POSITIVE_INFINITY, deadlineMs = DEADLINE_MS) {
  const asked: Owner[] = [];
  const answers = new Map<number, (fact: string | undefined) => void>();
  const cache = new FactCache<string>({
    freshMs: 1000,
    deadlineMs,
    read: (owner) => {
      asked.push(owner);
      return asked.length > max
        ? Promise.reject(new Error('unreadable'))
        : new Promise((resolve) => answers.set(owner.pid, resolve));
    },
  });
  const got: unknown[] = [];
  const ask = (owner: Owner, at = 0) => {
    const event = { at } as LookupEvent;
    const outcome = cache.ask(owner, event, (fact) => ({ subject: String(fact), message: '' }));
    if (outcome instanceof Later)
      outcome.whenKnown((fact) => got.push(fact === NO_FACT ? 'none' : outcome.decide(fact)?.subject));
    else got.push(outcome?.subject);
  };
  return { asked, answers, got, ask };
}

describe('facts that come later', () => {
  it('are asked for once a process, remembered, and asked for again when they are old', async () => {
    const { asked, answers, got, ask } = cacheOf();
    for (let i = 0; i < 10; i++) ask(ownerOf(1));
    await sleep(1);
    assert.equal(asked.length, 1);
    answers.get(1)?.('yes');
    await sleep(1);
    assert.deepEqual(got, Array(10).fill('yes'));
    ask(ownerOf(1), 999);
    assert.equal(got.length, 11, 'at once');
    ask({ ...ownerOf(1), startTime: 7n }, 999); // another process with that pid
    ask(ownerOf(1), 2000);
    await sleep(1);
    assert.equal(asked.length, 3);
  });

  it('do not come: after the deadline there is none, and what comes too late is for the next', async () => {
    const { answers, got, ask } = cacheOf();
    ask(ownerOf(1));
    await sleep(DEADLINE_MS * 2);
    assert.deepEqual(got, ['none']);
    answers.get(1)?.('late');
    await sleep(1);
    ask(ownerOf(1));
    assert.deepEqual(got, ['none', 'late']);
  });

  it('cannot be read: that is what the detector is told', async () => {
    const { got, ask } = cacheOf(0);
    ask(ownerOf(1));
    await sleep(1);
    assert.deepEqual(got, ['undefined']);
  });

  it('of one group of many processes keep nobody else waiting', async () => {
    const { asked, answers, got, ask } = cacheOf(Number.POSITIVE_INFINITY, 2000);
    for (let pid = 1; pid <= 5000; pid++) ask(ownerOf(pid, 1n));
    ask(ownerOf(9001, 2n));
    await sleep(1);
    const first = asked.length;
    assert.ok(first < 200, 'not all at once');
    assert.ok(
      asked.some(({ pid }) => pid === 9001),
      'its turn came among the first',
    );
    answers.get(9001)?.('other');
    await sleep(5);
    assert.ok(got.includes('other'));
    const refused = got.filter((fact) => fact === 'none').length;
    assert.ok(refused >= 5000 - 1024 - first, 'of the group that has most');
    while (got.length < 5001) await sleep(10);
  });
});

/** Asks for a fact that the test gives, and finds something when it is `true`. */
const asking: Detector = {
  name: 'asking',
  severity: 'info',
  describe: 'For a test.',
  onEvent: (event, { host }) =>
    host.servesNames(event, (serves) => {
      if (serves === undefined) throw new Error('no fact');
      return serves ? { subject: 'found', message: 'm' } : undefined;
    }),
};

function askingScene() {
  const deliveries: ((fact: unknown) => void)[] = [];
  const scene = sceneWith([asking], [], {
    facts: { servesNames: (_event, decide) => new Later((deliver) => deliveries.push(deliver), decide) },
  });
  return { scene, deliveries, detect: () => scene.ledger.stage('detect').snapshot() };
}

describe('a judgement that waits', () => {
  it('is held, then found, cleared or lost', async () => {
    const { scene, deliveries, detect } = askingScene();
    for (let i = 0; i < 5; i++) scene.ask(i, {});
    assert.deepEqual([detect().in, detect().held, detect().missing], [5, 5, 0]);
    for (const fact of [true, false, NO_FACT]) deliveries.shift()?.(fact);
    assert.deepEqual(scene.rules(), ['asking']);
    assert.deepEqual([detect().filtered, detect().dropped], [{ cleared: 1 }, { no_fact: 1 }]);
    assert.deepEqual([detect().held, detect().missing], [2, 0]);
    await scene.detections.close(20);
    assert.deepEqual([detect().held, detect().dropped['no_fact'], detect().missing], [0, 3, 0]);
    for (const deliver of deliveries) deliver(true);
    assert.equal(scene.findings.length, 1, 'nothing after the end');
    assert.equal(detect().missing, 0);
  });

  it('that throws switches the detector off; those behind it are not looked at', () => {
    const { scene, deliveries, detect } = askingScene();
    for (let i = 0; i < 2; i++) scene.ask(i, {});
    deliveries[0]?.(undefined);
    deliveries[1]?.(true);
    assert.match(scene.messages.join(), /asking is switched off for 60 s: it threw: no fact/);
    assert.deepEqual([detect().dropped, detect().filtered], [{ invalid: 1 }, { off: 1 }]);
    assert.equal(detect().missing, 0);
  });

  it('of a built-in rule asks two facts one after the other', async () => {
    const deliveries: ((fact: unknown) => void)[] = [];
    const later = (_event: unknown, decide: (fact: never) => ReturnType<Detector['onEvent']>) =>
      new Later((deliver) => deliveries.push(deliver), decide);
    const scene = await sceneOf(['rogue-resolver'], [], {
      facts: { nameServers: later, servesNames: later },
    });
    scene.ask(0, { raw: { remote: { address: '203.0.113.9', port: 53 } } });
    deliveries[0]?.(['192.0.2.53']);
    assert.deepEqual(scene.rules(), []);
    deliveries[1]?.(false);
    assert.equal(scene.findings[0]?.attributes['whodns.finding.subject'], '203.0.113.9');
  });
});

describe('a detector that is off', () => {
  it('says so as a finding of the agent, comes back after a pause that doubles, and says that too', async () => {
    let broken = true;
    const seen: number[] = [];
    const flaky: Detector = {
      name: 'flaky',
      severity: 'info',
      describe: 'For a test.',
      onEvent(event) {
        if (broken) throw new Error('not now');
        seen.push(event.at);
        return undefined;
      },
    };
    const scene = sceneWith([flaky], [], {}, 0, 30);
    const records = () => scene.findings.map(({ attributes }) => attributes);
    scene.ask(0, {});
    scene.ask(1, {});
    assert.equal(records().length, 1);
    assert.equal(records()[0]?.['security_rule.name'], 'detector-off');
    assert.equal(records()[0]?.['whodns.finding.subject'], 'flaky');
    assert.equal(records()[0]?.['whodns.finding.kind'], 'off');
    assert.equal(records()[0]?.['whodns.finding.reason'], 'it threw: not now');
    assert.equal(scene.findings[0]?.process, AGENT);
    assert.ok(Date.now() - Date.parse(String(records()[0]?.['whodns.finding.since'])) < 10_000);
    await sleep(35);
    scene.ask(2, {}); // back, and off again
    assert.deepEqual(
      records().map((each) => each['whodns.finding.kind']),
      ['off', 'on', 'off'],
    );
    assert.equal(records()[1]?.['whodns.finding.missed'], 1);
    assert.equal(records()[2]?.['whodns.finding.seconds'], 0.06, 'twice as long');
    await sleep(35);
    broken = false;
    scene.ask(3, {});
    assert.equal(seen.length, 0, 'still off');
    await sleep(35);
    scene.ask(4, {});
    assert.equal(seen.length, 1);
    const stage = scene.ledger.stage('detector:flaky').snapshot();
    assert.deepEqual([stage.dropped, stage.filtered, stage.missing], [{ threw: 2 }, { off: 2 }, 0]);
  });

  it('by one that sleeps in its calls too: they take no processor time, but the agent waits', () => {
    const nap = new Int32Array(new SharedArrayBuffer(4));
    const sleeper: Detector = {
      name: 'sleeper',
      severity: 'info',
      describe: 'For a test.',
      onEvent: () => void Atomics.wait(nap, 0, 0, 40),
    };
    const scene = sceneWith([sleeper]);
    for (let i = 0; i < 6; i++) scene.ask(i, { process: identity() });
    assert.match(
      scene.messages.join(),
      /sleeper is switched off for 60 s: 3 of \d calls took more than 25 ms/,
    );
  });
});
