/** Who is captured, enforced by the kernel programs: the tracepoint family on the running kernel (others: test/kernel). */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmdirSync, statSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { buildLoader, captureWhile } from './capture.ts';
import { faultsOf, GROUPS, LEVEL, parseSent } from './visibility-groups.ts';

const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1];
const missing =
  process.getuid?.() !== 0
    ? 'needs root'
    : mount === undefined
      ? 'no cgroup v2 is mounted'
      : !existsSync('/sys/kernel/btf/vmlinux') && 'this kernel has no BTF';
const root = `${mount}/whodns-test-${process.pid}`;
const paths = GROUPS.map(({ path }) => (path === '' ? root : `${root}/${path}`));

describe('visibility by control group', { skip: missing }, () => {
  before(() => {
    buildLoader();
    for (const path of paths) mkdirSync(path, { recursive: true });
  });
  after(() => {
    for (const path of [...paths, `${root}/off/nested`].sort().reverse()) rmdirSync(path);
  });

  test('off: no event, no process record; metrics: counted only; nested groups are as the nearest that says', async () => {
    const levels = GROUPS.flatMap(({ said }, index) =>
      said === undefined ? [] : ['--level', `${statSync(paths[index] ?? '').ino}=${LEVEL[said]}`],
    );
    const script = `exec python3 test/bpf/visibility.py ${paths.join(' ')}`;
    const { captured, output } = await captureWhile('tracepoint', script, levels);
    const sent = parseSent(output);
    assert.equal(sent.length, GROUPS.length);
    assert.deepEqual(faultsOf(captured, sent, root), []);
  });
});
