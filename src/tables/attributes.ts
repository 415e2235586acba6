/**
 * Every attribute that leaves this program, as data: docs/attributes.md is made from these tables and the type
 * `AttributeName` checks the spelling of the literals in the code. `resource` attributes are in resource-attributes.ts.
 *
 * Sources: `semconv` = OpenTelemetry semantic conventions 1.45 (with their stability); `proposed` = semconv issue 2432,
 * the names ECS uses; `whodns` = what no convention names.
 */
import { CONNECT_ATTRIBUTES } from './attributes-connect.ts';
import { OUTCOME_ATTRIBUTES } from './attributes-outcome.ts';
import { FINDING_ATTRIBUTES } from './finding-attributes.ts';
import { type AttributeDefinition, RESOURCE_ATTRIBUTES } from './resource-attributes.ts';
import { SUPPRESSED_ATTRIBUTES } from './suppressed-attributes.ts';

/** On the log record `whodns.query` (DESIGN: one record per DNS request). */
export const RECORD_ATTRIBUTES = {
  'dns.question.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description:
      'The name asked for, as on the wire: case kept, no trailing dot, bytes outside printable ASCII as \\DDD.',
    example: 'www.example.com',
  },
  'dns.question.type': {
    type: 'string',
    stability: 'development',
    source: 'proposed',
    description: 'IANA mnemonic of the record type asked for, TYPE65280 when IANA lists none.',
    example: 'AAAA',
  },
  'dns.question.class': {
    type: 'string',
    stability: 'development',
    source: 'proposed',
    description: 'IANA mnemonic of the class asked for; only when it is not IN.',
    example: 'CH',
  },
  'dns.op_code': {
    type: 'string',
    stability: 'development',
    source: 'proposed',
    description:
      'IANA mnemonic of the opcode of the request (UPDATE, NOTIFY, STATUS, DSO, IQUERY), OPCODE7 when IANA lists none; only when it is not QUERY. `dns.question.*` is then what stands in the question section: of an UPDATE its zone.',
    example: 'UPDATE',
  },
  'dns.id': {
    type: 'int',
    stability: 'development',
    source: 'proposed',
    description: 'Message id of the request.',
    example: 4711,
  },
  'dns.response_code': {
    type: 'string',
    stability: 'development',
    source: 'proposed',
    description: 'IANA mnemonic of the response code, EDNS extension bits included; always when answered.',
    example: 'NXDOMAIN',
  },
  'dns.answers': {
    type: 'string[]',
    stability: 'development',
    source: 'semconv',
    description: 'Addresses of the answer section of a QUERY, in its order; absent when there are none.',
    example: ['192.0.2.1', '2001:db8::1'],
  },
  'dns.lookup.duration': {
    type: 'double',
    stability: 'development',
    source: 'semconv',
    description: 'Seconds from the first request to the answer; absent without an answer.',
    example: 0.0123,
  },
  'error.type': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description:
      '`timeout` (nothing came), what the program was told at once by ICMP (`connection_refused`, `host_unreachable`, `network_unreachable`), or the response code when it is an error (NXDOMAIN can be switched off); absent on success.',
    example: 'SERVFAIL',
  },
  ...OUTCOME_ATTRIBUTES,
  'server.address': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description:
      'Address of the name server the program asked (before destination NAT where that is known); an IPv6 address of link-local scope with its zone, `fe80::53%eth0` (RFC 4007).',
    example: '192.0.2.53',
  },
  'server.port': {
    type: 'int',
    stability: 'stable',
    source: 'semconv',
    description: 'Port of the name server.',
    example: 53,
  },
  'network.interface.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description:
      'Device of the link that a name server of link-local scope is on; its index where the name is not known.',
    example: 'eth0',
  },
  'network.local.address': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Local address of the socket; absent when it was not bound yet.',
    example: '198.51.100.7',
  },
  'network.local.port': {
    type: 'int',
    stability: 'stable',
    source: 'semconv',
    description: 'Local port of the socket.',
    example: 41215,
  },
  'network.transport': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: '`udp` or `tcp`.',
    example: 'udp',
  },
  'network.type': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: '`ipv4` or `ipv6`.',
    example: 'ipv4',
  },
  'network.protocol.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Always `dns`.',
    example: 'dns',
  },
  'network.peer.address': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Where the packet went, when destination NAT made that differ from `server.address`.',
    example: '10.42.0.7',
  },
  'network.peer.port': {
    type: 'int',
    stability: 'stable',
    source: 'semconv',
    description: 'Port the packet went to, with `network.peer.address`.',
    example: 5353,
  },
  'log.record.uid': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'UUID version 7 of the record: records with the same one are copies of a repeated export.',
    example: '019a0c3e-8b7a-7c1d-9f00-3b6f1c2d4e5a',
  },
  'whodns.questions': {
    type: 'string[]',
    stability: 'development',
    source: 'whodns',
    description:
      'All questions of the message, where there are several: name, type, and the class where it is not IN. `dns.question.*` is the first of them.',
    example: ['_http._tcp.local PTR', 'printer.local A CLASS32769'],
  },
  'whodns.questions.omitted': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Questions left out of `whodns.questions` because there were too many.',
    example: 36,
  },
  'whodns.update.prerequisites': {
    type: 'string[]',
    stability: 'development',
    source: 'whodns',
    description:
      'Prerequisites of an UPDATE (RFC 2136 section 2.4): name, TTL, type, the class where it is not IN, and data if there is some. ANY: it exists; NONE: it does not.',
    example: ['www.example.com 0 A ANY'],
  },
  'whodns.update.updates': {
    type: 'string[]',
    stability: 'development',
    source: 'whodns',
    description:
      'What an UPDATE adds, or deletes (classes ANY and NONE, RFC 2136 section 2.5), in the same form.',
    example: ['www.example.com 300 A 192.0.2.1'],
  },
  'whodns.update.omitted': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Prerequisites and updates left out because there were too many.',
    example: 36,
  },
  'whodns.notify.records': {
    type: 'string[]',
    stability: 'development',
    source: 'whodns',
    description: 'Records that a NOTIFY says are new (RFC 1996 section 3.7), in the same form.',
    example: ['example.com 3600 SOA ns.example.com admin.example.com 7 3600 600 86400 300'],
  },
  'whodns.answers': {
    type: 'string[]',
    stability: 'development',
    source: 'whodns',
    description: 'The answer section in presentation form: name, TTL, type, data.',
    example: ['www.example.com 300 A 192.0.2.1'],
  },
  'whodns.answers.omitted': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Answer records left out of `whodns.answers` and `dns.answers` because there were too many.',
    example: 36,
  },
  'whodns.answers.messages': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description:
      'Messages of the answer to a zone transfer over TCP (AXFR, IXFR). `whodns.answers` is of the first, the duration is to the last.',
    example: 118,
  },
  'whodns.answers.bytes': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Bytes of all these messages, without the length prefixes of TCP.',
    example: 1863204,
  },
  'whodns.answers.records': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Answer records in all these messages, as their headers say.',
    example: 41022,
  },
  'whodns.flags': {
    type: 'string[]',
    stability: 'development',
    source: 'whodns',
    description: 'Header flags that are set in the answer, else in the request: aa, tc, rd, ra, ad, cd.',
    example: ['rd', 'ra'],
  },
  'whodns.edns.version': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'EDNS version of the request (RFC 6891).',
    example: 0,
  },
  'whodns.edns.udp_size': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'UDP payload size the request offers.',
    example: 1232,
  },
  'whodns.edns.do': {
    type: 'boolean',
    stability: 'development',
    source: 'whodns',
    description: 'DNSSEC OK bit of the request.',
    example: true,
  },
  'whodns.edns.client_subnet': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      'EDNS client subnet (RFC 7871) of the request: address and source prefix length. `0/0`: family 0, the client wants none to be used.',
    example: '198.51.100.0/24',
  },
  'whodns.edns.client_subnet_scope': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description:
      'Scope prefix length of the answer: for which part of the subnet asked for it holds, 0 for everyone. Absent where the answer has no such option, or one for another subnet.',
    example: 22,
  },
  'whodns.edns.errors': {
    type: 'string[]',
    stability: 'development',
    source: 'whodns',
    description: 'Extended DNS errors (RFC 8914) of the answer: code and text.',
    example: ['22 no reachable authority'],
  },
  'whodns.retries': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Retransmissions folded into this record; records plus retries is what servers received.',
    example: 1,
  },
  'whodns.lookup.id': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      'Shared by the records of one look-up that asked several servers, at once or one after the other. Every record without a usable answer has one, since another server may be asked next.',
    example: '01936d34-9b5e-7c41-a0a5-0c6f3f0d9a11',
  },
  'whodns.lookup.final': {
    type: 'boolean',
    stability: 'development',
    source: 'whodns',
    description:
      'Of the records with one `whodns.lookup.id` that with the answer the program could use: the first with NOERROR or NXDOMAIN. Only ever true.',
    example: true,
  },
  'whodns.truncated': {
    type: 'boolean',
    stability: 'development',
    source: 'whodns',
    description: 'The message was longer than the copy limit: what lies behind it was not read.',
    example: true,
  },
  'whodns.malformed': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'First thing that was wrong in the message; what came before it was read.',
    example: 'name_pointer',
  },
  'whodns.search.base': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      "What the program asked its resolver for, where the name is one of those that the resolver's search list makes of it.",
    example: 'google.com',
  },
  'whodns.search.step': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'How many names were tried before this one, with `whodns.search.base`.',
    example: 0,
  },
  'whodns.search.wasted': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description:
      'Lookups of the same search that are now known to have been in vain and that no record told of before.',
    example: 2,
  },
  'whodns.thread.id': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Kernel thread id (the conventions define `thread.id` as the managed one).',
    example: 4243,
  },
  'whodns.thread.name': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'Name of the thread that asked (comm).',
    example: 'pool-1-thread-3',
  },
  'whodns.netns': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Inode number of the network namespace; absent for a capture file.',
    example: 4026531840,
  },
  'whodns.hook': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'Where the request was seen: fentry, kprobe, tracepoint, pcap.',
    example: 'fentry',
  },
  'whodns.attribution': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      'How the process came to be known: kernel, proc, none; unverified: as kernel, but its control group claims to be of a container, and not only root could call it so. `container.*` of such a record is the word of the user it belongs to.',
    example: 'kernel',
  },
} as const satisfies Readonly<Record<string, AttributeDefinition>>;

/** Of the event `whodns.visibility`. */
export const VISIBILITY_ATTRIBUTES = {
  'whodns.visibility.level': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'What holds for the workload now: on, off, metrics.',
    example: 'off',
  },
  'whodns.visibility.previous': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'What held before.',
    example: 'on',
  },
  'whodns.visibility.origin': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'The level that decided: configuration, default, host, namespace, pod, container.',
    example: 'namespace',
  },
  'whodns.visibility.reason': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'The annotation or flag that said so.',
    example: 'whodns/capture: off',
  },
} as const satisfies Readonly<Record<string, AttributeDefinition>>;

/** Of all kinds of records: what an attribute's type is, whichever record it is on. */
export const LOG_ATTRIBUTES = {
  ...CONNECT_ATTRIBUTES,
  ...FINDING_ATTRIBUTES,
  ...VISIBILITY_ATTRIBUTES,
  ...SUPPRESSED_ATTRIBUTES,
  ...RECORD_ATTRIBUTES,
} as const;

export const ATTRIBUTES = { ...RESOURCE_ATTRIBUTES, ...LOG_ATTRIBUTES } as const;

export type RecordAttributeName = keyof typeof RECORD_ATTRIBUTES;
export type VisibilityAttributeName = keyof typeof VISIBILITY_ATTRIBUTES;
export type AttributeName = keyof typeof ATTRIBUTES;
