/** Who asked, in the hard cases: processes, threads and sockets. Namespaces and cgroups: attribution-namespaces.test.ts. */
import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { JsonRecord } from '../matrix/agent.ts';
import { skippedRuns } from '../matrix/skipped-runs.ts';
import {
  ACTOR,
  assertOwner,
  type Claim,
  claimsOf,
  nameOf,
  only,
  PATIENCE_MS,
  SERVER,
  Stage,
} from './stage.ts';

const BURST = 1000;

let stage: Stage;
before(async () => {
  stage = await Stage.open();
});
after(() => stage?.close());

test('processes that exit at once after the send', async () => {
  const claims: Claim[] = [];
  for (let i = 0; i < 20; i++) claims.push(only(await stage.play('exit', `exit-${i}.${stage.zone}`)));
  for (const claim of claims) assertOwner(await stage.recordOf(claim.name), claim.pid, ACTOR);
});

/** What stands in the environment of a process that exits at once -> its service. */
const ENVIRONMENTS: readonly {
  readonly name: string;
  readonly variables: string[];
  readonly service: RegExp;
}[] = [
  { name: 'plain', variables: ['HOME=/root', 'OTEL_SERVICE_NAME=shop', 'LANG=C'], service: /^shop$/ },
  {
    name: 'attributes',
    variables: ['OTEL_RESOURCE_ATTRIBUTES=service.name=cart,team=web', 'OTEL_SERVICE_NAMES=no'],
    service: /^cart$/,
  },
  { name: 'empty', variables: [], service: /^unknown_service:/ },
  {
    name: 'late',
    variables: [...Array.from({ length: 200 }, (_, i) => `V${i}=${'x'.repeat(i)}`), 'OTEL_SERVICE_NAME=late'],
    service: /^late$/,
  },
  {
    // The kernel's program reads a long variable in pieces: none of them is taken for a variable.
    name: 'forged',
    variables: ['A', 'BB', 'CCC'].map((name) => `${name}=${'OTEL_SERVICE_NAME=evil'.repeat(200)}`),
    service: /^unknown_service:/,
  },
  { name: 'twice', variables: ['OTEL_SERVICE_NAME=first', 'X=1'], service: /^first$/ },
  // Too long for the record: known if /proc could still be read, never a part of it.
  {
    name: 'long',
    variables: [`OTEL_SERVICE_NAME=${'n'.repeat(3000)}`],
    service: /^(unknown_service:.*|n{256,})$/,
  },
];

for (const { name, variables, service } of ENVIRONMENTS)
  test(`the service of a process that exits at once: ${name}`, async () => {
    const claim = only(await stage.playWith(variables, 'exit', `env-${name}.${stage.zone}`));
    const { resource } = await stage.recordOf(claim.name);
    assert.match(String(resource['service.name']), service);
    if (name === 'attributes') assert.equal(resource['team'], 'web');
  });

test('the socket was opened and connected by the parent, the child sends', async () => {
  const finished = await stage.namespace.run([ACTOR, 'fork', SERVER, `fork.${stage.zone}`]);
  const claim = only(claimsOf(finished.output));
  assert.notEqual(claim.pid, finished.pid);
  const record = await stage.recordOf(claim.name);
  assertOwner(record, claim.pid, ACTOR);
  assert.equal(record.resource['process.parent_pid'], finished.pid);
});

test('the socket was passed to another program by SCM_RIGHTS', async () => {
  const claim = only(await stage.play('pass', stage.other, `pass.${stage.zone}`));
  assertOwner(await stage.recordOf(claim.name), claim.pid, stage.other);
});

test('two processes share a port by SO_REUSEPORT and use the same id', async () => {
  const claims = await stage.play(
    'reuseport',
    `first.reuseport.${stage.zone}`,
    `second.reuseport.${stage.zone}`,
  );
  assert.equal(new Set(claims.map((claim) => claim.pid)).size, 2);
  for (const claim of claims) {
    const record = await stage.recordOf(claim.name);
    assertOwner(record, claim.pid, ACTOR);
    assert.equal(record.attributes['network.local.port'], 4242);
  }
});

test('a thread with its own name asks', async () => {
  const claim = only(await stage.play('thread', `thread.${stage.zone}`));
  const record = await stage.recordOf(claim.name);
  assertOwner(record, claim.pid, ACTOR);
  assert.equal(record.attributes['whodns.thread.name'], 'dns-worker-7');
  assert.notEqual(record.attributes['whodns.thread.id'], claim.pid);
});

test('a process becomes another program between two queries', async () => {
  const [first, second] = await stage.play(
    'exec',
    stage.other,
    `before.exec.${stage.zone}`,
    `after.exec.${stage.zone}`,
  );
  assert.ok(first && second && first.pid === second.pid);
  assertOwner(await stage.recordOf(first.name), first.pid, ACTOR);
  assertOwner(await stage.recordOf(second.name), second.pid, stage.other);
});

test('the executable was deleted before the query', async () => {
  const doomed = join(stage.directory, 'doomed-actor');
  copyFileSync(ACTOR, doomed);
  const claim = only(await stage.playAs(doomed, 'deleted', `deleted.${stage.zone}`));
  assertOwner(await stage.recordOf(claim.name), claim.pid, doomed);
});

test('the executable is a memory file', async () => {
  const claim = only(await stage.play('memfd', `memfd.${stage.zone}`));
  const { resource } = await stage.recordOf(claim.name);
  assert.equal(resource['process.pid'], claim.pid);
  assert.match(String(resource['process.executable.name']), /^memfd:whodns-test/);
});

test('a PID is used again by another program', async () => {
  const [first, second] = await playReuse();
  assert.ok(first && second);
  assert.equal(first.pid, second.pid);
  const [one, two] = [await stage.recordOf(first.name), await stage.recordOf(second.name)];
  assertOwner(one, first.pid, ACTOR);
  assertOwner(two, second.pid, stage.other);
  // Whole milliseconds: both can begin in the same one.
  assert.ok(String(one.resource['process.creation.time']) <= String(two.resource['process.creation.time']));
});

/** Another program of this host may take the PID just freed and keep it: then another PID is tried. */
async function playReuse(attempt = 1): Promise<Awaited<ReturnType<Stage['play']>>> {
  const names = ['first', 'second'].map((name) => `${name}-${attempt}.reuse.${stage.zone}`);
  try {
    return await stage.play('pidreuse', stage.other, ...names);
  } catch (error) {
    if (attempt === 5 || !/was never free/.test(String(error))) throw error;
    return playReuse(attempt + 1);
  }
}

test(`${BURST} one-shot processes in a burst`, async () => {
  const service = 'OTEL_SERVICE_NAME=burst-service';
  const claims = await stage.playWith([service], 'burst', String(BURST), stage.other, `burst.${stage.zone}`);
  assert.equal(claims.length, BURST);
  const ours = (record: JsonRecord): boolean => nameOf(record).startsWith('burst-');
  await stage.agent.waitFor((records) => records.filter(ours).length >= BURST, PATIENCE_MS);
  const found = new Map(stage.agent.records.filter(ours).map((record) => [nameOf(record), record]));
  const wrong = claims.filter(({ pid, name }) => {
    const record = found.get(name);
    const program = Number(/^burst-(\d+)/.exec(name)?.[1]) % 2 === 0 ? ACTOR : stage.other;
    const resource = record?.resource ?? {};
    const { 'process.pid': recordPid, 'process.executable.path': path } = resource;
    const isNamed = resource['service.name'] === 'burst-service';
    return record !== undefined && (recordPid !== pid || path !== program || !isNamed);
  });
  assert.deepEqual(wrong.map(({ name }) => found.get(name)).slice(0, 5), []);
  const missed = claims.map(({ name }) => name).filter((name) => !found.has(name));
  for (const name of missed) stage.skipped.add(name);
  const skipped = skippedRuns(process.env['WHODNS_TEST_HOOK'] ?? '');
  assert.ok(
    missed.length <= Math.min(skipped, BURST / 10),
    `${skipped} runs skipped, no record of ${missed.slice(0, 5).join(', ')}`,
  );
  assert.equal(stage.agent.records.filter(ours).length, BURST - missed.length, 'no query has two records');
});

test('no record of a query that no server saw, none twice', async () => {
  await stage.assertNothingMore();
});
