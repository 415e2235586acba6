/** Messages read where they lie: in a large buffer, amid bytes of others, one view for all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD, RECORD_WORDS } from '../../src/dns/frame.ts';
import { decodeMessage, Message } from '../../src/dns/message.ts';
import { ByteWriter } from '../../src/lib/byte-writer.ts';
import { TYPE_MESSAGES } from '../fuzz/type-messages.ts';
import { WORST_MESSAGES } from '../fuzz/worst-messages.ts';

const PARTS = ['questions', 'answers', 'authorities', 'additionals', 'edns', 'malformed'] as const;

/** The message at 300 of a buffer full of an octet. */
function amid(octet: number, bytes: Uint8Array): Uint8Array {
  const memory = new Uint8Array(bytes.length + 600).fill(octet);
  memory.set(bytes, 300);
  return memory;
}

test('a message amid bytes of others is the message alone, and so is its copy', () => {
  const view = new Message();
  for (const bytes of [...TYPE_MESSAGES, ...Object.values(WORST_MESSAGES)]) {
    const alone = decodeMessage(bytes);
    const memory = amid(0xc0, bytes);
    view.parse(memory, 300, bytes.length, bytes.length);
    const kept = view.keep();
    for (const message of [view, kept]) {
      for (const part of PARTS) assert.deepEqual(message[part], alone[part]);
      assert.equal(message.digest(7), alone.digest(7));
    }
    // A copy does not change with what comes after it in the same memory.
    memory.fill(0);
    view.parse(memory, 0, 12, 12);
    assert.deepEqual(kept.answers, alone.answers);
    assert.deepEqual([view.questions, view.answers, view.edns, view.id], [[], [], undefined, 0]);
  }
});

test('what lies behind the end of a message is not read, wherever it ends', () => {
  const view = new Message();
  for (const bytes of TYPE_MESSAGES) {
    for (let size = 0; size < bytes.length; size++) {
      const part = bytes.subarray(0, size);
      for (const length of [size, bytes.length]) {
        const alone = decodeMessage(part, length);
        // What follows in memory would go on with the message, or be anything.
        view.parse(size % 2 === 0 ? bytes : amid(size & 255, part), size % 2 === 0 ? 0 : 300, size, length);
        for (const part of PARTS) assert.deepEqual(view[part], alone[part], `${part} of ${size}`);
      }
    }
  }
});

test('a view of a damaged message has nothing of the message before it', () => {
  const view = new Message();
  const whole = TYPE_MESSAGES.find((bytes) => decodeMessage(bytes).hasEdns) as Buffer;
  const nothing = decodeMessage(new Uint8Array(0));
  view.parse(whole, 0, whole.length, whole.length);
  assert.ok(view.answers.length > 0 && view.edns !== undefined);
  view.parse(whole, 0, 5, whole.length);
  assert.deepEqual(view.malformed, { reason: 'cut', offset: 5 });
  for (const key of [
    'id',
    'flags',
    'opcode',
    'rcode',
    'questionCount',
    'questionsRead',
    'questionType',
  ] as const)
    assert.equal(view[key], nothing[key]);
  assert.deepEqual([view.questions, view.answers, view.additionals, view.edns], [[], [], [], undefined]);
  assert.equal(view.response, false);
});

test('what is written stays in bounds and ends when the bytes change behind the view', () => {
  const view = new Message();
  const out = new ByteWriter(0);
  const loop = Uint8Array.of(1, 97, 0xc0, 12, 0xc0, 14, 0xff, 0xff);
  for (const bytes of [...TYPE_MESSAGES, ...Object.values(WORST_MESSAGES)]) {
    for (const octet of [0xc0, 0xff, 1, 63, 64, 0xbf, -1]) {
      const memory = Uint8Array.from(bytes);
      view.parse(memory, 0, memory.length, memory.length);
      if (octet >= 0) memory.fill(octet, 12);
      else for (let at = 12; at < memory.length; at++) memory[at] = loop[(at - 12) % loop.length] as number;
      for (let record = 0; record < Math.min(view.answerCount, 20); record++) {
        out.position = 0;
        view.writeName(out, view.records[record * RECORD_WORDS + RECORD.OWNER] as number);
        view.writeRdata(out, record);
        assert.ok(out.position <= out.bytes.length);
      }
      view.digest(1);
      view.hashName(1);
      view.edns;
    }
  }
});

/** Least of several: the runtime itself allocates now and then. */
function bytesPerCall(call: () => void): number {
  const CALLS = 2000;
  let min = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 30; round++) {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < CALLS; i++) call();
    const grown = process.memoryUsage().heapUsed - before;
    if (grown >= 0) min = Math.min(min, grown / CALLS); // negative: the collector ran
  }
  return min;
}

test('to frame, write, hash and compare makes no garbage', () => {
  const view = new Message();
  const out = new ByteWriter(0x10000);
  const [bytes] = TYPE_MESSAGES as [Buffer];
  const memory = amid(0xff, bytes);
  const use = () => {
    view.parse(memory, 300, bytes.length, bytes.length);
    out.position = 0;
    view.writeName(out, 12);
    for (let record = 0; record < view.answerCount; record++) view.writeRdata(out, record);
    return (view.hashName(1) ^ view.digest(1)) | 0;
  };
  for (let i = 0; i < 20_000; i++) use();
  const used = bytesPerCall(use);
  assert.ok(used < 2, `${used} bytes`);
  // The measure is not blind.
  const decode = () => view.parse(memory, 300, bytes.length, bytes.length).answers;
  const decoded = bytesPerCall(decode);
  assert.ok(decoded > 50, `${decoded} bytes`);
});
