/**
 * Resolvers that ask several servers: musl all at once, glibc one after the other. One record for each server asked, one id for all of a
 * look-up, and the one whose answer the program could use is the final one, whoever refuses, lies later or says nothing.
 *
 * WHODNS_TEST_HOOK names the hook family (default: the agent's own choice).
 */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { CLIENTS } from '../clients/build.ts';
import type { JsonRecord } from '../matrix/agent.ts';
import { end } from '../matrix/children.ts';
import { ANSWER, nameOf, PATIENCE_MS, SERVER, Stage } from './stage.ts';

const [REFUSING, LYING, SILENT, SLOW] = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.5'] as const;
const MUSL = join(CLIENTS, 'resolve-musl');

interface Told {
  readonly server: unknown;
  readonly result: unknown;
  readonly isFinal: boolean;
}

describe('several servers are asked', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let stage: Stage;
  let servers: ChildProcess;
  let asked = 0;

  before(async () => {
    stage = await Stage.open();
    servers = stage.namespace.spawn(
      ['python3', join(import.meta.dirname, 'fan_out.py')],
      ['ignore', 'pipe', 'inherit'],
    );
    if (servers.stdout !== null) await once(servers.stdout, 'data');
  });

  after(async () => {
    if (servers !== undefined) await end(servers, 'SIGKILL');
    await stage?.close();
  });

  /** Runs the program with these servers; the records of its look-up of each type, all with one id. */
  async function lookUp(program: readonly string[], addresses: readonly string[], each: number) {
    const name = `n${asked++}.${stage.zone}`;
    const lines = [...addresses.map((address) => `nameserver ${address}`), 'options timeout:3 attempts:1'];
    writeFileSync(join(stage.namespace.directory, 'resolv.conf'), `${lines.join('\n')}\n`);
    const { output, errors } = await stage.namespace.run([...program, name]);
    const isOurs = (record: JsonRecord): boolean => nameOf(record) === name;
    await stage.agent.waitFor((records) => records.filter(isOurs).length >= 2 * each, PATIENCE_MS);
    await stage.agent.assertRingKept();
    const records = stage.agent.records.filter(isOurs);
    assert.equal(records.length, 2 * each, JSON.stringify(records.map(({ attributes }) => attributes)));
    const told = new Map<string, Told[]>();
    const ids = new Map<string, Set<unknown>>();
    for (const { attributes } of records) {
      const type = String(attributes['dns.question.type']);
      const result = attributes['error.type'] ?? attributes['dns.answers'] ?? [];
      const isFinal = attributes['whodns.lookup.final'] === true;
      assert.equal(attributes['whodns.retries'], undefined, JSON.stringify(attributes));
      told.set(type, [...(told.get(type) ?? []), { server: attributes['server.address'], result, isFinal }]);
      ids.set(type, (ids.get(type) ?? new Set()).add(attributes['whodns.lookup.id']));
    }
    for (const found of ids.values()) {
      assert.equal(found.size, 1);
      assert.match(String([...found][0]), /^[0-9a-f-]{36}$/);
    }
    assert.ok(output.includes(ANSWER), output + errors);
    return told;
  }

  const sorted = (told: readonly Told[] | undefined): Told[] =>
    (told ?? []).toSorted((a, b) => String(a.server).localeCompare(String(b.server)));

  /** Packets bring it; by the socket nobody reads it, for musl has its answer and is gone. */
  const late = () =>
    /capturing with the tracepoint hooks/.test(stage.agent.errors) ? ['203.0.113.66'] : 'timeout';

  test('musl: one refuses, one answers, one lies later', async () => {
    const told = await lookUp([MUSL], [REFUSING, LYING, SLOW], 3);
    assert.deepEqual(sorted(told.get('A')), [
      { server: REFUSING, result: 'REFUSED', isFinal: false },
      { server: LYING, result: late(), isFinal: false },
      { server: SLOW, result: [ANSWER], isFinal: true },
    ]);
    assert.deepEqual(
      sorted(told.get('AAAA')).map(({ server, isFinal }) => [server, isFinal]),
      [
        [REFUSING, false],
        [LYING, false],
        [SLOW, true],
      ],
    );
  });

  test('musl: one is silent', async () => {
    const told = await lookUp([MUSL], [SILENT, SERVER], 2);
    for (const type of ['A', 'AAAA']) {
      const [answered, silent] = sorted(told.get(type));
      assert.deepEqual([answered?.server, answered?.isFinal], [SERVER, true]);
      assert.deepEqual(silent, { server: SILENT, result: 'timeout', isFinal: false });
    }
  });

  test('glibc: the second is asked when the first has refused', async () => {
    const told = await lookUp(['getent', 'ahosts'], [REFUSING, SERVER], 2);
    for (const type of ['A', 'AAAA']) {
      const [answered, refused] = sorted(told.get(type));
      assert.deepEqual([answered?.server, answered?.isFinal], [SERVER, true]);
      assert.deepEqual(refused, { server: REFUSING, result: 'REFUSED', isFinal: false });
    }
  });
});
