/**
 * The identity a process publishes in its own memory (OTEP 4719), read out of real processes (test/clients/process_context.c),
 * and on the records of a real query.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gatherFacts } from '../../src/enrich/process/facts.ts';
import {
  CONTEXT_MAPS,
  type ContextOutcome,
  readProcessContext,
} from '../../src/enrich/process/process-context.ts';
import type { Owner } from '../../src/model.ts';
import { buildClients } from '../clients/build.ts';
import { Publisher } from '../clients/publisher.ts';
import { contextBytes } from '../unit/process-context-bytes.ts';
import { startInspector, targetOf } from '../unit/process-target.ts';
import { nameOf, SERVER, Stage } from './stage.ts';

const PATIENCE_MS = 20_000;
const LARGEST = 65_536;

const CHECKOUT = {
  'service.name': 'checkout',
  'service.namespace': 'shop',
  'service.version': '1.2.3',
  'deployment.environment.name': 'test',
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const PAYLOAD = hex(contextBytes(CHECKOUT));

const inspector = startInspector();
after(() => inspector.close());

function ownerOf(pid: number): Owner {
  return {
    ...targetOf(pid),
    tid: pid,
    parentPid: process.pid,
    vpid: pid,
    gid: 0,
    pidNamespace: 0,
    mountNamespace: 0,
    networkNamespace: 0,
    threadName: '',
    processName: '',
    cached: false,
  };
}

/** @param shown the maps with the mapping under another name: not every test host has CONFIG_ANON_VMA_NAME */
async function read(pid: number, shown = (maps: string) => maps): Promise<ContextOutcome | undefined> {
  const target = targetOf(pid);
  const maps = (await inspector.inspect(target, [CONTEXT_MAPS]))?.[0]?.bytes;
  const bytes = maps === undefined ? undefined : Buffer.from(shown(maps.toString('latin1')), 'latin1');
  return readProcessContext(inspector, target, bytes);
}

async function withPublisher(args: readonly string[], use: (publisher: Publisher) => unknown): Promise<void> {
  const publisher = await Publisher.start(args);
  try {
    await use(publisher);
  } finally {
    await publisher.stop();
  }
}

function resourceOf(outcome: ContextOutcome | undefined): unknown {
  assert.equal(outcome?.kind, 'read');
  return outcome?.kind === 'read' ? outcome.context.resource : undefined;
}

function named(name: string): (maps: string) => string {
  return (maps) => maps.replace(/\/memfd:OTEL_CTX.*/, name);
}

before(() => buildClients());

describe('a process that publishes', () => {
  for (const how of ['memfd+prctl', 'memfd'])
    test(`by ${how}`, () =>
      withPublisher([how, PAYLOAD], async ({ child }) =>
        assert.deepEqual(resourceOf(await read(child.pid)), CHECKOUT),
      ));

  for (const name of ['[anon_shmem:OTEL_CTX]', '[anon:OTEL_CTX]', '/memfd:OTEL_CTX'])
    test(`in a mapping shown as ${name}`, () =>
      withPublisher(['memfd', PAYLOAD], async ({ child }) =>
        assert.deepEqual(resourceOf(await read(child.pid, named(name))), CHECKOUT),
      ));

  test('not in a mapping that only resembles it', () =>
    withPublisher(['memfd', PAYLOAD], async ({ child }) => {
      for (const name of ['/tmp/OTEL_CTX', '[anon:XOTEL_CTX]', '/memfd:x OTEL_CTX', '[heap] OTEL_CTX'])
        assert.deepEqual(await read(child.pid, named(name)), { kind: 'none' });
    }));

  test('anew: the newest counts', () =>
    withPublisher(['memfd', PAYLOAD], async (publisher) => {
      publisher.say(`publish ${hex(contextBytes({ 'service.name': 'second' }))}`);
      assert.equal(await publisher.line(), 'published');
      assert.deepEqual(resourceOf(await read(publisher.child.pid)), { 'service.name': 'second' });
    }));

  test('a payload of the largest size', () => {
    const filler = { 'service.name': 'large', filler: 'x' };
    const rest = LARGEST - contextBytes(filler).length;
    const bytes = contextBytes({ ...filler, filler: 'x'.repeat(rest - 7) });
    assert.ok(bytes.length > LARGEST - 16 && bytes.length <= LARGEST);
    return withPublisher(['memfd', PAYLOAD], async (publisher) => {
      publisher.say(`publish ${hex(bytes)}`);
      assert.equal(await publisher.line(), 'published');
      assert.deepEqual(resourceOf(await read(publisher.child.pid)), { 'service.name': 'large' });
    });
  });

  test('while it changes without pause: one state or the other, never a mixture', () => {
    const one = { 'service.name': 'a'.repeat(500), 'service.version': 'a'.repeat(500) };
    const other = { 'service.name': 'b'.repeat(500), 'service.version': 'b'.repeat(500) };
    const args = ['changing', hex(contextBytes(one)), hex(contextBytes(other))];
    return withPublisher(args, async ({ child }) => {
      const seen = new Map<string, number>();
      const deadline = performance.now() + PATIENCE_MS;
      const wanted = () => seen.has('busy') && seen.has('read');
      for (let i = 0; i < 2000 || (!wanted() && performance.now() < deadline); i++) {
        const outcome = await read(child.pid);
        const kind = outcome?.kind ?? 'gone';
        seen.set(kind, (seen.get(kind) ?? 0) + 1);
        if (kind === 'busy') continue;
        const resource = resourceOf(outcome) as typeof one;
        assert.ok(
          [one, other].some((whole) => JSON.stringify(whole) === JSON.stringify(resource)),
          kind,
        );
      }
      assert.ok(wanted(), `seen: ${JSON.stringify([...seen])}`);
    });
  });
});

describe('a process that publishes badly', () => {
  for (const [how, kind] of [
    ['busy', 'busy'],
    ['garbage', 'invalid'],
    ['version3', 'invalid'],
    ['huge', 'invalid'],
    ['outside', 'invalid'],
    ['file', 'invalid'],
  ])
    test(`${how}: ${kind}`, () =>
      withPublisher([how ?? '', PAYLOAD], async ({ child }) =>
        assert.deepEqual(await read(child.pid), { kind }),
      ));

  test('no payload, and one that is no message', async () => {
    await withPublisher(['memfd', ''], async ({ child }) =>
      assert.deepEqual(await read(child.pid), { kind: 'invalid' }),
    );
    await withPublisher(['memfd', 'ffff'], async ({ child }) =>
      assert.deepEqual(await read(child.pid), { kind: 'invalid' }),
    );
  });

  test('gone between the search and the read', () =>
    withPublisher(['memfd', PAYLOAD], async (publisher) => {
      const target = targetOf(publisher.child.pid);
      const maps = (await inspector.inspect(target, [CONTEXT_MAPS]))?.[0]?.bytes;
      await publisher.stop();
      assert.equal(await inspector.inspect(target, [CONTEXT_MAPS]), undefined);
      assert.deepEqual(await readProcessContext(inspector, target, maps), { kind: 'unreadable' });
      // Another process's memory: nothing is mapped at the address that was found.
      const outcome = await readProcessContext(inspector, targetOf(process.pid), maps);
      assert.deepEqual(outcome, { kind: 'invalid' });
    }));

  test('is not looked at when that is switched off', () =>
    withPublisher(['memfd', PAYLOAD], async ({ child }) => {
      const gather = (processContext: boolean) => {
        const owner = ownerOf(child.pid);
        return gatherFacts(inspector, owner, undefined, { commandArgs: false, processContext });
      };
      assert.equal((await gather(true)).facts.published?.['service.name'], 'checkout');
      assert.equal((await gather(false)).facts.published, undefined);
      assert.equal((await gather(false)).context.kind, 'none');
    }));

  test('one that publishes nothing', async () => assert.deepEqual(await read(process.pid), { kind: 'none' }));
});

describe('the records of its queries', () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage?.close());

  const inside = (): string[] => [
    'nsenter',
    '--target',
    String(stage.namespace.pid),
    '--net',
    '--mount',
    '--',
  ];

  async function asked(
    args: readonly string[],
    env: object,
    name: string,
  ): Promise<Readonly<Record<string, unknown>>> {
    const publisher = await Publisher.start(args, inside(), env);
    try {
      publisher.say(`ask ${SERVER} ${name}`);
      assert.match((await publisher.line()) ?? '', / /);
      return (await stage.recordOf(name)).resource;
    } finally {
      await publisher.stop();
    }
  }

  test('carry what it publishes, which comes before its environment', async () => {
    const env = { OTEL_SERVICE_NAME: 'other', OTEL_RESOURCE_ATTRIBUTES: 'service.version=0,team=blue' };
    const resource = await asked(['memfd', PAYLOAD], env, `published.${stage.zone}`);
    for (const [key, value] of Object.entries({ ...CHECKOUT, team: 'blue' }))
      assert.equal(resource[key], value, key);
  });

  test('keep its environment when what it publishes is no good', async () => {
    const resource = await asked(['garbage', PAYLOAD], { OTEL_SERVICE_NAME: 'env' }, `garbage.${stage.zone}`);
    assert.equal(resource['service.name'], 'env');
  });

  test('carry what it publishes later', { timeout: 120_000 }, async () => {
    const publisher = await Publisher.start(['late', PAYLOAD], inside());
    try {
      const ask = async (name: string): Promise<unknown> => {
        publisher.say(`ask ${SERVER} ${name}`);
        await publisher.line();
        return (await stage.recordOf(name)).resource['service.name'];
      };
      assert.equal(await ask(`early.${stage.zone}`), 'unknown_service:process_context');
      publisher.say(`publish ${PAYLOAD}`);
      assert.equal(await publisher.line(), 'published');
      const deadline = performance.now() + 60_000 + PATIENCE_MS;
      for (let i = 0; ; i++) {
        const service = await ask(`late-${i}.${stage.zone}`);
        if (service === 'checkout') break;
        assert.ok(performance.now() < deadline, `after a minute still ${service}`);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
      const names = stage.agent.records.map(nameOf).filter((name) => name.startsWith('late-'));
      assert.ok(names.length >= 1);
    } finally {
      await publisher.stop();
    }
  });
});
