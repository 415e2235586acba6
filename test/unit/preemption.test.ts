/** Preemption by its signs; versions as `uname -v` of real kernels prints them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { familiesInOrder } from '../../src/capture/families.ts';
import {
  isPreempted,
  type Preemption,
  type PreemptionSigns,
  preemptionOf,
} from '../../src/capture/preemption.ts';

const NOTHING = { modes: undefined, commandLine: undefined, configuration: undefined };
const DEBIAN_61 = {
  ...NOTHING,
  release: '6.1.0-50-amd64',
  version: '#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1',
};
const DEBIAN_72 = {
  ...NOTHING,
  release: '7.2.13+deb14-amd64',
  version: '#1 SMP PREEMPT_DYNAMIC Debian 7.2.13-1',
};

const CASES: readonly (readonly [string, PreemptionSigns, Preemption])[] = [
  ['5.10 of Debian', { ...NOTHING, release: '5.10.0-46-amd64', version: '#1 SMP Debian 5.10.262-1' }, 'none'],
  [
    'built for full preemption',
    { ...NOTHING, release: '6.6.1-arch1', version: '#1 SMP PREEMPT Wed' },
    'full',
  ],
  [
    'a real-time kernel',
    { ...NOTHING, release: '6.12.1-rt', version: '#1 SMP PREEMPT_RT Debian' },
    'realtime',
  ],
  ['6.1, no other sign', DEBIAN_61, undefined],
  [
    '6.1 by its configuration',
    { ...DEBIAN_61, configuration: 'CONFIG_PREEMPT_VOLUNTARY=y\n# CONFIG_PREEMPT is not set\n' },
    'voluntary',
  ],
  ['6.1 booted otherwise', { ...DEBIAN_61, commandLine: 'quiet preempt=full\n' }, 'full'],
  [
    '6.1 switched at run time',
    { ...DEBIAN_61, commandLine: 'preempt=none', modes: 'none voluntary (full)\n' },
    'full',
  ],
  ['7.2, no other sign', DEBIAN_72, 'lazy'],
  ['7.2 running', { ...DEBIAN_72, modes: 'full (lazy) \n' }, 'lazy'],
  ['a command line with nonsense', { ...DEBIAN_61, commandLine: 'preempt=(full) xpreempt=full' }, undefined],
  ['a modes file with nonsense', { ...DEBIAN_61, modes: '(what) \0' }, undefined],
];

describe('preemption of kernel code', () => {
  for (const [title, signs, expected] of CASES) {
    it(title, () => assert.equal(preemptionOf(signs), expected));
  }
  it('is said of lazy, full and realtime', () => {
    const preempted = ['none', 'voluntary', 'lazy', 'full', 'realtime', undefined] as const;
    assert.deepEqual(preempted.filter(isPreempted), ['lazy', 'full', 'realtime']);
  });
  it('puts fentry, which misses messages then, behind the families that do not', () => {
    assert.equal(familiesInOrder('voluntary')[0], 'fentry');
    assert.equal(familiesInOrder('lazy').at(-1), 'fentry');
  });
});
