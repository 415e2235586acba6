/** The tracepoint family on the running kernel, with real traffic in network namespaces of its own. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import {
  buildLoader,
  COUNTER,
  captureWhile,
  DROP,
  DUPLICATE_DEVICE,
  FLAG,
  LOADER,
  LOADS,
  lostMessages,
  OBJECT,
} from './capture.ts';
import { faultsOf, parseTraffic } from './conversations.ts';

const missing =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync('/sys/kernel/btf/vmlinux') && 'this kernel has no BTF';
/** bpf/maps.h */
const SCRATCHES = 4;
const CLIENTS = [
  'dig +tries=1 +timeout=2 @127.0.0.1 one.test',
  'kdig +tcp @::1 two.test',
  'getent hosts three.test',
];
const quoted = CLIENTS.map((client) => `"${client}"`).join(' ');
/** getent asks the server that resolv.conf names: one on loopback. */
const OWN_RESOLV_CONF =
  'exec unshare -m sh -ec \'t=$(mktemp); echo nameserver 127.0.0.1 > $t; mount --bind $t /etc/resolv.conf; rm $t; exec "$@"\' sh';

describe('tracepoint family', { skip: missing }, () => {
  before(buildLoader);

  test('every way to send and receive, exactly once, with its owner', async () => {
    const script = `${OWN_RESOLV_CONF} python3 test/bpf/traffic.py ${quoted}`;
    const { captured, output } = await captureWhile('tracepoint', script);
    const { conversations, clients } = parseTraffic(output);
    assert.ok(conversations.length >= 29, `${conversations.length} conversations`);
    assert.deepEqual(faultsOf(captured, conversations, clients), []);
  });

  for (const [load, options] of Object.entries(LOADS))
    test(`the verifier takes it: ${load}`, () => {
      const { stderr } = spawnSync(LOADER, [OBJECT, 'tracepoint', ...options.split(' ')], {
        encoding: 'utf8',
      });
      assert.match(stderr, /^loaded$/m, stderr.slice(-4000));
    });

  test('per-process counters equal what each process sent', async () => {
    const { captured, output } = await captureWhile('tracepoint', 'python3 test/bpf/traffic.py');
    const { conversations } = parseTraffic(output);
    const pid = conversations[0]?.pid;
    const own = conversations.filter((conversation) => conversation.pid === pid);
    const sent = own.filter(({ protocol }) => protocol === 'udp').flatMap(({ requests }) => requests);
    const counted = captured.counted.find(({ tgid }) => tgid === pid);
    assert.equal(counted?.udp, sent.length);
    const streams = own.filter(({ protocol }) => protocol === 'tcp').flatMap(({ requests }) => requests);
    assert.equal(counted?.bytes, [...sent, ...streams].join('').length / 2);
  });

  test('the agent itself is left out', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-self-'));
    const go = join(directory, 'go');
    const self = spawn('unshare', [
      '-n',
      'sh',
      '-ec',
      `ip link set lo up; exec python3 test/bpf/packets.py self ${go}`,
    ]);
    try {
      const said = new Promise((resolve) =>
        self.stdout.once('data', (text: Buffer) => resolve(text.toString())),
      );
      const script = `touch ${go}; while [ -e /proc/${self.pid}/exe ]; do sleep 0.05; done`;
      const options = ['--self', String(self.pid)];
      const { captured } = await captureWhile('tracepoint', script, options, 'everywhere');
      assert.match(String(await said), /sent 3/);
      assert.deepEqual(
        captured.messages.filter((message) => message.owner.tgid === self.pid),
        [],
      );
      assert.ok((captured.counters[COUNTER.self] ?? 0) >= 3, `${captured.counters}`);
    } finally {
      self.kill('SIGKILL');
      rmSync(directory, { recursive: true });
    }
  });

  test('a full ring loses messages and counts each', async () => {
    const script = 'python3 test/bpf/packets.py flood';
    const { captured, output } = await captureWhile('tracepoint', script, ['--ring', '16384', '--count']);
    const [requests, responses, submitted] = [COUNTER.requests, COUNTER.responses, COUNTER.submitted].map(
      (index) => captured.counters[index] ?? 0,
    ) as [number, number, number];
    const { sent, pid } = JSON.parse(output) as { sent: number; pid: number };
    assert.ok(lostMessages(captured) > 0, 'the ring never was full');
    assert.equal(requests + responses, submitted + lostMessages(captured));
    assert.equal(captured.records, submitted + (captured.counters[COUNTER.processes] ?? 0));
    assert.equal(captured.counted.find(({ tgid }) => tgid === pid)?.udp, sent);
  });

  test('a process record finds a place as long as there is one; without it its loss is counted', async () => {
    const script = 'exec python3 test/bpf/packets.py exec';
    const lastFree = await captureWhile('tracepoint', script, ['--taken', String(SCRATCHES - 1)]);
    const pid = Number(/pid (\d+)/.exec(lastFree.output)?.[1]);
    assert.equal(lastFree.captured.processes.filter(({ owner }) => owner.tgid === pid).length, 2);
    assert.deepEqual([...new Set(lastFree.captured.drops)], [0]);
    const { captured } = await captureWhile('tracepoint', script, ['--taken', String(SCRATCHES)]);
    assert.deepEqual(captured.processes, []);
    assert.equal(captured.counters[COUNTER.processes], 0);
    assert.equal(captured.messages.length, 2);
    // Of a process that is not announced yet each request tries again.
    assert.ok((captured.drops[DROP.processRingFull] ?? 0) >= 2, `${captured.drops}`);
  });

  test('an owner is told once, and with a new id when anything of it changes', async () => {
    const { captured, output } = await captureWhile(
      'tracepoint',
      'exec python3 test/bpf/packets.py changing',
    );
    const pid = Number(/pid (\d+)/.exec(output)?.[1]);
    const owners = captured.messages.map(({ owner }) => owner).filter(({ tgid }) => tgid === pid);
    assert.deepEqual(
      owners.map(({ comm, uid, tid }) => [comm, uid, tid === pid]),
      [
        ...[1, 2].map(() => ['python3', 0, true]),
        ...[1, 2].map(() => ['renamed', 0, true]),
        ...[1, 2].map(() => ['renamed', 65534, true]),
        ...[1, 2].map(() => ['renamed', 0, false]),
      ],
    );
    const ids = owners.map(({ id }) => id);
    assert.deepEqual(
      ids,
      [0, 0, 2, 2, 4, 4, 6, 6].map((index) => ids[index]),
    );
    assert.equal(new Set(ids).size, 4);
  });

  test('a program replaced by exec is announced anew', async () => {
    const { captured, output } = await captureWhile('tracepoint', 'exec python3 test/bpf/packets.py exec');
    const pid = Number(/pid (\d+)/.exec(output)?.[1]);
    const records = captured.processes.filter((process) => process.owner.tgid === pid);
    assert.deepEqual(
      records.map((record) => record.args.at(-1)),
      ['exec', 'executed'],
    );
    assert.equal(captured.messages.filter((message) => message.owner.tgid === pid).length, 2);
  });
});

describe('tracepoint family between two hosts', { skip: missing }, () => {
  before(buildLoader);

  /** Runs one scene of packets.py; messages are those of the client's namespace. */
  async function scene(name: string) {
    const { captured, output } = await captureWhile('tracepoint', `exec python3 test/bpf/packets.py ${name}`);
    const said = JSON.parse(output) as { pid: number; requests: string[]; responses: string[] };
    const of = (direction: string) => captured.messages.filter((message) => message.direction === direction);
    return { captured, said, requests: of('request'), responses: of('response') };
  }
  const payloads = (messages: readonly { payload: string }[]) => messages.map((message) => message.payload);

  test('a packet that waits for its neighbour is its sender’s', async () => {
    const { said, requests, responses } = await scene('parked');
    assert.deepEqual(payloads(requests), said.requests);
    assert.deepEqual(payloads(responses), said.responses);
    assert.deepEqual(
      requests.map((message) => [message.flags & (FLAG.owner | FLAG.ownerCached), message.owner.tgid]),
      [
        [FLAG.owner | FLAG.ownerCached, said.pid],
        [FLAG.owner, said.pid],
      ],
    );
  });

  test('a packet that leaves when its sender has exited', async () => {
    const { captured, said, requests, responses } = await scene('parked-late');
    assert.deepEqual(payloads(requests), said.requests);
    assert.deepEqual(payloads(responses), said.responses);
    assert.equal(requests[0]?.owner.tgid, said.pid);
    assert.equal((requests[0]?.flags ?? 0) & (FLAG.owner | FLAG.ownerCached), FLAG.owner | FLAG.ownerCached);
    const record = captured.processes.find((process) => process.owner.tgid === said.pid);
    assert.deepEqual(record?.args.slice(1), ['test/bpf/packets.py', 'parked-late']);
  });

  test('a packet that leaves in an interrupt of a program that computes', async () => {
    // On every processor: an interrupt of user code is served on the program's own stack, and with it the timer that sends.
    const computing = Array.from({ length: availableParallelism() }, () =>
      spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
    );
    try {
      const { said, requests } = await scene('parked-late');
      assert.deepEqual(payloads(requests), said.requests);
      assert.equal(requests[0]?.owner.tgid, said.pid);
    } finally {
      for (const each of computing) each.kill('SIGKILL');
    }
  });

  test('a stream whose SYN waits for its neighbour', async () => {
    const { said, requests, responses } = await scene('parked-tcp');
    const data = requests.filter((message) => message.length > 0);
    assert.equal(payloads(data).join(''), said.requests.join(''));
    assert.equal(
      payloads(responses.filter((message) => message.length > 0)).join(''),
      said.responses.join(''),
    );
    assert.ok(data.every((message) => message.owner.tgid === said.pid));
    assert.equal((data[0]?.flags ?? 0) & FLAG.streamStart, FLAG.streamStart);
  });

  const noNft = spawnSync('nft', ['--version']).error !== undefined && 'nft is not installed';
  test('a translated destination: where it went, what was dialled, and the pair', {
    skip: noNft,
  }, async () => {
    const { said, requests, responses } = await scene('translated');
    const withPayload = [...requests, ...responses].filter((message) => message.length > 0);
    assert.deepEqual(payloads(withPayload), [...said.requests, ...said.responses]);
    for (const message of withPayload) {
      assert.ok(message.flags & FLAG.dialed);
      assert.equal(`${message.remote}:${message.remote_port}`, '::ffff:127.0.0.1:1053');
      assert.equal(`${message.dialed}:${message.dialed_port}`, '::ffff:127.9.9.9:53');
      assert.equal(message.owner.tgid, message.direction === 'request' ? said.pid : 0);
    }
  });

  test('a bridge and its port are one device', async () => {
    const { captured, said, requests, responses } = await scene('bridge');
    assert.deepEqual(payloads(requests), said.requests);
    assert.deepEqual(payloads(responses), said.responses);
    assert.ok((captured.counters[DUPLICATE_DEVICE] ?? 0) >= 2 * said.requests.length);
  });

  test('one message to two servers over two devices, and to one server over either', async () => {
    const script = 'exec python3 test/bpf/packets.py two-devices';
    const { captured, output } = await captureWhile('tracepoint', script);
    const { pid, sent } = JSON.parse(output) as { pid: number; sent: string[] };
    assert.equal(sent.length, 200);
    const of = (direction: string) =>
      captured.messages

        .filter(({ flags }) => (flags & FLAG.unreachable) === 0)
        .filter((message) => message.direction === direction && message.protocol === 17)
        .map((message) => message.remote.replace('::ffff:', ''));
    assert.deepEqual(of('request').sort(), sent.toSorted());
    // Of a dead server the neighbour may be given up for lost meanwhile (ICMP).
    const dead = ['10.96.0.9', 'fd96::9'];
    assert.deepEqual(
      [...new Set(of('response'))].sort(),
      [...new Set(sent)].filter((address) => !dead.includes(address)).sort(),
    );
    // What leaves after its process has gone is counted in an entry of its own.
    const counts = captured.counted.filter(({ tgid }) => tgid === pid).map(({ udp }) => udp);
    assert.equal(
      counts.reduce((sum, udp) => sum + udp, 0),
      sent.length,
      JSON.stringify(counts),
    );
  });

  test('two bridges with a cable between them are one way', async () => {
    const { said, requests, responses } = await scene('two-bridges');
    assert.deepEqual(payloads(requests), said.requests);
    assert.deepEqual(payloads(responses), said.responses);
  });

  test('IPv4 options and IPv6 extension headers', async () => {
    const { said, requests, responses } = await scene('options');
    assert.deepEqual(payloads(requests), said.requests);
    assert.deepEqual(payloads(responses), said.responses);
  });

  test('fragments: all of an answer, and of a request the first', async () => {
    const { captured, said, requests, responses } = await scene('fragments');
    const [long = '', short] = said.requests;
    assert.deepEqual(
      requests.map(({ length }) => length),
      [4000, short?.length === undefined ? 0 : short.length / 2],
    );
    assert.ok((requests[0]?.captured ?? 0) > 1400 && long.startsWith(requests[0]?.payload ?? '-'));
    assert.ok((requests[0]?.flags ?? 0) & FLAG.unreadable);
    const of = (first: (typeof responses)[number]) =>
      responses
        .filter(({ sequence }) => sequence === first.sequence)
        .sort(
          (a, b) =>
            Number(b.remote_port > 0) - Number(a.remote_port > 0) ||
            (a.local_port & 0x1fff) - (b.local_port & 0x1fff),
        );
    const firsts = responses.filter(({ remote_port }) => remote_port === 53);
    // behind the UDP header
    const whole = firsts.map((first) =>
      of(first)
        .map(({ payload }) => payload)
        .join('')
        .slice(16),
    );
    assert.deepEqual(whole, said.responses);
    assert.ok(
      responses.every(({ flags, captured: bytes, length }) => flags & FLAG.fragment && bytes === length),
    );
    // Of the datagram to another port the server's address alone is known, but for its first fragment.
    assert.equal(responses.length, 3 + 3 + 2);
    assert.equal(captured.drops[DROP.responseSuppressed], 0);
  });

  test('a response that nobody asked for is no event', async () => {
    const { captured, requests, responses } = await scene('unasked');
    assert.deepEqual([requests, responses], [[], []]);
    assert.ok((captured.counters[COUNTER.unmatched] ?? 0) >= 1);
  });

  test('what a host only forwards is no event of it', async () => {
    const { captured, said, requests, responses } = await scene('forwarded');
    assert.deepEqual(payloads(requests), said.requests);
    assert.deepEqual(payloads(responses), said.responses);
    assert.equal(captured.drops[DROP.noOwner], 0);
  });
});
