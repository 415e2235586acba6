/** Where the API server is and as whom to ask: kubeconfig, a pod's service account, a token that is renewed, nothing at all. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { resolveConfig } from '../../src/config/config.ts';
import { inClusterAccess, kubeconfigAccess } from '../../src/enrich/kubernetes/access.ts';
import { createKubernetes } from '../../src/enrich/kubernetes/sources.ts';
import { UserError } from '../../src/lib/errors.ts';
import { createLog } from '../../src/lib/log.ts';
import { AGENT_RULES, Cluster, FileScope, serviceAccountDirectory } from './cluster.ts';
import { TestNode } from './node.ts';
import { openSource, until } from './source.ts';

const silent = createLog('none', () => {});
let cluster: Cluster;
let token: string;

describe('credentials', () => {
  const scope = new FileScope();
  after(() => scope.close());
  before(async () => {
    cluster = await Cluster.start(scope);
    await new TestNode(cluster, 'node-a').register();
    token = await cluster.account('whodns', AGENT_RULES);
  });

  test('a kubeconfig', async (t) => {
    const file = join(cluster.directory, 'kubeconfig');
    writeFileSync(file, cluster.configFor(token).exportConfig());
    const { config } = resolveConfig('run', { kubernetes: 'api', nodeName: 'node-a' }, { KUBECONFIG: file });
    const kubernetes = await createKubernetes(config, {}, silent);
    assert.deepEqual(kubernetes?.host, { 'k8s.node.name': 'node-a' });
    const [source, ...more] = kubernetes?.sources ?? [];
    assert.deepEqual(more, []);
    t.after(() => source?.stop());
    source?.start(() => {});
    await until(() => source?.connected === true, 'connected');
  });

  test('a kubeconfig that is none', async () => {
    const file = join(cluster.directory, 'broken');
    for (const text of ['', '{', 'clusters: 7', 'apiVersion: v1\nkind: Config\n']) {
      writeFileSync(file, text);
      await assert.rejects(kubeconfigAccess(file), UserError, text);
    }
    await assert.rejects(kubeconfigAccess(join(cluster.directory, 'missing')), UserError);
  });

  test('a token that has expired, and the one the kubelet puts in its place', async (t) => {
    const directory = serviceAccountDirectory(cluster, 'expired');
    const access = inClusterAccess(
      { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(cluster.port) },
      directory,
    );
    assert.ok(access !== undefined);
    const pace = { firstPauseMs: 100, mostPauseMs: 500, watchSeconds: 300 };
    const source = openSource(t, cluster.url, cluster, token, { access, pace });
    await until(() => (source.stats().failures['unauthorized'] ?? 0) >= 2, 'refused');
    writeFileSync(join(directory, 'token'), token);
    await until(() => source.connected, 'connected');
  });

  test('a server that the authority does not vouch for gets no token', async (t) => {
    const directory = serviceAccountDirectory(cluster, token);
    const { Authority } = await import('../e2e/certificates.ts');
    writeFileSync(join(directory, 'ca.crt'), new Authority(t, 'another').text);
    const access = inClusterAccess(
      { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(cluster.port) },
      directory,
    );
    assert.ok(access !== undefined);
    const source = openSource(t, cluster.url, cluster, token, { access });
    await until(() => (source.stats().failures['unreachable'] ?? 0) >= 1, 'refused');
    assert.equal(source.connected, false);
  });

  test('outside a pod: auto is off, api says what is missing', async () => {
    const auto = resolveConfig('run', {}, {}).config;
    assert.equal(await createKubernetes(auto, {}, silent), undefined);
    assert.equal(await createKubernetes(auto, { KUBERNETES_SERVICE_HOST: '127.0.0.1' }, silent), undefined);
    const api = resolveConfig('run', { kubernetes: 'api' }, {}).config;
    await assert.rejects(createKubernetes(api, {}, silent), UserError);
  });

  test('variables that are no address', () => {
    const directory = serviceAccountDirectory(cluster, token);
    for (const [host, port] of [
      ['', '443'],
      ['127.0.0.1', 'tcp://10.0.0.1:443'],
      ['a b', '443'],
      ['127.0.0.1', '99999'],
    ])
      assert.equal(
        inClusterAccess({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }, directory),
        undefined,
      );
    const six = inClusterAccess(
      { KUBERNETES_SERVICE_HOST: '::1', KUBERNETES_SERVICE_PORT: '6443' },
      directory,
    );
    assert.equal(six?.base.href, 'https://[::1]:6443/');
  });
});
