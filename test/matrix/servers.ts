/** The real name servers of the tests, and what their own logs say was asked: the truth that records are compared with. */
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { end, isRunning } from './children.ts';
import type { Namespace } from './namespace.ts';

const START_TIMEOUT_MS = 20_000;

/** A request as the server logged it. */
export interface LoggedRequest {
  readonly name: string;
  /** Mnemonic: A, AAAA, MX ... */
  readonly type: string;
}

export interface NameServer {
  readonly pid: number;
  readonly executable: string;
  /** Everything logged so far, in order. */
  requests(): LoggedRequest[];
  stop(): Promise<void>;
}

/** The zone served: names of the form <host>.<label>.<zone>, the same hosts below every label. */
export interface Zone {
  readonly name: string;
  /** dnsmasq configuration lines, e.g. `host-record=www.example,192.0.2.1`. */
  readonly lines: readonly string[];
}

/** dnsmasq, authoritative for the zone, NXDOMAIN below it where nothing is. Listens on every loopback address given. */
export async function startDnsmasq(
  namespace: Namespace,
  zone: Zone,
  addresses: readonly string[],
): Promise<NameServer> {
  const log = join(namespace.directory, 'dnsmasq.log');
  const configuration = join(namespace.directory, 'dnsmasq.conf');
  const lines = [
    ...['keep-in-foreground', 'no-resolv', 'no-hosts', 'bind-interfaces', 'user=root', 'group=root'],
    ...['pid-file', 'log-queries=extra', 'local-ttl=300', 'cache-size=0', 'dns-forward-max=1000'],
    `log-facility=${log}`,
    ...addresses.map((address) => `listen-address=${address}`),
    `local=/${zone.name}/`,
    ...zone.lines,
  ];
  writeFileSync(configuration, `${lines.join('\n')}\n`);
  const argv = ['/usr/sbin/dnsmasq', `--conf-file=${configuration}`];
  // "... 17 127.0.0.1/40000 query[AAAA] name from 127.0.0.1"; a type without a name is logged as type=N.
  const line = /: \d+ \S+ query\[(?:type=)?([A-Z0-9]+)\] (\S+) from /;
  return startServer(namespace, argv, log, 'started, version', (text) => {
    const match = line.exec(text);
    return match?.[1] && match[2] ? { name: match[2], type: match[1] } : undefined;
  });
}

/** unbound, forwarding everything to `upstream`. */
export async function startUnbound(
  namespace: Namespace,
  address: string,
  upstream: string,
): Promise<NameServer> {
  const log = join(namespace.directory, 'unbound.log');
  const configuration = join(namespace.directory, 'unbound.conf');
  const text = `server:
  interface: ${address}
  access-control: 127.0.0.0/8 allow
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "iterator"
  username: ""
  chroot: ""
  directory: "${namespace.directory}"
  pidfile: ""
  use-syslog: no
  logfile: "${log}"
  log-queries: yes
  log-time-ascii: yes
  verbosity: 1
  num-threads: 1
  local-zone: "test." nodefault
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: ${upstream}
`;
  writeFileSync(configuration, text);
  // "... info: 127.0.0.1 name. A IN"
  const line = /info: \S+ (\S+) ([A-Z0-9]+) IN$/;
  return startServer(
    namespace,
    ['/usr/sbin/unbound', '-d', '-c', configuration],
    log,
    'start of service',
    (entry) => {
      const match = line.exec(entry);
      return match?.[1] && match[2] ? { name: match[1].replace(/(.)\.$/, '$1'), type: match[2] } : undefined;
    },
  );
}

async function startServer(
  namespace: Namespace,
  argv: readonly string[],
  log: string,
  ready: string,
  parse: (line: string) => LoggedRequest | undefined,
): Promise<NameServer> {
  closeSync(openSync(log, 'a'));
  const child = namespace.spawn(argv, ['ignore', 'inherit', 'inherit']);
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('close', () => process.removeListener('exit', kill));
  await waitForLine(child, log, ready);
  return {
    pid: child.pid ?? 0,
    executable: argv[0] ?? '',
    requests: () =>
      readFileSync(log, 'latin1')
        .split('\n')
        .map(parse)
        .filter((request) => request !== undefined),
    stop: () => end(child),
  };
}

async function waitForLine(child: ChildProcess, log: string, text: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!readFileSync(log, 'latin1').includes(text)) {
    if (!isRunning(child) || performance.now() > deadline) {
      throw new Error(
        `${child.spawnargs.join(' ')} did not start: ${readFileSync(log, 'latin1').slice(-2000)}`,
      );
    }
    await sleep(20);
  }
}
