/**
 * What DNS does on its way, between two hosts on a link of 1500 bytes (wire.py): answers in IP fragments, many messages in one TCP segment,
 * TCP Fast Open. Each question is one record of the program that asked, with the whole answer.
 *
 * WHODNS_TEST_HOOK names the hook family (default: the agent's own choice).
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { end } from '../matrix/children.ts';
import { Namespace } from '../matrix/namespace.ts';
import { PRELUDE, SERVER4, SERVER6 } from './paths.ts';
import { nameOf } from './stage.ts';

const HOOK = process.env['WHODNS_TEST_HOOK'] ?? 'auto';
const WIRE = join(import.meta.dirname, 'wire.py');
const ZONE = `w${randomBytes(4).toString('hex')}.test`;
const START_MS = 180_000;
const PATIENCE_MS = 15_000;
const PYTHON = ['python3', WIRE];

describe('on the wire', () => {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-wire-'));
  const servers: ChildProcess[] = [];
  let client: Namespace;
  let host: Namespace;
  let server: Namespace;
  let agent: Agent;

  before(async () => {
    [client, host, server] = [await Namespace.open(), await Namespace.open(), await Namespace.open()];
    const env = { ...process.env, C: String(client.pid), H: String(host.pid), S: String(server.pid) };
    const script = `${PRELUDE}link c\nclient c near\nserver far`;
    const { status, stderr } = spawnSync('sh', ['-c', script], { env, encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    await sleep(500);
    for (const [family, address] of [
      ['4', SERVER4],
      ['6', SERVER6],
    ] as const) {
      const child = server.spawn([...PYTHON, 'serve', family, address], ['ignore', 'pipe', 'inherit']);
      servers.push(child);
      if (child.stdout !== null) await once(child.stdout, 'data');
    }
    const control = ['--control', join(directory, 'control')];
    agent = Agent.start([...AGENT, '--hook', HOOK, '--timeout', '3s', ...control], (record) =>
      nameOf(record).endsWith(ZONE),
    );
    const deadline = performance.now() + START_MS;
    while (!agent.records.some((record) => nameOf(record).includes('.probe.'))) {
      assert.ok(agent.running && performance.now() < deadline, `no record: ${agent.errors}`);
      await client.run([...PYTHON, 'fragments', SERVER4, `probe.${ZONE}`]);
      await sleep(200);
    }
  });

  after(async () => {
    try {
      await agent?.stop();
    } finally {
      for (const child of servers) await end(child, 'SIGKILL');
      for (const namespace of [client, host, server]) await namespace?.close();
      rmSync(directory, { recursive: true });
    }
  });

  /** Plays a scene; its records by name, once there is one of each name asked and no more. */
  async function play(scene: string, address: string): Promise<ReadonlyMap<string, JsonRecord>> {
    const zone = `${scene}${address === SERVER6 ? '6' : '4'}.${ZONE}`;
    const { exitCode, output, errors, pid } = await client.run([...PYTHON, scene, address, zone]);
    assert.equal(exitCode, 0, errors);
    const names = Object.keys(JSON.parse(output) as Record<string, number>);
    const isOurs = (record: JsonRecord): boolean => nameOf(record).endsWith(zone);
    await agent.waitFor((records) => records.filter(isOurs).length >= names.length, PATIENCE_MS);
    await agent.assertRingKept();
    const records = agent.records.filter(isOurs);
    assert.deepEqual(records.map(nameOf).sort(), names.toSorted());
    for (const { resource, attributes } of records) {
      assert.equal(resource['process.pid'], pid);
      assert.equal(attributes['server.address'], address);
      assert.equal(attributes['dns.response_code'], 'NOERROR', JSON.stringify(attributes));
    }
    return new Map(records.map((record) => [nameOf(record), record]));
  }

  for (const address of [SERVER4, SERVER6]) {
    test(`answers in IP fragments are read whole, ${address}`, async () => {
      for (const { attributes } of (await play('fragments', address)).values()) {
        assert.equal((attributes['dns.answers'] as string[]).length, 55);
        assert.equal(attributes['whodns.truncated'], undefined);
        assert.equal(attributes['whodns.malformed'], undefined);
      }
    });

    test(`the copy limit is one of messages, not of segments, ${address}`, async () => {
      const records = await play('pipeline', address);
      assert.equal(records.size, 60);
      for (const [name, { attributes }] of records)
        assert.equal(attributes['whodns.truncated'], name.startsWith('pipe-5000-') ? true : undefined, name);
    });

    test(`TCP Fast Open, ${address}`, async () => {
      const records = await play('fast-open', address);
      assert.equal(records.size, 7);
      for (const { attributes } of records.values())
        assert.deepEqual(attributes['dns.answers'], ['192.0.2.1']);
    });
  }
});
