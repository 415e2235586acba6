/**
 * What a filter can ask about (`--filter`, search, top, page, API): docs/filters.md is generated from it. A field is unknown where the
 * lookup does not have it; every comparison with what is unknown is false.
 */
import { OUTCOME_NAMES } from './outcomes.ts';
import type { ResourceAttributeName } from './resource-attributes.ts';

/**
 * What values a field takes, and so which operators:
 * `name`: of a domain, in any case, `*` and `?` match; `domain`: a domain and all below it; `text`: `*` and `?` match; `number`;
 * `duration`: number with unit; `address`: address or CIDR block; `data`: address, CIDR block or text; `boolean`; the rest: words.
 */
export type FilterFieldKind =
  | 'name'
  | 'domain'
  | 'text'
  | 'number'
  | 'duration'
  | 'address'
  | 'data'
  | 'boolean'
  | 'rrtype'
  | 'rcode'
  | 'word';

export interface FilterFieldDefinition {
  readonly kind: FilterFieldKind;
  /** Other names of the field. */
  readonly aliases?: readonly string[];
  /** Resource attributes of the process that it compares: any of them will do. */
  readonly attributes?: readonly ResourceAttributeName[];
  /** Of `word`: what it can be. */
  readonly words?: readonly string[];
  readonly description: string;
  readonly example: string;
}

export const FILTER_FIELDS = {
  name: {
    kind: 'name',
    aliases: ['question', 'qname'],
    description: 'Name that was asked for, without the dot at the end.',
    example: 'name=*.example',
  },
  domain: {
    kind: 'domain',
    description: 'A domain: its own name and every name below it.',
    example: 'domain=shop.example',
  },
  type: {
    kind: 'rrtype',
    aliases: ['qtype'],
    description: 'Type of the question: a mnemonic of IANA, TYPEnnn or a number.',
    example: 'type in (A, AAAA)',
  },
  rcode: {
    kind: 'rcode',
    aliases: ['result'],
    description: 'Response code: a mnemonic of IANA or a number. Unknown without an answer.',
    example: 'rcode=NXDOMAIN',
  },
  outcome: {
    kind: 'word',
    words: OUTCOME_NAMES,
    description: 'How the lookup ended.',
    example: 'outcome=timeout',
  },
  failed: {
    kind: 'boolean',
    description:
      'The program did not get what it asked for: no answer came, the server could not be reached, or the response code is not NOERROR.',
    example: 'failed',
  },
  latency: {
    kind: 'duration',
    aliases: ['duration'],
    description:
      'From the first request to the answer, or to the error in its place. Unknown where nothing came.',
    example: 'latency>50ms',
  },
  retries: {
    kind: 'number',
    description: 'How often the request was sent again.',
    example: 'retries>0',
  },
  answer: {
    kind: 'data',
    aliases: ['answers'],
    description: 'An answer record: its address, or its data as text. Of a connection: where it goes to.',
    example: 'answer=203.0.113.0/24',
  },
  server: {
    kind: 'address',
    description: 'Address of the server, as the program dialled it.',
    example: 'server=10.0.0.53',
  },
  port: {
    kind: 'number',
    description: 'Port of the server. Of a connection: the port it goes to.',
    example: 'port=5353',
  },
  transport: {
    kind: 'word',
    words: ['udp', 'tcp'],
    description: 'Transport of the request.',
    example: 'transport=tcp',
  },
  process: {
    kind: 'text',
    aliases: ['proc'],
    attributes: ['process.executable.name'],
    description: 'Name of the executable.',
    example: 'process=python*',
  },
  executable: {
    kind: 'text',
    aliases: ['exe'],
    attributes: ['process.executable.path'],
    description: 'Path of the executable.',
    example: 'executable=/opt/*',
  },
  command: {
    kind: 'text',
    aliases: ['cmd'],
    attributes: ['process.command', 'process.command_args'],
    description: 'Argument zero; with `--command-args` any argument.',
    example: 'command=*update*',
  },
  pid: {
    kind: 'number',
    description: 'Process id on the host.',
    example: 'pid=4711',
  },
  parent: {
    kind: 'text',
    attributes: ['whodns.process.parent.executable.name'],
    description: 'Name of the parent process.',
    example: 'parent=sshd',
  },
  ppid: {
    kind: 'number',
    aliases: ['parentpid'],
    attributes: ['process.parent_pid'],
    description: 'Process id of the parent.',
    example: 'ppid=1',
  },
  user: {
    kind: 'text',
    attributes: ['process.user.name', 'process.user.id'],
    description: 'Name or number of the user.',
    example: 'user=www-data',
  },
  uid: {
    kind: 'number',
    attributes: ['process.user.id'],
    description: 'Number of the user.',
    example: 'uid>=1000',
  },
  container: {
    kind: 'text',
    attributes: ['container.name', 'container.id'],
    description: 'Name or id of the container; an id may be cut short after 12 digits.',
    example: 'container=web',
  },
  image: {
    kind: 'text',
    attributes: ['container.image.name'],
    description: 'Image of the container, without tag.',
    example: 'image=*/nginx',
  },
  pod: {
    kind: 'text',
    attributes: ['k8s.pod.name'],
    description: 'Name of the pod.',
    example: 'pod=web-*',
  },
  namespace: {
    kind: 'text',
    aliases: ['ns'],
    attributes: ['k8s.namespace.name'],
    description: 'Kubernetes namespace of the pod.',
    example: 'namespace=shop',
  },
  cgroup: {
    kind: 'text',
    attributes: ['process.linux.cgroup'],
    description: 'Control group.',
    example: 'cgroup=*/ssh.service',
  },
  service: {
    kind: 'text',
    attributes: ['service.name'],
    description: 'Name of the service, as the application reports it.',
    example: 'service=checkout',
  },
  host: {
    kind: 'text',
    attributes: ['host.name'],
    description: 'Name of the host.',
    example: 'host=node-7',
  },
} as const satisfies Readonly<Record<string, FilterFieldDefinition>>;

export type FilterField = keyof typeof FILTER_FIELDS;

export function filterField(field: FilterField): FilterFieldDefinition {
  return FILTER_FIELDS[field];
}

/** Names and aliases, in lower case -> field. */
export const FILTER_FIELD_NAMES: ReadonlyMap<string, FilterField> = new Map(
  (Object.keys(FILTER_FIELDS) as FilterField[]).flatMap((field) =>
    [field, ...(filterField(field).aliases ?? [])].map((name) => [name, field] as const),
  ),
);
