/** Back pressure of a file that is read faster than it can be exported: `room` of the sinks. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Ledger } from '../../src/ledger.ts';
import { FanOut } from '../../src/sinks/fan-out.ts';
import { limited } from '../../src/sinks/limits.ts';
import { logEvent } from '../unit/sink-events.ts';
import { logsSink } from './otlp-sinks.ts';
import { Receiver } from './receiver.ts';

const notices = { warn: () => {}, info: () => {} };

describe('room', () => {
  it('waits for what is sealed, not for what is still being built', async (t) => {
    const receiver = await Receiver.grpc();
    t.after(() => receiver.stop());
    receiver.reply = () => ({ delayMs: 300 });
    const ledger = new Ledger();
    const delivery = await logsSink({
      protocol: 'grpc',
      url: receiver.url,
      ledger,
      notices,
      limits: { batchSize: 10, delayMs: 5000 },
    });
    t.after(() => delivery.close(0));
    const sink = new FanOut([limited(delivery, { count: 32, length: undefined })], ledger, notices);
    for (let i = 0; i < 5; i++) sink.accept(logEvent());
    const begun = performance.now();
    await sink.room();
    assert.ok(performance.now() - begun < 100, 'nothing is sealed: there is room at once');
    for (let i = 0; i < 8; i++) sink.accept(logEvent());
    await sink.room();
    assert.equal(receiver.records.length, 10);
    assert.ok(performance.now() - begun >= 250, 'the request had to be answered');
    receiver.reply = () => ({});
    await sink.close(2000);
    assert.equal(receiver.records.length, 13);
    await sink.room();
  });

  it('does not wait for ever when a sink is closed meanwhile', async (t) => {
    const receiver = await Receiver.grpc();
    t.after(() => receiver.stop());
    receiver.reply = () => ({ delayMs: 2000 });
    const ledger = new Ledger();
    const limits = { batchSize: 1 };
    const sink = await logsSink({ protocol: 'grpc', url: receiver.url, ledger, notices, limits });
    sink.accept(logEvent());
    const room = sink.room();
    await sleep(50);
    await sink.close(100);
    await room;
  });
});
