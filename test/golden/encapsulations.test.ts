/** Every encapsulation that replay reads, against tshark, and what a user is told of those that it does not read. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { PcapSource } from '../../src/capture/pcap.ts';
import { encodeMessage, labels } from '../unit/dns-encode.ts';
import { encapsulations } from '../unit/encapsulations.ts';
import { ipv4, Pcapng, pcap, udp } from '../unit/pcap-write.ts';
import { replay } from './replay.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodns-encapsulations-'));
after(() => rmSync(directory, { recursive: true }));

function file(bytes: Uint8Array, name = 'file'): string {
  const path = join(directory, name);
  writeFileSync(path, bytes);
  return path;
}

function query(name: string): Uint8Array {
  return encodeMessage({
    id: 77,
    flags: 0x0100,
    questions: [{ name: labels(name), type: 1, class: 1 }],
    answers: [],
    authorities: [],
    additionals: [],
  });
}

const packet = (name: string) => ipv4(udp(40_000, 53, query(name)));

test('every encapsulation gives its request, as it does to tshark', async () => {
  const count = encapsulations(packet('x.test')).length;
  const cases = Array.from({ length: count }, (_, i) => {
    const found = encapsulations(packet(`n${i}.test`))[i];
    assert.ok(found);
    return found;
  });
  const writer = new Pcapng(false);
  const blocks = cases.flatMap(({ linkType, frame }, i) => [
    writer.interface(linkType, 0),
    writer.enhanced(i, 1_000_000n, frame),
  ]);
  const path = file(Buffer.concat([writer.section(), ...blocks]));
  const { events, stats } = await replay(path);
  const names = new Set(events.map(({ message }) => message.questions[0]?.name));
  const missing = cases.filter((_, i) => !names.has(`n${i}.test`)).map(({ name }) => name);
  assert.deepEqual(missing, []);
  assert.equal(events.length, cases.length);
  assert.equal(stats.counters['unreadable'], 0);

  const output = execFileSync('tshark', ['-r', path, '-Y', 'dns', '-T', 'fields', '-e', 'dns.qry.name'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const seen = new Set(output.split(/[\n,]/));
  const unread = cases.filter((each, i) => !each.unknownToTshark && !seen.has(`n${i}.test`));
  assert.deepEqual(
    unread.map(({ name }) => name),
    [],
  );
});

test('cut at every byte and with every byte changed: nothing thrown, nothing read beyond the frame', async () => {
  for (const { linkType, frame } of encapsulations(packet('x.test'))) {
    const frames = Array.from(frame, (value, at) => [
      { bytes: frame.subarray(0, at) },
      { bytes: Uint8Array.from(frame, (each, i) => (i === at ? value ^ 0xff : each)) },
      { bytes: Uint8Array.from(frame, (each, i) => (i === at ? 0 : each)) },
    ]).flat();
    const { ledger } = await replay(file(pcap(linkType, frames)));
    assert.equal(ledger.missing, 0);
  }
});

test('thousands of nested headers end at a bound', async () => {
  const tags = (hex: string, count: number) => Buffer.from(hex.repeat(count), 'hex');
  const macs = Buffer.alloc(12);
  const deep = [
    Buffer.concat([macs, tags('81000005', 20_000)]),
    Buffer.concat([macs, tags(`6558${'00'.repeat(12)}`, 5_000)]),
    Buffer.concat([macs, Buffer.from('8847', 'hex'), tags('00010000', 20_000)]),
    Buffer.concat([macs, Buffer.from('8864', 'hex'), tags('110000010000003dc0000000', 5_000)]),
  ];
  let nested = packet('x.test');
  for (let i = 0; i < 50; i++) nested = ipv4(nested, { protocol: 4 });
  deep.push(Buffer.concat([macs, Buffer.from('0800', 'hex'), nested]));
  const { events } = await replay(
    file(
      pcap(
        1,
        deep.map((bytes) => ({ bytes })),
      ),
    ),
  );
  assert.deepEqual(events, []);
});

test('a packet taken on several devices is one, a repeated question is two', async () => {
  const at = (us: number, identification: number) => ({
    bytes: ipv4(udp(40_000, 53, query('x.test')), { identification }),
    time: 1_700_000_000_000_000_000n + BigInt(us) * 1000n,
  });
  const read = async (...frames: { bytes: Uint8Array; time: bigint }[]) =>
    (await replay(file(pcap(101, frames)))).events.length;
  assert.equal(await read(at(0, 7), at(20, 7), at(40, 7)), 1);
  assert.equal(await read(at(0, 7), at(20, 8)), 2, 'another identification');
  assert.equal(await read(at(0, 0), at(20, 0)), 1, 'without identification, 20 us later');
  assert.equal(await read(at(0, 0), at(5000, 0)), 2, 'without identification, 5 ms later');
  assert.equal(await read(at(0, 7), at(1_000_000, 7)), 2, 'a second later');
});

test('link types that are not read are named, and are an error where nothing else is there', async () => {
  const report = async (path: string) => {
    const source = new PcapSource({ file: path, ports: [53] });
    await source.start(() => undefined);
    await source.finished;
    return source.report();
  };
  const all = await report(file(pcap(147, [{ bytes: packet('x.test') }, { bytes: packet('x.test') }])));
  assert.match(all.errors.join(), /2 packets of link type 147 not read/);
  const writer = new Pcapng(false);
  const some = await report(
    file(
      Buffer.concat([
        writer.section(),
        writer.interface(101, 0),
        writer.interface(189, 0),
        writer.enhanced(0, 1n, packet('x.test')),
        writer.enhanced(1, 2n, packet('x.test')),
      ]),
    ),
  );
  assert.deepEqual(some.errors, []);
  assert.match(some.warnings.join(), /1 packets of link type 189 not read/);
  assert.match(some.summary, /2 packets, 1 of requests, 0 of answers/);
});

test('gzip and zstd are unpacked; what is cut or damaged gives what stands before', async () => {
  // Random names: what is cut must be far from the beginning also when packed.
  const name = () => randomBytes(24).toString('hex');
  const plain = pcap(
    101,
    Array.from({ length: 10_000 }, () => ({ bytes: packet(`${name()}.test`) })),
  );
  for (const pack of [gzipSync, zstdCompressSync]) {
    const packed = pack(plain);
    const read = await replay(file(packed));
    assert.equal(read.events.length, 10_000);
    assert.equal(read.damage, undefined);
    const cut = await replay(file(packed.subarray(0, packed.length - 2000)));
    assert.match(cut.damage?.reason ?? '', /cut/);
    assert.ok(cut.events.length > 5000 && cut.events.length < 10_000, `${cut.events.length}`);
    await assert.rejects(
      replay(file(packed.subarray(0, 12))),
      /compressed data is cut|is not a capture file/,
    );
    const damaged = Buffer.from(packed);
    const middle = Math.floor(packed.length / 2);
    damaged.fill(0xff, middle, middle + 640);
    const rest = await replay(file(damaged)).catch(() => undefined);
    // zstd has no checksum by default: then it is the records that make no sense.
    assert.ok(rest === undefined || rest.damage !== undefined || rest.events.length <= 10_000);
  }
});

test('a file that unpacks to gigabytes is read in bounded memory', async () => {
  const before = process.memoryUsage().rss;
  const header = pcap(101, []);
  const record = pcap(101, [{ bytes: new Uint8Array(65_000) }]).subarray(24);
  const packed = Buffer.concat([gzipSync(header), gzipSync(Buffer.concat(Array(4000).fill(record)))]);
  assert.ok(packed.length < 1_000_000);
  const { stats } = await replay(file(packed));
  assert.equal(stats.counters['packets'], 4000);
  assert.ok(process.memoryUsage().rss - before < 400 * 1024 * 1024);
});

test('the modified pcap format: 24 bytes before each packet', async () => {
  const bytes = packet('x.test');
  const whole = pcap(101, [{ bytes, time: 5_000_000_000n }]);
  whole.writeUInt32LE(0xa1b2cd34, 0);
  const header = 24 + 16;
  const modified = Buffer.concat([whole.subarray(0, header), Buffer.alloc(8, 0xee), whole.subarray(header)]);
  const { events, damage } = await replay(file(modified));
  assert.equal(damage, undefined);
  assert.deepEqual(
    events.map(({ message }) => message.questions[0]?.name),
    ['x.test'],
  );
});

test('fragments: the datagram has the time of the piece that completes it', async () => {
  const payload = udp(53, 40_000, query('x.test'));
  const piece = (from: number, to: number, seconds: bigint) => ({
    bytes: ipv4(payload.subarray(from, to), {
      identification: 9,
      fragmentOffset: from,
      more: to < payload.length,
    }),
    time: seconds * 1_000_000_000n,
  });
  for (const pieces of [
    [piece(0, 16, 100n), piece(16, payload.length, 106n)],
    [piece(16, payload.length, 100n), piece(0, 16, 106n)],
  ]) {
    const { events } = await replay(file(pcap(101, pieces)));
    assert.deepEqual(
      events.map(({ raw }) => raw.time),
      [106_000_000_000n],
    );
  }
});
