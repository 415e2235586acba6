/**
 * The kernel's own counts of the datagrams on the loopback device of a namespace, between the program that sends and the
 * socket that receives: packet filter rules count both ends of the way, the device counts what its queue (softirq backlog,
 * net.core.netdev_max_backlog) could not hold.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespace } from '../matrix/namespace.ts';

const RULES = `table inet datagrams {
  counter requests_sent {}
  counter requests_arrived {}
  counter answers_sent {}
  counter answers_arrived {}
  chain output {
    type filter hook output priority 0
    udp dport 53 counter name requests_sent
    udp sport 53 counter name answers_sent
  }
  chain input {
    type filter hook input priority 0
    udp dport 53 counter name requests_arrived
    udp sport 53 counter name answers_arrived
  }
}`;
const SETTLE_LIMIT_MS = 20_000;
const QUIET_MS = 200;

export interface DatagramCounts {
  readonly requests_sent: number;
  readonly requests_arrived: number;
  readonly answers_sent: number;
  readonly answers_arrived: number;
  /** Packets that the loopback device dropped, of either direction. */
  readonly device_dropped: number;
}

async function runInside(namespace: Namespace, argv: readonly string[]): Promise<string> {
  const { exitCode, output, errors } = await namespace.run(argv);
  assert.equal(exitCode, 0, errors);
  return output;
}

/** Starts to count. @param namespace new, so that everything begins at zero */
export async function countDatagrams(namespace: Namespace): Promise<void> {
  await runInside(namespace, ['nft', RULES]);
}

async function readCounts(namespace: Namespace): Promise<DatagramCounts> {
  const { nftables } = JSON.parse(await runInside(namespace, ['nft', '-j', 'list', 'counters'])) as {
    nftables: { counter?: { name: string; packets: number } }[];
  };
  const counters = nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : []));
  const devices = await runInside(namespace, ['cat', '/proc/net/dev']);
  // bytes, packets, errors, drop
  const dropped = Number(/^ *lo: *\d+ +\d+ +\d+ +(\d+)/m.exec(devices)?.[1]);
  return { ...Object.fromEntries(counters), device_dropped: dropped } as DatagramCounts;
}

/** The counts when nothing is under way any more. */
export async function settledCounts(namespace: Namespace): Promise<DatagramCounts> {
  const deadline = performance.now() + SETTLE_LIMIT_MS;
  let counts = await readCounts(namespace);
  for (;;) {
    await sleep(QUIET_MS);
    const now = await readCounts(namespace);
    const sent = now.requests_sent + now.answers_sent;
    const ended = now.requests_arrived + now.answers_arrived + now.device_dropped;
    if (sent === ended && JSON.stringify(now) === JSON.stringify(counts)) return now;
    assert.ok(performance.now() < deadline, `datagrams are under way for ever: ${JSON.stringify(now)}`);
    counts = now;
  }
}
