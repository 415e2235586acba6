/**
 * Who one is cannot be claimed: a user who calls his control groups as the kubelet does, a process that says in its environment
 * or in its memory that it is a pod, a uid that is another's on the host. The real agent, a kubelet that knows the real pods.
 */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ask } from '../../src/control/client.ts';
import type { PipelineStats } from '../../src/pipeline.ts';
import { buildClients } from '../clients/build.ts';
import { Publisher } from '../clients/publisher.ts';
import { removeGroups } from '../containers/cgroups.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { contextBytes } from '../unit/process-context-bytes.ts';
import { reportAttack } from './report.ts';

const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] ?? '';
const missing =
  process.getuid?.() !== 0
    ? 'needs root'
    : mount === ''
      ? 'no cgroup v2 is mounted'
      : !existsSync('/sys/kernel/btf/vmlinux') && 'this kernel has no BTF';
const ZONE = `h${randomBytes(4).toString('hex')}.test`;
const PATIENCE_MS = 20_000;
const START_MS = 60_000;
const USER = 1000;
const AS_USER = `setpriv --reuid ${USER} --regid ${USER} --clear-groups`;

interface Pod {
  readonly name: string;
  readonly uid: string;
  readonly id: string;
  readonly level: 'on' | 'off' | 'metrics';
}

describe('identity that cannot be claimed', { skip: missing }, () => {
  const pods = (['on', 'off', 'metrics'] as const).map(
    (level): Pod => ({ name: `pod-${level}`, uid: randomUUID(), id: randomBytes(32).toString('hex'), level }),
  );
  const pod = (level: Pod['level']): Pod => pods.find((each) => each.level === level) as Pod;
  const top = `${mount}/hostile-${process.pid}`;
  const given = `${top}/user.slice/user-1000.slice/user@1000.service`;
  const groupOf = ({ uid, id }: Pod): string =>
    `kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${uid.replaceAll('-', '_')}.slice/cri-containerd-${id}.scope`;
  let directory: string;
  let kubelet: Server;
  let namespace: Namespace;
  let server: NameServer;
  let agent: Agent;
  let counter = 0;

  before(async () => {
    buildClients();
    directory = mkdtempSync(join(tmpdir(), 'whodns-hostile-'));
    for (const each of pods) mkdirSync(`${top}/${groupOf(each)}`, { recursive: true });
    mkdirSync(given, { recursive: true });
    for (const file of ['', '/cgroup.procs', '/cgroup.subtree_control']) chownSync(given + file, USER, USER);
    const list = JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items: pods.map(apiPod) });
    kubelet = createServer((_, response) => response.setHeader('content-type', 'application/json').end(list));
    await new Promise<void>((resolve) => kubelet.listen(0, '127.0.0.1', resolve));
    namespace = await Namespace.open();
    server = await startDnsmasq(namespace, { name: ZONE, lines: [`address=/${ZONE}/192.0.2.1`] }, [
      '127.0.0.1',
    ]);
    const url = `http://127.0.0.1:${(kubelet.address() as AddressInfo).port}`;
    const kubernetes = ['--kubernetes', 'kubelet', '--kubelet-url', url, '--node-name', 'vm'];
    const control = ['--control', join(directory, 'control')];
    agent = Agent.start(
      [...AGENT, '--container-runtime', 'off', '--timeout', '1s', ...kubernetes, ...control],
      (record) => String(record.attributes['dns.question.name']).endsWith(ZONE),
    );
    await ready();
  });
  after(async () => {
    await agent?.stop();
    await server?.stop();
    await namespace?.close();
    kubelet?.close();
    removeGroups(top);
    rmSync(directory, { recursive: true, force: true });
  });

  function apiPod({ name, uid, id, level }: Pod): object {
    const status = {
      name: 'main',
      containerID: `containerd://${id}`,
      image: 'i:1',
      imageID: 'x',
      ready: true,
    };
    return {
      metadata: { name, namespace: 'bank', uid, annotations: { 'whodns/capture': level } },
      spec: { nodeName: 'vm', containers: [{ name: 'main', image: 'i:1' }] },
      status: {
        phase: 'Running',
        containerStatuses: [{ ...status, restartCount: 0, state: { running: {} } }],
      },
    };
  }

  /** The agent records, and knows the pods. */
  async function ready(): Promise<void> {
    const deadline = performance.now() + START_MS;
    for (;;) {
      const record = await asked(`echo $$ >${top}/${groupOf(pod('on'))}/cgroup.procs; exec `, '', 1000);
      if (record?.resource['k8s.pod.name'] === 'pod-on') return;
      assert.ok(performance.now() < deadline, `no record of the pod; the agent said: ${agent.errors}`);
    }
  }

  /** Asks for a new name by `before` dig `behind`, in a shell; its record, undefined if there is none in time. */
  async function asked(
    before_: string,
    behind = '',
    timeoutMs = PATIENCE_MS,
  ): Promise<JsonRecord | undefined> {
    counter++;
    const name = `n${counter}.${ZONE}`;
    const { exitCode, output, errors } = await namespace.run([
      'sh',
      '-c',
      `${before_}dig +tries=1 +timeout=5 @127.0.0.1 ${name}${behind}`,
    ]);
    assert.equal(exitCode, 0, output + errors);
    const its = (record: JsonRecord) => record.attributes['dns.question.name'] === name;
    await agent.waitFor((records) => records.some(its), timeoutMs);
    return agent.records.find(its);
  }

  function assertNoContainer(record: JsonRecord | undefined): void {
    assert.ok(record, `a lookup was not captured; the agent said: ${agent.errors}`);
    const told = Object.keys(record.resource).filter((key) =>
      /^(k8s\.pod|k8s\.(name|cont)|container\.)/.test(key),
    );
    assert.deepEqual(told, []);
    assert.equal(record.attributes['whodns.attribution'], 'unverified');
    assert.equal(record.resource['process.user.id'], USER);
  }

  test('the real pods: named and captured, not captured, only counted', async () => {
    const record = await asked(`echo $$ >${top}/${groupOf(pod('on'))}/cgroup.procs; exec `);
    assert.equal(record?.resource['k8s.pod.name'], 'pod-on');
    assert.equal(record?.resource['container.id'], pod('on').id);
    assert.equal(record?.attributes['whodns.attribution'], 'kernel');
    for (const level of ['off', 'metrics'] as const)
      assert.equal(
        await asked(`echo $$ >${top}/${groupOf(pod(level))}/cgroup.procs; exec `, '', 1500),
        undefined,
      );
  });

  for (const level of ['on', 'off', 'metrics'] as const)
    for (const [where, path] of [
      ['as the kubelet has it', groupOf],
      ['right below', (each: Pod) => groupOf(each).replace(/^.*slice\//, '')],
      ['by the cgroupfs driver', ({ uid, id }: Pod) => `kubepods/besteffort/pod${uid}/${id}`],
      ['as Docker has it', ({ id }: Pod) => `system.slice/docker-${id}.scope`],
    ] as const)
      test(`in a group that was given to him a user calls himself a pod that is ${level}, ${where}`, async () => {
        const group = `${given}/${path(pod(level))}`;
        const script = `mkdir -p ${group} && echo $$ >${group}/cgroup.procs && exec dig +tries=1 @127.0.0.1 "$0"`;
        // More than once: whoever looks later must not find out better.
        for (let i = 0; i < 2; i++) {
          counter++;
          const name = `n${counter}.${ZONE}`;
          const enter = `echo $$ >${given}/cgroup.procs; exec ${AS_USER} sh -c '${script}' ${name}`;
          const { exitCode, errors } = await namespace.run(['sh', '-c', enter]);
          assert.equal(exitCode, 0, errors);
          const its = (record: JsonRecord) => record.attributes['dns.question.name'] === name;
          await agent.waitFor((records) => records.some(its), 3000);
          assertNoContainer(agent.records.find(its));
        }
        reportAttack({
          attack: `a path of a pod that is ${level} in a delegated control group, ${where}`,
          stranger: 'user',
          holds: 'captured, without container and pod, attribution unverified',
          figure: '2 of 2 lookups captured as his own',
        });
      });

  test("in a part of his own container that was given to him he calls himself another's: he stays what he is", async () => {
    const own = `${top}/${groupOf(pod('on'))}`;
    const part = `${own}/part`;
    for (const inner of [`docker/${pod('off').id}`, groupOf(pod('metrics'))]) {
      mkdirSync(part, { recursive: true });
      for (const file of ['', '/cgroup.procs']) chownSync(part + file, USER, USER);
      const script = `mkdir -p ${part}/${inner} && echo $$ >${part}/${inner}/cgroup.procs && exec `;
      const record = await asked(`echo $$ >${part}/cgroup.procs; exec ${AS_USER} sh -c '${script}`, "'");
      assert.equal(record?.resource['container.id'], pod('on').id);
      assert.equal(record?.resource['k8s.pod.name'], 'pod-on');
      assert.equal(record?.attributes['whodns.attribution'], 'kernel');
      assert.equal(record?.resource['process.user.id'], USER);
    }
  });

  const CLAIMED = {
    'k8s.pod.name': 'pod-off',
    'k8s.pod.uid': pods[1]?.uid ?? '',
    'k8s.namespace.name': 'bank',
    'container.id': pods[1]?.id ?? '',
    'container.name': 'main',
    'process.pid': '1',
    'process.made.up': 'x',
    'host.name': 'elsewhere',
    'host.id': 'x',
    'os.type': 'windows',
    'cloud.account.id': 'x',
    'telemetry.distro.name': 'x',
    'whodns.process.made.up': 'x',
    'K8S.Pod.Name': 'pod-off',
    k8s_pod_name: 'pod-off',
  };
  const OWN = {
    'service.name': 'shop',
    'service.instance.id': 'i',
    'deployment.environment.name': 'e',
    team: 't',
  };

  function assertOwnWordsOnly(record: JsonRecord | undefined, honest: JsonRecord | undefined): void {
    assert.ok(record && honest);
    for (const [key, value] of Object.entries(OWN)) assert.equal(record.resource[key], value, key);
    for (const key of Object.keys(CLAIMED))
      if (!/^process\.(pid|made)/.test(key)) assert.equal(record.resource[key], honest.resource[key], key);
    assert.notEqual(record.resource['process.pid'], 1);
    assert.equal(record.resource['process.made.up'], undefined);
  }

  test('in its environment a process says what is not its own to say', async () => {
    const honest = await asked('exec ');
    const said = Object.entries({ ...CLAIMED, ...OWN }).map(([key, value]) => `${key}=${value}`);
    const record = await asked(`OTEL_RESOURCE_ATTRIBUTES='${said.join(',')}' exec `);
    assertOwnWordsOnly(record, honest);
    const { identities } = (await ask(join(directory, 'control'), '/stats')) as PipelineStats;
    assert.ok(identities.attributesRefused >= Object.keys(CLAIMED).length);
    reportAttack({
      attack: 'attributes of pods, containers, hosts and others in OTEL_RESOURCE_ATTRIBUTES',
      stranger: 'user',
      holds: 'none is taken; service.* and free names are',
      figure: `${Object.keys(CLAIMED).length} of ${Object.keys(CLAIMED).length} refused`,
    });
  });

  test('and in what it publishes in its memory', async () => {
    const honest = await asked('exec ');
    const payload = Buffer.from(contextBytes({ ...CLAIMED, ...OWN, 'process.pid': 1 })).toString('hex');
    counter++;
    const name = `n${counter}.${ZONE}`;
    const inside = ['nsenter', '--target', String(namespace.pid), '--net', '--'];
    const publisher = await Publisher.start(['memfd', payload], inside);
    try {
      publisher.say(`ask 127.0.0.1 ${name}`);
      const its = (record: JsonRecord) => record.attributes['dns.question.name'] === name;
      await agent.waitFor((records) => records.some(its), PATIENCE_MS);
      assertOwnWordsOnly(agent.records.find(its), honest);
    } finally {
      await publisher.stop();
    }
  });

  test("a uid has a name only where the list of users is the host's", async () => {
    const here = await namelessly('');
    assert.equal(here?.resource['process.user.id'], 33);
    const passwd = join(directory, 'passwd');
    writeFileSync(passwd, 'root:x:0:0::/:/bin/sh\napp:x:33:33::/:/bin/sh\n', { mode: 0o644 });
    const record = await namelessly(`mount --bind ${passwd} /etc/passwd; `);
    assert.equal(record?.resource['process.user.id'], 33);
    assert.equal(record?.resource['process.user.name'], undefined);
  });

  /** Uid 33 in a mount namespace of its own. */
  function namelessly(prepare: string): Promise<JsonRecord | undefined> {
    return asked(
      `exec unshare --mount sh -c '${prepare}exec setpriv --reuid 33 --regid 33 --clear-groups `,
      "'",
    );
  }
});
