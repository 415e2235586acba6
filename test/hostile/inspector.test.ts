/**
 * Processes that let nobody read them: a page of FUSE that never comes, behind the name of a process context or under the lock that readers
 * need; /etc/resolv.conf on a file system that does not answer (FUSE stands in for a hung NFS); memory under userfaultfd. The agent that
 * reads them itself hangs, on some of them for good: not even SIGKILL ends it.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../src/control/client.ts';
import type { InspectorStats } from '../../src/inspector/inspector.ts';
import { Publisher } from '../clients/publisher.ts';
import { Stage } from '../e2e/stage.ts';
import { contextBytes } from '../unit/process-context-bytes.ts';
import {
  assertFree,
  assertVictim,
  cgroupMount,
  fuseDevice,
  hang,
  inspectorsOf,
  release,
  stateOf,
  watch,
} from './hanging-processes.ts';
import { reportAttack } from './report.ts';

const HEALTH = '127.0.0.1:19471';
const PLACES = 8;
const MANY = 50;
const MANY_HOWS = ['lock', 'resolv', 'memory'] as const;

let stage: Stage;
let device = '';
let hanging: ChildProcess[] = [];

async function open(): Promise<void> {
  stage = await Stage.open('--health', HEALTH);
  device = fuseDevice(stage);
}

async function inspector(): Promise<InspectorStats> {
  const stats = (await ask(`${stage.directory}/control`, '/stats')) as { readonly inspector: InspectorStats };
  return stats.inspector;
}

async function until(condition: () => boolean | Promise<boolean>, what: string, ms = 10_000): Promise<void> {
  for (const end = performance.now() + ms; !(await condition()); await sleep(50))
    assert.ok(performance.now() < end, what);
}

/** ms from the signal to the end. */
async function endOf(signal: NodeJS.Signals): Promise<number> {
  const started = performance.now();
  process.kill(stage.agent.pid, signal);
  await until(() => !stage.agent.running, `${signal} did not end the agent`, 7000);
  return performance.now() - started;
}

/** A process that publishes a service name asks: what its record has of it. */
async function publish(name: string): Promise<unknown> {
  const publisher = await Publisher.start(
    ['memfd', Buffer.from(contextBytes({ 'service.name': 'shop' })).toString('hex')],
    ['nsenter', '--target', String(stage.namespace.pid), '--net', '--mount', '--'],
  );
  publisher.say(`ask 127.0.0.1 ${name}`);
  await publisher.line();
  const record = await stage.recordOf(name);
  await publisher.stop();
  return record.resource['service.name'];
}

async function close(): Promise<void> {
  await release(hanging);
  hanging = [];
  await stage?.close().catch(() => undefined);
}

describe('a process that cannot be read', () => {
  before(open);
  after(close);

  test('does not hold up the agent, nor others', async () => {
    const name = `page.${stage.zone}`;
    hanging.push(await hang(stage, device, 'memory', name));
    const watching = watch(stage.agent.pid, HEALTH, 4000);
    for (let i = 0; i < 10; i++) await assertVictim(stage, `v${i}.${stage.zone}`);
    const record = await stage.recordOf(name);
    assert.equal(record.attributes['whodns.attribution'], 'kernel');
    assert.equal(record.resource['process.executable.name'], 'hanging');
    assert.equal(record.resource['process.user.id'], 1000);
    const watched = await watching;
    assertFree(watched);
    // The name alone says nothing: the mapping is of a file, so its page was not even asked for.
    const { timeout, hanging: stuck } = await inspector();
    assert.deepEqual({ timeout, stuck }, { timeout: 0, stuck: 0 });
    reportAttack({
      attack: 'a FUSE page named memfd:OTEL_CTX that never comes',
      stranger: 'user',
      holds: 'no thread of the agent in state D, /livez answers within 1 s, lookups of others complete',
      figure: `${watched.stuck} of ${watched.samples} samples in D, slowest /livez ${watched.slowest.toFixed(0)} ms, 10 of 10 lookups complete`,
    });
  });

  test('by its lock, its resolv.conf or userfaultfd: the inspector is left behind, not the agent', async () => {
    const watching = watch(stage.agent.pid, HEALTH, 6000);
    const hows = ['lock', 'resolv', 'fault'] as const;
    for (const how of hows) {
      hanging.push(await hang(stage, device, how, `${how}.${stage.zone}`));
      await assertVictim(stage, `beside-${how}.${stage.zone}`);
    }
    for (const how of hows) {
      const record = await stage.recordOf(`${how}.${stage.zone}`);
      assert.equal(record.resource['process.executable.name'], 'hanging', how);
    }
    await until(async () => (await inspector()).timeout >= 2, 'no inspector was given up');
    const watched = await watching;
    assertFree(watched);
    const { timeout, hanging: stuck } = await inspector();
    // What waits for the lock SIGKILL has ended; a request that FUSE has taken holds its worker.
    assert.equal(stuck, 1);
    assert.equal(await publish(`later.${stage.zone}`), 'shop', 'others are read');
    reportAttack({
      attack: 'a lock that is never given back, a resolv.conf that never comes, a page under userfaultfd',
      stranger: 'user',
      holds: 'inspectors are given up after 1 s and replaced; what others publish is still read',
      figure: `${timeout} given up, ${stuck} hang, slowest /livez ${watched.slowest.toFixed(0)} ms`,
    });
  });

  test('while inspectors hang the agent stops in time, and leaves none behind', async () => {
    const workers = inspectorsOf(stage.agent.pid);
    assert.ok(workers.length > 1);
    const took = await endOf('SIGTERM');
    assert.ok(took < 5500, `SIGTERM took ${took} ms`);
    const held = workers.filter((pid) => stateOf(String(pid)) === 'D').length;
    await release(hanging);
    hanging = [];
    await until(() => workers.every((pid) => stateOf(String(pid)) === undefined), 'an inspector is left');
    reportAttack({
      attack: 'SIGTERM while inspectors hang',
      stranger: 'user',
      holds: 'the agent ends within its 5 s',
      figure: `${took.toFixed(0)} ms, ${held} inspectors still in state D then, 0 once the file system is gone`,
    });
  });
});

describe(`${MANY} processes that cannot be read`, () => {
  before(open);
  after(close);

  test('take the places of inspectors, never the identity of others', async () => {
    hanging = await Promise.all(
      Array.from({ length: MANY }, (_, i) =>
        hang(stage, device, MANY_HOWS[i % MANY_HOWS.length] ?? 'lock', `many${i}.${stage.zone}`),
      ),
    );
    const watching = watch(stage.agent.pid, HEALTH, 6000);
    let slowest = 0;
    for (let i = 0; i < 20; i++)
      slowest = Math.max(slowest, await assertVictim(stage, `w${i}.${stage.zone}`));
    for (let i = 0; i < MANY; i++) await stage.recordOf(`many${i}.${stage.zone}`);
    const watched = await watching;
    assertFree(watched);
    const { hanging: stuck, timeout, paused, stuck: refused } = await inspector();
    assert.ok(timeout >= 1 && stuck <= PLACES, `${stuck} hang`);
    assert.ok(paused + refused > 0, 'they were not left alone');
    assert.ok(inspectorsOf(stage.agent.pid).length <= PLACES + 1);
    assert.ok(slowest < 2000, `the slowest lookup took ${slowest} ms`);
    reportAttack({
      attack: `${MANY} processes that cannot be read`,
      stranger: 'user',
      holds: `no more than ${PLACES} inspectors hang, the identity of others is complete`,
      figure: `${stuck} inspectors hang, ${timeout} given up, 20 of 20 lookups of others complete, slowest ${slowest.toFixed(0)} ms`,
    });
  });

  test('SIGKILL works', async () => {
    const took = await endOf('SIGKILL');
    assert.ok(took < 1000, `${took} ms`);
    reportAttack({
      attack: `SIGKILL while ${MANY} processes hang inspectors`,
      stranger: 'user',
      holds: 'the agent is gone within 1 s',
      figure: `${took.toFixed(0)} ms`,
    });
  });
});

const mount = cgroupMount();
describe(`all ${PLACES} places of inspectors`, {
  skip: mount === undefined ? 'no cgroup v2 is mounted' : false,
}, () => {
  const groups = [2000, 2001].map((user) => ({
    user,
    group: join(mount ?? '', `whodns-test-${process.pid}-${user}`),
  }));
  const each = PLACES / groups.length;
  before(async () => {
    await open();
    for (const { group } of groups) mkdirSync(group);
  });
  after(async () => {
    await close();
    for (const { group } of groups) rmdirSync(group);
  });

  test('kept by two users in two control groups: said once, nobody loses the identity', async () => {
    const asked = groups.flatMap((whose) =>
      Array.from({ length: each }, (_, i) => ({ whose, name: `all${whose.user}-${i}.${stage.zone}` })),
    );
    hanging = await Promise.all(asked.map(({ whose, name }) => hang(stage, device, 'resolv', name, whose)));
    await until(async () => (await inspector()).hanging === PLACES, 'not all places are kept');
    const watching = watch(stage.agent.pid, HEALTH, 4000);
    let slowest = 0;
    for (let i = 0; i < 20; i++)
      slowest = Math.max(slowest, await assertVictim(stage, `a${i}.${stage.zone}`));
    for (const { name, whose } of asked)
      assert.equal((await stage.recordOf(name)).resource['process.user.id'], whose.user);
    assertFree(await watching);
    const { hanging: stuck, stuck: refused } = await inspector();
    assert.equal(stuck, PLACES);
    assert.ok(refused > 0, 'requests fail at once');
    assert.ok(slowest < 2000, `the slowest lookup took ${slowest} ms`);
    assert.equal(stage.agent.errors.split(`${PLACES} inspectors hang`).length - 1, 1, stage.agent.errors);
    reportAttack({
      attack: `all ${PLACES} places of inspectors, by two users in two control groups`,
      stranger: 'user',
      holds: 'it is said once; requests fail at once, the identity of others is complete from the kernel',
      figure: `${stuck} hang, 20 of 20 lookups of others complete, slowest ${slowest.toFixed(0)} ms`,
    });
  });

  test('are there again when what they wait for is gone', async () => {
    await release(hanging);
    hanging = [];
    await until(async () => (await inspector()).hanging === 0, 'places stay kept');
    const name = `again.${stage.zone}`;
    assert.equal(await publish(name), 'shop');
  });

  test('and the agent that has them all kept stops in time', async () => {
    hanging = await Promise.all(
      groups.flatMap((whose) =>
        Array.from({ length: each }, (_, i) =>
          hang(stage, device, 'resolv', `end${whose.user}-${i}.${stage.zone}`, whose),
        ),
      ),
    );
    await sleep(1500);
    const took = await endOf('SIGTERM');
    assert.ok(took < 5500, `SIGTERM took ${took} ms`);
  });
});
