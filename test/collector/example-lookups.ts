/** Records shaped exactly as DESIGN section 4 says, for tests that need no agent. */
import type { Attributes } from '../../src/model.ts';
import type { RecordInput } from './otlp-json.ts';

/** A pod's process. */
export const CHECKOUT: Attributes = {
  'service.name': 'checkout',
  'service.namespace': 'shop',
  'service.instance.id': '627cc493-f310-47de-96bd-71410b7dec09',
  'process.pid': 4201,
  'process.creation.time': '2026-01-31T09:25:34.853Z',
  'process.executable.name': 'node',
  'process.executable.path': '/usr/local/bin/node',
  'process.command': 'node',
  'process.command_args': ['node', 'server.js', '--db', 'secret.internal'],
  'process.args_count': 4,
  'process.parent_pid': 4180,
  'process.working_directory': '/srv/app',
  'container.id': '4c01db0b339c9a4d9d12a9e1a7b2c2e8a9f2f2c7d4d5e6f708192a3b4c5d6e7f',
  'k8s.namespace.name': 'shop',
  'k8s.pod.name': 'checkout-7c9f64b5-x2lkq',
  'k8s.pod.uid': '275ecb36-5aa8-4c2a-9c47-d8bb681b9aff',
  'k8s.container.name': 'app',
  'k8s.deployment.name': 'checkout',
  'k8s.node.name': 'node-7',
  'host.name': 'node-7',
  'host.id': 'fdbf79e8af94cb7f9e8df36789187052',
  'os.type': 'linux',
  'telemetry.distro.name': 'whodns',
};

/** A program someone started on the host. */
export const CURL: Attributes = {
  'service.name': 'unknown_service:curl',
  'process.pid': 991,
  'process.creation.time': '2026-01-31T10:00:00.120Z',
  'process.executable.name': 'curl',
  'process.executable.path': '/usr/bin/curl',
  'process.command': 'curl',
  'process.args_count': 2,
  'process.interactive': true,
  'host.name': 'node-7',
  'os.type': 'linux',
  'telemetry.distro.name': 'whodns',
};

export interface ExampleLookup {
  readonly name: string;
  readonly type: string;
  /** undefined: no answer in time. */
  readonly rcode?: string;
  /** s */
  readonly duration?: number;
  readonly answers?: readonly string[];
  readonly traceId?: string;
  readonly spanId?: string;
  /** One of the names that a search list makes. */
  readonly search?: { readonly base: string; readonly step: number; readonly wasted?: number };
}

/** The record of one lookup at a time (Unix ns). */
export function lookupRecord(lookup: ExampleLookup, time: bigint): RecordInput {
  const error =
    lookup.rcode === undefined ? 'timeout' : lookup.rcode === 'NOERROR' ? undefined : lookup.rcode;
  return {
    time,
    severity: error === undefined ? 9 : 13,
    body: `${lookup.name} ${lookup.type} ${lookup.rcode ?? 'timeout'}`,
    attributes: {
      'dns.question.name': lookup.name,
      'dns.question.type': lookup.type,
      'dns.id': 4711,
      ...(lookup.rcode === undefined ? {} : { 'dns.response_code': lookup.rcode }),
      ...(lookup.answers === undefined
        ? {}
        : {
            'dns.answers': lookup.answers,
            'whodns.answers': lookup.answers.map((address) => `${lookup.name} 300 ${lookup.type} ${address}`),
          }),
      ...(lookup.duration === undefined ? {} : { 'dns.lookup.duration': lookup.duration }),
      ...(error === undefined ? {} : { 'error.type': error }),
      ...searched(lookup),
      'server.address': '10.96.0.10',
      'server.port': 53,
      'network.transport': 'udp',
      'network.type': 'ipv4',
      'network.protocol.name': 'dns',
      'whodns.flags': ['rd', 'ra'],
      'whodns.retries': 0,
      'whodns.hook': 'fentry',
      'whodns.attribution': 'kernel',
    },
    ...(lookup.traceId === undefined ? {} : { traceId: lookup.traceId }),
    ...(lookup.spanId === undefined ? {} : { spanId: lookup.spanId }),
  };
}

function searched({ search }: ExampleLookup): Attributes {
  if (search === undefined) return {};
  return {
    'whodns.search.base': search.base,
    'whodns.search.step': search.step,
    ...(search.wasted === undefined ? {} : { 'whodns.search.wasted': search.wasted }),
  };
}
