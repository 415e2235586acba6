/** What users call their own containers: read off real processes by the real inspector. A real rootless Podman: test/containers. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { conmonOf, imageIn, UserContainers } from '../../src/enrich/containers/user-containers.ts';
import {
  describe as describeProcess,
  type ProcessFacts,
  type ResourceContext,
} from '../../src/enrich/process/resource.ts';
import { UserNames } from '../../src/enrich/process/users.ts';
import { Inspector } from '../../src/inspector/inspector.ts';
import { createLog } from '../../src/lib/log.ts';
import { measuredOf } from '../../src/records/lookup-result.ts';
import { WORKLOAD_ATTRIBUTES } from '../../src/tables/metrics.ts';
import { identity } from './sink-events.ts';
import { ID, ownerIn } from './workload-sources.ts';

const USER = 64_242;
const FACTS: ProcessFacts = {
  announced: true,
  fromProc: false,
  executablePath: '/usr/bin/curl',
  executableInode: undefined,
  executableDeleted: false,
  command: undefined,
  argsCount: undefined,
  args: undefined,
  workingDirectory: '',
  cgroupPath: `/user.slice/libpod-${ID}`,
  cgroupVersion: 2,
  cgroup: '',
  interactive: undefined,
  parentName: '',
  service: undefined,
  published: undefined,
};
const directory = mkdtempSync(join(tmpdir(), 'whodns-user-'));
const inspector = Inspector.start({ log: createLog('error', () => {}) });
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill('SIGKILL');
  inspector.close();
  rmSync(directory, { recursive: true, force: true });
});

const words = (...args: readonly string[]) => Buffer.from(args.join('\0'));

describe('arguments of conmon', () => {
  const bundle = `/home/u/storage/vfs-containers/${ID}/userdata`;

  it('of the first process of a container, and of podman exec', () => {
    const first = words(
      '/usr/bin/conmon',
      '--api-version',
      '1',
      '-c',
      ID,
      '-u',
      ID,
      '-b',
      bundle,
      '-n',
      'web',
    );
    const exec = words(
      'conmon',
      '-c',
      ID,
      '-u',
      'e'.repeat(64),
      '-b',
      `${bundle}/${'e'.repeat(64)}`,
      '-n',
      'web',
    );
    for (const each of [first, exec])
      assert.deepEqual(conmonOf(each, ID), { name: 'web', storage: '/home/u/storage/vfs-containers' });
  });

  it('of anything else: nothing', () => {
    for (const each of [
      undefined,
      Buffer.alloc(0),
      words('bash', '-c', ID, '-n', 'web'),
      words('notconmon', '-c', ID, '-n', 'web'),
      words('conmon', '-c', 'f'.repeat(64), '-n', 'web'),
      words('conmon', '-c', ID),
      words('conmon', '-c', ID, '-n'),
      words('conmon', '-c', ID, '-n', ''),
    ])
      assert.equal(conmonOf(each, ID), undefined);
  });

  it('names are bounded; a bundle elsewhere leads to no list', () => {
    const long = conmonOf(words('conmon', '-c', ID, '-n', 'n'.repeat(9000), '-b', 'relative'), ID);
    assert.equal(long?.name.length, 1024);
    assert.equal(long?.storage, '');
    assert.equal(conmonOf(words('conmon', '-c', ID, '-n', 'x', '-b', `/${ID}/userdata`), ID)?.storage, '');
  });
});

describe('list of containers', () => {
  const list = (...entries: readonly unknown[]) => Buffer.from(JSON.stringify(entries));
  const entry = (image: unknown) => ({ id: ID, metadata: JSON.stringify({ 'image-name': image }) });

  it('has what a container was made from', () => {
    assert.deepEqual(imageIn(list({ id: 'x' }, entry('registry.example/shop:3')), ID), [
      'registry.example/shop:3',
    ]);
  });

  it('hostile ones: nothing is believed that is not of its type', () => {
    for (const each of [
      undefined,
      Buffer.from('{'),
      Buffer.from('null'),
      list(),
      list(null, 7, entry(7)),
      list({ id: ID }),
    ])
      assert.deepEqual(imageIn(each, ID), []);
    assert.deepEqual(imageIn(list({ id: ID, metadata: '"x"' }), ID), []);
    assert.equal(imageIn(list(entry('i'.repeat(9000))), ID)[0]?.length, 1024);
  });
});

/** A process with the arguments of a conmon, that runs as `uid`. */
async function monitor(uid: number, storage: string, name: string): Promise<number> {
  const args = [
    '-e',
    'setTimeout(() => {}, 60000)',
    '--',
    '-c',
    ID,
    '-b',
    `${storage}/${ID}/userdata`,
    '-n',
    name,
  ];
  const child = spawn(process.execPath, args, { argv0: '/usr/bin/conmon', uid, gid: uid, stdio: 'ignore' });
  children.push(child);
  await sleep(100);
  return child.pid ?? 0;
}

describe('users', { skip: process.getuid?.() !== 0 && 'needs root', timeout: 60_000 }, () => {
  const given = { user: USER, group: '/nonexistent' };
  const storage = join(directory, 'vfs-containers');
  mkdirSync(storage);
  const metadata = JSON.stringify({ 'image-name': 'registry.example/shop:3' });
  writeFileSync(join(storage, 'containers.json'), JSON.stringify([{ id: ID, metadata }]));

  it('name, image and tag of a container, asked for once', async () => {
    const containers = new UserContainers(inspector);
    const process = ownerIn({ parentPid: await monitor(USER, storage, 'web'), uid: USER });
    const asking = containers.ask(process, given, ID);
    assert.equal(containers.ask(process, given, ID), asking);
    await asking;
    const container = { name: 'web', imageName: 'registry.example/shop', imageTags: ['3'] };
    assert.deepEqual(containers.find(USER, ID), container);
    assert.equal(containers.ask(process, given, ID), undefined);
    assert.equal(containers.find(USER + 1, ID), undefined, 'it is his word alone');
  });

  it("another's conmon is not believed", async () => {
    const containers = new UserContainers(inspector);
    const process = ownerIn({ parentPid: await monitor(USER + 1, storage, 'forged'), uid: USER });
    await containers.ask(process, given, ID);
    assert.equal(containers.find(USER, ID), undefined);
  });

  it('no conmon, or a process that has gone: not asked for again at once', async () => {
    const containers = new UserContainers(inspector);
    for (const parentPid of [0, 1, 4_194_303]) {
      const id = String(parentPid).padStart(64, '0');
      await containers.ask(ownerIn({ parentPid, uid: USER }), given, id);
      assert.equal(containers.find(USER, id), undefined);
      assert.equal(containers.ask(ownerIn({ parentPid, uid: USER }), given, id), undefined);
    }
  });
});

describe('a user with any number of containers', () => {
  it('has so many asked about at once, and others are not kept waiting by it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    let asked = 0;
    const containers = new UserContainers({
      inspect: async () => {
        asked++;
        await promise;
        return undefined;
      },
    });
    const given = (user: number) => ({ user, group: '/nonexistent' });
    const process = ownerIn({ parentPid: 4711, uid: USER });
    const ids = Array.from({ length: 1000 }, (_, i) => String(i).padStart(64, '0'));
    const asking = ids.map((id) => containers.ask(process, given(USER), id));
    assert.equal(asking.filter((each) => each !== undefined).length, 32);
    assert.notEqual(containers.ask(process, given(USER + 1), ID), undefined);
    assert.equal(asked, 33);
    resolve();
    await Promise.all(asking);
    assert.notEqual(containers.ask(process, given(USER), ids.at(-1) ?? ''), undefined);
  });
});

describe('a record of a user container', () => {
  const userContainers = {
    find: () => ({ name: 'web', imageName: 'shop', imageTags: ['3'] }),
    ask: () => undefined,
  };
  const context = (more: Partial<ResourceContext> = {}): ResourceContext => ({
    host: {},
    users: UserNames.ofHost(),
    bootTime: 0n,
    claims: {
      of: () => ({
        container: { id: ID, runtime: 'podman', podUid: undefined, qos: undefined },
        verified: false,
        given: { user: USER, group: '/' },
      }),
    },
    userContainers,
    ...more,
  });
  const names = (uid: number, more: Partial<ResourceContext> = {}) =>
    Object.keys(describeProcess(ownerIn({ uid }), FACTS, context(more)).resource).filter((name) =>
      name.startsWith('container.'),
    );

  it('has its names; not the pod, and no container that levels or caches go by', () => {
    const { container, claim } = describeProcess(ownerIn({ uid: USER }), FACTS, context());
    assert.equal(container, undefined);
    assert.equal(claim?.verified, false);
    assert.deepEqual(names(USER).sort(), [
      'container.id',
      'container.image.name',
      'container.image.tags',
      'container.name',
      'container.runtime.name',
    ]);
  });

  it("has none under the id of a container of root's, nor where root runs, nor without its user's word", () => {
    const find = () => assert.fail('not asked');
    assert.deepEqual(names(USER, { containers: { find, container: () => ({}) } }), []);
    assert.deepEqual(names(0), []);
    assert.deepEqual(names(USER, { userContainers: { ...userContainers, find: () => undefined } }), []);
    assert.deepEqual(names(USER, { userContainers: undefined }), []);
  });

  it('is in no series of metrics, which have no place to say whose word it is', () => {
    const resource = { 'container.name': 'payments', 'container.id': ID, 'process.executable.name': 'curl' };
    const of = (attribution: 'kernel' | 'unverified') =>
      Object.keys(measuredOf(identity({ resource, attribution }), WORKLOAD_ATTRIBUTES)).sort();
    assert.deepEqual(of('unverified'), ['process.executable.name']);
    assert.deepEqual(of('kernel'), ['container.id', 'container.name', 'process.executable.name']);
  });
});
