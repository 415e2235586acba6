/** Containers of a user's own: a real Podman without root. They have the name that their user gave them, and the record says that it is his word. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTurns } from './brief.ts';
import { IMAGE } from './containerd.ts';
import { buildImage } from './image.ts';
import { Podman } from './podman.ts';
import { Site } from './site.ts';
import { SiteUser } from './user.ts';

const UID = 64_242;

let site: Site;
let user: SiteUser;
let podman: Podman;

before(async () => {
  site = await Site.open();
  user = await SiteUser.add(site, UID);
  podman = new Podman(site, { directory: user.home, cgroup: `${user.cgroup}/pods`, as: user.as });
  const { file } = buildImage(site.directory, [`${IMAGE.name}:${IMAGE.tag}`]);
  await podman.run('load', '--input', file);
  await site.startAgent([]);
});

after(async () => {
  await podman?.run('rm', '--all', '--force', '--time', '0').catch(() => undefined);
  await user?.end();
  await site?.close();
});

const expected = (name: string) => ({
  'container.name': name,
  'container.image.name': IMAGE.name,
  'container.image.tags': [IMAGE.tag],
  'container.runtime.name': 'podman',
  'process.user.id': UID,
  'k8s.pod.name': undefined,
});

async function assertUnverified(name: string): Promise<void> {
  for (const { attributes } of await site.recordsOf(name))
    assert.equal(attributes['whodns.attribution'], 'unverified');
}

describe('rootless podman', { timeout: 300_000 }, () => {
  it('a program run in a container by exec', async () => {
    const id = await podman.run('run', '--detach', ...podman.container('web', '/bin/sleep', '1000000'));
    await podman.run('exec', id, 'getent', 'hosts', `exec.${site.zone}`);
    await site.assertRecords(`exec.${site.zone}`, { ...expected('web'), 'container.id': id });
    await assertUnverified(`exec.${site.zone}`);
  });

  it('20 containers that live 200 ms each and are removed at once: all are named', async () => {
    await inTurns(20, 4, async (i) => {
      const script = `getent hosts brief${i}.${site.zone}; sleep 0.2`;
      await podman.run('run', '--rm', ...podman.container(`brief-${i}`, '/bin/sh', '-c', script));
    });
    for (let i = 0; i < 20; i++) {
      await site.assertRecords(`brief${i}.${site.zone}`, expected(`brief-${i}`));
      await assertUnverified(`brief${i}.${site.zone}`);
    }
  });

  it('everything was counted, nothing was lost', async () => {
    await sleep(700);
    const { stages } = await site.stopAgent();
    for (const { name, missing } of stages) assert.equal(missing, 0, name);
  });
});
