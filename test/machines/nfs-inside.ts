/**
 * In a test machine: processes whose root lies on an NFS mount that hangs, as its server has stopped. The agent reads their
 * resolv.conf; it must not wait for it, nor lose the identity of others.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../src/control/client.ts';
import type { InspectorStats } from '../../src/inspector/inspector.ts';
import { SERVER, Stage } from '../e2e/stage.ts';
import { assertVictim, inspectorsOf, stateOf, watch } from '../hostile/hanging-processes.ts';

const NFS = join(import.meta.dirname, 'nfs_server.py');
const PROCESS = join(import.meta.dirname, 'nfs_process.py');
const EXPORT = '/tmp/export';
const MOUNT = '/mnt/nfs';
const HEALTH = '127.0.0.1:19471';
const USERS = [1000, 1001];
const EACH = 8;
const VICTIMS = 10;

let stage: Stage;
const waiting: { readonly child: ChildProcess; readonly name: string; readonly user: number }[] = [];

const nfs = (...words: string[]): void => {
  execFileSync('python3', [NFS, ...words], { stdio: ['ignore', 'inherit', 'inherit'], timeout: 120_000 });
};

before(async () => {
  mkdirSync(join(EXPORT, 'etc'), { recursive: true });
  writeFileSync(join(EXPORT, 'etc/resolv.conf'), `nameserver ${SERVER}\nsearch nfs.test\n`);
  nfs('start', EXPORT, MOUNT);
  stage = await Stage.open('--health', HEALTH);
  for (const user of USERS)
    for (let i = 0; i < EACH; i++) {
      const name = `nfs${user}-${i}.${stage.zone}`;
      const child = stage.namespace.spawn(
        // In a mount namespace of its own, so that its resolv.conf is looked at for itself.
        ['unshare', '--mount', 'python3', PROCESS, MOUNT, String(user), SERVER, name],
        ['pipe', 'pipe', 'inherit'],
      );
      await once(child.stdout as NodeJS.ReadableStream, 'data');
      waiting.push({ child, name, user });
    }
});
after(async () => {
  nfs('resume');
  for (const { child } of waiting) child.stdin?.end();
  await stage?.close();
});

const inspector = async (): Promise<InspectorStats> =>
  ((await ask(`${stage.directory}/control`, '/stats')) as { readonly inspector: InspectorStats }).inspector;

test('while the server answers, the resolv.conf there is read', async () => {
  const { timeout, answered } = await inspector();
  assert.equal(timeout, 0);
  assert.ok(answered > 0);
});

test('the server stops: the agent does not wait, the identity of others is complete', async (t) => {
  nfs('stop');
  const probe = spawn('cat', [`${MOUNT}/etc/resolv.conf`], { stdio: 'ignore' });
  await sleep(3000);
  assert.equal(probe.exitCode, null, 'the mount does not hang');
  const watching = watch(stage.agent.pid, HEALTH, 20_000);
  for (const { child } of waiting) child.stdin?.write('\n');
  for (let i = 0; i < VICTIMS; i++) await assertVictim(stage, `v${i}.${stage.zone}`);
  for (const { name, user } of waiting) {
    const { resource, attributes } = await stage.recordOf(name);
    assert.equal(attributes['whodns.attribution'], 'kernel');
    assert.equal(resource['process.user.id'], user);
  }
  const { stuck, samples, failed, probes, slowest } = await watching;
  assert.deepEqual({ stuck, failed }, { stuck: 0, failed: 0 }, `${samples} samples, ${probes} probes`);
  const { timeout, hanging } = await inspector();
  assert.ok(timeout > 0, 'no inspector was given up: nothing of the mount was asked for');
  t.diagnostic(
    JSON.stringify({
      processes: waiting.length,
      timeout,
      hanging,
      samples,
      probes,
      slowest: Math.round(slowest),
    }),
  );
  probe.kill('SIGKILL');
});

test('and it stops in time', async () => {
  const workers = inspectorsOf(stage.agent.pid);
  const started = performance.now();
  process.kill(stage.agent.pid, 'SIGTERM');
  while (stage.agent.running && performance.now() - started < 20_000) await sleep(20);
  const took = performance.now() - started;
  assert.ok(took < 6000, `SIGTERM took ${took} ms`);
  for (let i = 0; i < 100 && workers.some((pid) => stateOf(String(pid)) !== undefined); i++) await sleep(100);
  assert.deepEqual(
    workers.filter((pid) => stateOf(String(pid)) !== undefined),
    [],
    'an inspector is left',
  );
});
