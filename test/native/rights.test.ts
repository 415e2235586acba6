/** Rights are given up in every thread, whatever the threads do meanwhile. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Rights } from '../../src/capture/rights.ts';
import { addon, skip } from './harness.ts';

const INSIDE = join(import.meta.dirname, 'rights-inside.ts');
const ROUNDS = 4;

interface Found {
  readonly limited: object;
  readonly filtered: object;
  readonly at: Rights;
  readonly later: Rights;
  readonly end: Rights;
}

describe('rights given up', { skip }, () => {
  it('in every thread, also in those that are being started', () => {
    for (let round = 0; round < ROUNDS; round++) {
      const kept = round % 2 === 0 ? [] : ['CAP_SYS_PTRACE', 'CAP_BPF'];
      const output = execFileSync(process.execPath, [INSIDE, ...kept], { encoding: 'utf8' });
      const { limited, filtered, at, later, end } = JSON.parse(output) as Found;
      assert.deepEqual([limited, filtered], [{}, {}]);
      for (const rights of [at, later, end]) {
        assert.ok(rights.threads > 4, output);
        for (const set of ['effective', 'permitted', 'bounding'] as const)
          assert.deepEqual(rights[set].toSorted(), kept.toSorted(), `${set}: ${output}`);
        assert.deepEqual([rights.inheritable, rights.ambient, rights.noNewPrivs], [[], [], true], output);
      }
      assert.deepEqual([later.seccomp, end.seccomp], [false, true]);
    }
  });

  it('what a map asks for is found without losing anything', () => {
    const before = execFileSync('grep', ['CapEff', `/proc/${process.pid}/status`], { encoding: 'utf8' });
    const { capability } = addon.mapCapability();
    assert.ok(capability === undefined || [21, 39].includes(capability), String(capability));
    const after = execFileSync('grep', ['CapEff', `/proc/${process.pid}/status`], { encoding: 'utf8' });
    assert.equal(after, before);
  });
});
