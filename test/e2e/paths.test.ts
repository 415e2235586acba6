/**
 * Real clients ask a real server over devices on top of each other: each lookup is one record with its owner and its answer, on every
 * path that this kernel has devices for.
 *
 * WHODNS_TEST_HOOK names the hook family (default: the agent's own choice). With WHODNS_TEST_PATHS=all every client asks once and no
 * device may be missing, with `short` so on some paths only; else thrice, and a path whose devices this kernel lacks is skipped.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineStats } from '../../src/pipeline.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { PATHS, type Path, PRELUDE, SERVER4, SERVER6 } from './paths.ts';
import { nameOf } from './stage.ts';

const HOOK = process.env['WHODNS_TEST_HOOK'] ?? 'auto';
const SHORT = process.env['WHODNS_TEST_PATHS'] === 'short';
const ALL = SHORT || process.env['WHODNS_TEST_PATHS'] === 'all';
const ROUNDS = ALL ? 1 : 3;
const ANSWER = '192.0.2.1';
const TIMEOUT_S = 3;
const START_MS = 180_000;
const PATIENCE_MS = 10_000;
const KERNEL = release().split('.', 2).join('.');
/**
 * 7.2, `tracepoint`: on ipvlan (l2) the packets that wait for their neighbour, one of IPv4 and one of IPv6, leave before their sender is
 * known. Their records have no process, and are counted so.
 */
const mostUnowned = ({ name }: Path): number =>
  HOOK === 'tracepoint' && KERNEL === '7.2' && name.includes('ipvlan (l2)') ? 2 : 0;

/** The first ones wait for the neighbour's address. */
const CLIENTS: readonly {
  readonly program: string;
  readonly words: (name: string) => string[];
  readonly v6?: true;
}[] = [
  { program: 'dig', words: (name) => [`@${SERVER4}`, '+tries=1', '+timeout=5', name] },
  { program: 'dig', words: (name) => [`@${SERVER4}`, '+tries=1', '+timeout=5', '+tcp', name] },
  { program: 'dig', words: (name) => [`@${SERVER6}`, '+tries=1', '+timeout=5', name], v6: true },
  { program: 'drill', words: (name) => [name, `@${SERVER4}`] }, // an unconnected socket
  { program: 'kdig', words: (name) => [`@${SERVER6}`, '+tcp', name], v6: true },
];

interface Asked {
  readonly name: string;
  readonly pid: number;
  readonly udp: boolean;
}

class Way {
  readonly client: Namespace;
  readonly host: Namespace;
  readonly server: Namespace;

  private constructor(client: Namespace, host: Namespace, server: Namespace) {
    this.client = client;
    this.host = host;
    this.server = server;
  }

  static async open(): Promise<Way> {
    return new Way(await Namespace.open(), await Namespace.open(), await Namespace.open());
  }

  /** What the kernel has not; undefined: everything is there. */
  lay(path: Path): string | undefined {
    const env = {
      ...process.env,
      C: String(this.client.pid),
      H: String(this.host.pid),
      S: String(this.server.pid),
    };
    const { status, stderr } = spawnSync('sh', ['-c', PRELUDE + path.script], { env, encoding: 'utf8' });
    if (status === 0) return undefined;
    if (/Unknown device type|Operation not supported|unknown filter/.test(stderr)) return stderr.trim();
    throw new Error(`${path.name}: ${stderr}`);
  }

  async close(): Promise<void> {
    for (const namespace of [this.client, this.host, this.server]) await namespace.close();
  }
}

const needsRoot = process.getuid?.() !== 0 && 'needs root';

describe('every path of a packet', { skip: needsRoot }, () => {
  const zone = `p${process.pid}.test`;
  const directory = mkdtempSync(join(tmpdir(), 'whodns-paths-'));
  const stats = join(directory, 'stats.json');
  const everything: Asked[] = [];
  let agent: Agent;

  before(async () => {
    agent = Agent.start([...AGENT, '--hook', HOOK, '--timeout', `${TIMEOUT_S}s`, '--stats', stats]);
    const deadline = performance.now() + START_MS;
    while (!agent.errors.includes('capturing with')) {
      assert.ok(agent.running && performance.now() < deadline, agent.errors);
      await sleep(50);
    }
  });
  after(async () => {
    await agent.stop();
    rmSync(directory, { recursive: true });
  });

  for (const [index, path] of PATHS.entries()) {
    if (SHORT && !path.short) continue;
    test(path.name, async (t) => {
      const way = await Way.open();
      let server: NameServer | undefined;
      try {
        if (ALL && path.nft) return t.skip('the test machine has no nft');
        const except = path.except?.[KERNEL];
        if (except !== undefined) return t.skip(except);
        const lacks = way.lay(path);
        assert.ok(!ALL || lacks === undefined, lacks);
        if (lacks !== undefined) return t.skip(`this kernel lacks it: ${lacks}`);
        const below = `${index}.${zone}`;
        const addresses = path.only4 ? [SERVER4] : [SERVER4, SERVER6];
        server = await startDnsmasq(
          way.server,
          { name: zone, lines: [`address=/${zone}/${ANSWER}`] },
          addresses,
        );
        const asked = await askAll(path, path.inHost ? way.host : way.client, below);
        everything.push(...asked);
        await agent.waitFor((records) => recordsOf(records, asked).length >= asked.length, PATIENCE_MS);
        assertSame(recordsOf(agent.records, asked), asked, mostUnowned(path));
        const requests = server.requests().filter(({ type }) => type === 'A');
        assert.deepEqual(requests.map(({ name }) => name).sort(), asked.map(({ name }) => name).sort());
      } finally {
        await server?.stop();
        await way.close();
      }
    });
  }

  test('and nothing more: neither records when their time is over nor requests in the kernel’s counts', async () => {
    await sleep(TIMEOUT_S * 1000 + 500);
    assert.equal(await agent.stop(), 0, agent.errors);
    const records = recordsOf(agent.records, everything);
    const max = PATHS.reduce((sum, path) => sum + mostUnowned(path), 0);
    assertSame(records, everything, max);
    const { processes, source } = JSON.parse(readFileSync(stats, 'utf8')) as PipelineStats;
    const unowned = namesWithoutOwner(records);
    assert.equal(source.drops['no_owner'] ?? 0, unowned.size, JSON.stringify(source));
    const counted = new Map(processes.map((each) => [each.pid, each.udpRequests]));
    const owned = everything.filter(({ name }) => !unowned.has(name));
    const over = owned.filter(({ pid, udp }) => counted.get(pid) !== (udp ? 1 : 0));
    assert.deepEqual(over, [], JSON.stringify(source));
  });
});

async function askAll(path: Path, namespace: Namespace, below: string): Promise<Asked[]> {
  const asked: Asked[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, { program, words, v6 }] of CLIENTS.entries()) {
      if (v6 && path.only4) continue;
      const name = `r${round}c${index}.${below}`;
      const { pid, exitCode, output, errors } = await namespace.run([program, ...words(name)]);
      assert.ok(exitCode === 0 && output.includes(ANSWER), `${program}: ${output}${errors}`);
      asked.push({ name, pid, udp: !words(name).includes('+tcp') });
    }
  }
  return asked;
}

interface Seen {
  readonly name: unknown;
  readonly pid: unknown;
  readonly answers: unknown;
  readonly error: unknown;
}

/** The agent sees the whole host. By process too: what is no lookup at all has no name. */
function recordsOf(records: readonly JsonRecord[], asked: readonly Asked[]): JsonRecord[] {
  const names = new Set(asked.map(({ name }) => name));
  const pids = new Set(asked.map(({ pid }) => pid));
  return records.filter(
    (record) => names.has(nameOf(record)) || pids.has(Number(record.resource['process.pid'])),
  );
}

const seen = ({ attributes, resource }: JsonRecord): Seen => ({
  name: attributes['dns.question.name'],
  pid: resource['process.pid'],
  answers: attributes['dns.answers'],
  error: attributes['error.type'],
});

const namesWithoutOwner = (records: readonly JsonRecord[]): ReadonlySet<unknown> =>
  new Set(records.filter(({ resource }) => resource['process.pid'] === undefined).map(nameOf));

function assertSame(records: readonly JsonRecord[], asked: readonly Asked[], max: number): void {
  const unowned = namesWithoutOwner(records);
  assert.ok(unowned.size <= max, `without a process: ${[...unowned].join(', ')}`);
  const wanted = asked.map(({ name, pid }) => ({
    name,
    pid: unowned.has(name) ? undefined : pid,
    answers: [ANSWER],
    error: undefined,
  }));
  assert.deepEqual(records.map(seen).sort(byName), wanted.sort(byName));
}

const byName = (a: Seen, b: Seen): number => (String(a.name) < String(b.name) ? -1 : 1);
