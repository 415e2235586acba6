/** Container runtimes: what they tell, and sockets behind which something else listens. Real runtimes: test/containers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MetadataChange, MetadataSource } from '../../src/enrich/containers/metadata-source.ts';
import type { PodRules } from '../../src/enrich/kubernetes/pod-metadata.ts';
import { CriSource } from '../../src/enrich/runtimes/cri.ts';
import type { CriSandbox } from '../../src/enrich/runtimes/cri-client.ts';
import { SandboxPods } from '../../src/enrich/runtimes/cri-pods.ts';
import { DockerSource } from '../../src/enrich/runtimes/docker.ts';
import { listedOf, ofListed, versionOf } from '../../src/enrich/runtimes/docker-metadata.ts';
import { imageNames, parseReference } from '../../src/enrich/runtimes/image-reference.ts';
import { KnownContainers } from '../../src/enrich/runtimes/known-containers.ts';
import { LookUps } from '../../src/enrich/runtimes/look-ups.ts';
import { Runtimes } from '../../src/enrich/runtimes/runtimes.ts';
import { METADATA_OPTIONS } from '../../src/tables/options-metadata.ts';
import { http } from './http-socket.ts';
import { container, ID } from './workload-sources.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodns-runtimes-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const RULES: PodRules = {
  podLabels: [],
  podAnnotations: [],
  namespaceLabels: [],
  namespaceAnnotations: [],
  wellKnownLabels: true,
};
const TOLD = { labels: [], rules: RULES };

describe('image references', () => {
  const cases = [
    ['nginx', 'nginx', undefined],
    ['nginx:1.27', 'nginx', '1.27'],
    ['localhost:5000/a/b', 'localhost:5000/a/b', undefined],
    ['localhost:5000/a/b:2', 'localhost:5000/a/b', '2'],
    [`a/b:2@sha256:${ID}`, 'a/b', '2'],
    [`a/b@sha256:${ID}`, 'a/b', undefined],
  ] as const;
  for (const [text, name, tag] of cases)
    it(text.slice(0, 30), () => assert.deepEqual(parseReference(text), { name, tag }));
  for (const text of ['', '<none>:<none>', `sha256:${ID}`, ID, ':tag'])
    it(`no name: ${text.slice(0, 20)}`, () => assert.equal(parseReference(text), undefined));

  it('tags under the name that was asked for', () => {
    const tags = ['docker.io/library/nginx:1', 'docker.io/library/nginx:latest', 'registry.example/x:3'];
    assert.deepEqual(imageNames(['nginx'], tags, []), { imageName: 'nginx', imageTags: ['1', 'latest'] });
    assert.deepEqual(imageNames([`sha256:${ID}`], tags.slice(2), []), {
      imageName: 'registry.example/x',
      imageTags: ['3'],
    });
    assert.deepEqual(imageNames([`sha256:${ID}`], [], [`a/b@sha256:${ID}`]), {
      imageName: 'a/b',
      imageTags: [],
    });
  });
});

describe('docker: what it tells', () => {
  it('cri-dockerd marks pods by labels', () => {
    const listed = listedOf({
      Id: ID,
      Image: 'nginx:1',
      ImageID: 'sha256:1',
      Names: ['/k8s_web_shop-1_prod_uid_2'],
      Labels: {
        'io.kubernetes.pod.uid': 'uid',
        'io.kubernetes.pod.name': 'shop-1',
        'io.kubernetes.pod.namespace': 'prod',
        'io.kubernetes.container.name': 'web',
        'annotation.io.kubernetes.container.restartCount': '2',
      },
    });
    assert.ok(listed !== undefined);
    const told = ofListed(listed, { name: 'docker', version: '1' }, {}, []);
    assert.deepEqual(told.pod, { uid: 'uid', name: 'shop-1', namespace: 'prod', container: 'web' });
    assert.equal(told.restartCount, 2);
    assert.equal(told.sandbox, false);
  });

  it('hostile answers: nothing is believed that is not of its type, nothing is long', () => {
    for (const value of [null, 1, 'x', [], {}, { Id: '../../x' }, { Id: 'A'.repeat(64) }])
      assert.equal(listedOf(value), undefined);
    const listed = listedOf({
      Id: ID,
      Image: { toString: 1 },
      Names: [1, null, `/${'n'.repeat(100_000)}`, '\ud800'],
      Labels: { __proto__: { tier: 'x' }, tier: ['x'], other: 'y'.repeat(5000) },
    });
    assert.ok(listed !== undefined);
    const told = ofListed(listed, versionOf(7), { RepoTags: 'x', RepoDigests: [{}] }, [
      'tier',
      'other',
      'toString',
    ]);
    assert.ok(told.name.length <= 1024);
    assert.equal(told.imageName, undefined);
    assert.deepEqual(Object.keys(told.labels), ['other']);
    assert.equal(told.labels['other']?.length, 1024);
    assert.equal(told.runtimeName, 'docker');
  });

  it('podman answers the same API', () => {
    const version = versionOf({ Version: '5.1', Components: [{ Name: 'Podman Engine' }] });
    assert.deepEqual(version, { name: 'podman', version: '5.1' });
  });
});

describe('cri: pods as their sandboxes tell them', () => {
  const sandbox = (more: Partial<CriSandbox> = {}): CriSandbox => ({
    id: ID,
    metadata: { name: 'shop-1', uid: 'uid-1', namespace: 'prod' },
    createdAt: '1700000000000000000',
    labels: { app: 'shop', 'io.kubernetes.pod.name': 'shop-1', 'pod-template-hash': '7d9f' },
    annotations: { 'whodns/capture': 'off', 'example.com/other': 'x' },
    ...more,
  });
  const told = (more: Partial<CriSandbox> = {}, rules: Partial<PodRules> = {}) => {
    const pods = new SandboxPods({ ...RULES, ...rules });
    pods.set(pods.trimmed(sandbox(more)));
    return pods;
  };

  it('labels and annotations of the pod, those of the kubelet left out', () => {
    const pod = told().get('uid-1');
    assert.deepEqual(pod?.labels, { app: 'shop', 'pod-template-hash': '7d9f' });
    assert.deepEqual(pod?.annotations, { 'whodns/capture': 'off' });
    // Whose pod it is nobody says, so that its name is no service's.
    assert.equal(pod?.attributes['service.name'], undefined);
    assert.equal(pod?.attributes['service.namespace'], 'prod');
  });

  it('service.* by annotations and labels, further labels and annotations by allow-list', () => {
    const labels = { 'app.kubernetes.io/name': 'web', tier: 'front' };
    const annotations = { 'resource.opentelemetry.io/service.version': '7', team: 'net' };
    const pods = told({ labels, annotations }, { podLabels: ['tier'], podAnnotations: ['team'] });
    const { attributes } = pods.get('uid-1') ?? {};
    assert.equal(attributes?.['service.name'], 'web');
    assert.equal(attributes?.['service.version'], '7');
    assert.equal(attributes?.['k8s.pod.label.tier'], 'front');
    assert.equal(attributes?.['k8s.pod.annotation.team'], 'net');
  });

  it('a pod whose sandbox was made anew: the newest tells', () => {
    const pods = told();
    const again = { id: 'new', createdAt: '1700000000100000000', annotations: { 'whodns/capture': 'on' } };
    assert.equal(pods.set(sandbox(again)), 'uid-1');
    assert.equal(pods.set(sandbox()), undefined);
    pods.delete(ID);
    assert.equal(pods.get('uid-1')?.annotations['whodns/capture'], 'on');
    pods.delete('new');
    assert.equal(pods.get('uid-1'), undefined);
  });

  it('hostile ones: bounded, and nobody without a uid', () => {
    assert.equal(told({ metadata: null }).get(''), undefined);
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`whodns/capture.c${i}`, 'off']));
    const long = { 'whodns/capture': 'x'.repeat(100_000) };
    const pod = told({ annotations: { ...long, ...many }, createdAt: 'never' }).get('uid-1');
    assert.equal(Object.keys(pod?.annotations ?? {}).length, 256);
    assert.equal(pod?.annotations['whodns/capture'], undefined);
  });
});

describe('known containers', () => {
  it('an answer that was on its way when the container went changes nothing', () => {
    const known = new KnownContainers();
    const changes: MetadataChange[] = [];
    known.onChange = (change) => changes.push(change);
    known.set(container());
    known.set(container());
    assert.equal(changes.length, 1);
    known.gone(ID);
    known.set(container());
    assert.equal(known.get(ID), undefined);
    assert.deepEqual(changes.at(-1), { containerId: ID, gone: true });
  });

  it('a list does not end what came after it was asked for', () => {
    const known = new KnownContainers();
    known.set(container({ id: 'old' }));
    const began = known.now;
    known.set(container({ id: 'new' }));
    known.keepOnly(new Set(), began);
    assert.equal(known.has('old'), false);
    assert.equal(known.has('new'), true);
  });

  it('is bounded', () => {
    const known = new KnownContainers(10);
    for (let i = 0; i < 100; i++) known.set(container({ id: String(i) }));
    assert.equal(known.counts.containers, 10);
    assert.equal(known.counts.evicted, 90);
  });
});

describe('look-ups', () => {
  it('again while the runtime does not know it yet; each once at a time; a flood is refused and counted', async () => {
    let asked = 0;
    const lookUps = new LookUps(async () => ++asked >= 3);
    lookUps.add('a');
    lookUps.add('a');
    await sleep(300);
    assert.ok(asked >= 3 && asked <= 4, String(asked));
    const never = new LookUps(() => new Promise(() => {}));
    for (let i = 0; i < 5000; i++) never.add(String(i));
    assert.equal(never.counts.lookUps, 8);
    assert.equal(never.counts.lookUpsRefused, 5000 - 4096);
    never.stop();
    lookUps.stop();
  });

  it('one that nobody knows is given up', async () => {
    const lookUps = new LookUps(async () => false);
    lookUps.add('a');
    await sleep(1500);
    assert.equal(lookUps.counts.lookUps, 6);
    assert.equal(lookUps.counts.lookUpsUnknown, 1);
  });
});

/** Something listens at the socket; what the source made of it. */
async function behind(
  listen: (path: string) => Promise<{ close(): void }>,
  make: (path: string, notice: (line: string) => void) => MetadataSource,
  forMs: number,
): Promise<{ source: MetadataSource; notices: string[] }> {
  const path = join(directory, `${Math.random().toString(36).slice(2)}.sock`);
  const server = await listen(path);
  const notices: string[] = [];
  const source = make(path, (line) => notices.push(line));
  source.start(() => {});
  await sleep(forMs);
  await source.stop();
  server.close();
  return { source, notices };
}

const SOURCES = {
  cri: (path: string, notice: (line: string) => void) => new CriSource({ ...TOLD, path, notice }),
  docker: (path: string, notice: (line: string) => void) => new DockerSource({ ...TOLD, path, notice }),
} as const;

function raw(onSocket: (socket: Socket) => void): (path: string) => Promise<Server> {
  return (path) =>
    new Promise((resolve) => {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.resume();
        onSocket(socket);
      });
      server.listen(path, () => resolve(server));
    });
}

describe('sockets behind which something else listens', { timeout: 60_000 }, () => {
  for (const name of ['cri', 'docker'] as const) {
    const make = SOURCES[name];
    it(`${name}: nothing`, async () => {
      const listen = async () => ({ close: () => {} });
      const { source, notices } = await behind(listen, make, 1500);
      assert.equal(source.connected, false);
      assert.equal(source.unreachable, true);
      const failures = source.counts?.['failures'] ?? 0;
      assert.ok(failures >= 2 && failures <= 6, `growing pauses: ${failures} attempts in 1.5 s`);
      assert.equal(notices.length, 1, 'told once, not with every attempt');
    });
    it(`${name}: garbage`, async () => {
      const listen = raw((socket) => socket.write(Buffer.alloc(70_000, 0x9f)));
      const { source } = await behind(listen, make, 1000);
      assert.equal(source.connected, false);
      assert.equal(source.unreachable, true);
    });
    it(`${name}: a door that shuts at once`, async () => {
      const { source } = await behind(
        raw((socket) => socket.destroy()),
        make,
        1000,
      );
      assert.equal(source.connected, false);
    });
    it(`${name}: silence; stopping does not wait for it, no connection is left`, async () => {
      let open = 0;
      const listen = raw((socket) => {
        open++;
        socket.on('close', () => open--);
      });
      const { source } = await behind(listen, make, 300);
      assert.equal(source.connected, false);
      await sleep(6000); // an answer is waited for 5 s
      assert.equal(open, 0);
    });
  }

  it('docker: events without end of line, answers that are no lists, lines that are no events', async () => {
    let connections = 0;
    const listen = http((request, response) => {
      if (request.url?.startsWith('/events')) {
        connections++;
        response.write('no json\n{"Action":"start","Actor":{"ID":"../x"}}\nnull\n[]\n');
        if (connections === 1) response.write('x'.repeat(2_000_000));
      } else response.end(request.url?.startsWith('/containers') ? '{"a":1}' : '[]');
    });
    const { source } = await behind(listen, SOURCES.docker, 2500);
    assert.ok(connections >= 2, 'a line of any length is not kept');
    assert.equal(source.counts?.['events'], 0);
    assert.equal(source.counts?.['containers'], 0);
  });
});

describe('which runtimes', () => {
  const parse = METADATA_OPTIONS.containerRuntime.parse;
  it('the option', () => {
    assert.deepEqual(parse('auto'), { value: 'auto' });
    assert.deepEqual(parse('/run/a.sock, docker:/b,unix:///run/docker.sock,cri:unix:///run/docker.sock'), {
      value: [
        { api: 'cri', path: '/run/a.sock' },
        { api: 'docker', path: '/b' },
        { api: 'docker', path: '/run/docker.sock' },
        { api: 'cri', path: '/run/docker.sock' },
      ],
    });
    for (const bad of ['', 'on', 'relative.sock', 'http://x', '/a\0', `/${'x'.repeat(200)}`, '/a,,/b'])
      assert.ok('problem' in parse(bad), bad);
    assert.ok('problem' in METADATA_OPTIONS.containerLabels.parse('a b'));
  });

  it('one that is named is there before its socket; the same is not made twice', async () => {
    const log = { warn: () => {}, debug: () => {} };
    const runtimes = new Runtimes([{ api: 'docker', path: '/nonexistent.sock' }], TOLD, log);
    assert.deepEqual(
      (await runtimes.find()).map(({ name }) => name),
      ['docker'],
    );
    assert.deepEqual(await runtimes.find(), []);
  });
});
