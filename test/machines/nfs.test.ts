/** A real NFS mount that hangs (nfs-inside.ts), in a machine of its own: what FUSE stands in for in test/hostile/inspector.test.ts. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { buildClients } from '../clients/build.ts';
import { kernel } from '../kernel/kernels.ts';
import { modules } from '../kernel/modules.ts';
import { runInVm } from '../kernel/vm.ts';

const KERNEL = '6.12';
const TIMEOUT_S = 600;

before(() => buildClients());

test(`kernel ${KERNEL}: processes on an NFS mount whose server has stopped`, async (t) => {
  const wanted = modules(await kernel(KERNEL), ['nfsd', 'nfsv4']);
  const files = Object.fromEntries(wanted.map(({ name, bytes }) => [`/modules/${name}.ko`, bytes]));
  const job = `${wanted.map(({ name }) => `insmod /modules/${name}.ko\n`).join('')}
WHODNS_TEST_BUILT=1 node --test --test-reporter=tap test/machines/nfs-inside.ts >/results/tap 2>&1`;
  const { results } = await runInVm({ kernel: KERNEL, job, timeoutS: TIMEOUT_S, files });
  const tap = results.get('tap')?.toString() ?? '';
  assert.match(tap, /^# fail 0$/m, tap.slice(-8000));
  assert.match(tap, /^# pass 3$/m, tap.slice(-8000));
  t.diagnostic(/\{.*"slowest".*\}/.exec(tap)?.[0] ?? '');
});
