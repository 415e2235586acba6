/** A containerd of the test's own: directories, socket and network namespace of its own; pods and containers through CRI. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { credentials, loadPackageDefinition, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { end } from '../matrix/children.ts';
import type { Namespace } from '../matrix/namespace.ts';
import type { CgroupTree } from './cgroups.ts';

const START_MS = 60_000;
const CALL_MS = 60_000;
const SANDBOX_IMAGE = 'registry.example:5000/whodns/pause:1';

export const IMAGE = {
  name: 'registry.example:5000/whodns/tools',
  tag: '1.2.3',
};

type Call = (
  request: object,
  options: { readonly deadline: number },
  callback: (error: Error | null, response: Record<string, unknown>) => void,
) => void;

export interface PodSpec {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  /** Of the pod, as the kubelet hands them on. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Pod {
  readonly sandboxId: string;
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly config: object;
}

export interface Executed {
  readonly output: string;
  readonly errors: string;
  readonly exitCode: number;
}

export class Containerd {
  readonly socket: string;
  readonly #directory: string;
  readonly #namespace: Namespace;
  readonly #cgroups: CgroupTree;
  readonly #program: string;
  #child: ChildProcess | undefined;
  #client: (Record<string, Call> & { close(): void }) | undefined;

  private constructor(directory: string, namespace: Namespace, cgroups: CgroupTree, program: string) {
    this.#directory = directory;
    this.#namespace = namespace;
    this.#cgroups = cgroups;
    this.#program = program;
    this.socket = join(directory, 'containerd.sock');
  }

  /** @param directory below which everything of it lies; short: a socket's path has 107 bytes. */
  static async start(
    directory: string,
    namespace: Namespace,
    cgroups: CgroupTree,
    program = '/usr/bin/containerd',
  ): Promise<Containerd> {
    mkdirSync(directory, { recursive: true });
    const containerd = new Containerd(directory, namespace, cgroups, program);
    writeFileSync(join(directory, 'config.toml'), containerd.#configuration());
    await containerd.resume();
    return containerd;
  }

  #configuration(): string {
    const at = (name: string) => JSON.stringify(join(this.#directory, name));
    return `version = 2
root = ${at('root')}
state = ${at('state')}
[grpc]
  address = ${JSON.stringify(this.socket)}
[plugins."io.containerd.internal.v1.opt"]
  path = ${at('opt')}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${SANDBOX_IMAGE}"
  disable_apparmor = true
  disable_tcp_service = true
  # without CAP_SYS_RESOURCE nobody may lower it
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${at('cni-bin')}
    conf_dir = ${at('cni-conf')}
`;
  }

  /** Starts it, at first or again after `halt`. */
  async resume(): Promise<void> {
    const log = openSync(join(this.#directory, 'containerd.log'), 'a');
    const argv = [this.#program, '--config', join(this.#directory, 'config.toml')];
    const child = this.#namespace.spawn(argv, ['ignore', log, log]);
    closeSync(log);
    process.once('exit', () => child.kill('SIGKILL'));
    this.#child = child;
    this.#client = connect(this.socket);
    const deadline = performance.now() + START_MS;
    while (!(await this.#call('ListPodSandbox', {}).catch(() => undefined))) {
      const isWaiting = child.exitCode === null && performance.now() < deadline;
      if (!isWaiting) throw new Error(`containerd did not start: ${this.log().slice(-3000)}`);
      await sleep(100);
    }
  }

  /** Ends the daemon; its containers run on. */
  async halt(): Promise<void> {
    this.#client?.close();
    if (this.#child !== undefined) await end(this.#child);
  }

  /** Removes all pods, then ends it. */
  async close(): Promise<void> {
    const { items = [] } = (await this.#call('ListPodSandbox', {}).catch(() => ({}))) as {
      items?: { id: string }[];
    };
    for (const { id } of items) await this.removePod(id);
    await this.halt();
  }

  log(): string {
    const file = join(this.#directory, 'containerd.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Imports the archive; its first name gets a digest as if it had been pulled. */
  importImage(archive: string): string {
    const ctr = (...more: string[]) =>
      execFileSync('ctr', ['--address', this.socket, '--namespace', 'k8s.io', ...more], { encoding: 'utf8' });
    ctr('images', 'import', '--snapshotter', 'native', archive);
    const line = ctr('images', 'list')
      .split('\n')
      .find((found) => found.startsWith(`${IMAGE.name}:${IMAGE.tag}`));
    const digest = /sha256:[0-9a-f]{64}/.exec(line ?? '')?.[0] ?? '';
    ctr('images', 'tag', `${IMAGE.name}:${IMAGE.tag}`, `${IMAGE.name}@${digest}`);
    return digest;
  }

  static imageNames(): readonly string[] {
    return [`${IMAGE.name}:${IMAGE.tag}`, SANDBOX_IMAGE];
  }

  /** In the network of the node. */
  async runPod({
    name,
    namespace = 'shop',
    uid = randomUUID(),
    labels: own = {},
    annotations = {},
  }: PodSpec): Promise<Pod> {
    const labels = {
      ...own,
      'io.kubernetes.pod.name': name,
      'io.kubernetes.pod.namespace': namespace,
      'io.kubernetes.pod.uid': uid,
    };
    const config = {
      metadata: { name, uid, namespace, attempt: 0 },
      logDirectory: join(this.#directory, 'logs'),
      dnsConfig: { servers: ['127.0.0.1'] },
      labels,
      annotations,
      linux: {
        cgroupParent: this.#cgroups.path(`kubepods/besteffort/pod${uid}`),
        securityContext: { namespaceOptions: { network: 'NODE' } },
      },
    };
    const { podSandboxId } = await this.#call('RunPodSandbox', { config });
    return { sandboxId: String(podSandboxId), name, namespace, uid, config };
  }

  /** Created and started; `command` is what runs in it. */
  async runContainer(
    pod: Pod,
    name: string,
    command: readonly string[] = ['/bin/sleep', '1000000'],
    attempt = 0,
    image = `${IMAGE.name}:${IMAGE.tag}`,
  ): Promise<string> {
    const containerId = await this.createContainer(pod, name, command, attempt, image);
    await this.startContainer(containerId);
    return containerId;
  }

  async createContainer(
    pod: Pod,
    name: string,
    command: readonly string[],
    attempt = 0,
    image = `${IMAGE.name}:${IMAGE.tag}`,
  ): Promise<string> {
    const labels = {
      'io.kubernetes.container.name': name,
      'io.kubernetes.pod.name': pod.name,
      'io.kubernetes.pod.namespace': pod.namespace,
      'io.kubernetes.pod.uid': pod.uid,
      'example.com/tier': 'front',
    };
    const config = {
      metadata: { name, attempt },
      image: { image },
      command,
      labels,
      logPath: `${name}-${attempt}.log`,
      linux: { securityContext: { namespaceOptions: { network: 'NODE' } } },
    };
    const request = { podSandboxId: pod.sandboxId, config, sandboxConfig: pod.config };
    const { containerId } = await this.#call('CreateContainer', request);
    return String(containerId);
  }

  async startContainer(containerId: string): Promise<void> {
    await this.#call('StartContainer', { containerId });
  }

  async removeContainer(containerId: string): Promise<void> {
    // One that ends by itself just now cannot be stopped, and counts as running a little longer.
    const deadline = performance.now() + CALL_MS;
    for (;;) {
      try {
        await this.#call('StopContainer', { containerId });
        await this.#call('RemoveContainer', { containerId });
        return;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await sleep(100);
      }
    }
  }

  async removePod(podSandboxId: string): Promise<void> {
    await this.#call('StopPodSandbox', { podSandboxId });
    await this.#call('RemovePodSandbox', { podSandboxId });
  }

  async exec(containerId: string, cmd: readonly string[]): Promise<Executed> {
    const { stdout, stderr, exitCode } = await this.#call('ExecSync', { containerId, cmd, timeout: 30 });
    return { output: String(stdout), errors: String(stderr), exitCode: Number(exitCode) };
  }

  #call(method: string, request: object): Promise<Record<string, unknown>> {
    const client = this.#client;
    if (client === undefined) return Promise.reject(new Error('not connected'));
    return new Promise((resolve, reject) => {
      client[method]?.call(client, request, { deadline: Date.now() + CALL_MS }, (error, response) => {
        if (error === null) resolve(response);
        else reject(error);
      });
    });
  }
}

function connect(socket: string): Record<string, Call> & { close(): void } {
  const file = fileURLToPath(new URL('cri-control.proto', import.meta.url));
  const definitions = loadPackageDefinition(loadSync(file, { longs: String, enums: String, defaults: true }));
  const { v1 } = definitions['runtime'] as unknown as {
    v1: { RuntimeService: ServiceClientConstructor };
  };
  return new v1.RuntimeService(`unix://${socket}`, credentials.createInsecure()) as unknown as Record<
    string,
    Call
  > & { close(): void };
}
