/** A kubeconfig whose user is known by a program: the agent's filter of system calls would not let it run. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { resolveConfig } from '../../src/config/config.ts';
import { createKubernetes } from '../../src/enrich/kubernetes/sources.ts';
import { UserError } from '../../src/lib/errors.ts';
import { createLog } from '../../src/lib/log.ts';

const EXEC = {
  exec: { apiVersion: 'client.authentication.k8s.io/v1', command: 'token', interactiveMode: 'Never' },
};
const USERS = {
  plugin: EXEC,
  gcp: { 'auth-provider': { name: 'gcp', config: { 'cmd-path': '/bin/token' } } },
};

describe('kubeconfig with a credential plugin', () => {
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'whodns-kubeconfig-'));
  });
  after(() => rmSync(directory, { recursive: true }));

  const create = (user: object, seccomp: string, kubernetes: string) => {
    const file = join(directory, 'kubeconfig');
    const text = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1' } }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
      users: [{ name: 'u', user }],
    };
    writeFileSync(file, JSON.stringify(text));
    const flags = { kubernetes, seccomp, nodeName: 'node' };
    const { config } = resolveConfig('run', flags, { KUBECONFIG: file });
    return createKubernetes(
      config,
      {},
      createLog('error', () => {}),
    );
  };

  for (const [name, user] of Object.entries(USERS)) {
    for (const kubernetes of ['api', 'kubelet']) {
      it(`${name}, ${kubernetes}: refused at the start`, async () => {
        await assert.rejects(create(user, 'enforce', kubernetes), (error) => {
          assert.ok(error instanceof UserError);
          assert.match(error.message, /credential plugin/);
          assert.match(error.hint ?? '', /--seccomp off/);
          return true;
        });
      });
    }
    it(`${name}: taken where programs may be started`, async () => {
      assert.notEqual(await create(user, 'off', 'api'), undefined);
    });
  }

  it('a token is taken', async () => {
    assert.notEqual(await create({ token: 'x' }, 'enforce', 'api'), undefined);
  });
});
