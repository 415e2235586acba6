/**
 * What the rules should find, with variants that are hard to find: each is one program doing one thing, beside an hour of
 * its ordinary work where the rule needs to know that.
 */
import type { Resolution } from '../../src/model.ts';
import type { RuleName } from '../../src/tables/detections.ts';
import { RCODES } from '../../src/tables/rcodes.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { letters, random } from '../unit/detect-events.ts';
import { record } from '../unit/sink-events.ts';
import type { Event } from './ordinary.ts';
import type { Actor, Player } from './player.ts';

export interface Scenario {
  readonly rule: RuleName;
  readonly name: string;
  readonly settings?: readonly string[];
  run(player: Player): void;
}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const HEX = '0123456789abcdef';
const DAY = 86_400;
const RESOLVER = '10.0.0.53';
const ACTOR: Actor = { pid: 77, path: '/usr/bin/actor', address: '10.0.1.77', servers: [RESOLVER] };

function event(at: number, name: string, more: Partial<Event> = {}): Event {
  const answers = [record(name, RR_TYPES.A, '203.0.113.9')];
  return {
    at,
    who: ACTOR,
    name,
    type: RR_TYPES.A,
    rcode: RCODES.NOERROR,
    answers,
    server: RESOLVER,
    ...more,
  };
}

/** `seconds` of `rate` lookups a second. */
function stream(rate: number, seconds: number, make: (at: number, i: number) => Event): Event[] {
  return Array.from({ length: rate * seconds }, (_, i) => make(i / rate, i));
}

function tunnel(
  name: string,
  rate: number,
  more: { label?: number; alphabet?: string; domains?: number; type?: number; bytes?: number },
): Scenario {
  const { label = 50, alphabet = BASE32, domains = 1, type = RR_TYPES.A, bytes = 0 } = more;
  const run = (player: Player) => {
    const next = random(11);
    player.play(
      stream(rate, 60, (at, i) => {
        const asked = `${letters(label, next, alphabet)}.t${i % domains}.example${i % domains}.net`;
        const answers = bytes === 0 ? [] : [record(asked, type, letters(bytes, next))];
        return event(at, asked, { type, answers });
      }),
    );
  };
  return { rule: 'tunnel', name, run };
}

function burst(name: string, rate: number, make: (next: () => number, i: number) => string): Scenario {
  const run = (player: Player) => {
    const next = random(12);
    player.play(
      stream(rate, 120, (at, i) => event(at, make(next, i), { rcode: RCODES.NXDOMAIN, answers: [] })),
    );
  };
  return { rule: 'nxdomain-burst', name, run };
}

/** A day of work with two domains, then a new one and a connection. */
function fresh(name: string, later: number, more: { sites?: number; port?: number } = {}): Scenario {
  const run = (player: Player) => {
    for (let at = 0; at < DAY * 1.1; at += 120)
      player.play([event(at, `www.site${Math.floor(at / 120) % (more.sites ?? 2)}.example`)]);
    const answers = [record('c2.evil.example', RR_TYPES.A, '203.0.113.66')];
    player.play([event(DAY * 1.1, 'x.evil-domain.example', { answers })]);
    player.connect(DAY * 1.1 + later, ACTOR, '203.0.113.66', more.port ?? 443);
  };
  return { rule: 'new-domain-connect', name, run };
}

function binary(name: string, path: string, more: { deleted?: boolean; replaced?: boolean } = {}): Scenario {
  const { deleted = false, replaced = false } = more;
  const actor: Actor = {
    ...ACTOR,
    path,
    executable: { path, deleted, replaced, added: undefined },
    ...(deleted ? { attributes: { 'whodns.process.executable.deleted': true } } : {}),
  };
  return {
    rule: 'unknown-binary',
    name,
    run: (player) => player.play([event(0, 'a.example', { who: actor })]),
  };
}

function server(name: string, address: string, actor: Actor = ACTOR): Scenario {
  const run = (player: Player) => player.play([event(0, 'a.example', { who: actor, server: address })]);
  return { rule: 'rogue-resolver', name, run };
}

function connection(name: string, address: string, port: number, ...names: string[]): Scenario {
  const resolution: Resolution = { names, scope: 'process', answered: 1n, expires: 2n };
  const run = (player: Player) =>
    player.connect(0, ACTOR, address, port, names.length === 0 ? undefined : resolution);
  return { rule: 'encrypted-dns', name, run };
}

function outside(name: string, asked: string, search: readonly string[] = []): Scenario {
  const actor: Actor = { ...ACTOR, search, attributes: { 'k8s.namespace.name': 'payments' } };
  const run = (player: Player) => {
    const fails = search.map((domain, i) =>
      event(i / 100, `${asked}.${domain}`, { who: actor, rcode: RCODES.NXDOMAIN, answers: [] }),
    );
    player.play([...fails, event(1, asked, { who: actor })]);
  };
  return {
    rule: 'non-cluster-domain',
    name,
    settings: ['non-cluster-domain.internal=k8s.namespace.name=payments'],
    run,
  };
}

const WORDS = 'mail shop news video image login static media'.split(' ');
const POD = ['payments.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];

export const SCENARIOS: readonly Scenario[] = [
  tunnel('base32 in names, 100/s', 100, {}),
  tunnel('base32 in names, 55/s', 55, {}),
  tunnel('hexadecimal in TXT questions, 60/s', 60, { alphabet: HEX, type: RR_TYPES.TXT, bytes: 60 }),
  tunnel('NULL questions, 200/s', 200, { type: RR_TYPES.NULL, bytes: 100 }),
  tunnel('short names (24 characters), 80/s', 80, { label: 24 }),
  tunnel('12/s with 500 bytes of TXT each', 12, { label: 10, type: RR_TYPES.TXT, bytes: 500 }),
  tunnel('spread over two domains, 60/s each', 120, { domains: 2 }),
  tunnel('30/s, names only', 30, {}),
  tunnel('2/s, names only', 2, {}),
  tunnel('very short names (10 characters), 80/s', 80, { label: 8 }),
  burst('14 random letters, 20/s', 20, (next) => `${letters(14, next)}.com`),
  burst('8 random letters, 6/s', 6, (next) => `${letters(8, next)}.net`),
  burst('hexadecimal names, 10/s', 10, (next) => `${letters(16, next, HEX)}.info`),
  burst(
    'two words and a number, 10/s',
    10,
    (next, i) => `${WORDS[i % 8]}${WORDS[Math.floor(next() * 8)]}${i}.org`,
  ),
  burst('one wrong name, 20/s', 20, () => 'db.old-datacentre.example'),
  burst('12 random letters, 1/s', 1, (next) => `${letters(12, next)}.com`),
  fresh('connected to after 1 s', 1),
  fresh('connected to after 9 s, port 8443', 9, { port: 8443 }),
  fresh('connected to after 30 s', 30),
  fresh('by a workload that meets new domains all the time', 1, { sites: 5000 }),
  binary('memory file', '/memfd:x', { deleted: true }),
  binary('deleted', '/usr/local/bin/x', { deleted: true }),
  binary('in /tmp', '/tmp/.x/y'),
  binary('in /dev/shm', '/dev/shm/y'),
  binary('in the home directory', '/home/user/.cache/y'),
  binary('deleted, another file in its place', '/usr/local/bin/x', { deleted: true, replaced: true }),
  server('a public resolver', '8.8.8.8'),
  server('one by IPv6', '2001:4860:4860::8888'),
  server('by a program that binds port 53', '8.8.8.8', { ...ACTOR, serves: true }),
  connection('DNS over TLS', '203.0.113.5', 853),
  connection('DNS over HTTPS by a listed address', '1.1.1.1', 443),
  connection('DNS over HTTPS by a listed name', '203.0.113.6', 443, 'dns.nextdns.io'),
  connection('DNS over HTTPS of an endpoint that is not listed', '203.0.113.7', 443, 'doh.private.example'),
  outside('a public name', 'api.github.com'),
  outside('a public name through the search list', 'api.github.com', POD),
  outside('a name without a known top-level domain', 'server.lan'),
];
