/** Containers of a real Podman, as root. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTurns } from './brief.ts';
import { IMAGE } from './containerd.ts';
import { buildImage } from './image.ts';
import { Podman } from './podman.ts';
import { Site } from './site.ts';

let site: Site;
let podman: Podman;

before(async () => {
  site = await Site.open();
  podman = new Podman(site, { directory: `${site.directory}/p`, cgroup: site.cgroups.path('podman') });
  await podman.resume();
  await podman.run('load', '--input', buildImage(site.directory, [`${IMAGE.name}:${IMAGE.tag}`]).file);
  await site.startAgent(['--container-runtime', `docker:${podman.socket}`, '--container-label', 'tier']);
});

after(async () => {
  await podman?.close();
  await site?.close();
});

function expected(name: string): Record<string, unknown> {
  return {
    'container.name': name,
    'container.image.name': IMAGE.name,
    'container.image.tags': [IMAGE.tag],
    'container.runtime.name': 'podman',
    'container.label.tier': 'front',
    'container.label.other': undefined,
    'k8s.pod.name': undefined,
  };
}

describe('podman', { timeout: 300_000 }, () => {
  it('a program run in a container by exec; a container that is renamed', async () => {
    const id = await podman.run('run', '--detach', ...podman.container('web', '/bin/sleep', '1000000'));
    await podman.run('exec', id, 'getent', 'hosts', `exec.${site.zone}`);
    await site.assertRecords(`exec.${site.zone}`, { ...expected('web'), 'container.id': id });
    await podman.run('rename', 'web', 'shop');
    await sleep(1000);
    await podman.run('exec', id, 'getent', 'hosts', `renamed.${site.zone}`);
    await site.assertRecords(`renamed.${site.zone}`, { ...expected('shop'), 'container.id': id });
    await podman.run('rm', '--force', '--time', '0', id);
  });

  it('20 containers that live 200 ms each and are removed at once: all are named', async () => {
    await inTurns(20, 4, async (i) => {
      const name = `brief${i}.${site.zone}`;
      const script = `getent hosts ${name}; sleep 0.2`;
      await podman.run('run', '--rm', ...podman.container(`brief-${i}`, '/bin/sh', '-c', script));
    });
    for (let i = 0; i < 20; i++) await site.assertRecords(`brief${i}.${site.zone}`, expected(`brief-${i}`));
  });

  it('the service goes and comes back', async () => {
    await podman.halt();
    await sleep(500);
    await podman.resume();
    const name = `back.${site.zone}`;
    const script = `sleep 4; getent hosts ${name}`;
    await podman.run('run', '--rm', ...podman.container('again', '/bin/sh', '-c', script));
    await site.assertRecords(name, expected('again'));
  });

  it('everything was counted, nothing was lost', async () => {
    await sleep(700);
    const { stages, metadata } = await site.stopAgent();
    for (const { name, missing } of stages) assert.equal(missing, 0, name);
    assert.ok((metadata['docker']?.['connects'] ?? 0) >= 2, JSON.stringify(metadata));
    assert.ok((metadata['docker']?.['removed'] ?? 0) >= 21, JSON.stringify(metadata));
    assert.equal(metadata['docker']?.['containers'], 0, 'what Podman has removed is forgotten');
  });
});
