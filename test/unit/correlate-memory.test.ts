/** What strangers send cannot write where others' requests lie. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MS, PROCESS, request, type Spec, setUp } from './correlate-events.ts';

describe('requests in flight: memory', () => {
  it('one who sends again from ever new sockets takes no slot from others', () => {
    const { ask, reply, lookups, stage, correlator } = setUp({ maxInFlight: 16 });
    for (let id = 0; id < 8; id++)
      for (let port = 0; port < 20; port++)
        ask({ id, local: { address: '10.0.0.2', port: 1000 + port }, socket: BigInt(port + 1) });
    const victim: Spec = { name: 'victim.example', owner: { pid: 200, tid: 200 } };
    const ids = Array.from({ length: 8 }, (_, i) => 100 + i);
    for (const id of ids) ask({ ...victim, id });
    assert.equal(correlator.evicted, 0);
    for (const id of ids) reply({ ...victim, at: MS, id });
    assert.deepEqual(
      lookups.map(({ outcome, request: { message } }) => [message.id, outcome]),
      ids.map((id) => [id, 'answered']),
    );
    // The retransmissions are counted all the same.
    correlator.flush();
    assert.equal(
      lookups.reduce((sum, { retries }) => sum + retries, 0),
      8 * 19,
    );
    assert.equal(stage.snapshot().missing, 0);
  });

  it('room for further attempts comes back when their lookups end', () => {
    const { ask, reply, lookups } = setUp({ maxInFlight: 16 });
    for (let round = 0; round < 50; round++) {
      const at = BigInt(round) * 10n * MS;
      const second: Spec = { local: { address: '10.0.0.2', port: 41_000 }, socket: 2n };
      ask({ at, id: round, socket: 1n });
      ask({ at: at + MS, id: round, ...second });
      reply({ at: at + 2n * MS, id: round, ...second });
    }
    assert.equal(lookups.length, 50);
    assert.ok(
      lookups.every(({ outcome, request: { raw } }) => outcome === 'answered' && raw.localPort === 41_000),
    );
  });

  it('what is given out at once leaves the piece that it was read from alone', () => {
    // A DSO message with id 0 (RFC 8490 section 5.4): the reader's own view of the batch, which is used again.
    const { correlator, ask, reply, lookups } = setUp();
    const piece = request({ id: 0, message: { opcode: 6 } });
    const { words } = piece.raw;
    const before = words.slice();
    correlator.request(piece.raw, piece.message, PROCESS);
    assert.equal(lookups[0]?.outcome, 'sent');
    ask({ id: 9, name: 'other.example' });
    reply({ at: MS, id: 9, name: 'other.example' });
    assert.equal(lookups[1]?.request.message.questions[0]?.name, 'other.example');
    assert.equal(piece.raw.words, words);
    assert.equal(piece.raw.at, 0);
    assert.deepEqual(words, before);
    assert.equal(piece.message.opcode, 6);
  });
});
