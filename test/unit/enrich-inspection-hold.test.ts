/** Lookups of processes that the inspector has been asked about: who waits, how long, in which order they leave; nothing is lost. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Asked } from '../../src/enrich/process/facts.ts';
import { InspectionHold } from '../../src/enrich/process/inspection-hold.ts';
import { ProcessTable } from '../../src/enrich/process/process.ts';
import { UserNames } from '../../src/enrich/process/users.ts';
import type { ReadResult } from '../../src/inspector/protocol.ts';
import { Stage } from '../../src/ledger.ts';
import type { Owner, ProcessIdentity, RawProcess } from '../../src/model.ts';
import { OWNER } from './correlate-events.ts';

const RECORD: RawProcess = {
  kind: 'process',
  time: 1n,
  owner: OWNER,
  executablePath: '/usr/bin/getent',
  executableDeleted: false,
  kernelThread: false,
  executableInode: 1n,
  args: ['getent'],
  argsCut: false,
  workingDirectory: '/',
  cgroupPath: '/',
  cgroupVersion: 2,
  tty: 0,
  environment: undefined,
  parentName: 'sh',
};

/** Answers when it is told to, with this environment and no mappings. */
class LateInspector implements Asked {
  refusing = false;
  asked = 0;
  #answers: (() => void)[] = [];

  refuses(): boolean {
    return this.refusing;
  }

  async alive(): Promise<undefined> {}

  inspect(_target: unknown, reads: readonly { readonly kind: string }[]): Promise<readonly ReadResult[]> {
    this.asked++;
    const bytes = (index: number) => Buffer.from(index === 0 ? 'OTEL_SERVICE_NAME=shop\0' : '');
    const results = reads.map((_, index) => ({ bytes: bytes(index), error: 0 }));
    return new Promise((resolve) => this.#answers.push(() => resolve(results)));
  }

  async answer(): Promise<void> {
    for (const answer of this.#answers.splice(0)) answer();
    await new Promise(setImmediate);
  }
}

interface Event {
  readonly id: number;
  readonly process: ProcessIdentity;
}

function world(t: TestContext, options: { max?: number; pending?: () => Promise<unknown> | undefined } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const inspector = new LateInspector();
  const processes = new ProcessTable({ host: {}, users: new UserNames(), bootTime: 0n, inspector });
  const stage = new Stage('inspection');
  const left: Event[] = [];
  const hold = new InspectionHold<Event>({
    processes,
    stage,
    onEvent: (event) => left.push(event),
    keep: (event) => event,
    attribute: (event, process) => ({ ...event, process }),
    ...options,
  });
  const ask = (id: number, owner: Owner = OWNER): void => {
    hold.accept({ id, process: processes.identify(owner) });
    assert.equal(stage.snapshot().missing, 0);
  };
  const ids = () => left.map(({ id }) => id);
  const services = () => left.map(({ process }) => process.resource['service.name']);
  return { inspector, processes, stage, hold, left, ask, ids, services };
}

const other = (pid: number): Owner => ({ ...OWNER, pid });

describe('inspection hold', () => {
  it('what is answered leaves at once, in order, with what was read; one request at first sight', async (t) => {
    const { inspector, processes, stage, ask, ids, services, left } = world(t);
    processes.announce(RECORD);
    for (const id of [1, 2, 3]) ask(id);
    assert.deepEqual(ids(), []);
    assert.equal(stage.held(), 3);
    await inspector.answer();
    ask(4);
    assert.deepEqual(ids(), [1, 2, 3, 4]);
    assert.deepEqual(services(), ['shop', 'shop', 'shop', 'shop']);
    assert.equal(new Set(left.map(({ process }) => process)).size, 1, 'one object');
    assert.equal(inspector.asked, 1);
    assert.deepEqual([stage.in, stage.out], [3, 3], 'the fourth did not wait');
  });

  it('no answer: what the kernel said goes on after half a second, and what comes later does not wait again', async (t) => {
    const { inspector, processes, ask, ids, services } = world(t);
    processes.announce(RECORD);
    ask(1);
    t.mock.timers.tick(499);
    assert.deepEqual(ids(), []);
    t.mock.timers.tick(1);
    assert.deepEqual(services(), ['unknown_service:getent']);
    await inspector.answer();
    ask(2);
    assert.deepEqual(services(), ['unknown_service:getent', 'shop']);
  });

  it('nothing waits where the inspector cannot be asked, or the record says all', (t) => {
    const { inspector, processes, stage, ask, ids } = world(t);
    inspector.refusing = true;
    processes.announce(RECORD);
    ask(1);
    assert.deepEqual(ids(), [1]);
    assert.equal(stage.in, 0);
    const complete = new ProcessTable({
      host: {},
      users: new UserNames(),
      bootTime: 0n,
      processContext: false,
      inspector: new LateInspector(),
    });
    complete.announce({ ...RECORD, environment: [] });
    assert.equal(complete.identify(OWNER).awaited, undefined);
  });

  it('another program of the process is not told what was asked of the one before', async (t) => {
    const { inspector, processes, ask, services, left } = world(t);
    processes.announce(RECORD);
    ask(1);
    processes.announce({ ...RECORD, executablePath: '/usr/bin/dig', environment: [] });
    await inspector.answer();
    ask(2);
    await inspector.answer();
    assert.deepEqual(services(), ['unknown_service:getent', 'unknown_service:dig']);
    assert.deepEqual(
      left.map(({ process }) => process.executableName),
      ['getent', 'dig'],
    );
  });

  it('full: the process that has most gives way', (t) => {
    const { processes, ask, ids, stage } = world(t, { max: 4 });
    for (const pid of [11, 12]) processes.announce({ ...RECORD, owner: other(pid) });
    for (const id of [1, 2, 3]) ask(id, other(11));
    ask(4, other(12));
    ask(5, other(12));
    assert.deepEqual(ids(), [1, 2, 3]);
    assert.equal(stage.held(), 2);
  });

  it('waits for what else is asked; at the end of the run all leave', async (t) => {
    const further = Promise.withResolvers<void>();
    let isPending = true;
    const { inspector, processes, hold, ask, ids } = world(t, {
      pending: () => (isPending ? further.promise : undefined),
    });
    processes.announce(RECORD);
    ask(1);
    await inspector.answer();
    assert.deepEqual(ids(), []);
    isPending = false;
    further.resolve();
    await new Promise(setImmediate);
    assert.deepEqual(ids(), [1]);
    processes.announce({ ...RECORD, owner: other(11) });
    ask(2, other(11));
    const drained = hold.drained();
    t.mock.timers.tick(500);
    await drained;
    assert.deepEqual(ids(), [1, 2]);
    await hold.drained();
  });
});
