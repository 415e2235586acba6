/** What tshark says about a capture file, and our events in the same words. */
import { execFileSync } from 'node:child_process';
import type { DnsEvent, ResourceRecord } from '../../src/model.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';

/** One DNS message. Questions and records are sorted: tshark's JSON groups equal ones, which loses their order. */
export interface Told {
  readonly id: number;
  /** The second 16 bits of the header. */
  readonly flags: number;
  readonly rcode: number;
  readonly questions: readonly string[];
  readonly answers: readonly string[];
  readonly authorities: readonly string[];
  readonly additionals: readonly string[];
  readonly edns: string | undefined;
}

type Tree = { readonly [key: string]: Tree | string | readonly (Tree | string)[] };

/** Messages that tshark finds, in the order of the packets that complete them. `malformed`: tshark gave up on it. */
export function tshark(path: string, ports: readonly number[]): { told: Told; malformed: boolean }[] {
  const decodeAs = ports.flatMap((port) => ['-d', `udp.port==${port},dns`, '-d', `tcp.port==${port},dns`]);
  const json = execFileSync('tshark', ['-r', path, '-T', 'json', '--no-duplicate-keys', ...decodeAs], {
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const packets = JSON.parse(json.toString()) as { _source: { layers: Tree } }[];
  return packets.flatMap(({ _source: { layers } }) =>
    many(layers['dns']).map((dns) => ({
      told: message(dns),
      malformed: layers['_ws.malformed'] !== undefined,
    })),
  );
}

function many(value: Tree[string] | undefined): Tree[] {
  const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
  return list.filter((item): item is Tree => typeof item === 'object');
}

/** A field; the first of several (the types of an NSEC bit map have the name of the record's type). */
function field(tree: Tree, name: string): string {
  const value = tree[name];
  if (Array.isArray(value)) return value.filter((item) => typeof item === 'string')[0] ?? '';
  return typeof value === 'string' ? value : '';
}

function section(dns: Tree, name: string): Tree[] {
  const tree = dns[name];
  return many(tree).flatMap((group) => Object.values(group).flatMap(many));
}

function message(dns: Tree): Told {
  const flags = Number(field(dns, 'dns.flags'));
  const additionals = section(dns, 'Additional records');
  const opt = additionals.find((record) => field(record, 'dns.resp.type') === '41');
  const extended = opt === undefined ? 0 : Number(field(opt, 'dns.resp.ext_rcode'));
  return {
    id: Number(field(dns, 'dns.id')),
    flags,
    rcode: (flags & 15) | (extended << 4),
    questions: section(dns, 'Queries')
      .map(
        (q) => `${field(q, 'dns.qry.name')} ${field(q, 'dns.qry.type')} ${Number(field(q, 'dns.qry.class'))}`,
      )
      .sort(),
    answers: section(dns, 'Answers').map(record).sort(),
    authorities: section(dns, 'Authoritative nameservers').map(record).sort(),
    additionals: additionals
      .filter((tree) => tree !== opt)
      .map(record)
      .sort(),
    edns: opt && edns(opt),
  };
}

function edns(opt: Tree): string {
  const flag = field(many(opt['dns.resp.z_tree'])[0] ?? {}, 'dns.resp.z.do');
  const codes = many(opt['dns.opt']).map((option) => field(option, 'dns.opt.code'));
  return `${field(opt, 'dns.resp.edns0_version')} ${field(opt, 'dns.rr.udp_payload_size')} ${flag} ${codes}`;
}

function record(tree: Tree): string {
  // tshark splits the owner of an SRV record into service, protocol and name.
  const srv = ['dns.srv.service', 'dns.srv.proto', 'dns.srv.name'].map((part) => field(tree, part)).join('.');
  const name = tree['dns.resp.name'] === undefined ? srv : field(tree, 'dns.resp.name');
  const type = Number(field(tree, 'dns.resp.type'));
  const data = DATA.get(type)?.told(tree) ?? '';
  return `${name} ${Number(field(tree, 'dns.resp.class'))} ${field(tree, 'dns.resp.ttl')} ${type} ${data}`;
}

/** How RDATA of a type is said in common words: from tshark's fields, and from our presentation form. */
interface Data {
  readonly told: (tree: Tree) => string;
  readonly ours: (data: string) => string;
}

function fields(prefix: string, names: string): Data {
  const told = (tree: Tree) =>
    names
      .split(' ')
      .map((name) => field(tree, `dns.${prefix}${name}`))
      .join(' ');
  return { told, ours: named };
}

function octets(tree: Tree, name: string): string {
  return field(tree, name).replaceAll(':', '');
}

const DATA = new Map<number, Data>([
  [RR_TYPES.A, fields('', 'a')],
  [RR_TYPES.AAAA, fields('', 'aaaa')],
  [RR_TYPES.NS, fields('', 'ns')],
  [RR_TYPES.CNAME, fields('', 'cname')],
  [RR_TYPES.DNAME, fields('', 'dname')],
  [RR_TYPES.PTR, fields('ptr.', 'domain_name')],
  [RR_TYPES.MX, fields('mx.', 'preference mail_exchange')],
  [RR_TYPES.RP, fields('rp.', 'mailbox txt_rr')],
  [RR_TYPES.SRV, fields('srv.', 'priority weight port target')],
  [
    RR_TYPES.SOA,
    fields('soa.', 'mname rname serial_number refresh_interval retry_interval expire_limit minimum_ttl'),
  ],
  [
    RR_TYPES.DS,
    {
      told: (tree) =>
        `${Number(field(tree, 'dns.ds.key_id'))} ${field(tree, 'dns.ds.algorithm')} ${field(tree, 'dns.ds.digest_type')} ${octets(tree, 'dns.ds.digest')}`,
      ours: String,
    },
  ],
  [
    RR_TYPES.SSHFP,
    {
      told: (tree) =>
        `${field(tree, 'dns.sshfp.algorithm')} ${field(tree, 'dns.sshfp.fingerprint.type')} ${octets(tree, 'dns.sshfp.fingerprint')}`,
      ours: String,
    },
  ],
  [
    RR_TYPES.TLSA,
    {
      told: (tree) =>
        `${field(tree, 'dns.tlsa.certificate_usage')} ${field(tree, 'dns.tlsa.selector')} ${field(tree, 'dns.tlsa.matching_type')} ${octets(tree, 'dns.tlsa.certificate_association_data')}`,
      ours: String,
    },
  ],
  [
    RR_TYPES.RRSIG,
    {
      told: (tree) => {
        const words = 'algorithm labels original_ttl key_tag signers_name'.split(' ');
        const signature = Buffer.from(octets(tree, 'dns.rrsig.signature'), 'hex').toString('base64');
        return [...words.map((name) => field(tree, `dns.rrsig.${name}`)), signature].join(' ');
      },
      // Without the covered type (a number there, a name here) and the times (in words there).
      ours: (data) => data.split(' ').toSpliced(4, 2).slice(1).join(' '),
    },
  ],
  [RR_TYPES.TXT, { told: (tree) => texts(tree).join('|'), ours: unquoted }],
]);

function texts(tree: Tree): string[] {
  const value = tree['dns.txt'];
  return (Array.isArray(value) ? value : [value]).filter((text) => typeof text === 'string').map(clean);
}

/** Character-strings without quotes and escapes, joined by `|`. */
function unquoted(data: string): string {
  const strings = data.match(/"(?:[^"\\]|\\.)*"/g) ?? [];
  return strings.map((text) => clean(plain(text.slice(1, -1)))).join('|');
}

/** tshark ends a text at its first NUL and shows other octets in its own ways: both sides leave them out. */
function clean(text: string): string {
  return text.replace(/\0.*/s, '').replace(/[^ -~]/g, '');
}

/** Escapes resolved. */
function plain(text: string): string {
  return text.replace(/\\(\d{3}|.)/g, (_, code: string) =>
    code.length === 3 ? String.fromCharCode(Number(code)) : code,
  );
}

/** A name, or RDATA with names, as tshark shows it: root `<Root>`, escapes resolved, octets above 127 as U+FFFD. */
function named(text: string): string {
  return text
    .split(' ')
    .map((word) => (word === '.' ? '<Root>' : plain(word)))
    .join(' ')
    .replace(/[\x80-\xff]/g, '\ufffd')
    .replaceAll('\0', '\\000');
}

/** Our event in the words of tshark. */
export function inWords({ message }: DnsEvent): Told {
  const lines = (records: readonly ResourceRecord[]) =>
    records
      .map(({ name, type, class: recordClass, ttl, data }) => {
        const words = DATA.get(type)?.ours(data) ?? '';
        return `${named(name)} ${recordClass} ${ttl} ${type} ${words}`;
      })
      .sort();
  const { edns: opt } = message;
  return {
    id: message.id,
    flags: flagWord(message),
    rcode: message.rcode,
    questions: message.questions.map((q) => `${named(q.name)} ${q.type} ${q.class}`).sort(),
    answers: lines(message.answers),
    authorities: lines(message.authorities),
    additionals: lines(message.additionals),
    edns:
      opt && `${opt.version} ${opt.udpSize} ${opt.do ? 1 : 0} ${opt.options.map((option) => option.code)}`,
  };
}

function flagWord(message: DnsEvent['message']): number {
  const bit = (value: boolean, position: number) => (value ? 1 << position : 0);
  return (
    bit(message.response, 15) |
    (message.opcode << 11) |
    bit(message.authoritative, 10) |
    bit(message.truncated, 9) |
    bit(message.recursionDesired, 8) |
    bit(message.recursionAvailable, 7) |
    bit(message.authenticData, 5) |
    bit(message.checkingDisabled, 4) |
    (message.rcode & 15)
  );
}
