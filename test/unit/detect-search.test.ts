/** The fan-out of search lists, as real stub resolvers make it, and what only looks like one. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SearchFolding } from '../../src/detect/search.ts';
import { parseResolvConf, type ResolverConfig } from '../../src/enrich/process/resolver-config.ts';
import type { SearchStep } from '../../src/model.ts';
import { RCODES } from '../../src/tables/rcodes.ts';
import { lookup, record, TIME } from './sink-events.ts';

const POD = parseResolvConf(
  'search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n',
);
const HOST = parseResolvConf('search corp.example lab.example\nnameserver 10.0.0.53\n');

type Outcome = 'ok' | 'nx' | 'nodata' | 'timeout';

/** What becomes of lookups one after the other, 1 ms apart. */
function play(config: ResolverConfig | undefined, lookups: readonly (readonly [string, Outcome, number?])[]) {
  const folding = new SearchFolding(() => config);
  let at = 0;
  return lookups.map(([name, outcome, ms]) => {
    at += ms ?? 1;
    const time = TIME + BigInt(at) * 1_000_000n;
    return folding.fold(
      lookup({
        name,
        outcome: outcome === 'timeout' ? 'timeout' : 'answered',
        rcode: outcome === 'nx' ? RCODES.NXDOMAIN : RCODES.NOERROR,
        answers: outcome === 'ok' ? [record(name, 1, '192.0.2.1')] : [],
        raw: { time },
      }),
    );
  });
}

const shown = (steps: readonly (SearchStep | undefined)[]) =>
  steps.map((each) => (each === undefined ? '-' : `${each.base} ${each.step} ${each.wasted}`));
const wasted = (steps: readonly (SearchStep | undefined)[]) =>
  steps.reduce((sum, each) => sum + (each?.wasted ?? 0), 0);

describe('in a pod (ndots:5)', () => {
  it('an outside name: eight lookups, six in vain', () => {
    const names = [...POD.search.map((domain) => `google.com.${domain}`), 'google.com'];
    const steps = play(
      POD,
      names.flatMap((name, i) => [
        [name, i === 3 ? 'ok' : 'nx'] as const,
        [name, i === 3 ? 'ok' : 'nx'] as const,
      ]),
    );
    assert.deepEqual(shown(steps), [
      'google.com 0 0',
      'google.com 0 0',
      'google.com 1 2',
      'google.com 1 0',
      'google.com 2 2',
      'google.com 2 0',
      'google.com 3 2',
      'google.com 3 0',
    ]);
    assert.equal(wasted(steps), 6);
  });

  it('a service of the same namespace: the first is right', () => {
    const steps = play(POD, [
      ['db.default.svc.cluster.local', 'ok'],
      ['db.default.svc.cluster.local', 'nodata'],
    ]);
    assert.deepEqual(shown(steps), ['db 0 0', 'db 0 0']);
  });

  it('a service of another one: `b.a` is not taken for `b` below `a.svc`', () => {
    const steps = play(POD, [
      ['db.default.default.svc.cluster.local', 'nx'],
      ['db.default.svc.cluster.local', 'ok'],
    ]);
    assert.deepEqual(shown(steps), ['db.default 0 0', 'db.default 1 1']);
  });

  it('a full name without the dot at its end: the last is right', () => {
    const full = 'db.shop.svc.cluster.local';
    const steps = play(POD, [
      ...POD.search.map((domain) => [`${full}.${domain}`, 'nx'] as const),
      [full, 'ok'],
    ]);
    assert.deepEqual(shown(steps), [`${full} 0 0`, `${full} 1 1`, `${full} 2 1`, `${full} 3 1`]);
  });

  it('an answer that comes when the next step has begun still counts', () => {
    const steps = play(POD, [
      ['x.io.default.svc.cluster.local', 'nx'],
      ['x.io.svc.cluster.local', 'nx'],
      ['x.io.default.svc.cluster.local', 'nx'],
      ['x.io.cluster.local', 'nx'],
      ['x.io', 'ok'],
    ]);
    assert.equal(wasted(steps), 4);
  });

  it('the same again counts again', () => {
    const once = [...POD.search.map((domain) => [`x.io.${domain}`, 'nx'] as const), ['x.io', 'ok'] as const];
    assert.equal(wasted(play(POD, [...once, ...once])), 6);
  });

  it('leaves alone names that belong to none', () => {
    const steps = play(POD, [
      ['google.com', 'ok'],
      ['svc.cluster.local', 'nx'],
      ['a.b.cluster.local', 'nx'],
      ['xdefault.svc.cluster.local.', 'nx'],
      ['.', 'ok'],
    ]);
    assert.deepEqual(shown(steps), ['-', '-', '-', '-', '-']);
  });

  it('a step is not recognised long after the one before', () => {
    const steps = play(POD, [
      ['x.io.default.svc.cluster.local', 'nx'],
      ['x.io.svc.cluster.local', 'nx', 60_000],
    ]);
    assert.deepEqual(shown(steps), ['x.io 0 0', '-']);
  });
});

describe('on a host (ndots:1)', () => {
  it('a short name goes through the list', () => {
    const steps = play(HOST, [
      ['build.corp.example', 'nx'],
      ['build.lab.example', 'ok'],
    ]);
    assert.deepEqual(shown(steps), ['build 0 0', 'build 1 1']);
  });

  it('a dotted one is tried as it is first', () => {
    const steps = play(HOST, [
      ['www.shop', 'nx'],
      ['www.shop.corp.example', 'nx'],
      ['www.shop.lab.example', 'ok'],
    ]);
    assert.deepEqual(shown(steps), ['-', 'www.shop 1 1', 'www.shop 2 1']);
  });

  it('a full name below the list that is answered is itself', () => {
    assert.deepEqual(shown(play(HOST, [['www.corp.example', 'ok']])), ['-']);
  });

  it('without a search list, or without a known one, nothing', () => {
    assert.deepEqual(shown(play(parseResolvConf('nameserver ::1\n'), [['a.b', 'nx']])), ['-']);
    assert.deepEqual(shown(play(undefined, [['a.b', 'nx']])), ['-']);
  });

  it('random names do not fill the memory', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const folding = new SearchFolding(() => HOST);
    const ask = (i: number) =>
      folding.fold(lookup({ name: `n${i}.corp.example`, rcode: RCODES.NXDOMAIN, answers: [] }));
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 300_000; i++) ask(i);
    collect();
    const kept = process.memoryUsage().heapUsed - before;
    assert.ok(kept < 20e6, `${kept} bytes`);
    ask(0); // alive until here
  });
});
