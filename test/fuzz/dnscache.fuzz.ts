/** A million random operations on the cache and on its plain model agree. WHODNS_FUZZ_SEED and WHODNS_FUZZ_OPERATIONS repeat or lengthen a run. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DnsCache } from '../../src/dnscache/cache.ts';
import type { Scope } from '../../src/dnscache/scope.ts';
import { at, told } from '../unit/dnscache-answers.ts';
import { Model, type ModelAnswer, type ModelScope } from './dnscache-model.ts';
import { Random } from './mutate.ts';

const SEED = Number(process.env.WHODNS_FUZZ_SEED ?? 20_261_122);
const OPERATIONS = Number(process.env.WHODNS_FUZZ_OPERATIONS ?? 1_000_000);
/** Small bounds and few names: everything meets everything else. */
const TREES = 6;
const NODES = 20;
const NAMES = ['a.test', 'b.test', 'c.test', 'd.test', 'e.test', 'f.test', 'g.test', 'h.test'];
const ADDRESSES = ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4'];
const REALMS = 2;
const PIDS = 3;
const TTLS = [0, 1, 2, 5, 30, 700];

/**
 * Links of a tree, and those an answer here brings at most: from 16 on the cache lets expired links of a tree give way
 * (store.ts, #place; test/unit/dnscache-hostile.test.ts), which the model does not know.
 */
const SMALL_TREE = 16;
const MAX_LINKS_TOLD = 4;

const random = new Random(SEED);
let cache = new DnsCache({ trees: TREES, nodes: NODES });
let model = new Model(TREES, NODES);
let seconds = 0;
const counted = { hits: 0, negativeHits: 0, expiredMisses: 0, misses: 0, evictions: 0, expirations: 0 };

function countCases(): void {
  const stats = cache.stats();
  for (const name of Object.keys(counted) as (keyof typeof counted)[]) counted[name] += stats[name];
}

/** Both start empty again before a tree outgrows the model. */
function startAnew(): void {
  countCases();
  cache = new DnsCache({ trees: TREES, nodes: NODES });
  model = new Model(TREES, NODES);
}

function addBoth(): void {
  const realm = random.below(REALMS);
  const pid = 1 + random.below(PIDS);
  const question = random.of(NAMES);
  const type = random.of(['A', 'AAAA'] as const);
  const now = Number(at(seconds));
  const lines: string[] = [];
  const links: ModelAnswer['links'][number][] = [];
  let end = question;
  for (let aliases = random.below(4); aliases > 1; aliases--) {
    const target = random.of(NAMES.filter((name) => name !== end));
    const ttl = random.of(TTLS);
    lines.push(`${end} ${ttl} CNAME ${target.toUpperCase()}`);
    links.push({ from: end, to: target, expires: now + ttl * 1e9 });
    end = target;
  }
  const addresses = random.below(3);
  for (let i = 0; i < addresses; i++) {
    const [to, ttl] = [random.of(ADDRESSES), random.of(TTLS)];
    lines.push(`${end} ${ttl} ${type} ${type === 'A' ? to : `::ffff:${to}`}`);
    links.push({ from: end, to, expires: now + ttl * 1e9 });
  }
  if (random.below(4) === 0) lines.push(`unrelated.test 60 A ${random.of(ADDRESSES)}`);
  const soaTtl = addresses === 0 && random.below(2) === 0 ? random.of(TTLS) : undefined;
  const isNxdomain = soaTtl !== undefined && random.below(2) === 0;
  const hasUnrelated = lines.at(-1)?.startsWith('unrelated') === true && type === 'A';
  // an A record, even an unrelated one, is an answer to A: no NODATA then
  const isDenied = soaTtl !== undefined && (isNxdomain || !hasUnrelated);
  cache.add(
    told({
      name: question,
      type,
      at: seconds,
      pid,
      container: `c${realm}`,
      namespace: 1,
      rcode: isNxdomain ? 3 : 0,
      answers: lines,
      authorities: soaTtl === undefined ? [] : [`test ${soaTtl} SOA ns.test a.test 1 2 3 4 900`],
    }),
  );
  const denied = isDenied ? { name: end, expires: now + (soaTtl ?? 0) * 1e9, isNxdomain } : undefined;
  model.add({ realm, pid, now, question, type, links, denied });
}

function getBoth(): void {
  const key = random.of([...NAMES, ...ADDRESSES]);
  const kind = random.below(3);
  const realm = random.below(REALMS);
  const pid = 1 + random.below(PIDS);
  const scope: Scope =
    kind === 0
      ? { kind: 'host' }
      : kind === 1
        ? { kind: 'container', containerId: `c${realm}` }
        : { kind: 'process', pid, startTime: BigInt(pid) };
  const modelScope: ModelScope = kind === 0 ? {} : kind === 1 ? { realm } : { pid };
  const expected = model.get(key, modelScope, Number(at(seconds)));
  const found = cache.find(key, scope, at(seconds));
  if ('found' in found) {
    const negative = found.negative?.rcode;
    const isNothing =
      expected === undefined || (expected.names.length === 0 && expected.addresses.length === 0);
    assert.ok(isNothing, `missing: ${key} ${JSON.stringify(expected)}`);
    assert.equal(negative, expected?.negative);
    return;
  }
  assert.ok(expected !== undefined, `too much: ${key} ${JSON.stringify(found.dns_queries)}`);
  assert.deepEqual([...found.ip_addresses].sort(), expected.addresses);
  assert.deepEqual([...found.dns_queries].sort(), expected.names);
  assert.equal(found.negative?.rcode, expected.negative);
  if (expected.roots.length > 0)
    assert.ok(expected.roots.includes(found.dns_root), `${found.dns_root} of ${expected.roots}`);
}

test(`${OPERATIONS} operations, seed ${SEED}`, () => {
  let done = 0;
  try {
    for (; done < OPERATIONS; done++) {
      const what = random.below(10);
      if (what === 0) seconds += random.below(40) === 0 ? 1000 : 0.5;
      else if (what < 5) addBoth();
      else getBoth();
      const { trees, nodes } = cache.stats();
      assert.deepEqual([trees, nodes], [model.trees.length, model.nodes]);
      if (model.largestTree > SMALL_TREE - MAX_LINKS_TOLD) startAnew();
      if (done % 97 !== 0) continue;
      const order = cache.list().map(({ question, containerId }) => `${containerId} ${question}`);
      assert.deepEqual(
        order.reverse(),
        model.trees.map(({ realm, question }) => `c${realm} ${question}`),
      );
    }
  } catch (error) {
    throw new Error(`seed ${SEED}, operation ${done}: ${(error as Error).message}`, { cause: error });
  }
  countCases();
  for (const count of Object.values(counted))
    assert.ok(count > OPERATIONS / 10_000, `every case is met: ${JSON.stringify(counted)}`);
});
