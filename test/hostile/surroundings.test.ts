/**
 * Hosts that lack something, or have very little of it: the agent captures, with exact books, or says in one line what it needs.
 * Elsewhere: the clock (test/kernel/clock.test.ts), certificates (test/e2e/otlp-tls.test.ts), a full disk below each kind of file
 * (test/unit/spool-full.test.ts, test/e2e/lines-file.test.ts), memory (memory.test.ts).
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildClients } from '../clients/build.ts';
import { ACTOR, ANSWER, nameOf, only, SERVER } from '../e2e/stage.ts';
import { AGENT, Agent, type JsonRecord } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { ControlGroup } from './control-group.ts';
import { reportAttack } from './report.ts';

const NOBODY = 65534;
const START_MS = 60_000;
/** In a group of 5 % of a processor. */
const SLOW_START_MS = 300_000;

const zone = `s${randomBytes(4).toString('hex')}.test`;
const directory = mkdtempSync(join(tmpdir(), 'whodns-surroundings-'));
let namespace: Namespace;
let server: NameServer;

/** Each agent is ended with the process. */
process.setMaxListeners(0);

before(async () => {
  buildClients();
  chmodSync(directory, 0o755);
  namespace = await Namespace.open();
  server = await startDnsmasq(namespace, { name: zone, lines: [`address=/${zone}/${ANSWER}`] }, [SERVER]);
});
after(async () => {
  await server.stop();
  await namespace.close();
  rmSync(directory, { recursive: true, force: true });
});

interface Stats {
  readonly stages: readonly { readonly name: string; readonly missing: number }[];
  readonly source: {
    readonly counters: Readonly<Record<string, number>>;
    readonly drops: Readonly<Record<string, number>>;
  };
}

/** In a mount namespace of its own, after the commands. */
const mounted = (commands: string) => (argv: readonly string[]) => [
  ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c', `set -e; ${commands}; exec "$@"`, 'sh'],
  ...argv,
];
const limited = (limit: string) => (argv: readonly string[]) => ['prlimit', limit, ...argv];
const CAPABILITIES = '-all,+bpf,+perfmon';
const unprivileged = (argv: readonly string[]) => [
  ...['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--inh-caps', CAPABILITIES],
  ...['--ambient-caps', CAPABILITIES, '--bounding-set', CAPABILITIES, ...argv],
];
const HIDEPID = 'mount -t proc -o hidepid=2 none /proc';

type Wrapper = (argv: readonly string[]) => readonly string[];

/** Each captures. */
const SURVIVED: Readonly<Record<string, Wrapper>> = {
  'without /sys/fs/cgroup': mounted('umount -l /sys/fs/cgroup'),
  'with hidepid=2': mounted(HIDEPID),
  'with hidepid=2, as an ordinary user with CAP_BPF and CAP_PERFMON': (argv) =>
    mounted(HIDEPID)(unprivileged(argv)),
  'without names of users': mounted('mount --bind /dev/null /etc/passwd'),
  'in a chroot': (argv) => [
    ...['unshare', '--mount', '--propagation', 'private', 'sh', '-c'],
    ...[
      `set -e; mkdir ${directory}/root; mount --rbind / ${directory}/root; exec chroot ${directory}/root "$@"`,
      'sh',
    ],
    ...argv,
  ],
  'with 64 KiB of RLIMIT_MEMLOCK': limited('--memlock=65536:65536'),
  'with 64 open files': limited('--nofile=64:64'),
};

/** Each is refused, in one line and one of what to do. */
const REFUSED: Readonly<Record<string, { readonly wrap: Wrapper; readonly says: RegExp }>> = {
  'without /proc': {
    wrap: mounted('umount -l /proc'),
    says: /^whodns: \/proc is not mounted\n {2}[^\n]+\n$/,
  },
  'without /sys': {
    wrap: mounted('umount -l /sys'),
    says: /^whodns: this kernel has no BTF [^\n]+\n {2}[^\n]+\n$/,
  },
  'without rights': {
    wrap: (argv) => ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', ...argv],
    says: /^whodns: [^\n]+\n( {2}[^\n]+\n)+$/,
  },
};

let agents = 0;

function start(wrap: Wrapper): { readonly agent: Agent; readonly stats: string } {
  const own = join(directory, String(agents++));
  mkdirSync(own);
  if (wrap([]).includes(`--reuid=${NOBODY}`)) chownSync(own, NOBODY, NOBODY);
  const stats = join(own, 'stats');
  const keep = (record: JsonRecord): boolean => nameOf(record).endsWith(zone);
  return { agent: Agent.start(wrap([...AGENT, '--stats-file', stats]), keep), stats };
}

/** Every stage's books, and the kernel's. */
function assertBooks(path: string): void {
  const { stages, source } = JSON.parse(readFileSync(path, 'utf8')) as Stats;
  assert.deepEqual(
    stages.filter(({ missing }) => missing !== 0),
    [],
  );
  const { requests = 0, responses = 0, submitted = 0 } = source.counters;
  assert.equal(requests + responses, submitted + (source.drops['ring_full'] ?? 0));
}

async function assertCaptures(wrap: Wrapper, startMs = START_MS): Promise<number> {
  const name = `n${randomBytes(4).toString('hex')}.${zone}`;
  const begun = performance.now();
  const { agent, stats } = start(wrap);
  try {
    const isCapturing = (): boolean => agent.errors.includes('capturing with');
    assert.ok(await agent.waitFor(isCapturing, startMs), `not capturing: ${agent.errors}`);
    const startedMs = performance.now() - begun;
    const { output } = await namespace.run([ACTOR, 'ask', SERVER, name]);
    await agent.waitFor((records) => records.some((record) => nameOf(record) === name), START_MS);
    const record = only(agent.records.filter((each) => nameOf(each) === name));
    assert.equal(record.attributes['dns.response_code'], 'NOERROR');
    assert.equal(record.resource['process.pid'], Number(output.split(' ')[0]));
    assert.equal(record.attributes['whodns.attribution'], 'kernel');
    assert.equal(await agent.stop(), 0, agent.errors);
    assertBooks(stats);
    return startedMs;
  } finally {
    await agent.stop();
  }
}

describe('the agent', { concurrency: 4 }, () => {
  it('captures with a tenth of a processor from its start on', async (t) => {
    const group = ControlGroup.cpu(`whodns-test-${process.pid}`, 0.1);
    try {
      const startedMs = await assertCaptures((argv) => group.enter(argv), SLOW_START_MS);
      t.diagnostic(`capturing after ${Math.round(startedMs / 100) / 10} s`);
      reportAttack({
        attack: 'a tenth of a processor from the start on',
        stranger: 'host',
        holds: 'it captures, and its books are exact',
        figure: `capturing after ${Math.round(startedMs / 100) / 10} s`,
      });
    } finally {
      await group.remove();
    }
  });

  for (const [what, wrap] of Object.entries(SURVIVED))
    it(`captures ${what}`, async () => {
      await assertCaptures(wrap);
      reportAttack({
        attack: `the agent ${what}`,
        stranger: 'host',
        holds: 'it captures, and its books are exact',
        figure: '1 of 1 lookups right',
      });
    });

  for (const [what, { wrap, says }] of Object.entries(REFUSED)) {
    it(`says what it needs ${what}`, async () => {
      const { agent } = start(wrap);
      for (let waited = 0; agent.running && waited < START_MS; waited += 50) await sleep(50);
      assert.ok(!agent.running, 'it goes on');
      assert.match(agent.errors, says);
      reportAttack({
        attack: `the agent ${what}`,
        stranger: 'host',
        holds: 'it does not start, and says in one line what it needs',
        figure: 'said',
      });
    });
  }
});
