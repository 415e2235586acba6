/** Containers and pods of a real containerd: each record has the right container, image and pod. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { CgroupTree } from './cgroups.ts';
import { Containerd, IMAGE, type Pod } from './containerd.ts';
import { buildImage } from './image.ts';

const PATIENCE_MS = 30_000;

const zone = `c${randomBytes(4).toString('hex')}.test`;
const directory = mkdtempSync('/tmp/whodns-c-');
const cgroups = new CgroupTree();
let namespace: Namespace;
let server: NameServer;
let containerd: Containerd;
let agent: Agent;
let digest: string;

before(async () => {
  namespace = await Namespace.open();
  server = await startDnsmasq(namespace, { name: zone, lines: [`address=/${zone}/192.0.2.1`] }, [
    '127.0.0.1',
  ]);
  containerd = await Containerd.start(`${directory}/c`, namespace, cgroups);
  const archive = buildImage(directory, Containerd.imageNames());
  digest = containerd.importImage(archive.file);
  const options = [
    '--container-runtime',
    `cri:${containerd.socket}`,
    '--container-label',
    'example.com/tier',
  ];
  agent = Agent.start([...AGENT, ...options]);
  assert.ok(await agent.waitFor(() => agent.errors.includes('capturing'), PATIENCE_MS), agent.errors);
});

after(async () => {
  await agent?.stop();
  await containerd?.close();
  await server?.stop();
  await namespace?.close();
  await cgroups.close();
  rmSync(directory, { recursive: true, force: true });
});

async function recordsOf(name: string, count = 1): Promise<readonly JsonRecord[]> {
  const ours = (record: JsonRecord) => record.attributes['dns.question.name'] === name;
  await agent.waitFor((records) => records.filter(ours).length >= count, PATIENCE_MS);
  return agent.records.filter(ours);
}

/** Every record of the name says so: getent asks for A and AAAA. */
async function assertRecords(name: string, wanted: Record<string, unknown>): Promise<void> {
  const records = await recordsOf(name);
  assert.notEqual(records.length, 0, `no record of ${name}; ${agent.errors}`);
  for (const { resource } of records) {
    const shown = Object.fromEntries(Object.keys(wanted).map((key) => [key, resource[key]]));
    assert.deepEqual(shown, wanted);
  }
}

/** What every record of a container in a pod says. */
function expected(pod: Pod, id: string, name: string, restarts = 0): Record<string, unknown> {
  return {
    'container.id': id,
    'container.name': name,
    'container.image.name': IMAGE.name,
    'container.image.tags': [IMAGE.tag],
    'container.image.repo_digests': [`${IMAGE.name}@${digest}`],
    'container.runtime.name': 'containerd',
    'container.label.example.com/tier': 'front',
    'k8s.pod.uid': pod.uid,
    'k8s.pod.name': pod.name,
    'k8s.namespace.name': pod.namespace,
    'k8s.container.name': name,
    'k8s.container.restart_count': restarts,
  };
}

describe('containerd, cgroupfs driver', { timeout: 300_000 }, () => {
  it('a program run in a container by exec', async () => {
    const pod = await containerd.runPod({ name: 'web-1' });
    const id = await containerd.runContainer(pod, 'web');
    for (const [program, command] of [
      ['getent', ['getent', 'hosts', `getent.${zone}`]],
      ['dig', ['dig', '@127.0.0.1', `dig.${zone}`]],
    ] as const) {
      const { exitCode, errors, output } = await containerd.exec(id, command);
      assert.equal(exitCode, 0, `${errors} ${output}`);
      const wanted = { ...expected(pod, id, 'web'), 'process.executable.name': program };
      await assertRecords(`${program}.${zone}`, wanted);
    }
  });

  it('a container whose first act is to ask', async () => {
    const pod = await containerd.runPod({ name: 'quick-1' });
    for (let i = 0; i < 5; i++) {
      const name = `quick${i}.${zone}`;
      const id = await containerd.runContainer(pod, `quick-${i}`, ['getent', 'hosts', name]);
      await assertRecords(name, expected(pod, id, `quick-${i}`));
    }
  });
});
