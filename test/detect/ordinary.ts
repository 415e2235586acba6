/**
 * One hour of ordinary traffic of a busy host, made from a seed: page loads, package installs, a mail server, a resolver's own
 * traffic, monitoring, a pod, log analysis, telemetry. With what looks suspicious and is not: blocked advertisements,
 * blocklists by address, hashes in names, bulk reverse look-ups, a search list.
 */
import type { ResourceRecord } from '../../src/model.ts';
import { RCODES } from '../../src/tables/rcodes.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { letters, random } from '../unit/detect-events.ts';
import { record } from '../unit/sink-events.ts';

export interface Program {
  readonly pid: number;
  readonly path: string;
  /** Of its network namespace. */
  readonly address: string;
  readonly servers: readonly string[];
  /** It is a name server itself. */
  readonly serves?: true;
  readonly search?: readonly string[];
}

export interface Event {
  /** Seconds after the beginning. */
  readonly at: number;
  readonly who: Program;
  readonly name: string;
  readonly type: number;
  readonly rcode: number;
  readonly answers: readonly ResourceRecord[];
  readonly server: string;
  /** A connection right after. */
  readonly connect?: { readonly address: string; readonly port: number };
}

const RESOLVER = '10.0.0.53';
const HOUR = 3600;
const HEX = '0123456789abcdef';
const POD_SEARCH = ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];
const TLDS = ['com', 'org', 'net', 'de', 'co.uk', 'io', 'fr', 'com.br'];
const WORDS =
  'news shop mail video cloud music sport travel bank garden school energy health market studio photo garage forest river stone bridge castle island harbour'.split(
    ' ',
  );

class Hour {
  readonly events: Event[] = [];
  readonly next: () => number;
  readonly #sites: string[] = [];
  #pid = 1000;

  constructor(seed: number) {
    this.next = random(seed);
    for (let i = 0; i < 400; i++)
      this.#sites.push(`${this.pick(WORDS)}-${this.pick(WORDS)}${i}.${this.pick(TLDS)}`);
  }

  program(path: string, more: Partial<Program> = {}): Program {
    const pid = this.#pid++;
    return { pid, path, address: `10.0.1.${pid % 250}`, servers: [RESOLVER], ...more };
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.next() * from.length)] as T;
  }

  /** Some sites are visited again and again (Zipf). */
  site(): string {
    return this.#sites[Math.floor(this.#sites.length * this.next() ** 3)] as string;
  }

  ask(
    at: number,
    who: Program,
    name: string,
    type: number = RR_TYPES.A,
    rcode: number = RCODES.NOERROR,
    connect?: Event['connect'],
  ): void {
    const address = `203.0.113.${Math.floor(this.next() * 254) + 1}`;
    const answers =
      rcode === RCODES.NOERROR && type === RR_TYPES.A
        ? [record(name, type, connect?.address ?? address)]
        : [];
    const event = { at, who, name, type, rcode, answers, server: who.servers[0] ?? RESOLVER };
    this.events.push(connect === undefined ? event : { ...event, connect });
  }

  /** A, AAAA and then a connection to port 443. */
  visit(at: number, who: Program, name: string): void {
    const address = `203.0.113.${Math.floor(this.next() * 254) + 1}`;
    this.ask(at, who, name, RR_TYPES.AAAA);
    this.ask(at + 0.001, who, name, RR_TYPES.A, RCODES.NOERROR, { address, port: 443 });
  }

  random(): number {
    return this.next() * HOUR;
  }
}

function browser(hour: Hour): void {
  const who = hour.program('/usr/lib/firefox/firefox');
  // Chromium's probes for a resolver that answers everything.
  for (let i = 0; i < 3; i++) hour.ask(1 + i / 100, who, letters(10, hour.next), RR_TYPES.A, RCODES.NXDOMAIN);
  for (let page = 0; page < 90; page++) {
    let at = hour.random();
    const site = hour.site();
    for (const host of ['www', 'static', 'api', 'img']) {
      at += 0.02;
      hour.visit(at, who, `${host}.${site}`);
    }
    for (let i = 0; i < 8 + hour.next() * 18; i++) {
      at += hour.next() * 0.05;
      const other = hour.site();
      if (hour.next() < 0.25) hour.ask(at, who, `ads${i}.${other}`, RR_TYPES.A, RCODES.NXDOMAIN);
      else if (hour.next() < 0.2) hour.visit(at, who, `d${letters(13, hour.next, HEX)}.cloudfront.net`);
      else hour.visit(at, who, `cdn.${other}`);
    }
  }
  for (let i = 0; i < 60; i++)
    hour.visit(2000 + i * 4, who, `r${i % 5}---sn-${letters(8, hour.next)}.googlevideo.com`);
}

function packages(hour: Hour): void {
  const apt = hour.program('/usr/lib/apt/methods/http');
  for (const name of ['deb.debian.org', 'security.debian.org'])
    for (let i = 0; i < 20; i++) {
      hour.ask(600 + i, apt, `_http._tcp.${name}`, RR_TYPES.SRV);
      hour.visit(600.1 + i, apt, name);
    }
  const npm = hour.program('/usr/bin/node');
  for (let i = 0; i < 800; i++) hour.visit(1200 + i / 30, npm, 'registry.npmjs.org');
  const pip = hour.program('/usr/bin/python3.11');
  for (let i = 0; i < 60; i++)
    hour.visit(1500 + i / 3, pip, i % 2 === 0 ? 'pypi.org' : 'files.pythonhosted.org');
  const go = hour.program('/usr/local/go/bin/go');
  for (let i = 0; i < 200; i++)
    hour.visit(1800 + i / 20, go, i % 9 === 0 ? 'sum.golang.org' : 'proxy.golang.org');
}

function mail(hour: Hour): void {
  const who = hour.program('/usr/bin/rspamd');
  for (let i = 0; i < 400; i++) {
    const at = hour.random();
    const octets = Array.from({ length: 4 }, () => Math.floor(hour.next() * 256)).join('.');
    const sender = hour.site();
    hour.ask(
      at,
      who,
      `${octets}.in-addr.arpa`,
      RR_TYPES.PTR,
      hour.next() < 0.4 ? RCODES.NXDOMAIN : RCODES.NOERROR,
    );
    for (const list of ['zen.spamhaus.org', 'bl.spamcop.net', 'b.barracudacentral.org', 'list.dnswl.org'])
      hour.ask(at + 0.01, who, `${octets}.${list}`, RR_TYPES.A, RCODES.NXDOMAIN);
    hour.ask(at + 0.02, who, sender, RR_TYPES.TXT);
    hour.ask(at + 0.03, who, `${letters(10, hour.next, HEX)}._domainkey.${sender}`, RR_TYPES.TXT);
    hour.ask(
      at + 0.04,
      who,
      `_dmarc.${sender}`,
      RR_TYPES.TXT,
      hour.next() < 0.5 ? RCODES.NXDOMAIN : RCODES.NOERROR,
    );
    hour.ask(at + 0.05, who, sender, RR_TYPES.MX);
  }
}

function services(hour: Hour): void {
  const monitoring = hour.program('/usr/bin/prometheus');
  for (let at = 0; at < HOUR; at += 15)
    for (let i = 0; i < 40; i++)
      hour.ask(at + i / 50, monitoring, `node-${i}.rack-${i % 7}.dc1.corp.example`);
  const scanner = hour.program('/opt/scanner/bin/scand');
  for (let at = 0; at < HOUR; at += 2)
    hour.ask(at, scanner, `${letters(40, hour.next, HEX)}.hash.scanner.example`);
  const logs = hour.program('/usr/bin/logstash');
  for (let i = 0; i < 900; i++) {
    const name = `${i % 250}.${Math.floor(i / 250)}.0.10.in-addr.arpa`;
    hour.ask(900 + i / 60, logs, name, RR_TYPES.PTR, i % 10 === 0 ? RCODES.NOERROR : RCODES.NXDOMAIN);
  }
  const time = hour.program('/usr/sbin/chronyd');
  for (let at = 0; at < HOUR; at += 300)
    for (let i = 0; i < 4; i++) hour.ask(at, time, `${i}.debian.pool.ntp.org`);
  const app = hour.program('/opt/app/bin/app');
  for (let at = 0; at < HOUR; at += 5)
    hour.visit(at, app, at % 10 === 0 ? 'db.corp.example' : 'api.partner.example');
}

function pod(hour: Hour): void {
  const who = hour.program('/app/server', { servers: ['10.96.0.10'], search: POD_SEARCH });
  for (let at = 0; at < HOUR; at += 3) {
    for (const name of [`api${Math.floor(at) % 4}.partner.example`, `${hour.pick(WORDS)}.vendor.example`]) {
      POD_SEARCH.forEach((domain, step) => {
        for (const type of [RR_TYPES.A, RR_TYPES.AAAA])
          hour.ask(at + step / 100, who, `${name}.${domain}`, type, RCODES.NXDOMAIN);
      });
      hour.visit(at + 0.05, who, name);
    }
    hour.ask(at + 1, who, 'db.default.svc.cluster.local');
  }
}

/** Iteration for what the others asked: name servers of top-level domains and of the sites, with DNSSEC. */
function resolver(hour: Hour): void {
  const who = hour.program('/usr/sbin/unbound', { serves: true });
  const names = new Set(hour.events.map(({ name }) => name));
  const asked = hour.events.filter((event) => names.delete(event.name));
  for (const { at, name, type, rcode } of asked) {
    const labels = name.split('.');
    const servers = ['192.5.6.30', '199.7.83.42', `198.51.100.${Math.floor(hour.next() * 250)}`];
    for (let depth = 1; depth <= Math.min(labels.length, 3); depth++) {
      const zone = labels.slice(-depth).join('.');
      const event = {
        at: at + depth / 1000,
        who,
        name: zone,
        type: RR_TYPES.A,
        rcode: RCODES.NOERROR,
        answers: [],
      };
      hour.events.push({ ...event, server: servers[depth - 1] ?? '' });
      if (depth === 2) hour.events.push({ ...event, type: RR_TYPES.DS, server: servers[1] ?? '' });
    }
    hour.events.push({ at: at + 0.005, who, name, type, rcode, answers: [], server: servers[2] ?? '' });
  }
}

/** In order of time. */
export function ordinaryHour(seed: number): readonly Event[] {
  const hour = new Hour(seed);
  browser(hour);
  browser(hour);
  packages(hour);
  mail(hour);
  services(hour);
  pod(hour);
  resolver(hour);
  return hour.events.toSorted((a, b) => a.at - b.at);
}
