/**
 * The span a thread is in (OTEP 4947), from real programs that publish it in each of the ways that compilers, linkers and C
 * libraries have (test/clients/thread_context.c), on the records of their queries.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLIENTS } from '../clients/build.ts';
import { Publisher } from '../clients/publisher.ts';
import type { JsonRecord } from '../matrix/agent.ts';
import { contextBytes } from '../unit/process-context-bytes.ts';
import { SERVER, Stage } from './stage.ts';

const DIRECTORY = join(CLIENTS, 'thread-context');
const PATIENCE_MS = 60_000;
const PUBLISHES = { 'threadlocal.schema_version': 'tls_v1', 'threadlocal.attribute_key_map': ['http_route'] };

interface Asked {
  readonly record: JsonRecord;
  readonly traceId: string;
  readonly spanId: string;
}

let stage: Stage;
before(async () => {
  stage = await Stage.open('--trace-context');
});
after(() => stage?.close());

let asked = 0;

/** Has a thread of the publisher ask from inside a span. */
async function ask(publisher: Publisher, thread: number, how: string, ids?: string): Promise<Asked> {
  const name = `q${asked++}.${stage.zone}`;
  const span = ids ?? randomBytes(24).toString('hex');
  publisher.say(`${thread} ${SERVER} ${name} ${how} ${span}`);
  assert.equal(await publisher.line(), name);
  return { record: await stage.recordOf(name), traceId: span.slice(0, 32), spanId: span.slice(32) };
}

const idsOf = ({ record }: Asked): unknown[] => [record.trace_id, record.span_id];

async function withProgram(
  [program = '', library]: readonly string[],
  attributes: typeof PUBLISHES | object,
  use: (publisher: Publisher) => Promise<void>,
): Promise<void> {
  const payload = Buffer.from(contextBytes({ 'service.name': 'traced' }, attributes as typeof PUBLISHES));
  const wrapper = ['nsenter', '--target', String(stage.namespace.pid), '--net', '--mount', '--'];
  const args = [payload.toString('hex'), ...(library === undefined ? [] : [join(DIRECTORY, library)])];
  const publisher = await Publisher.start(args, wrapper, {}, join(DIRECTORY, program));
  try {
    await use(publisher);
  } finally {
    await publisher.stop();
  }
}

/** Asks until the agent has found out where the process keeps its contexts. */
async function found(publisher: Publisher): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while ((await ask(publisher, 0, 'good')).record.trace_id === undefined) {
    assert.ok(performance.now() < deadline, 'no trace id on any record');
    await sleep(100);
  }
}

const PROGRAMS: readonly (readonly string[])[] = [
  ['pie'],
  ['fixed'],
  ['static-pie'],
  ['musl'],
  ['linked-gnu'],
  ['linked-gnu2'],
  ['loader', 'gnu.so'],
  ['loader', 'gnu2.so'],
  ['loader', 'large-gnu.so'],
  ['loader', 'large-gnu2.so'],
  ['loader', 'bound-gnu.so'],
  ['loader', 'bound-gnu2.so'],
  ['loader', 'sysv-hash.so'],
  ['musl-loader', 'musl-gnu.so'],
  ['musl-loader', 'musl-gnu2.so'],
];

describe('records name the span of the thread that asked', () => {
  for (const program of PROGRAMS)
    test(program.join(' with '), () =>
      withProgram(program, PUBLISHES, async (publisher) => {
        await found(publisher);
        for (const thread of [1, 2, 0, 2, 1]) {
          const one = await ask(publisher, thread, 'good');
          assert.deepEqual(idsOf(one), [one.traceId, one.spanId], `thread ${thread}`);
        }
      }),
    );
});

describe('records name no span', () => {
  test('where the thread is in none, or its record is no good', () =>
    withProgram(['pie'], PUBLISHES, async (publisher) => {
      await found(publisher);
      for (const how of ['detached', 'invalid', 'other', 'unmapped', 'beyond'])
        assert.deepEqual(idsOf(await ask(publisher, 1, how)), [undefined, undefined], how);
      assert.deepEqual(idsOf(await ask(publisher, 1, 'good', '0'.repeat(48))), [undefined, undefined]);
      assert.deepEqual(idsOf(await ask(publisher, 1, 'good', `${'ab'.repeat(16)}${'0'.repeat(16)}`)), [
        undefined,
        undefined,
      ]);
      for (const how of ['edge', 'huge', 'good']) {
        const one = await ask(publisher, 1, how);
        assert.deepEqual(idsOf(one), [one.traceId, one.spanId], how);
      }
    }));

  test('of a thread that never used a library loaded late', () =>
    withProgram(['loader', 'large-gnu2.so'], PUBLISHES, async (publisher) => {
      await found(publisher);
      assert.deepEqual(idsOf(await ask(publisher, 2, 'untouched')), [undefined, undefined]);
      const one = await ask(publisher, 2, 'good');
      assert.deepEqual(idsOf(one), [one.traceId, one.spanId]);
    }));

  for (const attributes of [
    {},
    { 'threadlocal.schema_version': 'go_pprof_labels_v1' },
    { 'threadlocal.schema_version': 1 },
  ])
    test(`of a process that publishes ${JSON.stringify(attributes)}`, () =>
      withProgram(['pie'], attributes, async (publisher) => {
        for (let i = 0; i < 5; i++) {
          assert.deepEqual(idsOf(await ask(publisher, 0, 'good')), [undefined, undefined]);
          await sleep(100);
        }
      }));
});
