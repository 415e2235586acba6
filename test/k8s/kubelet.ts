/**
 * The real kubelet, alone, without API server, on a real containerd, in a network namespace; its pods are static ones. They do not
 * run (there is no image), but the kubelet tells of them as of any other.
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianProgram } from '../collector/program-cache.ts';
import type { Scope } from '../e2e/certificates.ts';
import { Namespace } from '../matrix/namespace.ts';
import { kubernetesProgram } from './build.ts';
import { end } from './cluster.ts';

const PORT = 10250;
/** Where it is inside the namespace. */
export const KUBELET_URL = `https://127.0.0.1:${PORT}`;
/** One connection to it, on standard input and output. */
const CONNECT = `const s = require('net').connect(${PORT}, '127.0.0.1');
s.on('error', () => process.exit());
process.stdin.pipe(s).pipe(process.stdout);`;

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

export class Kubelet {
  readonly namespace: Namespace;
  readonly #directory = mkdtempSync(join(tmpdir(), 'whodns-kubelet-'));
  #child: ChildProcess | undefined;

  private constructor(namespace: Namespace) {
    this.namespace = namespace;
  }

  static async start(scope: Scope): Promise<Kubelet> {
    const kubelet = new Kubelet(await Namespace.open());
    scope.after(() => kubelet.#remove());
    mkdirSync(kubelet.#at('manifests'));
    writeFileSync(kubelet.#at('containerd.toml'), containerdConfiguration(kubelet.#directory));
    writeFileSync(
      kubelet.#at('kubelet.yaml'),
      kubeletConfiguration(kubelet.#directory, kubelet.#at('manifests')),
    );
    const prepared = await kubelet.namespace.run(['sh', '-ec', hideHost(kubelet.#directory)]);
    assert.equal(prepared.exitCode, 0, prepared.errors);
    const program = await debianProgram('containerd', 'containerd');
    const containerd = kubelet.namespace.spawn(
      [program, '--config', kubelet.#at('containerd.toml')],
      'ignore',
    );
    scope.after(() => end(containerd, 'SIGTERM'));
    scope.after(() => kubelet.stop('SIGTERM'));
    await kubelet.resume();
    return kubelet;
  }

  /** Starts it, at first or again. */
  async resume(): Promise<void> {
    const options = ['--config', this.#at('kubelet.yaml'), '--root-dir', this.#at('root')];
    const names = ['--cert-dir', this.#at('certificates'), '--hostname-override', 'node-a'];
    const program = await kubernetesProgram('kubelet');
    const child = this.namespace.spawn([program, ...options, ...names], ['ignore', 'ignore', 'pipe']);
    this.#child = child;
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    const ask = ['curl', '-skf', '--max-time', '2', `${KUBELET_URL}/pods`];
    const deadline = performance.now() + 60_000;
    while ((await this.namespace.run(ask)).exitCode !== 0)
      assert.ok(child.exitCode === null && performance.now() < deadline, `kubelet: ${said}`);
  }

  async stop(signal: NodeJS.Signals): Promise<void> {
    await end(this.#child, signal);
  }

  /** A static pod of one container, in the network of the node. */
  addPod(name: string, metadata: object = {}): void {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'kube-system', ...metadata },
      spec: {
        hostNetwork: true,
        containers: [{ name: 'main', image: 'registry.test/none:1', imagePullPolicy: 'Never' }],
      },
    };
    writeFileSync(this.#at(`manifests/${name}.json`), JSON.stringify(pod));
  }

  removePod(name: string): void {
    rmSync(this.#at(`manifests/${name}.json`));
  }

  /** Makes it reachable from outside of its namespace. @returns where */
  async publish(scope: Scope): Promise<string> {
    const open = new Set<Socket>();
    const server = createServer((socket) => {
      const inside = this.namespace.spawn([process.execPath, '-e', CONNECT], ['pipe', 'pipe', 'ignore']);
      open.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => {
          open.delete(socket);
          inside.kill('SIGKILL');
        });
      inside.stdin?.on('error', () => {});
      if (inside.stdin !== null) socket.pipe(inside.stdin);
      inside.stdout?.pipe(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    scope.after(() => {
      for (const socket of open) socket.destroy();
      server.close();
    });
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #at(name: string): string {
    return join(this.#directory, name);
  }

  async #remove(): Promise<void> {
    await this.namespace.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

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
