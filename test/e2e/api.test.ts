/** `capture` of the package on the real kernel, in programs that import it: what they are given, what they are left as. */
import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import type { LookupEvent } from '../../src/api/index.ts';
import { ApiStage, Program } from './api-stage.ts';

const PROGRAM = resolve('test/e2e/api-program.ts');

let stage: ApiStage;
before(async () => {
  stage = await ApiStage.open();
});
after(() => stage?.close());

async function run(kind: string, use: (program: Program) => Promise<void>): Promise<Record<string, unknown>> {
  const program = new Program([process.execPath, PROGRAM, kind, stage.zone]);
  try {
    await program.until(() => program.output !== '', 'ready');
    await use(program);
    // It must end by itself: a handle that is left keeps it.
    assert.equal(await program.ended(), 0, program.errors);
    return program.said.at(-1) ?? {};
  } finally {
    await program.kill();
  }
}

test('a lookup is given with its process; the program is left as it was', async () => {
  let event: LookupEvent | undefined;
  const { before, during, after } = await run('first', async (program) => {
    await stage.ask('www');
    await program.until(() => program.said.some((line) => 'event' in line), 'the lookup');
    event = program.said.find((line) => 'event' in line)?.['event'] as LookupEvent;
  });
  assert.ok(event);
  assert.deepEqual(event.question, { name: `www.${stage.zone}`, type: 'A', class: 'IN' });
  assert.deepEqual(
    [event.outcome, event.responseCode, event.addresses],
    ['answered', 'NOERROR', ['192.0.2.1']],
  );
  assert.deepEqual(event.server, { address: '127.0.0.1', port: 53 });
  assert.equal(event.process.name, 'dig');
  assert.match(event.process.executable ?? '', /\/dig$/);
  assert.deepEqual([event.process.user?.id, event.process.attribution], [0, 'kernel']);
  assert.ok(event.process.pid > 0 && (event.durationMs ?? 0) > 0);
  type State = { bpf: number; children: string };
  assert.ok((during as State).bpf > 0 && (during as State).children !== '', JSON.stringify(during));
  // Rights, listeners, process.exit: nothing of it has changed; programs, maps and the inspector are gone.
  assert.deepEqual(after, before);
});

test('a slow reader: what finds the queue full is dropped and counted, to one', async () => {
  const asked = 100;
  const said = await run('slow', async (program) => {
    await stage.askMany(Array.from({ length: asked }, (_, i) => `n${i}.bulk`));
    program.go();
  });
  assert.deepEqual([said['given'], said['waiting'], said['dropped'], said['read']], [0, 16, asked - 16, 16]);
  assert.equal((said['losses'] as Record<string, number>)['sink:api/queue_full'], asked - 16);
});

test('two at a time, each with its filter; one goes on when the other is closed', async () => {
  const said = await run('two', async (program) => {
    await stage.ask('www');
    await stage.ask('nothing');
    program.go();
  });
  const { zone } = stage;
  assert.deepEqual(said, {
    all: [`nothing.${zone}`, `www.${zone}`],
    failed: [`nothing.${zone}`],
    stillOpen: true,
  });
});

test('for a time only: the loop ends by itself, with what was in flight', async () => {
  const said = await run('duration', async () => {
    await stage.ask('www');
  });
  assert.equal(said['count'], 1);
});

test('without rights: a typed error, and nothing is left open', async () => {
  const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--bounding-set=-all'];
  const program = new Program([...asNobody, process.execPath, PROGRAM, 'refused', stage.zone]);
  assert.equal(await program.ended(), 0, program.errors);
  const { typed, code, message, after } = program.said[0] ?? {};
  assert.deepEqual([typed, code], [true, 'rights'], String(message));
  assert.deepEqual([(after as { bpf: number }).bpf, (after as { children: string }).children], [0, '']);
});
