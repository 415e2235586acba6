/**
 * Nothing is lost uncounted, whatever happens: captured = delivered + dropped by reason + in flight, to the unit, from the
 * kernel's counters through every stage to what an independent receiver got; and the kernel's count of each process is what that process
 * sent, which is what the server received and what was lost before it, by the kernel's own counts of that.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineStats } from '../../src/pipeline.ts';
import type { Received } from '../clients/counting-receiver.ts';
import { end } from '../matrix/children.ts';
import { finish, Namespace } from '../matrix/namespace.ts';
import { MAIN } from '../matrix/program.ts';
import { countDatagrams, type DatagramCounts, settledCounts } from './datagram-path.ts';

const REPOSITORY = join(import.meta.dirname, '../..');
const PROGRAMS = join(REPOSITORY, 'build/bench');
const SERVER = ['127.0.0.1', '53'];
const CASE_LIMIT_MS = 60_000;
const PROGRAM_LIMIT_MS = 30_000;
/** Drop reasons of a sink after which the receiver may have got the records all the same. */
const UNCERTAIN = ['shutdown', 'timeout', 'failed', 'error'];

/** Of the run that is on; each has its own, whose counts begin at zero. */
let namespace: Namespace;
let directory: string;

before(() => {
  execFileSync('make', ['-s', '-C', join(REPOSITORY, 'bench')], { stdio: ['ignore', 'ignore', 'inherit'] });
  directory = mkdtempSync(join(tmpdir(), 'whodns-conservation-'));
});

after(() => {
  rmSync(directory, { recursive: true, force: true });
});

const services = new Set<Service>();
process.once('exit', () => {
  for (const { child } of services) child.kill('SIGKILL');
});

/** A program that runs until it is told to end. */
class Service {
  readonly child: ChildProcess;
  #said = '';
  #changed = Promise.withResolvers<void>();

  constructor(child: ChildProcess) {
    this.child = child;
    services.add(this);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text;
        this.#changed.resolve();
      });
    }
    child.once('close', () => {
      services.delete(this);
      this.#changed.resolve();
    });
  }

  async says(pattern: RegExp): Promise<RegExpExecArray> {
    const deadline = performance.now() + PROGRAM_LIMIT_MS;
    for (;;) {
      const found = pattern.exec(this.#said);
      if (found !== null) return found;
      assert.ok(
        this.child.exitCode === null && performance.now() < deadline,
        `never said ${pattern}: ${this.#said}`,
      );
      this.#changed = Promise.withResolvers();
      await Promise.race([this.#changed.promise, sleep(100)]);
    }
  }

  /** Gives what it said in all. */
  async stop(): Promise<string> {
    await end(this.child, 'SIGTERM', PROGRAM_LIMIT_MS);
    return this.#said;
  }
}

interface Sender {
  readonly pid: number;
  readonly sent: number;
}

interface Run {
  readonly stats: PipelineStats;
  readonly received: Received;
  readonly sender: Sender;
  readonly server: Server;
  /** The way between the two. */
  readonly path: DatagramCounts;
}

interface Server {
  readonly received: number;
  readonly answered: number;
  /** What its receive buffer could not hold. */
  readonly dropped: number;
}

/** The agent with a receiver, the server, then `load` with the agent's process; all ended in order. */
async function run(
  flags: readonly string[],
  load: (agent: ChildProcess) => Promise<Sender>,
  words: readonly 'silent'[] = [],
): Promise<Run> {
  const receiver = new Service(
    spawn(process.execPath, [join(REPOSITORY, 'test/clients/counting-receiver.ts')], { stdio: 'pipe' }),
  );
  const port = (await receiver.says(/^port (\d+)$/m))[1];
  namespace = await Namespace.open();
  await countDatagrams(namespace);
  const responder = new Service(namespace.spawn([join(PROGRAMS, 'responder'), ...SERVER, ...words]));
  await responder.says(/^ready$/m);
  const statsFile = join(directory, 'stats.json');
  const command = [MAIN, 'run', '--exporter', 'otlp', '--stats', statsFile, ...flags];
  const env = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  const agent = new Service(spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'pipe'] }));
  try {
    await agent.says(/capturing with/);
    const sender = await load(agent.child);
    const path = await settledCounts(namespace);
    const server = JSON.parse((await responder.stop()).replace('ready\n', '')) as Server;
    await agent.stop();
    assert.equal(agent.child.exitCode, 0);
    receiver.child.stdin?.write('\n');
    const counted = JSON.parse((await receiver.says(/^\{.*\}$/m))[0]) as Received;
    const stats = JSON.parse(readFileSync(statsFile, 'utf8')) as PipelineStats;
    return { stats, received: counted, sender, server, path };
  } finally {
    for (const service of [agent, responder, receiver]) service.child.kill('SIGKILL');
    await namespace.close();
    rmSync(statsFile, { force: true });
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

const said = ({ sender, server, path }: Run): string => JSON.stringify({ sender, server, path });

/** Every equation of the way from the sender to its server. */
function assertServed(run: Run): void {
  const { sender, server, path } = run;
  const all = said(run);
  assert.equal(path.requests_sent, sender.sent, `what the program sent = what its kernel sent ${all}`);
  assert.equal(
    path.requests_arrived,
    server.received + server.dropped,
    `arrived = received + dropped ${all}`,
  );
  assert.equal(path.answers_sent, server.answered, all);
  const requestsLost = path.requests_sent - path.requests_arrived;
  const answersLost = path.answers_sent - path.answers_arrived;
  assert.ok(requestsLost >= 0 && answersLost >= 0, all);
  assert.equal(
    requestsLost + answersLost,
    path.device_dropped,
    `lost on the way = the device dropped ${all}`,
  );
}

/** Messages that the kernel left out: no room in the ring, or over their share. */
const LOST = ['ring_full', 'response_ring_full', 'request_suppressed', 'response_suppressed'];
const lostMessages = ({ drops }: PipelineStats['source']): number =>
  LOST.reduce((total, reason) => total + (drops[reason] ?? Number.NaN), 0);

/** Every equation of the way from the sender to its server, and from the hook to the receiver of records. */
function assertConserved(run: Run): void {
  assertServed(run);
  const { stats, received, sender } = run;
  const { source, processes } = stats;
  const stage = (name: string) => {
    const found = stats.stages.find((candidate) => candidate.name === name);
    assert.ok(found, `no stage ${name} in ${JSON.stringify(stats.stages)}`);
    return found;
  };
  for (const each of stats.stages) assert.equal(each.missing, 0, JSON.stringify(each));
  const count = (name: string) => source.counters[name] ?? Number.NaN;

  const counted = processes.filter((each) => each.pid === sender.pid).map((each) => each.udpRequests);
  assert.deepEqual(counted, [sender.sent], "the kernel's count of the process = what it sent");

  assert.equal(source.missedRuns, 0);
  const captured = count('requests') + count('responses');
  assert.equal(
    captured,
    count('submitted') + lostMessages(source),
    'captured = in the ring + no room there + over their share',
  );
  const wire = stage('wire');
  const others = count('processes') + count('exits');
  assert.equal(wire.in, count('submitted') + others, 'in the ring = read');
  assert.equal(wire.out, stage('streams').in + others);
  assert.equal(stage('dns').in, stage('streams').out);
  assert.equal(stage('dns').out, stage('correlate').in + stage('answers').in);
  // A lookup may wait for the inspector, and for a container runtime where one runs: in = began to wait, out = goes on.
  const none = { in: 0, out: 0 };
  const [first, second] = ['inspection', 'containers'].map(
    (wanted) => stats.stages.find(({ name }) => name === wanted) ?? none,
  );
  const waits = {
    in: (first ?? none).in + (second ?? none).in,
    out: (first ?? none).out + (second ?? none).out,
  };
  // Records that tell what was left out, beside those of lookups.
  const suppressed = stage('suppressed');
  assert.equal(suppressed.in, suppressed.out);
  assert.equal(stage('sink:fan-out').in, stage('correlate').out - waits.in + waits.out + suppressed.out);
  const otlp = stage('sink:otlp');
  assert.equal(otlp.in, stage('sink:fan-out').out);
  const uncertain = UNCERTAIN.reduce((total, reason) => total + (otlp.dropped[reason] ?? 0), 0);
  assert.ok(
    received.records >= otlp.out && received.records <= otlp.out + uncertain,
    `delivered ${otlp.out}, perhaps ${uncertain} more; the receiver got ${received.records}`,
  );

  // the same in one line: requests = records + retries + everything dropped or held on the way
  const requestsLost = count('requests') - stage('correlate').in;
  const lostBefore =
    lostMessages(source) +
    sum(wire.dropped) +
    sum(stage('streams').dropped) +
    sum(stage('streams').filtered) +
    sum(stage('dns').filtered);
  assert.ok(
    requestsLost >= 0 && requestsLost <= lostBefore,
    `${requestsLost} requests gone, ${lostBefore} messages accounted for`,
  );
  assert.equal(
    stage('correlate').in,
    otlp.out +
      sum(otlp.dropped) +
      otlp.held +
      sum(stage('correlate').filtered) +
      sum(stage('correlate').dropped) +
      stage('correlate').held +
      waits.in -
      waits.out -
      suppressed.out,
  );
}

const lost = ({ stats }: Run): number => lostMessages(stats.source);

async function runJson(program: string, words: readonly string[]): Promise<Sender> {
  const done = await finish(namespace.spawn([join(PROGRAMS, program), ...words]), PROGRAM_LIMIT_MS);
  assert.equal(done.exitCode, 0, done.errors);
  return JSON.parse(done.output) as Sender;
}

const flood = (perSecond: number, seconds: number, threads: number): Promise<Sender> =>
  runJson('flood', [...SERVER, String(perSecond), String(seconds), String(threads)]);

/** @param names 0 = every query its own */
const load = (perSecond: number, seconds: number, names: number): Promise<Sender> =>
  runJson('load', ['rate', ...SERVER, String(perSecond), String(seconds), String(names), '16']);

test('dnsperf at 5 000 queries a second: everything is delivered', { timeout: CASE_LIMIT_MS }, async () => {
  const queries = join(directory, 'queries');
  writeFileSync(
    queries,
    Array.from({ length: 5000 }, (_, i) => `n${i}.example.test ${i % 2 ? 'AAAA' : 'A'}\n`).join(''),
  );
  const done = await run([], async () => {
    const words = ['-s', '127.0.0.1', '-d', queries, '-Q', '5000', '-l', '5', '-c', '4', '-T', '1'];
    const { pid, output, exitCode } = await finish(namespace.spawn(['dnsperf', ...words]), PROGRAM_LIMIT_MS);
    assert.equal(exitCode, 0, output);
    return { pid, sent: Number(/Queries sent:\s+(\d+)/.exec(output)?.[1]) };
  });
  assertConserved(done);
  assert.ok(done.sender.sent > 10_000);
  assert.equal(lost(done), 0);
  assert.equal(
    done.received.byPid[done.sender.pid],
    done.sender.sent,
    'every query is a record of that process',
  );
});

test('a sendmmsg flood of up to a million a second', { timeout: CASE_LIMIT_MS }, async (t) => {
  const done = await run([], () => flood(1_000_000, 3, 2));
  t.diagnostic(said(done));
  assertConserved(done);
  assert.ok(lost(done) > 0, 'the flood was more than the ring holds');
});

test('stopped by SIGSTOP for 3 s under 20 000 queries a second', { timeout: CASE_LIMIT_MS }, async () => {
  const done = await run([], async (agent) => {
    const under = load(20_000, 6, 0);
    await sleep(1500);
    agent.kill('SIGSTOP');
    await sleep(3000);
    agent.kill('SIGCONT');
    return under;
  });
  assertConserved(done);
  assert.equal(done.sender.sent, 120_000);
  assert.ok(lost(done) > 0, 'three seconds are more than the ring holds');
  assert.ok((done.received.byPid[done.sender.pid] ?? 0) > 10_000, 'it went on after SIGCONT');
});

test('a ring of 256 KB, flooded', { timeout: CASE_LIMIT_MS }, async (t) => {
  const done = await run(['--ring', '256K'], () => flood(200_000, 3, 1));
  t.diagnostic(said(done));
  assertConserved(done);
  assert.equal(done.stats.source.ring?.size, 256 * 1024);
  assert.ok(lost(done) > 0);
});

test('a server that never answers and a table of 1 000 lookups in flight', {
  timeout: CASE_LIMIT_MS,
}, async () => {
  const flags = ['--max-in-flight', '1000', '--timeout', '1s'];
  const done = await run(flags, () => load(10_000, 2, 0), ['silent']);
  assertConserved(done);
  if (lost(done) === 0) assert.equal(done.received.byPid[done.sender.pid], 20_000);
});

test('it would notice: one record more or less anywhere fails', { timeout: CASE_LIMIT_MS }, async () => {
  const done = await run([], () => load(1000, 1, 100));
  assertConserved(done);
  const records = done.received.records;
  assert.throws(() => assertConserved({ ...done, received: { ...done.received, records: records - 1 } }));
  assert.throws(() => assertConserved({ ...done, sender: { ...done.sender, sent: done.sender.sent + 1 } }));
  for (const name of ['received', 'answered', 'dropped'] as const)
    assert.throws(() =>
      assertConserved({ ...done, server: { ...done.server, [name]: done.server[name] + 1 } }),
    );
  for (const [name, count] of Object.entries(done.path))
    assert.throws(() => assertConserved({ ...done, path: { ...done.path, [name]: count + 1 } }), name);
  done.stats.stages.forEach((stage, index) => {
    for (const change of [{ in: stage.in + 1 }, { missing: 1 }]) {
      // these two are beside the way of the records
      if ('in' in change && ['sink:metrics', 'answers'].includes(stage.name)) continue;
      const stages = done.stats.stages.with(index, { ...stage, ...change });
      assert.throws(
        () => assertConserved({ ...done, stats: { ...done.stats, stages } }),
        `${stage.name} ${JSON.stringify(change)}`,
      );
    }
  });
});
