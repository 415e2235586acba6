/**
 * tcpdump's capture files against tshark: same messages, ids, flags, names, types, rcodes, answers.
 * Where tshark shows something else, the table says what and why.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { replay } from './replay.ts';
import { inWords, tshark } from './tshark.ts';

const CAPTURES = new URL('pcaps/', import.meta.url).pathname;
const PORTS = [53, 8053];
const noTshark = spawnSync('tshark', ['--version']).error !== undefined && 'tshark is not installed';

/** Files that are read differently on purpose: how many messages we give, what the first says, and why. */
const DIFFERENT: Readonly<Record<string, { messages: number; reason: string; offset: number; why: string }>> =
  {
    'dns-zlip-1.pcap': empty(),
    'dns-zlip-2.pcap': empty(),
    'dns-zlip-3.pcap': empty(),
    'dns-badlabel.pcap': {
      messages: 1,
      reason: 'name_too_long',
      offset: 266,
      why: 'the name has over 255 octets; tshark makes a question "<Name too long>" of it and goes on in the middle',
    },
    'dns_fwdptr.pcap': {
      messages: 1,
      reason: 'name_pointer',
      offset: 46,
      why: 'a forward pointer; tshark makes questions "<Name too long>" of it',
    },
    'dns_udp_2.pcap': {
      messages: 2,
      reason: 'cut',
      offset: 56,
      why: 'the capture was limited: tshark adds the records it cannot read as errors, both give the first answer',
    },
  };

function empty() {
  const why = 'the UDP header says 8 bytes: the datagram is empty, tshark shows no DNS';
  return { messages: 1, reason: 'short_header', offset: 0, why };
}

for (const file of readdirSync(CAPTURES).filter((name) => name.endsWith('.pcap'))) {
  const different = DIFFERENT[file];
  if (different === undefined) {
    test(`${file} as tshark reads it`, { skip: noTshark }, async () => {
      const { events, damage, ledger } = await replay(CAPTURES + file, PORTS);
      assert.deepEqual(
        events.map(inWords),
        tshark(CAPTURES + file, PORTS).map(({ told }) => told),
      );
      assert.deepEqual(
        events.map(({ message }) => message.malformed),
        events.map(() => undefined),
      );
      assert.equal(damage, undefined);
      assert.equal(ledger.missing, 0);
    });
  } else {
    test(`${file} otherwise than tshark: ${different.why}`, async () => {
      const { events, damage, ledger } = await replay(CAPTURES + file, PORTS);
      assert.equal(events.length, different.messages);
      const { reason, offset } = different;
      assert.deepEqual(events.at(-1)?.message.malformed, { reason, offset });
      assert.equal(damage, undefined);
      assert.equal(ledger.missing, 0);
    });
  }
}
