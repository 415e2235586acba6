/** What one workload does to the bounds of the detections: it fills its own share. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cooldown } from '../../src/detect/cooldown.ts';
import type { DetectorEvent } from '../../src/detect/detector.ts';
import { Subjects } from '../../src/detect/subjects.ts';
import type { Owner } from '../../src/model.ts';
import { OWNER } from './correlate-events.ts';
import { identity, lookup } from './sink-events.ts';

function eventOf(pid: number, owner: Partial<Owner>, at = 0): DetectorEvent {
  const whole = lookup({ process: identity({ pid, startTime: 1n }), raw: { owner: { ...OWNER, ...owner } } });
  const { process } = whole;
  return { kind: 'lookup', lookup: whole, process, at, uid: '', name: '', domain: '', search: undefined };
}

describe('state of processes', () => {
  it('of one group of very many goes, that of others stays', () => {
    const subjects = new Subjects(100);
    const kept = Array.from({ length: 20 }, (_, index) => subjects.of(eventOf(index + 1, { cgroupId: 1n })));
    for (let pid = 1000; pid < 11_000; pid++) subjects.of(eventOf(pid, { cgroupId: 2n }));
    assert.equal(subjects.size, 100);
    for (const [index, subject] of kept.entries())
      assert.equal(subjects.of(eventOf(index + 1, { cgroupId: 1n })), subject);
  });

  it('of a process that moves to another group stays its own', () => {
    const subjects = new Subjects(10);
    const subject = subjects.of(eventOf(1, { cgroupId: 1n }));
    assert.equal(subjects.of(eventOf(1, { cgroupId: 2n })), subject);
  });

  it('of as many groups as there are processes is bounded too', () => {
    const subjects = new Subjects(50);
    for (let pid = 1; pid < 2000; pid++) subjects.of(eventOf(pid, { cgroupId: BigInt(pid) }));
    assert.equal(subjects.size, 50);
  });
});

describe('findings', () => {
  let pid = 10_000;
  const admitted = (cooldown: Cooldown, count: number, owner: (index: number) => Partial<Owner>, at = 0) =>
    Array.from({ length: count }, (_, index) =>
      cooldown.admit('rule', eventOf(pid++, owner(index), at), 'subject'),
    ).filter((each) => typeof each === 'number').length;

  it('of a thousand processes of one workload leave room for those of others', () => {
    const cooldown = new Cooldown(1000);
    assert.equal(
      admitted(cooldown, 5000, () => ({ cgroupId: 1n })),
      100,
    );
    assert.equal(
      admitted(cooldown, 1, () => ({ cgroupId: 2n })),
      1,
    );
    assert.equal(
      admitted(cooldown, 5000, () => ({ cgroupId: 1n }), 10_000),
      20,
      '2 a second',
    );
  });

  it('of a user with many control groups too', () => {
    const cooldown = new Cooldown(1000);
    assert.equal(
      admitted(cooldown, 5000, (index) => ({ cgroupId: BigInt(index), uid: 1000 })),
      200,
    );
    assert.equal(
      admitted(cooldown, 1, () => ({ cgroupId: 9999n, uid: 0 })),
      1,
    );
  });
});
