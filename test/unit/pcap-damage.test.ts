/** Files that are no captures, and captures that are cut or damaged. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { PcapSource } from '../../src/capture/pcap.ts';
import { UserError } from '../../src/lib/errors.ts';
import { replay } from '../golden/replay.ts';
import { ipv4, Pcapng, pcap, udp } from './pcap-write.ts';
import { dnsBytes } from './stream-pieces.ts';

const directory = mkdtempSync(join(tmpdir(), 'whodns-damage-'));
after(() => rmSync(directory, { recursive: true }));
const CAPTURES = new URL('../golden/pcaps/', import.meta.url).pathname;

function file(bytes: Uint8Array): string {
  const path = join(directory, 'file');
  writeFileSync(path, bytes);
  return path;
}

async function failure(path: string): Promise<UserError> {
  const source = new PcapSource({ file: path, ports: [53] });
  const [start, finished] = await Promise.allSettled([source.start(() => {}), source.finished]);
  assert.equal(start.status, 'rejected');
  assert.equal(finished.status, 'rejected');
  await source.stop();
  assert.ok(start.status === 'rejected' && start.reason instanceof UserError);
  return start.reason;
}

test('a file that is no capture, or none at all', async () => {
  const notCapture = /^\S+ is not a capture file$/;
  for (const bytes of ['', 'abc', 'some text that is long enough', '\x7fELF']) {
    assert.match((await failure(file(Buffer.from(bytes)))).message, notCapture);
  }
  const bzip2 = await failure(file(Buffer.from('BZh91AY&SY')));
  assert.match(bzip2.message, notCapture);
  assert.match(bzip2.hint ?? '', /bunzip2/);
  assert.match((await failure(join(directory, 'missing'))).message, /^cannot read \S+: no such file$/);
  mkdirSync(join(directory, 'folder'));
  assert.match((await failure(join(directory, 'folder'))).message, /^cannot read \S+: it is a directory$/);
});

test('a capture cut at every byte: what is whole is read, the rest is damage', async () => {
  for (const name of ['dns-uri.pcap']) {
    const whole = readFileSync(CAPTURES + name);
    const full = await replay(CAPTURES + name);
    const ends = new Set([24]);
    for (let at = 24; at < whole.length; at += 16 + whole.readUInt32LE(at + 8)) ends.add(at);
    for (let size = 4; size < whole.length; size++) {
      const { events, damage, ledger } = await replay(file(whole.subarray(0, size)));
      assert.equal(damage === undefined, ends.has(size), `${name} at ${size}`);
      assert.ok(damage === undefined || damage.offset <= size);
      assert.deepEqual(
        events.map(({ message }) => message),
        full.events.slice(0, events.length).map(({ message }) => message),
      );
      assert.equal(ledger.missing, 0);
    }
  }
});

test('pcapng cut at every byte, and with every byte changed', async () => {
  const w = new Pcapng(false);
  const packet = ipv4(udp(4000, 53, dnsBytes(1, 20)));
  const whole = Buffer.concat([
    w.section(),
    w.interface(101, 0),
    w.enhanced(0, 1n, packet),
    w.enhanced(0, 2n, packet),
  ]);
  for (let size = 4; size < whole.length; size++) {
    const { events, damage } = await replay(file(whole.subarray(0, size)));
    assert.ok(events.length <= 2);
    assert.ok(events.length === 0 || size > 120);
    if (damage !== undefined) assert.match(damage.reason, /^[a-z0-9 ,-]+$/);
  }
  for (let at = 4; at < whole.length; at++) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] ?? 0) ^ 0xff;
    const { events, ledger } = await replay(file(changed));
    assert.ok(events.length <= 2);
    assert.equal(ledger.missing, 0);
  }
});

test('damage says where and what', async () => {
  const frame = { bytes: ipv4(udp(4000, 53, dnsBytes(1, 20))) };
  const good = pcap(101, [frame, frame]);
  const second = 24 + 16 + frame.bytes.length;
  const cut = await replay(file(good.subarray(0, good.length - 1)));
  assert.deepEqual(cut.damage, { offset: second, reason: 'the last packet is cut' });
  assert.equal(cut.events.length, 1);
  const header = await replay(file(good.subarray(0, second + 7)));
  assert.deepEqual(header.damage, { offset: second, reason: 'the last record header is cut' });
  const huge = Buffer.from(good);
  huge.writeUInt32LE(0x7fff_ffff, second + 8);
  const claimed = await replay(file(huge));
  assert.deepEqual(claimed.damage, { offset: second, reason: 'a record claims 2147483647 bytes' });
  const w = new Pcapng(true);
  const lengths = Buffer.concat([w.section(), w.interface(101, 0)]);
  lengths.writeUInt32BE(99, lengths.length - 4);
  assert.deepEqual((await replay(file(lengths))).damage, {
    offset: 28,
    reason: 'the two lengths of a block differ',
  });
  const unknown = Buffer.concat([w.section(), w.enhanced(3, 0n, frame.bytes)]);
  assert.match((await replay(file(unknown))).damage?.reason ?? '', /^a packet of interface 3/);
});

test('stop before start, twice, and in the middle', async () => {
  const source = new PcapSource({ file: join(directory, 'never'), ports: [53] });
  await Promise.all([source.stop(), source.stop()]);
  await source.finished;
  const frame = { bytes: ipv4(udp(4000, 53, dnsBytes(1, 20))) };
  const many = new PcapSource({ file: file(pcap(101, Array(5000).fill(frame))), ports: [53] });
  let given = 0;
  await many.start((batch) => {
    given += batch.length;
    void many.stop();
  });
  await many.stop();
  await many.finished;
  assert.ok(given > 0 && given < 5000, String(given));
  assert.equal(many.stats().counters['submitted'], given);
});

test('the payload of an event does not lie in the window of the file', async () => {
  const frames = Array.from({ length: 3000 }, (_, i) => ({ bytes: ipv4(udp(4000, 53, dnsBytes(i, 400))) }));
  const source = new PcapSource({ file: file(pcap(101, frames)), ports: [53] });
  const kept: Uint8Array[] = [];
  await source.start((batch) => {
    for (const event of batch) if (event.kind === 'message') kept.push(event.payload);
  });
  await source.finished;
  assert.equal(kept.length, 3000);
  for (const [i, payload] of kept.entries()) assert.ok(dnsBytes(i, 400).equals(payload), String(i));
});
