/** Processes of pods: in cgroups laid out as the kubelet lays them out, asking a real DNS server in a network namespace. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { V1Pod } from '@kubernetes/client-node';
import { buildClients, CLIENTS } from '../clients/build.ts';
import type { Scope } from '../e2e/certificates.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { startDnsmasq } from '../matrix/servers.ts';
import { type Cluster, serviceAccountDirectory } from './cluster.ts';

const ACTOR = join(CLIENTS, 'actor');
const SERVER = '127.0.0.1';
const START_MS = 120_000;
const ASK_SLOWLY = `
import socket, sys, time
open(sys.argv[1] + '/cgroup.procs', 'w').write('0')
socket.getaddrinfo(sys.argv[2], None, socket.AF_INET, socket.SOCK_DGRAM)
time.sleep(1)
`;

/** Names of the kubelet's two cgroup drivers (pkg/kubelet/cm/cgroup_manager_linux.go). */
export type Driver = 'cgroupfs' | 'systemd';

export class Workloads {
  readonly zone = `k${randomBytes(4).toString('hex')}.test`;
  readonly #namespace: Namespace;
  /** Everything is below a cgroup of the test's own, as with kind and other nested clusters. */
  readonly #root: string;

  private constructor(namespace: Namespace) {
    this.#namespace = namespace;
    this.#root = join(cgroupMount(), `whodns-test-${randomBytes(4).toString('hex')}`);
  }

  static async open(scope: Scope): Promise<Workloads> {
    buildClients();
    const namespace = await Namespace.open();
    scope.after(() => namespace.close());
    const workloads = new Workloads(namespace);
    const zone = { name: workloads.zone, lines: [`address=/${workloads.zone}/192.0.2.1`] };
    const server = await startDnsmasq(namespace, zone, [SERVER]);
    scope.after(() => server.stop());
    mkdirSync(workloads.#root);
    scope.after(() => removeGroups(workloads.#root));
    return workloads;
  }

  /** Makes the container's cgroup. @param uid the pod's as the kubelet has it */
  place(uid: string, containerId: string, driver: Driver): string {
    const slice = `kubepods-besteffort-pod${uid.replaceAll('-', '_')}.slice`;
    const path =
      driver === 'cgroupfs'
        ? `kubepods/besteffort/pod${uid}/${containerId}`
        : `kubepods.slice/kubepods-besteffort.slice/${slice}/cri-containerd-${containerId}.scope`;
    const directory = join(this.#root, path);
    mkdirSync(directory, { recursive: true });
    return directory;
  }

  /** A process joins the cgroup and asks, as one started by the runtime or by `kubectl exec`. @returns the whole name */
  async ask(cgroup: string, label: string): Promise<string> {
    const name = `${label}.${this.zone}`;
    const { exitCode, errors } = await this.#namespace.run([ACTOR, 'cgroup', SERVER, cgroup, name]);
    assert.equal(exitCode, 0, `actor: ${errors}`);
    return name;
  }

  /** The same of a process that lives on for a second, so that its environment can be read. */
  async askSlowly(
    cgroup: string,
    label: string,
    environment: Readonly<Record<string, string>>,
  ): Promise<void> {
    const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
    const { exitCode, errors } = await this.#namespace.run([
      ...['env', ...variables, 'python3', '-c', ASK_SLOWLY, cgroup, `${label}.${this.zone}`],
    ]);
    assert.equal(exitCode, 0, `python3: ${errors}`);
  }

  /** The agent as a DaemonSet's pod: service account and variables are all it has. Records are there when this returns. */
  async startAgent(
    scope: Scope,
    cluster: Cluster,
    account: { readonly token: string; readonly port?: number },
    options: readonly string[] = [],
  ): Promise<Agent> {
    const directory = serviceAccountDirectory(cluster, account.token);
    const secrets = '/run/secrets/kubernetes.io';
    const script = [
      'mount -t tmpfs tmpfs /run',
      `mkdir -p ${secrets}`,
      `ln -s ${directory} ${secrets}/serviceaccount`,
      'exec "$@"',
    ].join(' && ');
    const agent = Agent.start([
      ...[
        'env',
        'KUBERNETES_SERVICE_HOST=127.0.0.1',
        `KUBERNETES_SERVICE_PORT=${account.port ?? cluster.port}`,
      ],
      ...['NODE_NAME=node-a', 'unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'],
      ...AGENT,
      ...['--control', join(cluster.directory, `control-${randomBytes(4).toString('hex')}`)],
      ...options,
    ]);
    scope.after(() => agent.stop());
    const probe = this.place('00000000-0000-4000-8000-000000000000', '0'.repeat(64), 'cgroupfs');
    const deadline = performance.now() + START_MS;
    do {
      assert.ok(agent.running && performance.now() < deadline, `the agent recorded nothing: ${agent.errors}`);
      await this.ask(probe, 'probe');
    } while (!(await agent.waitFor((records) => records.some(isOf(`probe.${this.zone}`)), 500)));
    return agent;
  }
}

export function isOf(name: string): (record: JsonRecord) => boolean {
  return ({ attributes }) => attributes['dns.question.name'] === name;
}

export function uidOf(pod: V1Pod): string {
  return pod.metadata?.uid ?? '';
}

/** cgroup v2, wherever it is mounted. */
function cgroupMount(): string {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const found = mounts.map((line) => line.split(' ')).find(([, , type]) => type === 'cgroup2');
  assert.ok(found?.[1] !== undefined, 'cgroup v2 is not mounted');
  return found[1];
}

function removeGroups(directory: string): void {
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroups(join(directory, entry.name));
  rmdirSync(directory);
}
