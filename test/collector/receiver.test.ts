/** otel-config/receiver in the real collector, with the real agent: attached and supervised, and what goes wrong. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { end } from '../matrix/children.ts';
import { Namespace } from '../matrix/namespace.ts';
import { MAIN } from '../matrix/program.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { collectorProgram } from './build.ts';
import { type Collector, configArguments, startCollector } from './collector.ts';
import { readRecords } from './otlp-json.ts';
import { run, START_MS } from './receiver-run.ts';
import { freePorts, waitUntil } from './running-program.ts';

const BASE = join(import.meta.dirname, 'receiver.yaml');
const COUNT = 20;

let directory = '';
let zone = '';
let namespace: Namespace;
let server: NameServer;
let tests = 0;

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-receiver-'));
  zone = `r${randomBytes(4).toString('hex')}.test`;
  namespace = await Namespace.open();
  server = await startDnsmasq(namespace, { name: zone, lines: [`address=/${zone}/192.0.2.1`] }, [
    '127.0.0.1',
  ]);
});
after(async () => {
  await server?.stop();
  await namespace?.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Options {
  readonly mode?: string;
  readonly error_mode?: string;
  readonly silence?: string;
  readonly agent?: object;
}

/** A directory of its own, with the receiver's part of the configuration. */
function prepare(options: Options, more: object = {}) {
  tests += 1;
  const work = join(directory, String(tests));
  mkdirSync(work);
  const socket = join(work, 'otlp.sock');
  const file = join(work, 'whodns.yaml');
  const agent = { command: [process.execPath, MAIN, 'run'], initial_backoff: '500ms', ...options.agent };
  writeFileSync(file, stringify({ receivers: { whodns: { endpoint: socket, ...options, agent } }, ...more }));
  return { work, socket, names: [BASE, file] };
}

/** Names that arrived, each once. */
function arrived(sink: string, prefix: string): string[] {
  const names = readRecords(sink)
    .filter(({ eventName }) => eventName === 'whodns.query')
    .map(({ attributes }) => String(attributes['dns.question.name']))
    .filter((name) => name.startsWith(prefix) && name.endsWith(zone));
  return [...new Set(names)].sort();
}

const namesOf = (prefix: string) => Array.from({ length: COUNT }, (_, i) => `${prefix}${i}.${zone}`).sort();

/** All at once: what follows comes right after them. */
async function ask(prefix: string): Promise<void> {
  const questions = namesOf(prefix).flatMap((name) => [name, 'A']);
  await namespace.run(['dig', '@127.0.0.1', '+time=2', '+tries=1', ...questions]);
}

async function assertArrive(collector: Pick<Collector, 'sink' | 'log'>, prefix: string): Promise<void> {
  await waitUntil(() => arrived(collector.sink, prefix).length >= COUNT, 90_000);
  assert.deepEqual(arrived(collector.sink, prefix), namesOf(prefix), collector.log().slice(-3000));
}

const said = (collector: Pick<Collector, 'log'>, what: RegExp, times = 1) =>
  waitUntil(() => [...collector.log().matchAll(new RegExp(what, 'g'))].length >= times, START_MS);

const agentPid = (collector: Pick<Collector, 'log'>): number =>
  Number([...collector.log().matchAll(/the agent was started\s+.*"pid": (\d+)/g)].at(-1)?.[1]);

const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
};

test("attach: the socket is the receiver's, silence is said, an agent that others start is received", async () => {
  const { work, socket, names } = prepare({ silence: '2s' });
  const collector = await startCollector(names, work);
  let agent: ReturnType<typeof run> | undefined;
  try {
    assert.equal(statSync(socket).mode & 0o777, 0o660);
    assert.ok(await said(collector, /nothing from whodns/));
    agent = run(MAIN, socket);
    const started = agent;
    assert.ok(await waitUntil(() => started.said.includes('capturing'), START_MS), started.said);
    await ask('attach');
    await assertArrive(collector, 'attach');
    // A second collector does not take the socket away.
    await assert.rejects(startCollector(names, join(work, 'second')), /another program listens on/);
    await ask('still');
    await assertArrive(collector, 'still');
  } finally {
    if (agent !== undefined) await end(agent);
    await collector.stop();
  }
});

test('supervise: lookups flow, a killed agent comes back, and its environment is its own', async () => {
  const { work, names } = prepare({
    mode: 'supervise',
    agent: { environment: { OTEL_METRIC_EXPORT_INTERVAL: '1000' } },
  });
  const collector = await startCollector(names, work, {
    OTEL_SERVICE_NAME: 'collector',
    WHODNS_EMIT: 'request',
  });
  try {
    assert.ok(await said(collector, /the agent captures/), collector.log().slice(-3000));
    await ask('first');
    await assertArrive(collector, 'first');
    const pid = agentPid(collector);
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
    assert.deepEqual(
      environment.filter((each) => /^(OTEL_SERVICE_NAME|WHODNS_)/.test(each)),
      [],
    );
    assert.ok(environment.includes('OTEL_METRIC_EXPORT_INTERVAL=1000'));
    process.kill(pid, 'SIGKILL');
    assert.ok(await said(collector, /the agent captures/, 2), collector.log().slice(-3000));
    assert.notEqual(agentPid(collector), pid);
    await ask('second');
    await assertArrive(collector, 'second');
  } finally {
    const pid = agentPid(collector);
    await collector.stop();
    assert.equal(isAlive(pid), false, 'it ends with the collector');
  }
});

test('supervise: shut down right after the lookups, every one is there', async () => {
  // A busy machine takes its time; a quiet one ends in one second.
  const { work, names } = prepare({ mode: 'supervise', agent: { stop_timeout: '90s' } });
  const collector = await startCollector(names, work);
  try {
    assert.ok(await said(collector, /the agent captures/), collector.log().slice(-3000));
    await ask('last');
    process.kill(collector.pid, 'SIGTERM');
    await waitUntil(() => !isAlive(collector.pid), 100_000);
  } finally {
    await collector.stop();
  }
  assert.deepEqual(arrived(collector.sink, 'last'), namesOf('last'), collector.log().slice(-3000));
});

test('supervise: a killed collector takes its agent along, and the next one has the socket', async () => {
  const { work, socket, names } = prepare({ mode: 'supervise' });
  const collector = await startCollector(names, work);
  assert.ok(await said(collector, /the agent captures/), collector.log().slice(-3000));
  const pid = agentPid(collector);
  await collector.stop('SIGKILL');
  assert.ok(await waitUntil(() => !isAlive(pid), 20_000), `agent ${pid} goes on`);
  assert.ok(statSync(socket).isSocket(), 'left behind');
  const next = await startCollector(names, work);
  const nextPid = await said(next, /the agent was started/).then(() => agentPid(next));
  await next.stop();
  assert.equal(isAlive(nextPid), false);
});

test('supervise: the sink is away for 6 s: nothing is lost', async () => {
  const [port] = await freePorts(1);
  const away = {
    exporters: {
      otlp_grpc: {
        endpoint: `127.0.0.1:${port}`,
        tls: { insecure: true },
        // No memory of its own: the refusal reaches the agent.
        sending_queue: { enabled: false },
        retry_on_failure: { enabled: false },
        timeout: '1s',
      },
    },
    service: { pipelines: { logs: { receivers: ['whodns'], exporters: ['otlp_grpc'] } } },
  };
  const { work, names } = prepare({ mode: 'supervise' }, away);
  const collector = await startCollector(names, work);
  let sink: Collector | undefined;
  try {
    assert.ok(await said(collector, /the agent captures/), collector.log().slice(-3000));
    await ask('away');
    await sleep(6000);
    sink = await startCollector(['agent', join(import.meta.dirname, 'file-sink.yaml')], join(work, 'sink'), {
      OTLP_GRPC_ENDPOINT: `127.0.0.1:${port}`,
    });
    await assertArrive(sink, 'away');
  } finally {
    await collector.stop();
    await sink?.stop();
  }
});

test('supervise: a wrong flag ends the collector, or is its status when errors are ignored', async () => {
  const wrong = { command: [process.execPath, MAIN, 'run', '--no-such-flag'] };
  const propagated = prepare({ mode: 'supervise', agent: wrong });
  const [health] = await freePorts(1);
  const child = spawn(await collectorProgram(), configArguments(propagated.names), {
    env: {
      ...process.env,
      COLLECTOR_HEALTH: `127.0.0.1:${health}`,
      SINK_FILE: join(propagated.work, 'sink.jsonl'),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (text) => (log += String(text)));
  assert.ok(await waitUntil(() => child.exitCode !== null, START_MS), 'it does not end');
  assert.match(log, /unknown option '--no-such-flag'/);
  assert.match(log, /the agent cannot run: exit status 2/);

  const ignored = prepare({ mode: 'supervise', error_mode: 'ignore', agent: wrong });
  const collector = await startCollector(ignored.names, ignored.work);
  try {
    assert.ok(await said(collector, /StatusPermanentError/), collector.log().slice(-3000));
    await sleep(2000);
    assert.equal([...collector.log().matchAll(/the agent was started/g)].length, 1, 'not again');
  } finally {
    await collector.stop();
  }
});

test('supervise: an agent without rights is tried again, less and less often', async () => {
  const powerless = ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--no-new-privs'];
  const { work, names } = prepare({
    mode: 'supervise',
    agent: { command: [...powerless, process.execPath, MAIN, 'run'] },
  });
  const collector = await startCollector(names, work);
  try {
    assert.ok(await said(collector, /the agent is started again/, 2), collector.log().slice(-3000));
    assert.match(collector.log(), /the agent has ended: exit status 1/);
    assert.match(collector.log(), /CAP_|privilege|permit/i, 'the agent says why');
    const waits = [...collector.log().matchAll(/started again\s+.*"in": ([\d.]+)/g)].map(([, time]) =>
      Number(time),
    );
    assert.ok((waits[0] ?? 9) <= 0.5 && (waits[1] ?? 9) <= 1, String(waits));
  } finally {
    await collector.stop();
  }
});

test('a configuration that cannot be is refused, all of it at once', async () => {
  const { work, names } = prepare({ mode: 'both', error_mode: 'none', silence: '0s' });
  await assert.rejects(startCollector(names, work), (error: Error) => {
    for (const part of [/mode: "both"/, /error_mode: "none"/, /silence: 0s/])
      assert.match(error.message, part);
    return true;
  });
});
