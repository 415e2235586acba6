/** Lookups that wait for their container: who waits, how long, in which order they leave; nothing is lost. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ContainerHold } from '../../src/enrich/containers/container-hold.ts';
import { Containers, WAIT_MS } from '../../src/enrich/containers/containers.ts';
import { ProcessTable } from '../../src/enrich/process/process.ts';
import { UserNames } from '../../src/enrich/process/users.ts';
import { Stage } from '../../src/ledger.ts';
import type { Lookup, Owner } from '../../src/model.ts';
import { request } from './correlate-events.ts';
import { container, ID, ListedSource, ownerIn, pod, recordOf, UID } from './workload-sources.ts';

function world(t: TestContext, sources: readonly ListedSource[], max?: number) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const clock = { now: 0 };
  const containers = new Containers({ sources, now: () => clock.now });
  const processes = new ProcessTable({ host: {}, users: new UserNames(), bootTime: 0n, containers });
  const stage = new Stage('containers');
  const left: Lookup[] = [];
  const hold = new ContainerHold({
    containers,
    processes,
    stage,
    onLookup: (lookup) => left.push(lookup),
    keep: (lookup) => lookup,
    attribute: (lookup, process) => ({ ...lookup, process }),
    ...(max === undefined ? {} : { max }),
  });
  containers.start((id) => hold.changed(id));
  const ask = (owner: Owner, id: number): void => {
    const asked = request({ id });
    hold.accept({
      request: asked,
      response: undefined,
      outcome: 'timeout',
      retries: 0,
      duration: undefined,
      process: processes.identify(owner),
    });
    assert.equal(stage.snapshot().missing, 0);
  };
  const pass = (ms: number): void => {
    clock.now += ms;
    t.mock.timers.tick(ms);
  };
  const ids = (): number[] => left.map((lookup) => lookup.request.message.id);
  return { hold, counts: containers.counts, stage, left, ask, pass, ids, processes };
}

const OWNER = ownerIn();

function announce(processes: ProcessTable, pid: number, id: string): Owner {
  const owner = ownerIn({ pid });
  processes.announce(recordOf(owner, { cgroupPath: `/kubepods/pod${UID}/${id}` }));
  return owner;
}

describe('workload hold', () => {
  it('what is reported in time leaves at once, in order, with its container', (t) => {
    const runtime = new ListedSource('cri', 'containers');
    const { processes, ask, pass, ids, left, stage, counts } = world(t, [runtime]);
    processes.announce(recordOf(OWNER));
    for (const id of [1, 2, 3]) ask(OWNER, id);
    pass(300);
    assert.deepEqual(ids(), []);
    assert.equal(stage.held(), 3);
    runtime.addContainer(container());
    assert.deepEqual(ids(), [1, 2, 3]);
    for (const { process } of left) assert.equal(process.resource['container.name'], 'web');
    assert.equal(new Set(left.map(({ process }) => process)).size, 1);
    const { held, completed, timeout, overflow } = counts;
    assert.deepEqual(
      { held, completed, timeout, overflow },
      { held: 3, completed: 3, timeout: 0, overflow: 0 },
    );
  });

  it('waits for the pod too, where somebody may know it', (t) => {
    const runtime = new ListedSource('cri', 'containers');
    const api = new ListedSource('kubernetes', 'pods');
    const { processes, ask, ids, left } = world(t, [runtime, api]);
    processes.announce(recordOf(OWNER));
    ask(OWNER, 1);
    runtime.addContainer(container());
    assert.deepEqual(ids(), []);
    api.addPod(pod());
    assert.deepEqual(ids(), [1]);
    assert.equal(left[0]?.process.resource['k8s.deployment.name'], 'shop');
  });

  it('goes out with what is known after the time, and later ones of the container do not wait again', (t) => {
    const runtime = new ListedSource('cri', 'containers');
    const { processes, ask, pass, ids, left, counts } = world(t, [runtime]);
    processes.announce(recordOf(OWNER));
    ask(OWNER, 1);
    pass(WAIT_MS - 1);
    ask(OWNER, 2);
    assert.deepEqual(ids(), []);
    pass(1);
    assert.deepEqual(ids(), [1, 2]);
    ask(OWNER, 3);
    assert.deepEqual(ids(), [1, 2, 3]);
    assert.equal(left[0]?.process.resource['container.id'], ID);
    assert.equal(left[0]?.process.resource['container.name'], undefined);
    assert.equal(counts.timeout, 2);
    // the report comes late: the next record has it
    runtime.addContainer(container());
    ask(OWNER, 4);
    assert.equal(left[3]?.process.resource['container.name'], 'web');
  });

  it('a full buffer lets the container go that has waited longest', (t) => {
    const runtime = new ListedSource('cri', 'containers');
    const { processes, ask, ids, hold, counts, stage } = world(t, [runtime], 3);
    const first = announce(processes, 101, ID);
    const second = announce(processes, 102, ID.replace('4', '5'));
    ask(first, 1);
    ask(first, 2);
    ask(second, 3);
    ask(second, 4);
    assert.deepEqual(ids(), [1, 2]);
    ask(first, 5);
    ask(first, 6);
    assert.equal(counts.overflow, 4);
    assert.deepEqual(ids(), [1, 2, 3, 4]);
    hold.flush();
    assert.deepEqual(ids(), [1, 2, 3, 4, 5, 6]);
    assert.equal(stage.snapshot().missing, 0);
    assert.equal(stage.held(), 0);
  });

  it('a container that ends while its lookups wait lets them go', (t) => {
    const runtime = new ListedSource('cri', 'containers');
    const { processes, ask, ids } = world(t, [runtime]);
    processes.announce(recordOf(OWNER));
    ask(OWNER, 1);
    runtime.removeContainer(ID);
    assert.deepEqual(ids(), [1]);
  });

  it('every program of a container leaves as itself', (t) => {
    const runtime = new ListedSource('cri', 'containers');
    const { processes, ask, left } = world(t, [runtime]);
    processes.announce(recordOf(OWNER));
    ask(OWNER, 1);
    processes.announce(recordOf(OWNER, { executablePath: '/usr/bin/dig' }));
    ask(OWNER, 2);
    runtime.addContainer(container());
    assert.deepEqual(
      left.map(({ process }) => process.executableName),
      ['getent', 'dig'],
    );
    for (const { process } of left) assert.equal(process.resource['container.name'], 'web');
  });
});
