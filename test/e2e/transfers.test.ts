/**
 * Zone transfers, UPDATE and NOTIFY between real programs: two servers of BIND, one the other's secondary; dig, kdig and nsupdate. One request is
 * one record, with as many messages, bytes and records as the program itself counted; a server that does it badly loses nothing.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { JsonRecord } from '../matrix/agent.ts';
import { INTRUDER, LinkStage } from './link-stage.ts';
import { SERVER4, SERVER6 } from './paths.ts';
import { nameOf } from './stage.ts';

const CLIENT4 = '10.99.0.1';
const ZONE = 'zone.test';
const HOSTS = 3000;

const zoneText = `$TTL 300
@ SOA ns.${ZONE}. admin.${ZONE}. 7 3600 600 86400 300
@ NS ns
ns A ${SERVER4}
${Array.from({ length: HOSTS }, (_, i) => `host-${i} A 192.0.2.${i % 256}`).join('\n')}
`;

const configuration = (directory: string, addresses: string, zone: string): string => `options {
  directory "${directory}";
  pid-file none;
  session-keyfile none;
  managed-keys-directory "${directory}";
  dnssec-validation no;
  recursion no;
  listen-on { ${addresses}; };
  listen-on-v6 { any; };
  transfer-message-size 600;
  notify-delay 0;
  minimal-responses yes;
};
controls { };
zone "${ZONE}" { ${zone} };
`;

const isOf =
  (pid: number, name = ZONE) =>
  ({ attributes, resource }: JsonRecord): boolean =>
    resource['process.pid'] === pid && attributes['dns.question.name'] === name;
const typeOf = ({ attributes }: JsonRecord): unknown => attributes['dns.question.type'];

describe('transfers and changes of zones', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let stage: LinkStage;
  let primary: number;
  let secondary: number;

  async function named(role: 'primary' | 'secondary'): Promise<number> {
    const isPrimary = role === 'primary';
    const directory = join(stage.directory, role);
    mkdirSync(directory);
    writeFileSync(join(directory, 'zone'), zoneText);
    const zone = isPrimary
      ? `type primary; file "zone"; allow-transfer { any; }; allow-update { any; }; also-notify { ${CLIENT4}; }; notify explicit;`
      : `type secondary; file "copy"; primaries { ${SERVER4}; }; notify no;`;
    const file = join(directory, 'named.conf');
    writeFileSync(file, configuration(directory, isPrimary ? SERVER4 : CLIENT4, zone));
    const words = ['-g', '-n', '1', '-c', file];
    const where = isPrimary ? stage.server : stage.client;
    return stage.serve(where, stage.servers.command('usr/sbin/named', ...words), /\brunning$/m);
  }

  before(async () => {
    stage = await LinkStage.open(['--timeout', '2s']);
    primary = await named('primary');
  });
  after(() => stage?.close());

  /** Runs a client that prints its own counts. */
  async function transfer(argv: readonly string[], counts: RegExp) {
    const { output, errors, pid } = await stage.client.run(argv);
    const { records, messages, bytes } = counts.exec(output)?.groups ?? {};
    assert.ok(records !== undefined, output.slice(-2000) + errors);
    const [record, ...more] = await stage.records(1, isOf(pid));
    assert.deepEqual(more, []);
    const { attributes } = record as JsonRecord;
    assert.equal(attributes['network.transport'], 'tcp');
    assert.equal(attributes['dns.response_code'], 'NOERROR');
    assert.equal(attributes['error.type'], undefined);
    return { attributes, counted: [messages, bytes, records].map(Number) };
  }
  const countsOf = (attributes: JsonRecord['attributes']): unknown[] =>
    ['messages', 'bytes', 'records'].map((of) => attributes[`whodns.answers.${of}`]);
  const DIG = /XFR size: (?<records>\d+) records \(messages (?<messages>\d+), bytes (?<bytes>\d+)\)/;
  const KDIG = /Received (?<bytes>\d+) B \((?<messages>\d+) messages, (?<records>\d+) records\)/;

  for (const server of [SERVER4, SERVER6]) {
    test(`AXFR, dig, ${server}`, async () => {
      const { attributes, counted } = await transfer(['dig', `@${server}`, ZONE, 'AXFR'], DIG);
      assert.deepEqual(countsOf(attributes), counted);
      assert.ok(Number(counted[0]) > 50 && Number(counted[2]) > HOSTS, String(counted));
      assert.equal(attributes['dns.question.type'], 'AXFR');
      assert.equal(attributes['server.address'], server);
    });

    test(`AXFR, kdig, ${server}`, async () => {
      const { attributes, counted } = await transfer(['kdig', `@${server}`, ZONE, 'AXFR'], KDIG);
      assert.deepEqual(countsOf(attributes), counted);
    });
  }

  test('the first transfer of a secondary', async () => {
    secondary = await named('secondary');
    const records = await stage.records(2, isOf(secondary));
    const transferred = records.find((record) => typeOf(record) === 'AXFR');
    assert.ok(Number(transferred?.attributes['whodns.answers.messages']) > 50, JSON.stringify(records));
    assert.ok(records.some((record) => typeOf(record) === 'SOA'));
  });

  test('UPDATE, and the NOTIFY and the IXFR that it leads to', async () => {
    const script = join(stage.directory, 'update');
    const added = Array.from({ length: 40 }, (_, i) => `update add new-${i}.${ZONE} 300 A 198.51.100.${i}`);
    writeFileSync(
      script,
      `server ${SERVER4}\nzone ${ZONE}\nprereq nxdomain new-0.${ZONE}\n${added.join('\n')}\nsend\n`,
    );
    const { exitCode, errors, pid } = await stage.client.run(['nsupdate', script]);
    assert.equal(exitCode, 0, errors);
    const [update] = await stage.records(1, isOf(pid));
    const { attributes } = update as JsonRecord;
    assert.equal(attributes['dns.op_code'], 'UPDATE', JSON.stringify(attributes));
    assert.equal(attributes['dns.response_code'], 'NOERROR');
    assert.deepEqual(attributes['whodns.update.prerequisites'], [`new-0.${ZONE} 0 ANY NONE`]);
    const updates = attributes['whodns.update.updates'] as string[];
    assert.equal(updates[0], `new-0.${ZONE} 300 A 198.51.100.0`);
    assert.equal(updates.length + Number(attributes['whodns.update.omitted'] ?? 0), 40);
    for (const name of ['dns.answers', 'whodns.answers']) assert.equal(attributes[name], undefined);

    const isNotify = (record: JsonRecord): boolean =>
      isOf(primary)(record) && record.attributes['dns.op_code'] === 'NOTIFY';
    const notifies = await stage.records(1, isNotify);
    const notify = notifies.at(-1)?.attributes ?? {};
    assert.equal(notify['server.address'], CLIENT4);
    assert.equal(notify['dns.response_code'], 'NOERROR');
    assert.match(String(notify['whodns.notify.records']), / SOA ns\.zone\.test admin\.zone\.test 8 /);

    const isIxfr = (record: JsonRecord): boolean => isOf(secondary)(record) && typeOf(record) === 'IXFR';
    const [ixfr, ...more] = await stage.records(1, isIxfr);
    assert.deepEqual(more, []);
    assert.equal(ixfr?.attributes['dns.response_code'], 'NOERROR');
    assert.ok(Number(ixfr?.attributes['whodns.answers.records']) > 40, JSON.stringify(ixfr?.attributes));
  });

  for (const [tool, argv, counts] of [
    ['dig', ['dig', `@${SERVER4}`, ZONE, 'IXFR=7'], DIG],
    ['kdig', ['kdig', `@${SERVER4}`, ZONE, 'IXFR=7'], KDIG],
  ] as const)
    test(`IXFR, ${tool}`, async () => {
      const { attributes, counted } = await transfer(argv, counts);
      assert.equal(attributes['dns.question.type'], 'IXFR');
      assert.deepEqual(countsOf(attributes), counted);
    });

  test('an UPDATE that is refused', async () => {
    const script = join(stage.directory, 'refused');
    writeFileSync(script, `server ${CLIENT4}\nzone ${ZONE}\nupdate delete ns.${ZONE} A\nsend\n`);
    const { exitCode, pid } = await stage.server.run(['nsupdate', script]);
    assert.notEqual(exitCode, 0);
    const [record] = await stage.records(1, isOf(pid));
    const { attributes } = record as JsonRecord;
    assert.equal(attributes['dns.op_code'], 'UPDATE');
    assert.ok(['REFUSED', 'NOTAUTH', 'NOTIMP'].includes(String(attributes['dns.response_code'])));
    assert.deepEqual(attributes['whodns.update.updates'], [`ns.${ZONE} 0 A ANY`]);
  });

  describe('a server that does it badly', () => {
    before(async () => {
      const server = ['python3', join(import.meta.dirname, 'transfers.py'), INTRUDER];
      await stage.serve(stage.intruder, server, /^ready$/m);
    });

    /** Whole messages of the transfer that arrive, and how it ends. */
    for (const [kind, messages, error] of [
      ['cut', 2, undefined],
      ['endless', 302, undefined],
      ['foreign', 3, undefined],
      ['failure', 3, 'SERVFAIL'],
      ['garbage', 3, undefined],
    ] as const)
      test(kind, async () => {
        const zone = `${kind}.${ZONE}`;
        const { pid } = await stage.client.run(['dig', '+tries=1', '+time=3', `@${INTRUDER}`, zone, 'AXFR']);
        const [record, ...more] = await stage.records(1, isOf(pid, zone));
        assert.deepEqual(more, []);
        const { attributes } = record as JsonRecord;
        assert.equal(attributes['error.type'], error, JSON.stringify(attributes));
        assert.ok(Number(attributes['whodns.answers.messages']) <= messages);
        assert.ok(Number(attributes['whodns.answers.messages']) >= 2);
      });

    test('after that a transfer is as it was', async () => {
      const { attributes, counted } = await transfer(['dig', `@${SERVER4}`, ZONE, 'AXFR'], DIG);
      assert.deepEqual(countsOf(attributes), counted);
    });
  });

  test('no answer counts as lost but the one message that was cut, and what was no message', async () => {
    const { stages } = await stage.ledger();
    const UNFINISHED: Readonly<Record<string, unknown>> = { streams: { stream_unfinished: 2 } };
    for (const { name, dropped } of stages) assert.deepEqual(dropped, UNFINISHED[name] ?? {}, name);
    assert.ok(!stage.agent.records.some((record) => nameOf(record) === ''));
  });
});
