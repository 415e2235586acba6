/** What the chart renders, given to a real API server: as a server-side dry run, by Helm and object by object, strictly. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1PolicyRule } from '@kubernetes/client-node';
import { GO_ENVIRONMENT } from '../collector/program-cache.ts';
import { AGENT_RULES, Cluster, OWNER_RULES } from '../k8s/cluster.ts';
import {
  CHART,
  helm,
  type Manifest,
  NAMESPACE,
  parseManifests,
  template,
  VALUES,
  withValues,
} from './chart.ts';

const OPERATOR = 'github.com/prometheus-operator/prometheus-operator';
const OPERATOR_VERSION = 'v0.85.0';

/** The PodMonitor's definition as the operator's release publishes it. */
function podMonitorDefinition(): Manifest {
  const printed = execFileSync('go', ['mod', 'download', '-json', `${OPERATOR}@${OPERATOR_VERSION}`], {
    encoding: 'utf8',
    cwd: tmpdir(),
    env: { ...process.env, ...GO_ENVIRONMENT },
  });
  const { Dir } = JSON.parse(printed) as { readonly Dir: string };
  const file = join(Dir, 'example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml');
  return parseManifests(readFileSync(file, 'utf8'))[0] as Manifest;
}

/** Where objects of a kind are made. */
const COLLECTIONS: Readonly<Record<string, string>> = {
  Namespace: 'api/v1/namespaces',
  ServiceAccount: `api/v1/namespaces/${NAMESPACE}/serviceaccounts`,
  DaemonSet: `apis/apps/v1/namespaces/${NAMESPACE}/daemonsets`,
  ClusterRole: 'apis/rbac.authorization.k8s.io/v1/clusterroles',
  ClusterRoleBinding: 'apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
  PriorityClass: 'apis/scheduling.k8s.io/v1/priorityclasses',
  NetworkPolicy: `apis/networking.k8s.io/v1/namespaces/${NAMESPACE}/networkpolicies`,
  PodMonitor: `apis/monitoring.coreos.com/v1/namespaces/${NAMESPACE}/podmonitors`,
  CustomResourceDefinition: 'apis/apiextensions.k8s.io/v1/customresourcedefinitions',
};

class Api {
  readonly kubeconfig: string;
  readonly #cluster: Cluster;

  private constructor(cluster: Cluster, kubeconfig: string) {
    this.#cluster = cluster;
    this.kubeconfig = kubeconfig;
  }

  static async start(t: TestContext): Promise<Api> {
    const cluster = await Cluster.start(t);
    const kubeconfig = join(cluster.directory, 'kubeconfig');
    writeFileSync(kubeconfig, cluster.config.exportConfig());
    const api = new Api(cluster, kubeconfig);
    assert.equal(api.#post(podMonitorDefinition(), ''), undefined);
    assert.equal(api.#post({ kind: 'Namespace', metadata: { name: NAMESPACE } }, ''), undefined);
    return api;
  }

  /** Unknown and doubled fields are errors. @returns what the server says against it */
  async dryRun(manifest: Manifest): Promise<string | undefined> {
    const deadline = performance.now() + 30_000;
    for (;;) {
      const problem = this.#post(manifest, '?dryRun=All&fieldValidation=Strict');
      // The kind of a definition that was just made is served some moments later.
      if (problem?.includes('404 page not found') !== true || performance.now() > deadline) return problem;
      await sleep(500);
    }
  }

  #post(manifest: Manifest, query: string): string | undefined {
    const token = this.#cluster.config.getCurrentUser()?.token ?? '';
    const url = `${this.#cluster.url}/${COLLECTIONS[manifest.kind]}${query}`;
    const headers = ['-H', `Authorization: Bearer ${token}`, '-H', 'Content-Type: application/json'];
    const { stdout } = spawnSync(
      'curl',
      ['-sS', '--cacert', this.#cluster.authority.file, ...headers, '--data-binary', '@-', url],
      { encoding: 'utf8', input: JSON.stringify(manifest) },
    );
    if (!stdout.startsWith('{')) return `${manifest.kind}: ${stdout}`;
    const { kind, message } = JSON.parse(stdout) as { readonly kind: string; readonly message?: string };
    return kind === 'Status' ? `${manifest.kind}: ${message}` : undefined;
  }
}

describe('rendered objects and the API server', { timeout: 3_600_000 }, () => {
  it('are taken by it', async (t) => {
    const api = await Api.start(t);
    for (const file of VALUES) {
      const name = file === '' ? 'defaults' : basename(file);
      await t.test(`${name}: every object, strictly`, async () => {
        const manifests = parseManifests((await template(...withValues(file))).stdout);
        assert.ok(manifests.length > 0);
        for (const manifest of manifests) assert.equal(await api.dryRun(manifest), undefined);
      });
      await t.test(`${name}: helm install --dry-run=server`, async () => {
        const { code, stderr, stdout } = await helm(
          ...[
            'install',
            'whodns',
            CHART,
            '--namespace',
            NAMESPACE,
            '--dry-run=server',
            '--kubeconfig',
            api.kubeconfig,
          ],
          ...withValues(file),
        );
        assert.equal(code, 0, `${stderr}${stdout.slice(0, 500)}`);
      });
    }
    await t.test('the plain manifests, strictly', async () => {
      const text = readFileSync(join(import.meta.dirname, '../../deploy/manifests/whodns.yaml'), 'utf8');
      const [namespace, ...rest] = parseManifests(text);
      assert.equal(namespace?.kind, 'Namespace');
      for (const manifest of rest) assert.equal(await api.dryRun(manifest), undefined);
    });
    await t.test('it would notice: a field that is none, a value that is none', async () => {
      const set = parseManifests((await template()).stdout).find(
        ({ kind }) => kind === 'DaemonSet',
      ) as Manifest;
      assert.match((await api.dryRun({ ...set, bogus: 1 } as Manifest)) ?? '', /unknown field \\?"bogus/);
      const { stdout } = await template('--set-json', 'resources={"limits":{"memory":"lots"}}');
      const bad = parseManifests(stdout).find(({ kind }) => kind === 'DaemonSet') as Manifest;
      assert.match((await api.dryRun(bad)) ?? '', /quantities must match|quantity/);
    });
  });

  it('the rights are those that the source of pods was tested with', async () => {
    const rulesOf = async (...set: readonly string[]): Promise<readonly V1PolicyRule[]> => {
      const role = parseManifests((await template(...set)).stdout).find(({ kind }) => kind === 'ClusterRole');
      return (role as unknown as { readonly rules: readonly V1PolicyRule[] }).rules;
    };
    assert.deepEqual(flat(await rulesOf()), flat(AGENT_RULES));
    assert.deepEqual(
      flat(await rulesOf('--set', 'kubernetes.owners=api')),
      flat([...AGENT_RULES, ...OWNER_RULES]),
    );
  });
});

/** One line a right. */
function flat(rules: readonly V1PolicyRule[]): string[] {
  return rules
    .flatMap(({ apiGroups = [], resources = [], verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
      ),
    )
    .sort();
}
