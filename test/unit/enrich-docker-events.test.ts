/** What the events of the Docker Engine API tell of containers that cannot be asked about any more. Real runtimes: test/containers. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MetadataChange } from '../../src/enrich/containers/metadata-source.ts';
import type { PodRules } from '../../src/enrich/kubernetes/pod-metadata.ts';
import { DockerSource } from '../../src/enrich/runtimes/docker.ts';
import { http } from './http-socket.ts';
import { ID } from './workload-sources.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodns-events-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const RULES: PodRules = {
  podLabels: [],
  podAnnotations: [],
  namespaceLabels: [],
  namespaceAnnotations: [],
  wellKnownLabels: true,
};

/** Docker's API with events that the test sends and containers it does not know, as of those that are gone. */
async function engine(
  images: Readonly<Record<string, unknown>>,
): Promise<{ source: DockerSource; asked: string[]; changes: MetadataChange[]; send(event: object): void }> {
  const asked: string[] = [];
  const streams: { write(text: string): unknown }[] = [];
  const listen = http((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://engine');
    asked.push(decodeURIComponent(pathname));
    const image = images[decodeURIComponent(/^\/images\/(.+)\/json$/.exec(pathname)?.[1] ?? '')];
    if (pathname === '/events') {
      response.flushHeaders();
      streams.push(response);
    } else if (pathname === '/version')
      response.end('{"Version":"5.1","Components":[{"Name":"Podman Engine"}]}');
    else if (pathname === '/containers/json') response.end('[]');
    else if (image === undefined) response.writeHead(404).end('{}');
    else response.end(JSON.stringify(image));
  });
  const path = join(directory, `${Math.random().toString(36).slice(2)}.sock`);
  const server = await listen(path);
  const source = new DockerSource({
    rules: RULES,
    labels: ['tier', 'name', 'image'],
    path,
    notice: () => {},
  });
  const changes: MetadataChange[] = [];
  source.start((change) => changes.push(change));
  after(async () => {
    await source.stop();
    server.close();
  });
  while (!source.connected) await sleep(5);
  const send = (event: object) => {
    for (const stream of streams) stream.write(`${JSON.stringify(event)}\n`);
  };
  return { source, asked, changes, send };
}

const event = (action: string, attributes: unknown = {}, id = ID) => ({
  Action: action,
  Actor: { ID: id, Attributes: attributes },
});

describe('docker: events', { timeout: 30_000 }, () => {
  const IMAGES = {
    'registry.example/shop:3': {
      Id: 'sha256:77',
      RepoTags: ['registry.example/shop:3'],
      RepoDigests: [`registry.example/shop@sha256:${ID}`],
    },
  };
  const told = { image: 'registry.example/shop:3', name: 'web', tier: 'front', podId: '' };

  it('a container that is gone before it can be asked about is what its event said, with its image', async () => {
    const { source, send } = await engine(IMAGES);
    send(event('create', told));
    while (source.container(ID) === undefined || source.container(ID)?.partial === true) await sleep(5);
    const { name, imageName, imageTags, imageId, imageRepoDigests, labels, runtimeName } =
      source.container(ID) ?? assert.fail();
    assert.deepEqual(
      { name, imageName, imageTags, imageId, imageRepoDigests, labels, runtimeName },
      {
        name: 'web',
        imageName: 'registry.example/shop',
        imageTags: ['3'],
        imageId: 'sha256:77',
        imageRepoDigests: [`registry.example/shop@sha256:${ID}`],
        // What the engine itself puts among the labels is none.
        labels: { tier: 'front' },
        runtimeName: 'podman',
      },
    );
  });

  for (const end of ['remove', 'destroy'])
    it(`${end} ends a container; what comes after it changes nothing`, async () => {
      const { source, changes, send } = await engine(IMAGES);
      send(event('create', told));
      send(event(end, told));
      send(event('start', told));
      while (!changes.some(({ gone }) => gone === true)) await sleep(5);
      await sleep(300);
      assert.equal(source.container(ID), undefined);
      assert.equal(source.counts['containers'], 0);
      assert.equal(changes.at(-1)?.gone, true);
    });

  it('its image is gone too: name, image and labels of the event stand', async () => {
    const { source, asked, send } = await engine({});
    send(event('start', told));
    while (!asked.includes('/images/registry.example/shop:3/json')) await sleep(5);
    while (source.container(ID)?.partial === true) await sleep(5);
    assert.equal(source.container(ID)?.name, 'web');
    assert.deepEqual(source.container(ID)?.imageTags, ['3']);
    assert.equal(source.container(ID)?.imageId, undefined);
  });

  it('hostile events: nothing is believed that is not of its type, nothing is long, nothing leads elsewhere', async () => {
    const { source, asked, send } = await engine({});
    for (const attributes of [null, 7, [], { name: { toString: 1 }, image: [] }])
      send(event('create', attributes, 'a'.repeat(64)));
    send({ Action: 'create', Actor: { ID: '../../etc', Attributes: told } });
    send(event('create', { name: 'n'.repeat(100_000), image: '../../containers/x', tier: ['x'] }));
    while (!asked.some((path) => path.startsWith('/images/'))) await sleep(5);
    while (source.container(ID)?.partial === true) await sleep(5);
    assert.equal(source.container(ID)?.name.length, 1024);
    assert.deepEqual(source.container(ID)?.labels, {});
    assert.equal(source.counts['containers'], 2);
    assert.equal(source.container('a'.repeat(64))?.name, '');
    assert.ok(asked.every((path) => /^\/(?:version|events|containers\/json|images\/.*\/json)$/.test(path)));
  });
});
