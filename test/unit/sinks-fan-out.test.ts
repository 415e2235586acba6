import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { Ledger } from '../../src/ledger.ts';
import type { LogEvent } from '../../src/model.ts';
import { ConsoleJsonSink } from '../../src/sinks/console/json.ts';
import { FanOut } from '../../src/sinks/fan-out.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { logEvent } from './sink-events.ts';

/** A sink with a defect: it throws at every second event, before or after it counted the event, and hangs for ever. */
class BrokenSink implements Sink {
  readonly name = 'broken';
  readonly #ledger: Ledger;
  readonly #countsFirst: boolean;
  #calls = 0;

  constructor(ledger: Ledger, countsFirst: boolean) {
    this.#ledger = ledger;
    this.#countsFirst = countsFirst;
  }

  accept(_: LogEvent): void {
    const stage = this.#ledger.stage('sink:broken');
    const throws = ++this.#calls % 2 === 0;
    if (!throws || this.#countsFirst) stage.in++;
    if (throws) throw new Error('a defect');
    stage.out++;
  }

  flush(): Promise<void> {
    return Promise.reject(new Error('a defect'));
  }

  close(): Promise<void> {
    return new Promise(() => {});
  }
}

for (const countsFirst of [false, true]) {
  test(`a sink that throws and hangs changes nothing for the others (counts first: ${countsFirst})`, async () => {
    const ledger = new Ledger();
    const lines: string[] = [];
    const notices = { warn: (m: string) => lines.push(m), info: (m: string) => lines.push(m) };
    const stuck = new ConsoleJsonSink({ stream: new Writable({ write: () => {} }), ledger: new Ledger() });
    const good = new ConsoleJsonSink({ stream: new PassThrough().resume(), ledger });
    const fanOut = new FanOut([new BrokenSink(ledger, countsFirst), stuck, good], ledger, notices);
    for (let i = 0; i < 10; i++) fanOut.accept(logEvent());
    await good.flush();
    const begun = performance.now();
    await fanOut.close(200);
    assert.ok(performance.now() - begun < 3000);
    const stages = new Map(ledger.snapshot().map((stage) => [stage.name, stage]));
    for (const stage of stages.values()) assert.equal(stage.missing, 0, stage.name);
    assert.equal(stages.get('sink:console')?.out, 10);
    assert.deepEqual(stages.get('sink:broken')?.dropped, { error: 5 });
    assert.equal(stages.get('sink:fan-out')?.out, 10);
    assert.deepEqual(lines, [
      'broken: failed on a record (further ones are only counted): Error: a defect',
      'broken: did not close in time',
    ]);
  });
}

test('without sinks events are counted and gone', async () => {
  const ledger = new Ledger();
  const fanOut = new FanOut([], ledger, { warn: () => {}, info: () => {} });
  fanOut.accept(logEvent());
  await fanOut.flush();
  await fanOut.close(10);
  const [stage] = ledger.snapshot();
  assert.deepEqual([stage?.in, stage?.out, stage?.missing], [1, 1, 0]);
});
