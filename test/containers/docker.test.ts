/** Containers of a real dockerd. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { end } from '../matrix/children.ts';
import { inTurns } from './brief.ts';
import { IMAGE } from './containerd.ts';
import { buildImage } from './image.ts';
import { Site } from './site.ts';

const START_MS = 60_000;
const OPTIONS = ['--network', 'host', '--label', 'tier=front', '--label', 'other=x'];
const execute = promisify(execFile);

let site: Site;
let daemon: ChildProcess;

before(async () => {
  site = await Site.open();
  await startDocker();
  docker('load', '--input', buildImage(site.directory, [`${IMAGE.name}:${IMAGE.tag}`]).file);
  await site.startAgent([
    '--container-runtime',
    `docker:${site.directory}/docker.sock`,
    '--container-label',
    'tier',
  ]);
});

after(async () => {
  await site?.agent.stop();
  await stopDocker();
  await site?.close();
});

function docker(...words: readonly string[]): string {
  return execFileSync('docker', [...host(), ...words], { encoding: 'utf8', stdio: 'pipe' }).trim();
}

const host = (): string[] => ['--host', `unix://${site.directory}/docker.sock`];

async function startDocker(): Promise<void> {
  const at = (name: string) => `${site.directory}/${name}`;
  writeFileSync(at('daemon.json'), JSON.stringify({ 'deprecated-key-path': at('key.json') }));
  const argv = [
    ...['dockerd', '--config-file', at('daemon.json'), '--host', `unix://${at('docker.sock')}`],
    ...['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('docker.pid')],
    ...[
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      '--ip-forward=false',
      '--userland-proxy=false',
    ],
    // without CAP_SYS_RESOURCE nobody may lower it
    ...['--oom-score-adjust=0', '--storage-driver=vfs', '--cgroup-parent', site.cgroups.path('docker')],
  ];
  const log = openSync(at('docker.log'), 'a');
  daemon = site.namespace.spawn(argv, ['ignore', log, log]);
  closeSync(log);
  const deadline = performance.now() + START_MS;
  while (!isAnswering()) {
    const isWaiting = daemon.exitCode === null && performance.now() < deadline;
    assert.ok(isWaiting, `dockerd did not start: ${readFileSync(at('docker.log'), 'utf8').slice(-3000)}`);
    await sleep(200);
  }
}

function isAnswering(): boolean {
  try {
    return docker('version', '--format', '{{.Server.Version}}') !== '';
  } catch {
    return false;
  }
}

async function stopDocker(): Promise<void> {
  if (daemon !== undefined) await end(daemon, 'SIGTERM', 30_000);
}

/** Runs in the background; its id. */
function run(name: string, ...command: readonly string[]): string {
  return docker(
    ...['run', '--detach', ...OPTIONS, '--name', name],
    '--entrypoint',
    command[0] ?? '',
    `${IMAGE.name}:${IMAGE.tag}`,
    ...command.slice(1),
  );
}

function expected(id: string, name: string): Record<string, unknown> {
  return {
    'container.id': id,
    'container.name': name,
    'container.image.name': IMAGE.name,
    'container.image.tags': [IMAGE.tag],
    'container.runtime.name': 'docker',
    'container.label.tier': 'front',
    'container.label.other': undefined,
    'k8s.pod.name': undefined,
  };
}

describe('docker', { timeout: 300_000 }, () => {
  it('a program run in a container by exec; a container that is renamed', async () => {
    const id = run('web', '/bin/sleep', '1000000');
    docker('exec', id, 'getent', 'hosts', `exec.${site.zone}`);
    await site.assertRecords(`exec.${site.zone}`, expected(id, 'web'));
    docker('rename', 'web', 'shop');
    await sleep(1000);
    docker('exec', id, 'getent', 'hosts', `renamed.${site.zone}`);
    await site.assertRecords(`renamed.${site.zone}`, expected(id, 'shop'));
    docker('rm', '--force', id);
  });

  it('containers whose first act is to ask, and then they are gone', async () => {
    for (let i = 0; i < 3; i++) {
      const name = `quick${i}.${site.zone}`;
      const id = run(`quick-${i}`, 'getent', 'hosts', name);
      docker('rm', '--force', id);
      await site.assertRecords(name, expected(id, `quick-${i}`));
    }
  });

  it('20 containers that live 200 ms each and are removed at once: all are named', async () => {
    await inTurns(20, 4, async (i) => {
      const script = `getent hosts brief${i}.${site.zone}; sleep 0.2`;
      const words = ['run', '--rm', ...OPTIONS, '--name', `brief-${i}`, '--entrypoint', '/bin/sh'];
      await execute('docker', [...host(), ...words, `${IMAGE.name}:${IMAGE.tag}`, '-c', script]);
    });
    for (let i = 0; i < 20; i++) {
      const { 'container.id': _, ...wanted } = expected('', `brief-${i}`);
      await site.assertRecords(`brief${i}.${site.zone}`, wanted);
    }
  });

  it('the daemon goes and comes back', async () => {
    await stopDocker();
    await sleep(500);
    await startDocker();
    const name = `back.${site.zone}`;
    const id = run('again', '/bin/sh', '-c', `sleep 4; getent hosts ${name}`);
    await site.assertRecords(name, expected(id, 'again'));
    docker('rm', '--force', id);
  });

  it('everything was counted, nothing was lost', async () => {
    await sleep(700);
    const { stages, metadata } = await site.stopAgent();
    for (const { name, missing } of stages) assert.equal(missing, 0, name);
    assert.ok((metadata['docker']?.['connects'] ?? 0) >= 2, JSON.stringify(metadata));
    assert.ok((metadata['docker']?.['removed'] ?? 0) > 0, JSON.stringify(metadata));
  });
});
