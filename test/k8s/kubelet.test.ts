/**
 * `--kubernetes kubelet` with the real kubelet: alone, without API server, on a real containerd; its pods are static ones. They do
 * not run (there is no image), but the kubelet tells of them as of any other.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import type { KubernetesStats, PodMetadata } from '../../src/model.ts';
import { debianProgram } from '../collector/program-cache.ts';
import { Namespace } from '../matrix/namespace.ts';
import { kubernetesProgram } from './build.ts';
import { end, FileScope } from './cluster.ts';
import { until } from './source.ts';

const PORT = 10250;

/** What a kubelet would set for the whole host, as it wants it: shown to it in place of the real ones, which it leaves alone then. */
const KERNEL_SETTINGS: Readonly<Record<string, string>> = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
};
/** Where kubelet and containerd would leave files. */
const OWN_DIRECTORIES = ['/var/lib', '/var/log', '/run', '/opt', '/usr/libexec'];

interface Seen {
  readonly pods: readonly PodMetadata[];
  readonly stats: KubernetesStats;
}

describe('pods of a real kubelet', () => {
  const scope = new FileScope();
  const directory = mkdtempSync(join(tmpdir(), 'whodns-kubelet-'));
  const manifests = join(directory, 'manifests');
  let namespace: Namespace;
  let kubelet: ChildProcess;
  let said = '';
  after(() => scope.close());

  before(async () => {
    namespace = await Namespace.open();
    scope.after(() => rmSync(directory, { recursive: true, force: true }));
    scope.after(() => namespace.close());
    mkdirSync(manifests);
    writeFileSync(join(directory, 'containerd.toml'), containerdConfiguration(directory));
    writeFileSync(join(directory, 'kubelet.yaml'), kubeletConfiguration(directory, manifests));
    const prepared = await namespace.run(['sh', '-ec', hideHost(directory)]);
    assert.equal(prepared.exitCode, 0, prepared.errors);
    const program = await debianProgram('containerd', 'containerd');
    const containerd = namespace.spawn([program, '--config', join(directory, 'containerd.toml')], 'ignore');
    scope.after(() => end(containerd, 'SIGTERM'));
    await startKubelet();
    scope.after(() => end(kubelet, 'SIGTERM'));
  });

  async function startKubelet(): Promise<void> {
    const program = await kubernetesProgram('kubelet');
    const at = (name: string): string => join(directory, name);
    const options = [
      '--config',
      at('kubelet.yaml'),
      '--root-dir',
      at('root'),
      '--cert-dir',
      at('certificates'),
    ];
    kubelet = namespace.spawn(
      [program, ...options, '--hostname-override', 'node-a'],
      ['ignore', 'ignore', 'pipe'],
    );
    kubelet.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    const ask = ['curl', '-skf', '--max-time', '2', `https://127.0.0.1:${PORT}/pods`];
    const deadline = performance.now() + 60_000;
    while ((await namespace.run(ask)).exitCode !== 0)
      assert.ok(kubelet.exitCode === null && performance.now() < deadline, `kubelet: ${said}`);
  }

  /** What a source in that namespace knows, the newest last. */
  function observe(...more: readonly string[]): {
    readonly seen: Seen[];
    readonly errors: () => string;
    child: ChildProcess;
  } {
    const program = join(import.meta.dirname, 'kubelet-inside.ts');
    const child = namespace.spawn([process.execPath, program, `https://127.0.0.1:${PORT}`, ...more]);
    const seen: Seen[] = [];
    let errors = '';
    if (child.stdout !== null)
      createInterface({ input: child.stdout }).on('line', (line) => seen.push(JSON.parse(line) as Seen));
    child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    return { seen, errors: () => errors, child };
  }

  function manifest(name: string, app: string): void {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'kube-system', labels: { app } },
      spec: {
        hostNetwork: true,
        containers: [{ name: 'main', image: 'registry.test/none:1', imagePullPolicy: 'Never' }],
      },
    };
    writeFileSync(join(manifests, `${name}.json`), JSON.stringify(pod));
  }

  test('static pods come, are told as those of the API are, and go', async (t) => {
    const { seen, child, errors } = observe();
    t.after(() => end(child, 'SIGTERM'));
    const last = (): Seen | undefined => seen.at(-1);
    await until(() => last()?.stats.connected === true, `connected; ${errors()}`);
    assert.deepEqual(last()?.pods, []);
    manifest('first', 'one');
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
    rmSync(join(manifests, 'first.json'));
    manifest('second', 'two');
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
    await end(kubelet, 'SIGKILL');
    await until(() => seen.at(-1)?.stats.connected === false, 'down');
    assert.deepEqual(seen.at(-1)?.pods, pods);
    await startKubelet();
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

function hideHost(directory: string): string {
  const settings = Object.entries(KERNEL_SETTINGS).map(([name, value], index) => {
    const file = join(directory, `setting-${index}`);
    writeFileSync(file, `${value}\n`);
    return `mount --bind ${file} /proc/sys/${name}`;
  });
  const hidden = OWN_DIRECTORIES.map((path) => `mount -t tmpfs tmpfs ${path}`);
  return [...settings, ...hidden].join('\n');
}

function containerdConfiguration(directory: string): string {
  return `version = 2
root = "${directory}/c"
state = "${directory}/s"
[grpc]
  address = "${directory}/c.sock"
[plugins."io.containerd.grpc.v1.cri"]
  disable_apparmor = true
  disable_tcp_service = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
`;
}

function kubeletConfiguration(directory: string, manifests: string): string {
  return JSON.stringify({
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: '127.0.0.1',
    port: PORT,
    readOnlyPort: 0,
    healthzPort: 0,
    staticPodPath: manifests,
    fileCheckFrequency: '1s',
    containerRuntimeEndpoint: `unix://${directory}/c.sock`,
    // The host is no node: its swap, cgroups and packet filter are left as they are.
    failSwapOn: false,
    failCgroupV1: false,
    cgroupDriver: 'cgroupfs',
    cgroupsPerQOS: false,
    enforceNodeAllocatable: [],
    localStorageCapacityIsolation: false,
    makeIPTablesUtilChains: false,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
  });
}
