/** What every sink must do, run against each of them with its real destination. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { Ledger, type StageSnapshot } from '../../src/ledger.ts';
import { ConsoleJsonSink } from '../../src/sinks/console/json.ts';
import { ConsoleTableSink } from '../../src/sinks/console/table.ts';
import { MemoryStore } from '../../src/sinks/delivery/request-store.ts';
import { FanOut } from '../../src/sinks/fan-out.ts';
import { copyOf } from '../../src/sinks/limits.ts';
import { createScraped } from '../../src/sinks/metrics/prometheus.ts';
import { MetricsSink } from '../../src/sinks/metrics/sink.ts';
import { createOtlpFileSink } from '../../src/sinks/otlp/file-sink.ts';
import { LinesFile } from '../../src/sinks/otlp/lines-file.ts';
import type { Sink } from '../../src/sinks/sink.ts';
import { logsSink, metricExporter } from '../e2e/otlp-sinks.ts';
import { Receiver } from '../e2e/receiver.ts';
import { identity, logEvent } from './sink-events.ts';

interface Kind {
  readonly name: string;
  readonly stage: string;
  /** The sink with a destination that works. */
  working(t: TestContext, ledger: Ledger): Promise<Sink>;
  /** The sink with a destination that takes nothing; absent where the sink holds nothing (metrics) or cannot wait (file). */
  stuck?(t: TestContext, ledger: Ledger): Promise<Sink>;
}

const notices = { warn: () => {}, info: () => {} };
const scope = { name: 'whodns', version: '0.1.0' };
const source = {
  stats: () => ({
    hook: 'pcap' as const,
    counters: {},
    drops: {},
    missedRuns: 0,
    batches: 0,
    batchBytes: 0,
    ring: undefined,
  }),
  processes: () => [],
  forget: () => {},
};

function reading(): Writable {
  return new PassThrough().resume();
}

/** Never says that a write is done: a terminal or pipe whose reader stands still. */
function notReading(): Writable {
  return new Writable({ write: () => {} });
}

async function otlp(
  t: TestContext,
  ledger: Ledger,
  protocol: 'grpc' | 'http/protobuf',
  delayMs: number,
): Promise<Sink> {
  const receiver = await (protocol === 'grpc' ? Receiver.grpc() : Receiver.http());
  receiver.reply = () => ({ delayMs });
  t.after(() => receiver.stop());
  const limits = { batchSize: 4, delayMs: 20, attemptMs: 2300 };
  return logsSink({ protocol, url: receiver.url, ledger, notices, limits });
}

function console_(ledger: Ledger, stream: Writable, format: 'table' | 'json'): Sink {
  return format === 'json'
    ? new ConsoleJsonSink({ stream, ledger })
    : new ConsoleTableSink({ stream, ledger, color: true });
}

const KINDS: readonly Kind[] = [
  ...(['table', 'json'] as const).map((format) => ({
    name: `console ${format}`,
    stage: 'sink:console',
    working: async (_: TestContext, ledger: Ledger) => console_(ledger, reading(), format),
    stuck: async (_: TestContext, ledger: Ledger) => console_(ledger, notReading(), format),
  })),
  ...(['grpc', 'http/protobuf'] as const).map((protocol) => ({
    name: `OTLP ${protocol}`,
    stage: 'sink:otlp',
    working: (t: TestContext, ledger: Ledger) => otlp(t, ledger, protocol, 0),
    stuck: (t: TestContext, ledger: Ledger) => otlp(t, ledger, protocol, 2500),
  })),
  {
    name: 'OTLP file',
    stage: 'sink:otlp-file',
    working: async (t, ledger) => {
      const directory = mkdtempSync(join(tmpdir(), 'whodns-sinks-'));
      t.after(() => rmSync(directory, { recursive: true }));
      const store = new MemoryStore({ maxBytes: 16_000_000, maxRecords: 1000 });
      const limits = { batchSize: 4, delayMs: 20 };
      const file = LinesFile.open(join(directory, 'out'));
      return createOtlpFileSink({ file, scope, ledger, notices, store, limits });
    },
  },
  {
    name: 'metrics',
    stage: 'sink:metrics',
    working: async (t, ledger) => {
      const receiver = await Receiver.grpc();
      t.after(() => receiver.stop());
      const exporter = await metricExporter('grpc', receiver.url);
      const intervals = { intervalMs: 60_000, timeoutMs: 1000 };
      return new MetricsSink({ exporter, ledger, notices, source, scope, hostAttributes: {}, ...intervals });
    },
  },
  {
    name: 'prometheus',
    stage: 'sink:prometheus',
    working: async (_, ledger) => {
      const { exporter } = createScraped();
      const intervals = { intervalMs: 60_000, timeoutMs: 1000 };
      const name = 'prometheus';
      return new MetricsSink({
        name,
        exporter,
        ledger,
        notices,
        source,
        scope,
        hostAttributes: {},
        ...intervals,
      });
    },
  },
  {
    name: 'fan-out',
    stage: 'sink:fan-out',
    working: async (_, ledger) => new FanOut([console_(ledger, reading(), 'json')], ledger, notices),
  },
];

const HOSTILE = '\x1b]0;x\x07\x00\u009b31m\u202e\u2028\ud800"\\\n';

for (const kind of KINDS) {
  describe(`sink: ${kind.name}`, () => {
    /** The ledger of a run, each stage in balance at every look. */
    const books = (): { ledger: Ledger; stage: () => StageSnapshot } => {
      const ledger = new Ledger();
      const stage = (): StageSnapshot => {
        for (const each of ledger.snapshot()) assert.equal(each.missing, 0, each.name);
        const own = ledger.snapshot().find(({ name }) => name === kind.stage);
        assert.ok(own, kind.stage);
        return own;
      };
      return { ledger, stage };
    };

    it('delivers what it accepted, and says so', async (t) => {
      const { ledger, stage } = books();
      const sink = await kind.working(t, ledger);
      assert.equal(`sink:${sink.name}`, kind.stage);
      await sink.flush(); // nothing to do
      for (let i = 0; i < 10; i++) {
        sink.accept(logEvent());
        stage();
      }
      await sink.flush();
      const { in: taken, out, held, dropped } = stage();
      assert.deepEqual({ taken, out, held, dropped }, { taken: 10, out: 10, held: 0, dropped: {} });
      await sink.close(1000);
    });

    it('takes hostile text', async (t) => {
      const { ledger, stage } = books();
      const sink = await kind.working(t, ledger);
      const resource = {
        'process.command': HOSTILE,
        'process.command_args': [HOSTILE, 'x'.repeat(1_000_000)],
      };
      const process = identity({ executableName: HOSTILE, workload: HOSTILE, resource });
      sink.accept(logEvent({ name: HOSTILE, process }));
      sink.accept({ ...copyOf(logEvent()), lookup: undefined, body: HOSTILE });
      await sink.close(2000);
      assert.equal(stage().out, 2);
    });

    it('delivers what it holds when it is closed, and counts what comes later', async (t) => {
      const { ledger, stage } = books();
      const sink = await kind.working(t, ledger);
      for (let i = 0; i < 10; i++) sink.accept(logEvent());
      await Promise.all([sink.close(2000), sink.close(1)]);
      await sink.close(1);
      assert.equal(stage().out, 10);
      sink.accept(logEvent());
      await sink.flush();
      const { in: taken, out, held, dropped } = stage();
      assert.deepEqual(
        { taken, out, held, dropped },
        { taken: 11, out: 10, held: 0, dropped: { closed: 1 } },
      );
    });

    const { stuck } = kind;
    if (stuck === undefined) return;

    it('never waits for its destination, and closes at the deadline', async (t) => {
      const { ledger, stage } = books();
      const sink = await stuck(t, ledger);
      const begun = performance.now();
      for (let i = 0; i < 50; i++) sink.accept(logEvent());
      assert.ok(performance.now() - begun < 2000);
      assert.equal(stage().held, 50);
      await sink.close(100);
      assert.ok(performance.now() - begun < 2400);
      const { out, held, dropped } = stage();
      assert.deepEqual({ out, held, dropped }, { out: 0, held: 0, dropped: { shutdown: 50 } });
      // What the destination still says after that changes nothing.
      await new Promise((resolve) => setTimeout(resolve, 2700));
      assert.equal(stage().out, 0);
    });
  });
}
