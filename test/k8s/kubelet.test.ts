/** `--kubernetes kubelet` with the real kubelet. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import type { KubernetesStats, PodMetadata } from '../../src/model.ts';
import { end, FileScope } from './cluster.ts';
import { KUBELET_URL, Kubelet } from './kubelet.ts';
import { until } from './source.ts';

interface Seen {
  readonly pods: readonly PodMetadata[];
  readonly stats: KubernetesStats;
}

describe('pods of a real kubelet', () => {
  const scope = new FileScope();
  let kubelet: Kubelet;
  after(() => scope.close());
  before(async () => {
    kubelet = await Kubelet.start(scope);
  });

  /** What a source in that namespace knows, the newest last. */
  function observe(...more: readonly string[]): {
    readonly seen: Seen[];
    readonly errors: () => string;
    child: ChildProcess;
  } {
    const program = join(import.meta.dirname, 'kubelet-inside.ts');
    const child = kubelet.namespace.spawn([process.execPath, program, KUBELET_URL, ...more]);
    const seen: Seen[] = [];
    let errors = '';
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).on('line', (line) => seen.push(JSON.parse(line) as Seen));
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    return { seen, errors: () => errors, child };
  }

  test('static pods come, are told as those of the API are, and go', async (t) => {
    const { seen, child, errors } = observe();
    t.after(() => end(child, 'SIGTERM'));
    const last = (): Seen | undefined => seen.at(-1);
    await until(() => last()?.stats.connected === true, `connected; ${errors()}`);
    assert.deepEqual(last()?.pods, []);
    kubelet.addPod('first', { labels: { app: 'one' } });
    await until(() => (last()?.pods.length ?? 0) === 1, 'first pod');
    const pod = last()?.pods[0];
    assert.match(pod?.uid ?? '', /^[0-9a-f]{32}$/);
    assert.deepEqual(pod?.attributes, {
      'service.name': 'first-node-a',
      'service.namespace': 'kube-system',
      'k8s.pod.label.app': 'one',
      'k8s.node.name': 'node-a',
      'k8s.namespace.name': 'kube-system',
      'k8s.pod.name': 'first-node-a',
      'k8s.pod.uid': pod?.uid,
    });
    assert.equal(pod?.hostNetwork, true);
    assert.equal(pod?.containers[0]?.attributes['service.version'], '1');
    kubelet.removePod('first');
    kubelet.addPod('second', { labels: { app: 'two' } });
    await until(() => last()?.pods.some(({ labels }) => labels['app'] === 'two') === true, 'second pod');
    // It is remembered for half a minute.
    await until(
      () => last()?.stats.changes['removed'] === 1 && last()?.pods.length === 1,
      'first pod forgotten',
    );
  });

  test('stopped and started again', async (t) => {
    const { seen, child } = observe();
    t.after(() => end(child, 'SIGTERM'));
    await until(() => (seen.at(-1)?.pods.length ?? 0) >= 1, 'known');
    const { pods } = seen.at(-1) as Seen;
    await kubelet.stop('SIGKILL');
    await until(() => seen.at(-1)?.stats.connected === false, 'down');
    assert.deepEqual(seen.at(-1)?.pods, pods);
    await kubelet.resume();
    await until(() => seen.at(-1)?.stats.connected === true, 'up');
  });

  test('a certificate that nobody vouches for is refused unless told otherwise', async (t) => {
    const { seen, child, errors } = observe('verify');
    t.after(() => end(child, 'SIGTERM'));
    await until(() => (seen.at(-1)?.stats.failures['unreachable'] ?? 0) >= 1, 'refused');
    assert.match(errors(), /certificate/);
    assert.deepEqual(seen.at(-1)?.pods, []);
  });
});
