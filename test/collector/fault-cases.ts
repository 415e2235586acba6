/** What goes wrong, one case each: the destination, what happens to it (or to the agent) while lookups go on. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServerCredentials } from '@grpc/grpc-js';
import { type Collector, startCollector } from './collector.ts';
import type { FaultAgent } from './fault-agent.ts';
import { type Arrivals, FileArrivals } from './fault-arrivals.ts';
import { FaultServer, type Mode } from './fault-server.ts';
import { freePorts } from './running-program.ts';

const SINK = join(import.meta.dirname, 'fault-sink.yaml');
const RESOURCE_EXHAUSTED = 8;
const UNAVAILABLE = 14;

/** A destination with its fault. */
export interface Scene {
  readonly endpoint: string;
  readonly env: NodeJS.ProcessEnv;
  /** Goes wrong and gets well again. */
  readonly fault: (agent: FaultAgent) => Promise<void>;
  /** What has arrived by now. */
  readonly arrivals: () => Arrivals;
  readonly stop: () => Promise<void>;
  /** Records that the destination refused by name (partial success). */
  readonly rejected: () => number;
}

export interface FaultCase {
  readonly name: string;
  readonly what: string;
  readonly stores: readonly ('spool' | 'memory')[];
  /** Ends with the fault over; the lookups go on a little longer. */
  readonly faultSeconds: number;
  /** Losing is right here: said to the agent by the server, and counted by it. */
  readonly lossIsTold?: true;
  /** The agent is away for a while. */
  readonly agentDies?: true;
  /** The spool is on a file system of this size. */
  readonly spoolDisk?: string;
  readonly open: (directory: string) => Promise<Scene>;
}

function collectorKilled(seconds: number): FaultCase {
  return {
    name: `collector-${seconds}s`,
    what: `Collector ended by SIGKILL, started again after ${seconds} s`,
    stores: ['spool', 'memory'],
    faultSeconds: seconds + 5,
    async open(directory) {
      const [port] = await freePorts(1);
      const work = join(directory, 'collector');
      const env = { OTLP_GRPC_ENDPOINT: `127.0.0.1:${port}` };
      const start = () => startCollector(['agent', SINK], work, env);
      let collector: Collector = await start();
      const file = new FileArrivals(collector.sink);
      return {
        endpoint: `http://127.0.0.1:${port}`,
        env: {},
        fault: async () => {
          await collector.stop('SIGKILL');
          await sleep(seconds * 1000);
          collector = await start();
        },
        arrivals: () => {
          file.read();
          return file.arrivals;
        },
        stop: () => collector.stop(),
        rejected: () => 0,
      };
    },
  };
}

type Script = (server: FaultServer, agent: FaultAgent) => Promise<void>;

function badServer(
  name: string,
  what: string,
  faultSeconds: number,
  script: Script,
  more: Partial<FaultCase> = {},
): FaultCase {
  return {
    name,
    what,
    stores: ['spool', 'memory'],
    faultSeconds,
    async open() {
      const server = await FaultServer.start();
      return {
        endpoint: `http://127.0.0.1:${server.port}`,
        env: {},
        fault: (agent) => script(server, agent),
        arrivals: () => server.arrivals,
        stop: () => server.stop(),
        rejected: () => server.rejected,
      };
    },
    ...more,
  };
}

/** The same over http/protobuf. */
function badHttpServer(
  name: string,
  what: string,
  faultSeconds: number,
  script: Script,
  more: Partial<FaultCase> = {},
): FaultCase {
  return badServer(`http-${name}`, `http/protobuf: ${what}`, faultSeconds, script, {
    async open() {
      const server = await FaultServer.startHttp();
      return {
        endpoint: `http://127.0.0.1:${server.port}`,
        env: { OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' },
        fault: (agent) => script(server, agent),
        arrivals: () => server.arrivals,
        stop: () => server.stop(),
        rejected: () => server.rejected,
      };
    },
    ...more,
  });
}

/** Behaves like that for the time, then well. */
function mode(bad: Mode, seconds: number): Script {
  return async (server) => {
    server.mode = bad;
    await sleep(seconds * 1000);
    server.mode = { kind: 'fine' };
  };
}

const expiredCertificate: FaultCase = {
  name: 'expired',
  what: "The server's TLS certificate is expired, after 15 s it is replaced",
  stores: ['spool', 'memory'],
  faultSeconds: 15,
  async open(directory) {
    const { ca, valid, expired } = certificates(directory);
    const server = await FaultServer.start(valid);
    return {
      endpoint: `https://127.0.0.1:${server.port}`,
      env: { OTEL_EXPORTER_OTLP_CERTIFICATE: ca },
      fault: async () => {
        await server.serve(expired);
        await sleep(15_000);
        await server.serve(valid);
      },
      arrivals: () => server.arrivals,
      stop: () => server.stop(),
      rejected: () => 0,
    };
  },
};

/** An authority and two certificates of one server, one of them expired since yesterday. */
function certificates(directory: string): {
  ca: string;
  valid: ServerCredentials;
  expired: ServerCredentials;
} {
  const at = (name: string) => join(directory, name);
  const openssl = (...words: string[]) => execFileSync('openssl', words, { stdio: 'ignore' });
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-keyout',
    at('ca.key'),
    '-out',
    at('ca.pem'),
    '-days',
    '2',
    '-subj',
    '/CN=test',
  );
  openssl('req', ...newKey, '-keyout', at('key.pem'), '-out', at('csr.pem'), '-subj', '/CN=127.0.0.1');
  writeFileSync(at('extensions'), 'subjectAltName=IP:127.0.0.1\n');
  const made = (name: string, days: string) => {
    const authority = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial'];
    openssl(
      'x509',
      '-req',
      '-in',
      at('csr.pem'),
      ...authority,
      '-out',
      at(name),
      '-days',
      days,
      '-extfile',
      at('extensions'),
    );
    const pair = { private_key: readFileSync(at('key.pem')), cert_chain: readFileSync(at(name)) };
    return ServerCredentials.createSsl(null, [pair]);
  };
  return { ca: at('ca.pem'), valid: made('valid.pem', '2'), expired: made('expired.pem', '-1') };
}

/** In groups that share one load and one stretch of time. */
export const GROUPS: Readonly<Record<string, readonly FaultCase[]>> = {
  refusals: [
    badServer(
      'unavailable',
      'Answers UNAVAILABLE for 15 s',
      15,
      mode({ kind: 'refuse', status: UNAVAILABLE }, 15),
    ),
    badServer(
      'exhausted-retry',
      'Answers RESOURCE_EXHAUSTED with RetryInfo (2 s) for 15 s',
      15,
      mode({ kind: 'refuse', status: RESOURCE_EXHAUSTED, retryAfterS: 2 }, 15),
    ),
  ],
  verdicts: [
    badServer(
      'exhausted',
      'Answers RESOURCE_EXHAUSTED without RetryInfo for 10 s: not to be sent again (OTLP specification)',
      10,
      mode({ kind: 'refuse', status: RESOURCE_EXHAUSTED }, 10),
      { lossIsTold: true },
    ),
    badServer(
      'partial',
      'Partial success for 10 s: 7 records of each request are rejected, not to be sent again',
      10,
      mode({ kind: 'partial', rejected: 7 }, 10),
      { lossIsTold: true },
    ),
  ],
  http: [
    badHttpServer(
      'unavailable',
      'answers 503 for 15 s',
      15,
      mode({ kind: 'refuse', status: UNAVAILABLE }, 15),
    ),
    badHttpServer(
      'exhausted-retry',
      'answers 429 with Retry-After (2 s) for 15 s',
      15,
      mode({ kind: 'refuse', status: RESOURCE_EXHAUSTED, retryAfterS: 2 }, 15),
    ),
  ],
  'http-verdicts': [
    badHttpServer(
      'partial',
      'partial success for 10 s: 7 records of each request are rejected, not to be sent again',
      10,
      mode({ kind: 'partial', rejected: 7 }, 10),
      { lossIsTold: true },
    ),
    badHttpServer(
      'silent',
      'takes connection and request and never answers for 10 s, then bytes that are no HTTP for 5 s',
      15,
      async (server) => {
        await mode({ kind: 'silent' }, 10)(server, undefined as never);
        await server.serveBytes(Buffer.from('SSH-2.0-not-a-collector\r\n'.repeat(40)));
        await sleep(5000);
        await server.serveHttp();
      },
    ),
  ],
  silence: [
    badServer('silent', 'Takes connection and request and never answers, for 25 s', 25, async (server) => {
      await mode({ kind: 'silent' }, 15)(server, undefined as never);
      await server.serveBytes(undefined); // now not even the connection gets a word
      await sleep(10_000);
      await server.serve();
    }),
    badServer(
      'slow',
      'Takes 10 s for each request, for 25 s',
      25,
      mode({ kind: 'slow', pauseMs: 10_000 }, 25),
    ),
  ],
  nonsense: [
    badServer(
      'garbage',
      'Sends garbage: 10 s bytes that are no HTTP/2, 10 s an answer that is no OTLP',
      20,
      async (server) => {
        await server.serveBytes(Buffer.from('SSH-2.0-not-a-collector\r\n'.repeat(40)));
        await sleep(10_000);
        await server.serve();
        await mode({ kind: 'garbled' }, 10)(server, undefined as never);
      },
    ),
    expiredCertificate,
  ],
  spool: [
    badServer(
      'disk-full',
      'Endpoint away for 20 s, the disk under the spool holds 6 MB',
      20,
      mode({ kind: 'refuse', status: UNAVAILABLE }, 20),
      { stores: ['spool'], spoolDisk: '6m' },
    ),
    badServer(
      'agent-killed',
      'Endpoint away for 20 s, meanwhile the agent is ended by SIGKILL and started again',
      20,
      async (server, agent) => {
        server.mode = { kind: 'refuse', status: UNAVAILABLE };
        await sleep(10_000);
        await agent.end('SIGKILL');
        await agent.start();
        await sleep(8000);
        server.mode = { kind: 'fine' };
      },
      { agentDies: true },
    ),
  ],
  'collector-1s': [collectorKilled(1)],
  'collector-30s': [collectorKilled(30)],
  'collector-120s': [collectorKilled(120)],
};

export function prepare(directory: string, spoolDisk: string | undefined): string {
  const spool = join(directory, 'spool');
  mkdirSync(spool, { recursive: true });
  if (spoolDisk !== undefined)
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${spoolDisk}`, 'whodns-test', spool]);
  return spool;
}
