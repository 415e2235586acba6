/**
 * Multicast DNS (RFC 6762) and LLMNR (RFC 4795) between real programs: avahi and llmnrd answer, drill, python-zeroconf, llmnr-query and avahi
 * itself ask. Who asks has one record with what it was told, and hosts on the link that lie change nothing of it.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { JsonRecord } from '../matrix/agent.ts';
import { INTRUDER, LinkStage } from './link-stage.ts';
import { SERVER4 } from './paths.ts';
import { nameOf } from './stage.ts';

const MULTICAST = join(import.meta.dirname, 'multicast.py');
const MDNS = ['224.0.0.251', '5353'] as const;
const LLMNR = ['224.0.0.252', '5355'] as const;
const LIE = '203.0.113.66';
const SERVICE = '_workstation._tcp.local';
const AVAHI = `[server]
host-name=printer
use-ipv4=yes
use-ipv6=yes
enable-dbus=no
allow-interfaces=far
[wide-area]
enable-wide-area=no
[publish]
publish-workstation=yes
`;

const answersOf = ({ attributes }: JsonRecord): string[] => (attributes['dns.answers'] ?? []) as string[];
const isOf =
  (pid: number, name: RegExp) =>
  (record: JsonRecord): boolean =>
    record.resource['process.pid'] === pid && name.test(nameOf(record));

describe('names of the link', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let stage: LinkStage;
  let avahi: number;

  before(async () => {
    stage = await LinkStage.open(['--port', '53,5353,5355', '--timeout', '2s']);
    const configuration = join(stage.directory, 'avahi.conf');
    writeFileSync(configuration, AVAHI);
    const options = ['-f', configuration, '--no-drop-root', '--no-chroot', '--no-rlimits'];
    const daemon = stage.servers.command('usr/sbin/avahi-daemon', ...options);
    avahi = await stage.serve(stage.server, daemon, /Server startup complete/);
    const llmnrd = stage.servers.command('usr/sbin/llmnrd', '-H', 'scanner', '-6');
    await stage.serve(stage.server, llmnrd, Number(LLMNR[1]));
  });
  after(() => stage?.close());

  async function oneShot(name: string, [group, port]: readonly [string, string]) {
    const { output, errors, pid } = await stage.client.run([
      ...['python3', MULTICAST, 'one-shot', group, port, 'near', name],
    ]);
    assert.match(output, /^(nothing|[\d.]+)$/m, errors);
    const records = await stage.records(1, isOf(pid, new RegExp(`^${name}$`)));
    return { told: output.trim(), records };
  }

  function assertTold(records: readonly JsonRecord[], address: string, server: readonly [string, string]) {
    assert.equal(records.length, 1, JSON.stringify(records));
    const [{ attributes }] = records as [JsonRecord];
    assert.deepEqual(attributes['dns.answers'], [address], JSON.stringify(attributes));
    assert.equal(attributes['error.type'], undefined);
    assert.equal(attributes['server.address'], server[0]);
    assert.equal(attributes['server.port'], Number(server[1]));
  }

  test('avahi itself asks whether its names are free, several questions in one message', async () => {
    const asksOwn = ({ attributes, resource }: JsonRecord): boolean =>
      resource['process.pid'] === avahi &&
      /(^|,)printer\.local ANY/.test(String(attributes['whodns.questions']));
    const records = await stage.records(1, asksOwn);
    assert.ok(records.length > 0, JSON.stringify(stage.agent.records));
    for (const { attributes } of records) assert.equal(attributes['server.port'], 5353);
  });

  test('mDNS, a one-shot question of drill', async () => {
    const { output, pid } = await stage.client.run(['drill', '-p', MDNS[1], 'printer.local', `@${MDNS[0]}`]);
    assert.ok(output.includes(SERVER4), output);
    assertTold(await stage.records(1, isOf(pid, /^printer\.local$/)), SERVER4, MDNS);
  });

  test('mDNS, python-zeroconf finds a service and its address', async () => {
    const { output, errors, pid } = await stage.client.run([
      ...['env', `PYTHONPATH=${stage.servers.modules}`],
      ...['python3', MULTICAST, 'browse', '10.99.0.1', `${SERVICE}.`],
    ]);
    const [[instance, addresses] = []] = Object.entries(JSON.parse(output) as Record<string, string[]>);
    assert.ok(instance !== undefined && addresses?.includes(SERVER4), output + errors);
    const isAnswered = (record: JsonRecord): boolean =>
      isOf(pid, /^/)(record) && record.attributes['error.type'] === undefined;
    const records = await stage.records(1, isAnswered);
    const browsed = records.find((record) => nameOf(record) === SERVICE);
    assert.equal(browsed?.attributes['dns.question.type'], 'PTR', JSON.stringify(records));
    assert.match(String(browsed?.attributes['whodns.answers']), / PTR /);
  });

  for (const [type, option] of [
    ['A', '-4'],
    ['AAAA', '-6'],
  ] as const)
    test(`LLMNR, llmnr-query ${option} of llmnrd`, async () => {
      const words = [...(option === '-6' ? ['-6'] : []), '-I', 'near', '-T', type, 'scanner'];
      const query = stage.servers.command('usr/bin/llmnr-query', ...words);
      const { output, errors, pid } = await stage.client.run(query);
      assert.match(output, /LLMNR response: scanner/i, output + errors);
      const [record, ...more] = await stage.records(1, isOf(pid, /^scanner$/));
      assert.deepEqual(more, []);
      const { attributes } = record as JsonRecord;
      assert.equal(attributes['dns.question.type'], type);
      assert.equal(attributes['error.type'], undefined, JSON.stringify(attributes));
      assert.ok(answersOf(record as JsonRecord).length > 0);
      assert.match(String(attributes['server.address']), option === '-6' ? /^ff02::1:3/ : /^224\.0\.0\.252$/);
      assert.equal(attributes['server.port'], 5355);
    });

  for (const [server, name] of [
    [MDNS, 'printer.local'],
    [LLMNR, 'scanner'],
  ] as const)
    test(`lies that answer nothing, port ${server[1]}`, async () => {
      const liar = ['python3', MULTICAST, 'lie', ...server, 'other', INTRUDER, LIE];
      const pid = await stage.serve(stage.intruder, liar, /^ready$/m);
      try {
        const { told, records } = await oneShot(name, server);
        assert.equal(told, SERVER4);
        assertTold(records, SERVER4, server);
        const absent = await oneShot(`absent-${name}`, server);
        assert.equal(absent.told, 'nothing');
        assert.deepEqual(
          absent.records.map(({ attributes }) => attributes['error.type']),
          ['timeout'],
        );
      } finally {
        await stage.endServer(pid);
      }
    });

  for (const [server, name] of [
    [MDNS, 'absent.local'],
    [LLMNR, 'absent'],
  ] as const)
    test(`who poisons is what the program was told, port ${server[1]}`, async () => {
      const poisoner = ['python3', MULTICAST, 'poison', ...server, 'other', INTRUDER, LIE];
      const pid = await stage.serve(stage.intruder, poisoner, /^ready$/m);
      try {
        const { told, records } = await oneShot(name, server);
        assert.equal(told, LIE);
        assertTold(records, LIE, server);
      } finally {
        await stage.endServer(pid);
      }
    });

  test('nothing is lost', async () => {
    const { stages } = await stage.ledger();
    for (const { name, dropped } of stages) assert.deepEqual(dropped, {}, name);
  });
});
