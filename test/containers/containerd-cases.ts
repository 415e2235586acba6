/** What is asked of the agent beside every real containerd: each record has the right container, image and pod. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonRecord } from '../matrix/agent.ts';
import { inTurns } from './brief.ts';
import { Containerd, IMAGE, type Pod } from './containerd.ts';
import { buildImage } from './image.ts';
import { PATIENCE_MS, Site } from './site.ts';
import { SlowSocket } from './slow-socket.ts';

interface Tested {
  readonly title: string;
  /** The daemon; its shim lies beside it. */
  readonly program: () => string | Promise<string>;
  /** Which of the agent's counts of events grows. */
  readonly events: 'criEvents' | 'containerdEvents';
}

export function testContainerd({ title, program, events }: Tested): void {
  let site: Site;
  let containerd: Containerd;
  let socket: SlowSocket;
  let digest: string;

  before(async () => {
    site = await Site.open();
    containerd = await Containerd.start(`${site.directory}/c`, site.namespace, site.cgroups, await program());
    digest = containerd.importImage(buildImage(site.directory, Containerd.imageNames()).file);
    socket = await SlowSocket.open(`${site.directory}/slow.sock`, containerd.socket);
    await site.startAgent([
      '--container-runtime',
      `cri:${socket.path}`,
      '--container-label',
      'example.com/tier',
    ]);
  });

  after(async () => {
    await site?.agent.stop();
    await socket?.close();
    await containerd?.close();
    await site?.close();
  });

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

  async function ask(id: string, name: string): Promise<void> {
    const { exitCode, errors } = await containerd.exec(id, ['getent', 'hosts', name]);
    assert.equal(exitCode, 0, errors);
  }

  function recordsNow(name: string): readonly JsonRecord[] {
    return site.agent.records.filter(({ attributes }) => attributes['dns.question.name'] === name);
  }

  /** Waits until the agent says what it decided for a container. */
  async function levelOf(container: string, level: string, origin: string): Promise<void> {
    const isSaid = ({ event_name, attributes, resource }: JsonRecord): boolean =>
      event_name === 'whodns.visibility' &&
      resource['k8s.container.name'] === container &&
      attributes['whodns.visibility.level'] === level &&
      attributes['whodns.visibility.origin'] === origin;
    const isThere = await site.agent.waitFor((records) => records.some(isSaid), PATIENCE_MS);
    assert.ok(isThere, `${container} is not ${level}: ${site.agent.errors}`);
  }

  describe(title, { timeout: 300_000 }, () => {
    it('programs run in a container by exec', async () => {
      const pod = await containerd.runPod({ name: 'web-1' });
      const id = await containerd.runContainer(pod, 'web');
      for (const command of [
        ['getent', 'hosts', `getent.${site.zone}`],
        ['dig', '@127.0.0.1', `dig.${site.zone}`],
      ] as const) {
        const { exitCode, errors } = await containerd.exec(id, command);
        assert.equal(exitCode, 0, errors);
        const wanted = { ...expected(pod, id, 'web'), 'process.executable.name': command[0] };
        await site.assertRecords(`${command[0]}.${site.zone}`, wanted);
      }
    });

    it('containers whose first act is to ask, and then they end', async () => {
      const pod = await containerd.runPod({ name: 'quick-1' });
      for (let i = 0; i < 5; i++) {
        const name = `quick${i}.${site.zone}`;
        const id = await containerd.runContainer(pod, `quick-${i}`, ['getent', 'hosts', name]);
        await site.assertRecords(name, expected(pod, id, `quick-${i}`));
      }
    });

    it('20 containers that live 200 ms each and are removed at once: all are named', async () => {
      const pod = await containerd.runPod({ name: 'brief-1' });
      const ids: string[] = [];
      await inTurns(20, 4, async (i) => {
        const script = `getent hosts brief${i}.${site.zone}; sleep 0.2`;
        const id = await containerd.runContainer(pod, `brief-${i}`, ['/bin/sh', '-c', script]);
        ids[i] = id;
        await sleep(200);
        await containerd.removeContainer(id);
      });
      for (const [i, id] of ids.entries())
        await site.assertRecords(`brief${i}.${site.zone}`, expected(pod, id, `brief-${i}`));
    });

    it('a runtime that answers late: the records wait for it', async () => {
      const pod = await containerd.runPod({ name: 'late-1' });
      socket.delayMs = 120;
      const name = `late.${site.zone}`;
      const id = await containerd.runContainer(pod, 'late', ['getent', 'hosts', name]);
      await site.assertRecords(name, expected(pod, id, 'late'));
      socket.delayMs = 0;
    });

    it('a container that nobody knows: the record goes out with what the kernel says', async () => {
      const id = randomBytes(32).toString('hex');
      const name = `unknown.${site.zone}`;
      await site.askFrom(`docker/${id}`, name);
      await site.assertRecords(name, { 'container.id': id, 'container.name': undefined });
    });

    it('a restarted container has a new id and a count', async () => {
      const pod = await containerd.runPod({ name: 'crash-1' });
      const first = await containerd.runContainer(pod, 'app', ['getent', 'hosts', `first.${site.zone}`]);
      await site.assertRecords(`first.${site.zone}`, expected(pod, first, 'app', 0));
      await containerd.removeContainer(first);
      const second = await containerd.runContainer(pod, 'app', ['getent', 'hosts', `second.${site.zone}`], 1);
      assert.notEqual(second, first);
      await site.assertRecords(`second.${site.zone}`, expected(pod, second, 'app', 1));
    });

    it('a pod with the same name again is another', async () => {
      const before = await containerd.runPod({ name: 'db-0' });
      const first = await containerd.runContainer(before, 'db', ['getent', 'hosts', `before.${site.zone}`]);
      await site.assertRecords(`before.${site.zone}`, expected(before, first, 'db'));
      await containerd.removePod(before.sandboxId);
      const then = await containerd.runPod({ name: 'db-0' });
      const second = await containerd.runContainer(then, 'db', ['getent', 'hosts', `then.${site.zone}`]);
      assert.notEqual(then.uid, before.uid);
      await site.assertRecords(`then.${site.zone}`, expected(then, second, 'db'));
    });

    it('the pause container', async () => {
      const pod = await containerd.runPod({ name: 'paused-1' });
      const name = `pause.${site.zone}`;
      await site.askFrom(`kubepods/besteffort/pod${pod.uid}/${pod.sandboxId}`, name);
      await site.assertRecords(name, {
        'container.id': pod.sandboxId,
        'container.name': 'POD',
        'k8s.pod.uid': pod.uid,
        'k8s.pod.name': 'paused-1',
        'k8s.container.name': undefined,
      });
    });

    it('annotations of the pod: its containers are captured or not, and the service has its name', async () => {
      const pod = await containerd.runPod({
        name: 'annotated-1',
        labels: { 'app.kubernetes.io/version': '7' },
        annotations: {
          'whodns/capture': 'off',
          'whodns/capture.seen': 'on',
          'resource.opentelemetry.io/service.name': 'checkout',
          'resource.opentelemetry.io/k8s.pod.name': 'another',
          'example.com/last-applied': 'x'.repeat(200_000),
        },
      });
      const hidden = await containerd.runContainer(pod, 'hidden');
      const seen = await containerd.runContainer(pod, 'seen');
      await levelOf('hidden', 'off', 'pod');
      await ask(hidden, `hidden.${site.zone}`);
      await ask(seen, `seen.${site.zone}`);
      await site.assertRecords(`seen.${site.zone}`, {
        ...expected(pod, seen, 'seen'),
        'service.name': 'checkout',
        'service.namespace': 'shop',
        'service.version': '7',
        'service.instance.id': 'shop.annotated-1.seen',
      });
      await sleep(600); // a record may wait half a second
      assert.deepEqual(recordsNow(`hidden.${site.zone}`), []);
    });

    it("KubeArmor's annotation, and a value that is none", async () => {
      const armored = await containerd.runPod({
        name: 'armored-1',
        annotations: { 'kubearmor-visibility': 'none' },
      });
      const odd = await containerd.runPod({ name: 'odd-1', annotations: { 'whodns/capture': 'OFF' } });
      const silent = await containerd.runContainer(armored, 'silent');
      const loud = await containerd.runContainer(odd, 'loud');
      await levelOf('silent', 'off', 'pod');
      await ask(silent, `silent.${site.zone}`);
      await ask(loud, `loud.${site.zone}`);
      await site.assertRecords(`loud.${site.zone}`, expected(odd, loud, 'loud'));
      await sleep(600);
      assert.deepEqual(recordsNow(`silent.${site.zone}`), []);
      assert.match(site.agent.errors, /pod shop\/odd-1: whodns\/capture: "OFF" is not on, off or metrics/);
    });

    // kubelet and runc with the systemd driver, where no systemd runs: laid out as they do (pkg/kubelet/cm, runc
    // libcontainer/cgroups/systemd).
    for (const [qos, slice] of [
      ['guaranteed', 'kubepods.slice/kubepods-pod%.slice'],
      ['burstable', 'kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod%.slice'],
      ['besteffort', 'kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod%.slice'],
    ] as const)
      it(`control groups of the systemd driver, ${qos}`, async () => {
        const pod = await containerd.runPod({ name: `systemd-${qos}` });
        const id = await containerd.runContainer(pod, 'app');
        const name = `${qos}.${site.zone}`;
        const below = `${slice.replace('%', pod.uid.replaceAll('-', '_'))}/cri-containerd-${id}.scope`;
        await site.askFrom(below, name);
        await site.assertRecords(name, expected(pod, id, 'app'));
      });

    it('the socket goes and comes back', async () => {
      const pod = await containerd.runPod({ name: 'stays-1' });
      const loop = `i=0; while true; do getent hosts loop$i.${site.zone}; i=$((i+1)); sleep 0.2; done`;
      const id = await containerd.runContainer(pod, 'loop', ['/bin/sh', '-c', loop]);
      await site.assertRecords(`loop0.${site.zone}`, expected(pod, id, 'loop'));
      await containerd.halt();
      const seen = site.agent.records.length;
      await site.agent.waitFor((records) => records.length > seen + 4, 20_000);
      for (const { resource } of site.agent.records.slice(seen))
        if (resource['container.id'] === id) assert.equal(resource['k8s.pod.name'], 'stays-1');
      await containerd.resume();
      // Pauses grow up to 30 s; so short an absence is over within a few.
      const name = `back.${site.zone}`;
      const again = await containerd.runContainer(pod, 'again', [
        '/bin/sh',
        '-c',
        `sleep 4; getent hosts ${name}`,
      ]);
      await site.assertRecords(name, expected(pod, again, 'again'));
    });

    it('everything was counted, nothing was lost', async () => {
      await sleep(700);
      const { stages, metadata, source } = await site.stopAgent();
      // Another program's flood on this machine would fill it.
      assert.equal(source.drops['ring_full'], 0);
      for (const { name, missing } of stages) assert.equal(missing, 0, name);
      assert.equal(stages.find(({ name }) => name === 'containers')?.held, 0);
      const { containers, cri } = metadata;
      assert.ok((containers?.['completed'] ?? 0) > 0, JSON.stringify(metadata));
      assert.ok((containers?.['timeout'] ?? 0) > 0, JSON.stringify(metadata));
      assert.ok((cri?.['connects'] ?? 0) >= 2, JSON.stringify(metadata));
      for (const kind of ['criEvents', 'containerdEvents'])
        assert.equal((cri?.[kind] ?? 0) > 0, kind === events, JSON.stringify(metadata));
      assert.ok((cri?.['removed'] ?? 0) > 0, JSON.stringify(metadata));
    });
  });
}
