/** LookupRecord: which fact goes into which attribute, and what is bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rememberInterface } from '../../src/lib/interface-names.ts';
import type { LookupView } from '../../src/lookup/view.ts';
import type { Attributes, Edns } from '../../src/model.ts';
import { MAX_LISTED } from '../../src/records/lookup-sections.ts';
import { MAX_CHARACTERS } from '../../src/records/record-common.ts';
import { RECORD_ATTRIBUTES } from '../../src/tables/attributes.ts';
import { RR_TYPES } from '../../src/tables/rrtypes.ts';
import { viewOf } from './message-bytes.ts';
import { identity, logEvent, lookup, record, recordOf, type Spec, TIME } from './sink-events.ts';

function attributesOf(spec: Spec, nxdomainError = true): Attributes {
  return recordOf(lookup(spec), { nxdomainError }).attributes;
}

const LINK_LOCAL = { address: 'fe80::53', port: 53 };
const MANY = Array.from({ length: 130 }, () => record('x', 1, '192.0.2.1'));

/** A message of which only so many bytes were captured; of `length`, if that is given. */
function cut({ message }: LookupView['answer'], captured: number, length = message.length): void {
  message.parse(message.bytes, message.base, captured, length);
}

test('every attribute is in the table, with the type the table says', () => {
  const specs: Spec[] = [
    { raw: { dialed: { address: '10.96.0.10', port: 53 } } },
    { raw: { family: 6, remote: LINK_LOCAL, interface: 77 } },
    { outcome: 'timeout', retries: 3 },
    { outcome: 'unknown', reason: 'ring_full' },
    { conflictsWith: '0191f0a2-7c4e-7b3a-9d6e-2f1c0b8a7e55' },
    { search: { base: 'x', step: 3, wasted: 2 } },
    { rcode: 2, answers: Array.from({ length: 300 }, () => record('x', 1, '192.0.2.1')) },
    { response: { edns: edns() } },
    { request: { questions: [{ name: 'version.bind', type: 16, class: 3 }] } },
    { request: { questions: Array.from({ length: 130 }, () => ({ name: 'x', type: 1, class: 1 })) } },
    { request: { opcode: 5, answers: MANY, authorities: MANY } },
    { request: { opcode: 4, answers: MANY } },
  ];
  const seen = new Set<string>(Object.keys(transferred()));
  for (const spec of specs) {
    for (const [name, value] of Object.entries(attributesOf(spec))) {
      seen.add(name);
      const { type } = RECORD_ATTRIBUTES[name as keyof typeof RECORD_ATTRIBUTES] ?? {};
      const actual = Array.isArray(value) ? 'string[]' : typeof value === 'number' ? 'number' : typeof value;
      assert.equal(actual, type === 'int' || type === 'double' ? 'number' : type, name);
      if (type === 'int') assert.ok(Number.isInteger(value), name);
    }
  }
  for (const name of ['whodns.truncated', 'whodns.malformed', 'whodns.lookup.id', 'whodns.lookup.final'])
    seen.add(name); // below
  assert.deepEqual([...seen].sort(), Object.keys(RECORD_ATTRIBUTES).sort());
});

function transferred(): Attributes {
  const view = viewOf(lookup());
  view.answerMessages = 2;
  view.isFinal = true;
  view.hasLookupId = true;
  return recordOf(view).attributes;
}

test('of several servers asked the records share an id, and one is final', () => {
  const view = viewOf(lookup());
  view.hasLookupId = true;
  view.lookupId.fill(0xab);
  view.isFinal = true;
  const { attributes } = recordOf(view);
  assert.equal(attributes['whodns.lookup.id'], 'abababab-abab-abab-abab-abababababab');
  assert.equal(attributes['whodns.lookup.final'], true);
});

test('what is told at once in place of an answer is another error than silence', () => {
  for (const outcome of ['connection_refused', 'host_unreachable', 'network_unreachable'] as const) {
    const event = recordOf(lookup({ outcome }), { nxdomainError: true });
    assert.equal(event.attributes['error.type'], outcome);
    assert.equal(event.attributes['dns.response_code'], undefined);
    assert.match(event.body, new RegExp(`: ${outcome}`));
    assert.equal(event.severity, recordOf(lookup({ outcome: 'timeout' }), { nxdomainError: true }).severity);
  }
});

test('a link-local server is told with its zone', () => {
  rememberInterface(4026531840, 78, 'wan0');
  for (const [index, zone] of [
    [77, '77'],
    [78, 'wan0'],
  ] as const) {
    const raw = { family: 6, remote: LINK_LOCAL, interface: index, networkNamespace: 4026531840 } as const;
    const attributes = attributesOf({ raw });
    assert.equal(attributes['server.address'], `fe80::53%${zone}`);
    assert.equal(attributes['network.interface.name'], zone);
  }
  const elsewhere = attributesOf({
    raw: { family: 6, remote: { address: '2001:db8::53', port: 53 }, interface: 78 },
  });
  assert.equal(elsewhere['server.address'], '2001:db8::53');
  assert.equal(elsewhere['network.interface.name'], undefined);
});

function edns() {
  const extendedErrors = [
    { code: 22, text: 'no reachable authority' },
    { code: 3, text: '' },
  ];
  return {
    version: 0,
    udpSize: 512,
    do: false,
    extendedRcode: 0,
    options: [],
    clientSubnet: '198.51.100.0/24',
    clientSubnetScope: 22,
    extendedErrors,
  };
}

test("the scope of a client subnet is the answer's, and only where it is about the subnet asked for", () => {
  const name = 'whodns.edns.client_subnet_scope';
  const asked = { ...edns(), clientSubnetScope: 0 };
  const of = (request: Partial<Edns> | undefined, response: Partial<Edns> | undefined) =>
    attributesOf({
      request: { edns: request && { ...asked, ...request } },
      response: { edns: response && { ...edns(), ...response } },
    })[name];
  assert.equal(of({}, {}), 22);
  assert.equal(of({}, { clientSubnetScope: 0 }), 0);
  assert.equal(of({ clientSubnetScope: 24 }, undefined), undefined);
  assert.equal(of({}, { clientSubnet: undefined, clientSubnetScope: undefined }), undefined);
  assert.equal(of({}, { clientSubnet: '203.0.113.0/24' }), undefined);
  assert.equal(of({ clientSubnet: undefined, clientSubnetScope: undefined }, {}), undefined);
  assert.equal(of(undefined, {}), undefined);
});

test('time, severity, body', () => {
  const good = logEvent();
  assert.deepEqual(
    [good.eventName, good.time, good.observedTime],
    ['whodns.query', TIME, TIME + 20_000_000n],
  );
  assert.deepEqual([good.severity, good.body], [9, 'A www.example.com: 192.0.2.1 in 12.3ms (curl)']);
  const late = logEvent({ outcome: 'timeout' });
  assert.deepEqual([late.severity, late.body], [13, 'A www.example.com: timeout (curl)']);
  const nothing = logEvent({ answers: [], process: identity({ executableName: 'a\x1b[2Jb' }) });
  assert.equal(nothing.body, 'A www.example.com: no data in 12.3ms (a\\x1b[2Jb)');
  assert.equal(logEvent({ outcome: 'sent' }).severity, 9);
});

test('error.type: time-outs and response codes; NXDOMAIN can be switched off; unlisted codes are one value', () => {
  assert.equal(attributesOf({})['error.type'], undefined);
  assert.equal(attributesOf({})['dns.response_code'], 'NOERROR');
  assert.equal(attributesOf({ outcome: 'timeout' })['error.type'], 'timeout');
  assert.equal(attributesOf({ outcome: 'timeout' })['dns.response_code'], undefined);
  assert.equal(attributesOf({ outcome: 'sent' })['error.type'], undefined);
  assert.equal(attributesOf({ rcode: 5 })['error.type'], 'REFUSED');
  assert.equal(attributesOf({ rcode: 3 })['error.type'], 'NXDOMAIN');
  assert.equal(attributesOf({ rcode: 3 }, false)['error.type'], undefined);
  assert.equal(attributesOf({ rcode: 3 }, false)['dns.response_code'], 'NXDOMAIN');
  assert.equal(attributesOf({ rcode: 3841 })['error.type'], '_OTHER');
  assert.equal(attributesOf({ rcode: 3841 })['dns.response_code'], 'RCODE3841');
});

test('an answer whose header could not be read has no response code and no plausible value', () => {
  const unread = viewOf(lookup());
  cut(unread.answer, 11, 11);
  const { attributes, body } = recordOf(unread);
  assert.equal(attributes['dns.response_code'], undefined);
  assert.equal(attributes['error.type'], undefined);
  assert.equal(attributes['whodns.malformed'], 'short_header');
  assert.match(body, /: malformed answer in /);
  const unasked = viewOf(lookup({ outcome: 'timeout' }));
  cut(unasked.request, 3, 3);
  const asked = recordOf(unasked);
  assert.equal(asked.attributes['dns.id'], undefined);
  assert.equal(asked.attributes['dns.question.name'], undefined);
  assert.equal(asked.body, '(no question): timeout (curl)');
});

test('the server is what the program asked; the packet that went elsewhere is the peer', () => {
  const attributes = attributesOf({
    raw: {
      dialed: { address: '10.96.0.10', port: 53 },
      remote: { address: '2001:db8::7', port: 5353 },
      family: 6,
      localAny: true,
      transport: 'tcp',
    },
  });
  assert.equal(attributes['server.address'], '10.96.0.10');
  assert.equal(attributes['server.port'], 53);
  assert.equal(attributes['network.peer.address'], '2001:db8::7');
  assert.equal(attributes['network.peer.port'], 5353);
  assert.equal(attributes['network.type'], 'ipv6');
  assert.equal(attributes['network.transport'], 'tcp');
  assert.equal(attributes['network.local.address'], undefined);
  assert.equal(attributesOf({})['network.peer.address'], undefined);
});

test('dns.answers holds addresses only; damaged and foreign records are no addresses', () => {
  const answers = [
    record('a.example', RR_TYPES.CNAME, 'b.example'),
    record('b.example', RR_TYPES.A, '192.0.2.1'),
    record('b.example', RR_TYPES.AAAA, '2001:db8::1'),
    record('b.example', RR_TYPES.A, '\\# 3 c00002'),
    { ...record('b.example', RR_TYPES.A, '192.0.2.9'), class: 3 },
  ];
  const attributes = attributesOf({ answers });
  assert.deepEqual(attributes['dns.answers'], ['192.0.2.1', '2001:db8::1']);
  assert.equal((attributes['whodns.answers'] as readonly string[]).length, 5);
  assert.equal(attributesOf({ answers: [record('a', RR_TYPES.MX, '10 b.')] })['dns.answers'], undefined);
});

test('answers and texts are bounded, and what is left out is said', () => {
  const string = `"${'\\255'.repeat(200)}"`;
  const answers = Array.from({ length: 130 }, () => record('x', RR_TYPES.TXT, `${string} ${string}`));
  const process = identity({ executableName: '😀'.repeat(1000) });
  const { attributes, body } = recordOf(lookup({ answers, process }));
  const lines = attributes['whodns.answers'] as readonly string[];
  assert.equal(lines.length, MAX_LISTED);
  assert.equal(attributes['whodns.answers.omitted'], 130 - MAX_LISTED);
  for (const line of [...lines, body]) {
    assert.ok(line.length <= MAX_CHARACTERS);
    assert.ok(line.isWellFormed());
  }
});

test('a message that was cut says so', () => {
  const whole = viewOf(lookup());
  assert.equal(recordOf(whole).attributes['whodns.truncated'], undefined);
  cut(whole.answer, 20);
  const { attributes } = recordOf(whole);
  assert.equal(attributes['whodns.truncated'], true);
  assert.equal(attributes['whodns.malformed'], 'cut');
});

test('identifiers are UUIDs of version 7, distinct, and of the time given', () => {
  const uids = new Set<string>();
  for (let i = 0; i < 20_000; i++) uids.add(String(logEvent().attributes['log.record.uid']));
  assert.equal(uids.size, 20_000);
  const stamp = Number((TIME + 20_000_000n) / 1_000_000n)
    .toString(16)
    .padStart(12, '0');
  for (const uid of uids) {
    assert.match(uid, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(uid.replaceAll('-', '').slice(0, 12), stamp);
  }
});

test('the thread has the name the kernel gave it, read as UTF-8', () => {
  const request = lookup().request.raw.owner;
  assert.ok(request);
  const owner = { ...request, threadName: Buffer.from('naïve').toString('latin1') };
  assert.equal(attributesOf({ raw: { owner } })['whodns.thread.name'], 'naïve');
  const withoutOwner = attributesOf({ raw: { owner: undefined, networkNamespace: 0 } });
  assert.equal(withoutOwner['whodns.thread.id'], undefined);
  assert.equal(withoutOwner['whodns.netns'], undefined);
});
