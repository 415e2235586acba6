/**
 * Ordinary traffic gives no finding at default settings; and the quality of the rules is what docs/detections.md says. Once with
 * generated hours, in this process and as a capture file through the agent; once with real programs through the kernel.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { startUnbound } from '../matrix/servers.ts';
import { letters, random } from '../unit/detect-events.ts';
import { encodeMessage, labels, u16, u32 } from '../unit/dns-encode.ts';
import { pcap, udp } from '../unit/pcap-write.ts';
import { TIME } from '../unit/sink-events.ts';
import { type Event, ordinaryHour } from './ordinary.ts';
import { measureQuality, RESULTS, tablesOf } from './quality.ts';
import { DetectingAgent, DetectStage, HOST } from './stage.ts';

const RAW_IP = 101;
const PAGE = join(import.meta.dirname, '../../docs/detections.md');

test('precision and recall are those of the documentation', async () => {
  const quality = await measureQuality();
  assert.deepEqual(
    quality.hours.flatMap(({ findings }) => findings),
    [],
  );
  for (const { lookups, wasted } of quality.hours) {
    assert.ok(lookups > 50_000);
    // The pod asks for two outside names every three seconds: six lookups in vain each.
    assert.equal(wasted, 1200 * 2 * 6);
  }
  assert.deepEqual(quality, JSON.parse(readFileSync(RESULTS, 'utf8')), 'renew: node test/detect/quality.ts');
  const page = readFileSync(PAGE, 'utf8');
  for (const line of tablesOf(quality))
    assert.ok(page.includes(line), `renew: node test/detect/quality.ts: ${line}`);
});

/** Question and answer of an event as IP packets. */
function framesOf(event: Event, id: number): { bytes: Buffer; time: bigint }[] {
  const name = labels(event.name);
  const questions = [{ name, type: event.type, class: 1 }];
  const time = TIME + BigInt(Math.round(event.at * 1e6)) * 1000n;
  const port = 20_000 + (id % 40_000);
  const none = { authorities: [], additionals: [] };
  const rdata = [Uint8Array.from([203, 0, 113, 1])];
  const answers = event.answers.map(() => ({ name, type: RR_TYPES.A, class: 1, ttl: 300, rdata }));
  const asked = encodeMessage({ id: id & 0xffff, flags: 0x0100, questions, answers: [], ...none });
  const told = encodeMessage({ id: id & 0xffff, flags: 0x8180 | event.rcode, questions, answers, ...none });
  return [
    { bytes: packet(event.who.address, event.server, udp(port, 53, asked)), time },
    { bytes: packet(event.server, event.who.address, udp(53, port, told)), time: time + 500_000n },
  ];
}

function packet(from: string, to: string, payload: Buffer): Buffer {
  const header = [Uint8Array.of(0x45, 0), u16(20 + payload.length), u32(0), Uint8Array.of(64, 17), u16(0)];
  return Buffer.concat([...header, octets(from), octets(to), payload]);
}

function octets(address: string): Uint8Array {
  return Uint8Array.from(address.split('.').map(Number));
}

/** What the agent finds in a capture file of the events. */
async function replayed(events: readonly Event[]): Promise<{ queries: number; rules: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-hour-'));
  const file = join(directory, 'hour.pcap');
  const frames = events
    .flatMap((event, i) => framesOf(event, i))
    .toSorted((a, b) => (a.time < b.time ? -1 : 1));
  writeFileSync(file, pcap(RAW_IP, frames, { nano: true }));
  const agent = await DetectingAgent.start(['replay', file, '--detect', 'all']);
  try {
    assert.equal(await agent.ended(), 0, agent.errors);
    const rules = agent
      .records('whodns.finding')
      .map(({ attributes: at }) => String(at['security_rule.name']));
    return { queries: agent.records('whodns.query').length, rules };
  } finally {
    await agent.stop();
    rmSync(directory, { recursive: true });
  }
}

test('an hour replayed from a capture file, with its own time', async () => {
  const events = ordinaryHour(6).filter(({ name }) => name !== '');
  const { queries, rules } = await replayed(events);
  // What is asked twice within the time-out from the same port with the same id would be a retransmission: there is none.
  assert.equal(queries, events.length);
  assert.deepEqual(rules, []);
});

test('the same hour with a tunnel in it', async () => {
  const events = ordinaryHour(6).filter(({ at }) => at < 60);
  const next = random(3);
  const [first] = events;
  assert.ok(first);
  const who = { ...first.who, pid: 9, address: '10.0.9.9' };
  for (let i = 0; i < 900; i++)
    events.push({ ...first, who, at: i / 90, name: `${letters(48, next)}.t.evil.example`, answers: [] });
  assert.deepEqual((await replayed(events)).rules, ['tunnel']);
});

test('real programs through the kernel: pages, a resolver, package names, reverse look-ups', async () => {
  const sites = (id: string) => Array.from({ length: 12 }, (_, i) => `site${i}-${id}.test`);
  const stage = await DetectStage.open(
    (id) => [
      ...sites(id).map((site) => `address=/${site}/${HOST}`),
      'local=/in-addr.arpa/',
      'srv-host=_http._tcp.deb.debian.org,deb.debian.org,80',
      `address=/registry.npmjs.org/${HOST}`,
      `address=/deb.debian.org/${HOST}`,
    ],
    () => ['--detect', 'all', '--timeout', '2s'],
  );
  const unbound = await startUnbound(stage.namespace, '127.0.0.4', '127.0.0.1');
  try {
    stage.useResolvConf('nameserver 127.0.0.4\n');
    // A mount namespace whose file has always been this one.
    const run = (script: string) => stage.run('unshare', '--mount', 'sh', '-c', script);
    for (let page = 0; page < 6; page++) {
      const names = sites(stage.id).flatMap((site) => [`www${page}.${site}`, `cdn.${site}`]);
      await run(`${names.map((name) => `curl -s -m 3 http://${name}/ &`).join(' ')} wait; sleep 0.3`);
    }
    const reverse = Array.from({ length: 80 }, (_, i) => `-x 10.0.0.${i}`).join(' ');
    await run(`dig +tries=1 ${reverse} >/dev/null; dig +tries=1 SRV _http._tcp.deb.debian.org >/dev/null`);
    await run('for i in 1 2 3 4 5 6 7 8; do getent ahosts registry.npmjs.org; done >/dev/null; sleep 0.3');
    await sleep(3000); // time-outs, and what waits in queues
    await stage.assertRingKept();
    assert.ok(stage.queries().length > 300, `${stage.queries().length} queries`);
    assert.ok(
      stage.queries().some(({ resource }) => resource['process.executable.name'] === 'unbound'),
      "the resolver's own traffic was seen",
    );
    assert.deepEqual(
      stage.findings().map(({ record }) => record.body?.stringValue),
      [],
    );
    assert.doesNotMatch(stage.agent.errors, /switched off/);
  } finally {
    await unbound.stop();
    await stage.close();
  }
});
