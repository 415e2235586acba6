/** Attributes of the log record `whodns.connect`: those it shares with `whodns.query`, and its own. */
import type { AttributeDefinition } from './resource-attributes.ts';

export const CONNECT_ATTRIBUTES = {
  'network.peer.address': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'The address that the program connects to, before any destination NAT.',
    example: '192.0.2.1',
  },
  'network.peer.port': {
    type: 'int',
    stability: 'stable',
    source: 'semconv',
    description: 'The port that it connects to.',
    example: 443,
  },
  'network.local.address': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Local address of the socket.',
    example: '198.51.100.7',
  },
  'network.local.port': {
    type: 'int',
    stability: 'stable',
    source: 'semconv',
    description:
      'Local port: the source port of its packets. Absent where too many connections wait for theirs.',
    example: 4242,
  },
  'network.transport': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Always `tcp`.',
    example: 'tcp',
  },
  'network.type': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: '`ipv4` or `ipv6`.',
    example: 'ipv4',
  },
  'log.record.uid': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'UUID version 7 of the record: records with the same one are copies of a repeated export.',
    example: '019a0c3e-8b7a-7c1d-9f00-3b6f1c2d4e5a',
  },
  'whodns.connect.names': {
    type: 'string[]',
    stability: 'development',
    source: 'whodns',
    description:
      'Names that led to the address, at most 16: the question answered last, its aliases, then other questions that still hold.',
    example: ['www.example.com'],
  },
  'whodns.connect.scope': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      'Whose lookups the names are from, the nearest that led there: `process`, `container`, `network-namespace`, `host`.',
    example: 'process',
  },
  'whodns.connect.answer_age': {
    type: 'double',
    stability: 'development',
    source: 'whodns',
    description: 'Milliseconds from the answer with the first name to the connection.',
    example: 0.412,
  },
  'whodns.connect.ttl_left': {
    type: 'double',
    stability: 'development',
    source: 'whodns',
    description: 'Seconds that this answer was still valid for; negative when it had expired.',
    example: 299.999,
  },
  'whodns.unresolved': {
    type: 'boolean',
    stability: 'development',
    source: 'whodns',
    description: 'True when no lookup that the agent remembers led to the address; else absent.',
    example: true,
  },
  'whodns.thread.id': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Kernel thread id.',
    example: 4243,
  },
  'whodns.thread.name': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'Name of the thread that connects (comm).',
    example: 'pool-1-thread-3',
  },
  'whodns.netns': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Inode number of the network namespace.',
    example: 4026531840,
  },
  'whodns.attribution': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      'How the process came to be known: kernel, proc, unverified (as above); none for a connection of the kernel itself.',
    example: 'kernel',
  },
} as const satisfies Readonly<Record<string, AttributeDefinition>>;

export type ConnectAttributeName = keyof typeof CONNECT_ATTRIBUTES;
