/** What the kernel left out, as user space tells it: counts to one, each once, on the right workload; and other rates by rule. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Suppressions } from '../../src/capture/suppressions.ts';
import { RateRules } from '../../src/enrich/containers/rate-rules.ts';
import { Fairness } from '../../src/lib/fairness.ts';
import type { Owner, ProcessCount, ProcessIdentity, Suppression } from '../../src/model.ts';
import { toGaveWayLog, toSuppressedLog } from '../../src/records/suppressed-record.ts';
import { ProcessSeries } from '../../src/sinks/metrics/process-series.ts';
import { OPTIONS } from '../../src/tables/options.ts';
import { COMMON_SHARE, SHARE_KEY, SHARE_VALUE } from '../../src/wire/layout.gen.ts';
import { decodeCommonShares, decodeShares, type Share } from '../../src/wire/shares.ts';

const SECOND = 1_000_000_000n;

function share(cgroupId: bigint, requests: number, change: Partial<Share> = {}): Share {
  return {
    key: new Uint8Array(16),
    share: { cgroupId, user: 1000 },
    common: undefined,
    ...{ requests, responses: 0, connections: 0, since: 0n, full: 0n, isHeld: false },
    ...change,
  };
}

describe('what was left out', () => {
  it('is told once, share by share, with the time it began', () => {
    const suppressions = new Suppressions();
    const at = (now: bigint, ...shares: Share[]) => suppressions.look(shares, now, 1000n * SECOND);
    const first = at(10n * SECOND, share(1n, 5, { since: 3n * SECOND }), share(2n, 0));
    assert.deepEqual(
      first.found.map(({ share: { cgroupId }, requests, since }) => ({ cgroupId, requests, since })),
      [{ cgroupId: 1n, requests: 5, since: 1003n * SECOND }],
    );
    const second = at(
      20n * SECOND,
      share(1n, 5, { since: 3n * SECOND }),
      share(2n, 7, { since: 12n * SECOND }),
    );
    assert.deepEqual(
      second.found.map(({ share: { cgroupId }, requests, since }) => ({ cgroupId, requests, since })),
      [{ cgroupId: 2n, requests: 7, since: 1012n * SECOND }],
    );
    const third = at(30n * SECOND, share(1n, 9, { since: 3n * SECOND }), share(2n, 7));
    assert.deepEqual(
      third.found.map(({ requests, since }) => ({ requests, since })),
      [{ requests: 4, since: 1020n * SECOND }],
    );
  });

  it('a share not asked for minutes may go, but not before it was told of', () => {
    const suppressions = new Suppressions();
    const late = 1000n * SECOND;
    const untold = suppressions.look([share(1n, 3)], late, 0n);
    assert.equal(untold.found.length, 1);
    assert.equal(untold.idle.length, 0);
    assert.equal(suppressions.look([share(1n, 3)], late, 0n).idle.length, 1);
    assert.equal(suppressions.look([share(1n, 0, { full: late - SECOND })], late, 0n).idle.length, 0);
    // The same group once more, with an entry of its own that counts from zero.
    assert.deepEqual(
      suppressions.look([share(1n, 2, { full: late })], late, 0n).found.map(({ requests }) => requests),
      [2],
    );
  });

  it('entries of the maps are read', () => {
    const bytes = new Uint8Array(SHARE_KEY.SIZEOF + SHARE_VALUE.SIZEOF);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(SHARE_KEY.cgroup_id, 77n, true);
    view.setUint32(SHARE_KEY.user, 0xffffffff, true);
    view.setBigUint64(SHARE_KEY.SIZEOF + SHARE_VALUE.suppressed_requests, 4n, true);
    view.setBigUint64(SHARE_KEY.SIZEOF + SHARE_VALUE.suppressed_responses, 3n, true);
    const [found] = decodeShares(bytes);
    assert.deepEqual(found?.share, { cgroupId: 77n, user: undefined });
    assert.deepEqual([found?.requests, found?.responses, found?.connections], [4, 3, 0]);
    const common = new Uint8Array(4 + SHARE_VALUE.SIZEOF);
    new DataView(common.buffer).setUint32(0, COMMON_SHARE.UNASKED, true);
    assert.deepEqual(
      decodeCommonShares(common).map(({ common: name }) => name),
      ['unasked'],
    );
  });
});

const SUPPRESSION: Suppression = {
  share: { cgroupId: 77n, user: 1000 },
  common: undefined,
  ...{ requests: 12, responses: 3, connections: 0, since: 5n * SECOND },
};

function identity(change: Partial<ProcessIdentity>): ProcessIdentity {
  const resource = {
    'service.name': 'shop',
    'process.pid': 42,
    'process.executable.name': 'app',
    'process.command_args': ['app', '--x'],
    'whodns.process.parent.executable.name': 'sh',
    'k8s.pod.name': 'shop-1',
    ...change.resource,
  };
  return {
    ...{ pid: 42, startTime: 1n, attribution: 'kernel', executableName: 'app' },
    ...{ containerId: undefined, workload: '' },
    ...change,
    resource,
  } as ProcessIdentity;
}

describe('whodns.suppressed', () => {
  it('is on the workload, not on a process', () => {
    const process = identity({ containerId: 'a'.repeat(64), workload: 'shop-1' });
    const { eventName, attributes, process: subject, body } = toSuppressedLog(SUPPRESSION, process, {}, 9n);
    assert.equal(eventName, 'whodns.suppressed');
    assert.deepEqual(attributes, {
      'whodns.suppressed.requests': 12,
      'whodns.suppressed.responses': 3,
      'whodns.suppressed.connections': 0,
      'whodns.suppressed.since': '1970-01-01T00:00:05.000Z',
      'whodns.suppressed.share': 'cgroup',
      'whodns.suppressed.cgroup.id': '77',
      'whodns.suppressed.user.id': 1000,
    });
    assert.deepEqual(subject.resource, { 'service.name': 'shop', 'k8s.pod.name': 'shop-1' });
    assert.match(body, /^shop-1: 12 requests, 3 answers/);
  });

  it('on the host it names the executable, and escapes a hostile one', () => {
    const evil = identity({
      executableName: 'ev\u001b[31mil',
      resource: { 'process.executable.name': 'ev\u001b[31mil' },
    });
    const { process: subject, body } = toSuppressedLog(SUPPRESSION, evil, { 'host.name': 'h' }, 9n);
    assert.equal(subject.resource['process.executable.name'], 'ev\u001b[31mil');
    assert.equal(subject.resource['process.pid'], undefined);
    assert.equal(subject.resource['host.name'], 'h');
    assert.ok(!body.includes('\u001b'), body);
  });

  it('at a bound of the agent: told once, to one, workload by workload, and what had no room the next time', () => {
    const fairness = new Fairness();
    const sent = new Map<string, number>();
    const told = new Map<string, number>();
    const tell = (max: number) => {
      const found = fairness.untold(max);
      for (const { bound, count } of found) told.set(bound, (told.get(bound) ?? 0) + count);
      return found.length;
    };
    // More workloads than are counted apart, so that some are told as others.
    for (let i = 0; i < 1000; i++) {
      const bound = i % 3 === 0 ? 'requests_full' : 'streams_full';
      fairness.gaveWay({ pid: i, uid: 1000, cgroupId: BigInt(1 + (i % 300)) }, bound, 1 + (i % 5));
      sent.set(bound, (sent.get(bound) ?? 0) + 1 + (i % 5));
      if (i % 100 === 0) assert.ok(tell(7) <= 7);
    }
    while (tell(64) > 0);
    assert.deepEqual(told, sent);
    assert.deepEqual(fairness.untold(64), []);
    fairness.gaveWay({ pid: 1, uid: 1000, cgroupId: 2n }, 'requests_full');
    assert.deepEqual(fairness.untold(64), [
      { owner: { pid: 1, uid: 1000, cgroupId: 2n }, cgroupId: 2n, bound: 'requests_full', count: 1 },
    ]);
  });

  it('at a bound of the agent: on the workload, who is known by an address only on the host', () => {
    const untold = {
      ...{ owner: { pid: 42, uid: 1000, cgroupId: 77n }, cgroupId: 77n },
      ...{ bound: 'requests_full', count: 118 },
    };
    const process = identity({ containerId: 'a'.repeat(64), workload: 'shop-1' });
    const event = toGaveWayLog(untold, process, {}, 5n * SECOND, 9n);
    assert.deepEqual(event.attributes, {
      'whodns.suppressed.bound': 'requests_full',
      'whodns.suppressed.given_up': 118,
      'whodns.suppressed.since': '1970-01-01T00:00:05.000Z',
      'whodns.suppressed.share': 'cgroup',
      'whodns.suppressed.cgroup.id': '77',
      'whodns.suppressed.user.id': 1000,
    });
    assert.deepEqual(event.process.resource, { 'service.name': 'shop', 'k8s.pod.name': 'shop-1' });
    assert.equal(event.body, 'shop-1: gave way 118 times, requests_full');
    const address = { ...untold, cgroupId: -7n };
    const other = toGaveWayLog(address, undefined, { 'host.name': 'h' }, 5n * SECOND, 9n);
    assert.equal(other.attributes['whodns.suppressed.share'], 'unknown');
    assert.equal(other.attributes['whodns.suppressed.cgroup.id'], undefined);
    assert.equal(other.process.resource['host.name'], 'h');
  });

  it('where no process is known it is on the host', () => {
    const unknown = { ...SUPPRESSION, common: 'unasked' };
    const { attributes, process: subject } = toSuppressedLog(unknown, undefined, { 'host.name': 'h' }, 9n);
    assert.equal(attributes['whodns.suppressed.share'], 'unasked');
    assert.equal(attributes['whodns.suppressed.cgroup.id'], undefined);
    assert.deepEqual(subject.resource, { 'service.name': 'unknown_service', 'host.name': 'h' });
  });
});

describe('other rates', () => {
  const told = (
    rules: readonly string[],
    owner: Partial<Owner>,
    resource: Readonly<Record<string, string>>,
  ) => {
    const set: unknown[] = [];
    const rates = new RateRules({
      rules: rules.map((text) => {
        const parsed = OPTIONS.cgroupRateFor.parse(text);
        assert.ok('value' in parsed, text);
        return parsed.value;
      }),
      ...{ rate: 5000, burst: 50_000, mountNamespace: 1 },
      setRate: (...rate) => set.push(rate),
    });
    const whose = { cgroupId: 7n, mountNamespace: 1, ...owner } as Owner;
    rates.seen(whose, identity({ resource }));
    rates.seen(whose, identity({ resource }));
    return set;
  };

  it('of a namespace, told once for a group, with as long a burst', () => {
    assert.deepEqual(told(['namespace=pay:20000'], {}, { 'k8s.namespace.name': 'pay' }), [
      [7n, 20_000, 200_000],
    ]);
    assert.deepEqual(told(['namespace=pay:20000'], {}, { 'k8s.namespace.name': 'other' }), []);
    assert.deepEqual(told(['namespace=pay:0'], {}, { 'k8s.namespace.name': 'pay' }), [[7n, 0, 1]]);
  });

  it('of an executable of the host, not of the same path in a container', () => {
    const path = { 'process.executable.path': '/usr/sbin/unbound' };
    assert.deepEqual(told(['executable=/usr/sbin/unbound:9000'], {}, path), [[7n, 9000, 90_000]]);
    assert.deepEqual(told(['executable=/usr/sbin/unbound:9000'], { mountNamespace: 2 }, path), []);
  });

  it('a rule that cannot be is refused', () => {
    for (const text of [
      '',
      'pay:1',
      'namespace=:1',
      'namespace=a',
      'executable=unbound:1',
      'namespace=a:99999999',
      'user=a:1',
    ])
      assert.ok('problem' in OPTIONS.cgroupRateFor.parse(text), text);
  });
});

describe('requests of processes that came and went untold', () => {
  it('are in the overflow series, once', () => {
    const entry = (pid: number, udpRequests: number, exited?: true): ProcessCount => ({
      ...{ pid, startTime: 1n, udpRequests, tcpRequests: 0, requestBytes: 0, lastSeen: 1n, cgroupId: 1n },
      share: { cgroupId: 1n, user: 0 },
      ...(exited ? { exited } : {}),
    });
    let processes: ProcessCount[] = [entry(1, 5)];
    let gone = 0;
    const exited = () => ({ udpRequests: gone, tcpRequests: 0, requestBytes: 0, processes: 0 });
    const series = new ProcessSeries({ processes: () => processes, exited, forget: () => undefined }, 0n);
    const sum = (now: bigint) => series.collect(now, 'delta').reduce((total, { count }) => total + count, 0);
    assert.equal(sum(1n), 5);
    // It exits with 7, and is still listed; another one with 3 came and went in between.
    processes = [entry(1, 7, true)];
    gone = 10;
    assert.equal(sum(2n), 5);
    processes = [];
    assert.equal(sum(3n), 0);
    processes = [entry(2, 1)];
    assert.equal(sum(4n), 1);
  });
});
