/**
 * A DNS tunnel, the end that runs on the host watched: sends random bytes in names through the resolver and takes bytes from
 * TXT answers; checks that the other end got every byte.
 * Usage: tunnel-client.ts RESOLVER DOMAIN MESSAGES A-SECOND BYTES-EACH
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeMessage, labels } from '../../unit/dns-encode.ts';
import { nameOf } from './tunnel-message.ts';

const [resolver = '', domain = '', ...numbers] = process.argv.slice(2);
const [messages = 0, perSecond = 1, bytesEach = 16] = numbers.map(Number);
const TXT = 16;
const DEADLINE_MS = 60_000;

const socket = createSocket('udp4');
await new Promise<void>((resolve) => socket.connect(53, resolver, resolve));
const waiting = new Map<number, string>();
socket.on('message', (answer) => {
  const id = answer.readUInt16BE(0);
  // The other end answers with the hash of what it got.
  if (answer.includes(waiting.get(id) ?? '?')) waiting.delete(id);
});
const started = performance.now();
for (let i = 0; i < messages; i++) {
  const bytes = randomBytes(bytesEach);
  bytes.writeUInt16BE(i, 0);
  waiting.set(i, createHash('sha256').update(bytes).digest('hex'));
  const question = { name: labels(nameOf(bytes, domain)), type: TXT, class: 1 };
  const parts = { questions: [question], answers: [], authorities: [], additionals: [] };
  socket.send(encodeMessage({ id: i, flags: 0x0100, ...parts }));
  const due = started + (i * 1000) / perSecond;
  if (due > performance.now()) await sleep(due - performance.now());
}
while (waiting.size > 0 && performance.now() - started < DEADLINE_MS) await sleep(20);
socket.close();
assert.equal(waiting.size, 0, 'messages that did not arrive');
