/**
 * A control plane without nodes: the real etcd and the real kube-apiserver, with RBAC. The tests play scheduler and kubelet:
 * they create pods that are bound already, and write their status.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AuthenticationV1Api,
  CoreV1Api,
  KubeConfig,
  RbacAuthorizationV1Api,
  type V1PolicyRule,
} from '@kubernetes/client-node';
import { debianProgram } from '../collector/program-cache.ts';
import { Authority, type KeyPair, type Scope } from '../e2e/certificates.ts';
import { kubernetesProgram } from './build.ts';

const START_MS = 180_000;
const ADMIN_TOKEN = 'admin-token-of-the-test';
const LOOPBACK = '127.0.0.1';

/** What docs/operating.md says the agent needs. */
export const AGENT_RULES: readonly V1PolicyRule[] = [
  { apiGroups: [''], resources: ['pods', 'namespaces'], verbs: ['list', 'watch'] },
  { apiGroups: [''], resources: ['nodes'], verbs: ['get'] },
];
export const OWNER_RULES: readonly V1PolicyRule[] = [
  { apiGroups: ['apps'], resources: ['replicasets'], verbs: ['get'] },
  { apiGroups: ['batch'], resources: ['jobs'], verbs: ['get'] },
];

/** What a file's `after` ends. */
export class FileScope implements Scope {
  readonly #cleanUps: (() => unknown)[] = [];

  after(cleanUp: () => unknown): void {
    this.#cleanUps.unshift(cleanUp);
  }

  /** Does all of them, then throws the first error of one. */
  async close(): Promise<void> {
    const errors: unknown[] = [];
    for (const cleanUp of this.#cleanUps) {
      try {
        await cleanUp();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

export class Cluster {
  readonly directory: string;
  readonly authority: Authority;
  readonly certificate: KeyPair;
  readonly port: number;
  readonly config: KubeConfig;
  readonly core: CoreV1Api;
  readonly #etcdPort: number;
  readonly #program: string;
  #etcd: ChildProcess | undefined;
  #apiServer: ChildProcess | undefined;

  private constructor(t: Scope, directory: string, ports: readonly number[], program: string) {
    this.directory = directory;
    this.authority = new Authority(t, 'whodns test cluster');
    this.certificate = this.authority.issue();
    this.port = ports[0] ?? 0;
    this.#etcdPort = ports[1] ?? 0;
    this.#program = program;
    this.config = this.configFor(ADMIN_TOKEN);
    this.core = this.config.makeApiClient(CoreV1Api);
  }

  /** Ends with the test. */
  static async start(t: Scope): Promise<Cluster> {
    const program = await kubernetesProgram('kube-apiserver');
    const directory = mkdtempSync(join(tmpdir(), 'whodns-cluster-'));
    const cluster = new Cluster(
      t,
      directory,
      [await freePort(), await freePort(), await freePort()],
      program,
    );
    t.after(() => cluster.#close());
    await cluster.#startEtcd();
    await cluster.startApiServer();
    return cluster;
  }

  get url(): string {
    return `https://${LOOPBACK}:${this.port}`;
  }

  configFor(token: string, server = this.url): KubeConfig {
    const config = new KubeConfig();
    config.loadFromClusterAndUser(
      { name: 'test', server, caFile: this.authority.file, skipTLSVerify: false },
      { name: 'user', token },
    );
    return config;
  }

  async startApiServer(): Promise<void> {
    const at = (name: string): string => join(this.directory, name);
    if (this.#apiServer === undefined) {
      writeFileSync(at('tokens.csv'), `${ADMIN_TOKEN},admin,admin,"system:masters"\n`);
      execFileSync('openssl', ['genrsa', '-out', at('accounts.key'), '2048'], { stdio: 'ignore' });
    }
    const child = spawn(
      this.#program,
      [
        `--etcd-servers=http://${LOOPBACK}:${this.#etcdPort}`,
        `--secure-port=${this.port}`,
        `--bind-address=${LOOPBACK}`,
        `--advertise-address=192.0.2.1`,
        `--tls-cert-file=${this.certificate.cert}`,
        `--tls-private-key-file=${this.certificate.key}`,
        `--cert-dir=${this.directory}`,
        `--token-auth-file=${at('tokens.csv')}`,
        '--authorization-mode=RBAC',
        '--service-account-issuer=https://whodns.test',
        `--service-account-key-file=${at('accounts.key')}`,
        `--service-account-signing-key-file=${at('accounts.key')}`,
        '--service-cluster-ip-range=10.0.0.0/24',
        // No controller makes the accounts it wants; static pods' mirrors are written by the test, not by a node.
        '--disable-admission-plugins=ServiceAccount',
        '--shutdown-delay-duration=0s',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#apiServer = child;
    await this.#ready(child, `${this.url}/readyz`);
  }

  async stopApiServer(): Promise<void> {
    await end(this.#apiServer, 'SIGKILL');
  }

  /** A service account with these rights. @returns its token, as the API server issues them. */
  async account(name: string, rules: readonly V1PolicyRule[]): Promise<string> {
    const namespace = 'kube-system';
    const rbac = this.config.makeApiClient(RbacAuthorizationV1Api);
    await this.core.createNamespacedServiceAccount({ namespace, body: { metadata: { name } } });
    await rbac.createClusterRole({ body: { metadata: { name }, rules: [...rules] } });
    await rbac.createClusterRoleBinding({
      body: {
        metadata: { name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
        subjects: [{ kind: 'ServiceAccount', name, namespace }],
      },
    });
    const { status } = await this.core.createNamespacedServiceAccountToken({
      name,
      namespace,
      body: { spec: { audiences: [], expirationSeconds: 3600 } },
    });
    if (status?.token === undefined) throw new Error('no token was issued');
    return status.token;
  }

  /** Who the token is, as the API server sees it. */
  async whoIs(token: string): Promise<string | undefined> {
    const api = this.config.makeApiClient(AuthenticationV1Api);
    const { status } = await api.createTokenReview({ body: { spec: { token } } });
    return status?.user?.username;
  }

  async #startEtcd(): Promise<void> {
    const url = `http://${LOOPBACK}:${this.#etcdPort}`;
    const peer = `http://${LOOPBACK}:${await freePort()}`;
    const child = spawn(
      await debianProgram('etcd-server', 'etcd'),
      [
        ...[
          '--name',
          'test',
          '--data-dir',
          join(this.directory, 'etcd'),
          '--unsafe-no-fsync',
          '--log-level',
          'error',
        ],
        ...['--listen-client-urls', url, '--advertise-client-urls', url, '--listen-peer-urls', peer],
        ...['--initial-advertise-peer-urls', peer, '--initial-cluster', `test=${peer}`],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#etcd = child;
    await this.#ready(child, `${url}/health`);
  }

  async #ready(child: ChildProcess, url: string): Promise<void> {
    let said = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4000);
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const deadline = performance.now() + START_MS;
    while (!isWell(url, this.authority.file)) {
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error(`${url}: not ready\n${said}`);
      await sleep(250);
    }
  }

  async #close(): Promise<void> {
    await end(this.#apiServer, 'SIGKILL');
    await end(this.#etcd, 'SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** With curl: the test's own process must not keep connections to a server that it stops. */
function isWell(url: string, authority: string): boolean {
  try {
    const header = `Authorization: Bearer ${ADMIN_TOKEN}`;
    execFileSync('curl', ['-sf', '--max-time', '5', '--cacert', authority, '-H', header, url], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

export async function end(child: ChildProcess | undefined, signal: NodeJS.Signals): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, 'close');
  child.kill(signal);
  await closed;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The files that the kubelet puts into a pod. @returns their directory */
export function serviceAccountDirectory(cluster: Cluster, token: string): string {
  const directory = mkdtempSync(join(cluster.directory, 'account-'));
  writeFileSync(join(directory, 'token'), token, { mode: 0o600 });
  writeFileSync(join(directory, 'ca.crt'), readFileSync(cluster.authority.file));
  return directory;
}
