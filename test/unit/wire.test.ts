import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Ledger } from '../../src/ledger.ts';
import { Envelope } from '../../src/lookup/envelope.ts';
import type { RawConnection, RawMessage, RawProcess } from '../../src/model.ts';
import { decodeBatch } from '../../src/wire/decode.ts';
import {
  CONNECTION_ADDRESSES,
  CONNECTION_EVENT,
  CONNECTION_FLAGS,
  EVENT_HEADER,
  EVENT_KIND,
  HOOK_FAMILY,
  INTERFACE_EVENT,
  MESSAGE_ADDRESSES,
  MESSAGE_DIRECTION,
  MESSAGE_EVENT,
  MESSAGE_FLAGS,
  OWNER,
  OWNER_EVENT,
  OWNER_IDS,
  PROCESS_EVENT,
  PROCESS_FLAGS,
  PROCESS_KEY,
  PROCESS_VALUE,
  TRACE_CONTEXT,
} from '../../src/wire/layout.gen.ts';
import { Owners } from '../../src/wire/owners.ts';
import { decodeProcessCounts, encodeProcessKeys } from '../../src/wire/processes.ts';

const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
const TO_UNIX = 1_700_000_000_000_000_000n;

/** Writes a record as bpf/event.h lays it out. Returns its bytes, padded to 8 as the reader does. */
class Writer {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(size: number, kind: number) {
    this.bytes = new Uint8Array((size + 7) & ~7);
    this.view = new DataView(this.bytes.buffer);
    this.u64(EVENT_HEADER.time, 123_456_789n);
    this.u32(EVENT_HEADER.size, size);
    this.u16(EVENT_HEADER.kind, kind);
    this.u8(EVENT_HEADER.hook, HOOK_FAMILY.TRACEPOINT);
  }
  u8(at: number, value: number): void {
    this.view.setUint8(at, value);
  }
  u16(at: number, value: number): void {
    this.view.setUint16(at, value, LITTLE);
  }
  u32(at: number, value: number): void {
    this.view.setUint32(at, value, LITTLE);
  }
  u64(at: number, value: bigint): void {
    this.view.setBigUint64(at, value, LITTLE);
  }
  raw(at: number, value: Uint8Array | readonly number[]): void {
    this.bytes.set(value, at);
  }
}

function writeOwner(writer: Writer, at: number): void {
  writer.u64(at + OWNER.start_time, 99_000_000_001n);
  writer.u64(at + OWNER.cgroup_id, 0xffff_ffff_ffff_fff0n);
  writer.u32(at + OWNER.tgid, 4_000_000_000);
  writer.u32(at + OWNER.tid, 43);
  writer.u32(at + OWNER.ppid, 1);
  writer.u32(at + OWNER.vpid, 7);
  writer.u32(at + OWNER.uid, 65534);
  writer.u32(at + OWNER.gid, 65533);
  writer.u32(at + OWNER.pid_ns, 4026531836);
  writer.u32(at + OWNER.mnt_ns, 4026531841);
  writer.u32(at + OWNER.net_ns, 4026531840);
  writer.raw(at + OWNER.comm, [0x77, 0x80, 0x1b, 0xff]); // w, C1, ESC, latin1 y-diaeresis
  writer.raw(at + OWNER.leader_comm, Buffer.from('sixteen-bytes-xy')); // no NUL at all
}

const V4 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];
const V6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x35];

const OWNER_ID = 7;
const HEAD = MESSAGE_EVENT.SIZEOF + MESSAGE_ADDRESSES.SIZEOF;

function owner(id: number, change: (writer: Writer) => void = () => {}): Uint8Array {
  const writer = new Writer(OWNER_EVENT.SIZEOF, EVENT_KIND.OWNER);
  writeOwner(writer, OWNER_EVENT.owner);
  writer.u32(OWNER_EVENT.owner + OWNER.id, id);
  change(writer);
  return writer.bytes;
}

/** Of family 6, unless it is changed; before the payload there is what `flags` says. */
function message(payload: Uint8Array, change: (writer: Writer) => void = () => {}): Uint8Array {
  const writer = new Writer(HEAD + payload.length, EVENT_KIND.MESSAGE);
  writer.u32(MESSAGE_EVENT.owner_id, OWNER_ID);
  writer.u64(MESSAGE_EVENT.socket, 5n);
  writer.raw(MESSAGE_EVENT.SIZEOF + MESSAGE_ADDRESSES.local_address, V4);
  writer.raw(MESSAGE_EVENT.SIZEOF + MESSAGE_ADDRESSES.remote_address, V6);
  writer.u32(MESSAGE_EVENT.length, payload.length);
  writer.u32(MESSAGE_EVENT.sequence, 0xfffffff0);
  writer.u32(MESSAGE_EVENT.net_ns, 4026531840);
  writer.u16(MESSAGE_EVENT.local_port, 40000);
  writer.u16(MESSAGE_EVENT.remote_port, 53);
  writer.u16(MESSAGE_EVENT.flags, MESSAGE_FLAGS.OWNER | MESSAGE_FLAGS.ADDRESSES);
  writer.u8(MESSAGE_EVENT.direction, MESSAGE_DIRECTION.REQUEST);
  writer.u8(MESSAGE_EVENT.protocol, 17);
  writer.u8(MESSAGE_EVENT.family, 6);
  writer.raw(HEAD, payload);
  change(writer);
  return writer.bytes;
}

/** Of IPv4, as most are. */
function message4(address: readonly number[]): Uint8Array {
  const writer = new Writer(MESSAGE_EVENT.SIZEOF, EVENT_KIND.MESSAGE);
  writer.raw(MESSAGE_EVENT.local_ipv4, address);
  writer.raw(MESSAGE_EVENT.remote_ipv4, [192, 0, 2, 53]);
  writer.u8(MESSAGE_EVENT.direction, MESSAGE_DIRECTION.RESPONSE);
  writer.u8(MESSAGE_EVENT.protocol, 17);
  writer.u8(MESSAGE_EVENT.family, 4);
  return writer.bytes;
}

function knownOwners(): Owners {
  const owners = new Owners();
  decodeBatch(owner(OWNER_ID), TO_UNIX, new Ledger().stage('wire'), owners);
  return owners;
}

function decode(...records: readonly Uint8Array[]) {
  const stage = new Ledger().stage('wire');
  const events = decodeBatch(Buffer.concat(records), TO_UNIX, stage, knownOwners());
  const { in: taken, out, dropped, missing } = stage.snapshot();
  assert.equal(missing, 0);
  assert.equal(out, events.length);
  return { events, taken, dropped };
}

describe('message events', () => {
  it('gives every field', () => {
    const { events } = decode(message(Buffer.from('payload')));
    const [event] = events as RawMessage[];
    assert.ok(event instanceof Envelope);
    assert.deepEqual(
      { ...event.head(), payload: Buffer.from(event.payload).toString() },
      {
        kind: 'message',
        time: TO_UNIX + 123_456_789n,
        hook: 'tracepoint',
        direction: 'request',
        transport: 'udp',
        family: 6,
        networkNamespace: 4026531840,
        socket: 5n,
        local: { address: '192.0.2.1', port: 40000 },
        remote: { address: '2001:db8::35', port: 53 },
        localAny: false,
        dialed: undefined,
        owner: {
          pid: 4_000_000_000,
          tid: 43,
          parentPid: 1,
          vpid: 7,
          uid: 65534,
          gid: 65533,
          pidNamespace: 4026531836,
          mountNamespace: 4026531841,
          networkNamespace: 4026531840,
          startTime: 99_000_000_001n,
          cgroupId: 0xffff_ffff_ffff_fff0n,
          threadName: 'w\x80\x1b\xff',
          processName: 'sixteen-bytes-xy',
          cached: false,
        },
        sequence: 0xfffffff0,
        streamStart: false,
        streamEnd: false,
        more: false,
        unreadable: false,
        length: 7,
        payload: 'payload',
      },
    );
  });

  it('reads a trace context between the event and its payload', () => {
    const context = new Uint8Array(TRACE_CONTEXT.SIZEOF);
    context.fill(0xab, TRACE_CONTEXT.trace_id, TRACE_CONTEXT.trace_id + 16);
    context.fill(0xcd, TRACE_CONTEXT.span_id, TRACE_CONTEXT.span_id + 8);
    context[TRACE_CONTEXT.valid] = 1;
    context[TRACE_CONTEXT.flags] = 1;
    const traced = (bytes: Uint8Array): Uint8Array =>
      message(Buffer.concat([bytes, Buffer.from('payload')]), (writer) => {
        writer.u16(MESSAGE_EVENT.flags, MESSAGE_FLAGS.TRACE | MESSAGE_FLAGS.ADDRESSES);
        writer.u32(MESSAGE_EVENT.length, 7);
      });
    const [event, without] = decode(traced(context), traced(new Uint8Array(TRACE_CONTEXT.SIZEOF)))
      .events as RawMessage[];
    assert.equal(Buffer.from(event?.payload ?? []).toString(), 'payload');
    assert.deepEqual(event?.trace, {
      traceId: new Uint8Array(16).fill(0xab),
      spanId: new Uint8Array(8).fill(0xcd),
      flags: 1,
    });
    assert.equal(Buffer.from(without?.payload ?? []).toString(), 'payload');
    assert.equal(without?.trace, undefined);
  });

  it('refuses an event that is too short for the trace context it announces', () => {
    const short = message(new Uint8Array(8), (writer) =>
      writer.u16(MESSAGE_EVENT.flags, MESSAGE_FLAGS.TRACE | MESSAGE_FLAGS.ADDRESSES),
    );
    assert.deepEqual(decode(short).dropped, { field: 1 });
  });

  it('reads flags, TCP and the dialed address', () => {
    const { events } = decode(
      message(Buffer.from('x'), (writer) => {
        writer.u8(MESSAGE_EVENT.protocol, 6);
        writer.u8(MESSAGE_EVENT.family, 4);
        writer.u8(MESSAGE_EVENT.direction, MESSAGE_DIRECTION.RESPONSE);
        writer.u16(MESSAGE_EVENT.flags, 0xffff & ~MESSAGE_FLAGS.OWNER & ~MESSAGE_FLAGS.TRACE);
        writer.raw(MESSAGE_EVENT.SIZEOF + MESSAGE_ADDRESSES.dialed_address, V4);
        writer.u16(MESSAGE_EVENT.dialed_port, 5353);
        writer.u32(MESSAGE_EVENT.length, 70_000);
      }),
    );
    const [event] = events as RawMessage[];
    assert.equal(event?.transport, 'tcp');
    assert.equal(event.direction, 'response');
    assert.equal(event.family, 4);
    assert.equal(event.owner?.cached, true);
    assert.deepEqual(event.dialed, { address: '192.0.2.1', port: 5353 });
    assert.equal(event.length, 70_000);
    assert.equal(event.payload.length, 1);
    for (const flag of ['streamStart', 'streamEnd', 'more', 'unreadable', 'localAny'] as const) {
      assert.equal(event[flag], true, flag);
    }
  });

  it('names owners by what was told of their ids', () => {
    const by = (id: number, flags: number = MESSAGE_FLAGS.OWNER) =>
      message(Buffer.from('x'), (writer) => {
        writer.u32(MESSAGE_EVENT.owner_id, id);
        writer.u16(MESSAGE_EVENT.flags, flags | MESSAGE_FLAGS.ADDRESSES);
      });
    const other = owner(8, (writer) => writer.u32(OWNER_EVENT.owner + OWNER.tid, 44));
    const again = owner(8 + OWNER_IDS.SLOTS, (writer) => writer.u32(OWNER_EVENT.owner + OWNER.tid, 45));
    const { events, taken } = decode(
      ...[by(OWNER_ID), by(8), other, by(8), by(OWNER_ID), by(8, MESSAGE_FLAGS.OWNER_CACHED)],
      ...[again, by(8), by(8 + OWNER_IDS.SLOTS), by(0)],
    );
    const owners = (events as RawMessage[]).map((event) => event.owner);
    assert.deepEqual(
      owners.map((one) => one?.tid),
      [43, undefined, 44, 43, 44, undefined, 45, undefined],
    );
    assert.equal(owners[0], owners[3]);
    assert.deepEqual(owners[4], { ...owners[2], cached: true });
    assert.equal(taken, 8, 'what tells an owner is no event');
  });

  it('counts an owner record that is cut', () => {
    const short = owner(9, (writer) => writer.u32(EVENT_HEADER.size, OWNER_EVENT.SIZEOF - 8));
    assert.deepEqual(decode(short.subarray(0, OWNER_EVENT.SIZEOF - 8)).dropped, { cut: 1 });
  });

  it('has no owner where the kernel had none', () => {
    const [event] = decode(message4([192, 0, 2, 1])).events as RawMessage[];
    assert.equal(event?.owner, undefined);
    assert.deepEqual(event?.local, { address: '192.0.2.1', port: 0 });
    assert.deepEqual(event?.remote, { address: '192.0.2.53', port: 0 });
    assert.equal(event?.direction, 'response');
  });

  it('refuses an event whose addresses are not there', () => {
    for (const flags of [MESSAGE_FLAGS.OWNER, MESSAGE_FLAGS.DIALED])
      for (const family of [4, 6]) {
        if (family === 4 && flags === MESSAGE_FLAGS.OWNER) continue;
        const { dropped } = decode(
          message(new Uint8Array(0), (writer) => {
            writer.u16(MESSAGE_EVENT.flags, flags);
            writer.u8(MESSAGE_EVENT.family, family);
            writer.u32(MESSAGE_EVENT.length, HEAD);
          }),
        );
        assert.deepEqual(dropped, { field: 1 });
      }
  });

  it('keeps TCP payload apart from the batch', () => {
    const record = message(Buffer.from('abc'), (writer) => writer.u8(MESSAGE_EVENT.protocol, 6));
    const [event] = decodeBatch(record, 0n, new Ledger().stage('wire'), knownOwners()) as RawMessage[];
    assert.notEqual(event?.payload.buffer, record.buffer);
    assert.equal(event?.payload.buffer.byteLength, 3);
  });

  it('shows many addresses right whatever the cache holds', () => {
    const records: Uint8Array[] = [];
    const expected: string[] = [];
    for (let i = 0; i < 20_000; i++) {
      const address = [10, i >> 16, (i >> 8) & 255, i & 255];
      const long = message(new Uint8Array(0), (writer) =>
        writer.raw(MESSAGE_EVENT.SIZEOF, [...V4.slice(0, 12), ...address]),
      );
      records.push(message4(address), long);
      expected.push(address.join('.'), address.join('.'));
    }
    const { events } = decode(...records, ...records);
    const seen = (events as RawMessage[]).map((event) => event.local.address);
    assert.deepEqual(seen, [...expected, ...expected]);
  });

  it('reads a batch at an odd offset of its buffer', () => {
    const record = message(Buffer.from('abc'));
    const shifted = new Uint8Array(record.length + 3);
    shifted.set(record, 3);
    const [event] = decodeBatch(
      shifted.subarray(3),
      0n,
      new Ledger().stage('wire'),
      knownOwners(),
    ) as RawMessage[];
    assert.equal(Buffer.from(event?.payload ?? []).toString(), 'abc');
  });
});

describe('process events', () => {
  function processRecord(
    strings: readonly [exe: string, args: string, cwd: string, cgroup: string],
    flags = 0,
  ): Uint8Array {
    const bytes = strings.map((text) => Buffer.from(text, 'utf8'));
    const total = bytes.reduce((sum, piece) => sum + piece.length, 0);
    const writer = new Writer(PROCESS_EVENT.SIZEOF + total, EVENT_KIND.PROCESS);
    writer.u32(PROCESS_EVENT.owner_id, OWNER_ID);
    writer.u64(PROCESS_EVENT.exe_inode, 77n);
    writer.u32(PROCESS_EVENT.flags, flags);
    writer.u32(PROCESS_EVENT.tty, 34816);
    const fields = ['exe_bytes', 'args_bytes', 'cwd_bytes', 'cgroup_bytes'] as const;
    fields.forEach((field, i) => {
      writer.u16(PROCESS_EVENT[field], bytes[i]?.length ?? 0);
    });
    writer.raw(PROCESS_EVENT.parent_comm, Buffer.from('bash\0'));
    writer.raw(PROCESS_EVENT.SIZEOF, Buffer.concat(bytes));
    return writer.bytes;
  }
  const one = (record: Uint8Array) => decode(record).events[0] as RawProcess;

  it('gives every field', () => {
    const event = one(
      processRecord(
        ['dig\0bin\0usr\0', 'dig\0\0@::1\0', '\0', 'docker-ab.scope\0system.slice\0'],
        PROCESS_FLAGS.EXE_DELETED | PROCESS_FLAGS.CGROUP_V1,
      ),
    );
    assert.equal(event.executablePath, '/usr/bin/dig');
    assert.deepEqual(event.args, ['dig', '', '@::1']);
    assert.equal(event.workingDirectory, '/');
    assert.equal(event.cgroupPath, '/system.slice/docker-ab.scope');
    assert.equal(event.cgroupVersion, 1);
    assert.equal(event.executableDeleted, true);
    assert.equal(event.kernelThread, false);
    assert.equal(event.executableInode, 77n);
    assert.equal(event.tty, 34816);
    assert.equal(event.parentName, 'bash');
    assert.equal(event.owner.processName, 'sixteen-bytes-xy');
    assert.equal(event.time, TO_UNIX + 123_456_789n);
  });

  it('says nothing where the kernel said nothing', () => {
    const event = one(processRecord(['', '', '', '']));
    assert.equal(event.executablePath, '');
    assert.deepEqual(event.args, []);
    assert.equal(event.workingDirectory, '');
    assert.equal(event.cgroupPath, '');
  });

  it('never shows a part of a path as the whole', () => {
    const event = one(
      processRecord(['leaf\0dir\0to', 'a\0b', '', ''], PROCESS_FLAGS.EXE_CUT | PROCESS_FLAGS.ARGS_CUT),
    );
    assert.equal(event.executablePath, 'dir/leaf');
    assert.deepEqual(event.args, ['a', 'b']);
    assert.equal(event.argsCut, true);
  });

  it('keeps hostile names as they are', () => {
    const event = one(processRecord(['\u{feff}\x1b[31m\n\0', '\u{202e}\0', '', '']));
    assert.equal(event.executablePath, '/\u{feff}\x1b[31m\n');
    assert.deepEqual(event.args, ['\u{202e}']);
  });
});

function connection(change: (writer: Writer) => void = () => {}): Uint8Array {
  const writer = new Writer(CONNECTION_EVENT.SIZEOF + CONNECTION_ADDRESSES.SIZEOF, EVENT_KIND.CONNECTION);
  writer.u32(CONNECTION_EVENT.owner_id, OWNER_ID);
  writer.u64(CONNECTION_EVENT.socket, 77n);
  writer.raw(CONNECTION_EVENT.local_ipv4, V4.slice(12));
  writer.raw(CONNECTION_EVENT.remote_ipv4, V4.slice(12));
  writer.u32(CONNECTION_EVENT.net_ns, 4026531840);
  writer.u16(CONNECTION_EVENT.local_port, 0);
  writer.u16(CONNECTION_EVENT.remote_port, 443);
  writer.u8(CONNECTION_EVENT.flags, CONNECTION_FLAGS.OWNER);
  writer.u8(CONNECTION_EVENT.family, 4);
  change(writer);
  return writer.bytes;
}

describe('connection events', () => {
  it('gives every field', () => {
    const [event] = decode(connection()).events as RawConnection[];
    assert.equal(event?.owner?.pid, 4_000_000_000);
    assert.deepEqual(
      { ...event, owner: undefined },
      {
        kind: 'connection',
        time: TO_UNIX + 123_456_789n,
        family: 4,
        networkNamespace: 4026531840,
        socket: 77n,
        local: { address: '192.0.2.1', port: 0 },
        remote: { address: '192.0.2.1', port: 443 },
        owner: undefined,
      },
    );
  });

  it('knows IPv6, and a connection without owner', () => {
    const [event] = decode(
      connection((writer) => {
        writer.raw(CONNECTION_EVENT.SIZEOF + CONNECTION_ADDRESSES.remote_address, V6);
        writer.u8(CONNECTION_EVENT.family, 6);
        writer.u8(CONNECTION_EVENT.flags, 0);
      }),
    ).events as RawConnection[];
    assert.equal(event?.remote.address, '2001:db8::35');
    assert.equal(event?.family, 6);
    assert.equal(event?.owner, undefined);
  });

  it('counts what is cut or impossible', () => {
    const short = connection((writer) => writer.u32(EVENT_HEADER.size, CONNECTION_EVENT.SIZEOF - 1));
    const family = connection((writer) => writer.u8(CONNECTION_EVENT.family, 10));
    const ipv6 = connection((writer) => {
      writer.u8(CONNECTION_EVENT.family, 6);
      writer.u32(EVENT_HEADER.size, CONNECTION_EVENT.SIZEOF);
    });
    const { events, dropped } = decode(
      short.subarray(0, CONNECTION_EVENT.SIZEOF),
      family,
      ipv6.subarray(0, CONNECTION_EVENT.SIZEOF),
      connection(),
    );
    assert.equal(events.length, 1);
    assert.deepEqual(dropped, { cut: 1, field: 2 });
  });
});

describe('bytes that cannot be', () => {
  const good = message(Buffer.from('good'));

  it('counts a record that ends early, and goes no further', () => {
    for (let length = 1; length < good.length; length++) {
      const { events, taken, dropped } = decode(good, good.subarray(0, length));
      const complete = length >= HEAD + 4;
      assert.equal(events.length, complete ? 2 : 1, `${length} bytes`);
      assert.equal(taken, 2);
      assert.deepEqual(dropped, complete ? {} : { cut: 1 });
    }
  });

  it('counts impossible fields, and goes on with the next record', () => {
    const wrong: readonly [string, (writer: Writer) => void][] = [
      ['kind', (writer) => writer.u16(EVENT_HEADER.kind, 0)],
      ['kind', (writer) => writer.u16(EVENT_HEADER.kind, 99)],
      ['field', (writer) => writer.u8(EVENT_HEADER.hook, 0)],
      ['field', (writer) => writer.u8(EVENT_HEADER.hook, 200)],
      ['field', (writer) => writer.u8(MESSAGE_EVENT.direction, 3)],
      ['field', (writer) => writer.u8(MESSAGE_EVENT.protocol, 1)],
      ['field', (writer) => writer.u8(MESSAGE_EVENT.family, 5)],
      ['field', (writer) => writer.u32(MESSAGE_EVENT.length, 3)],
      ['field', (writer) => writer.u16(EVENT_HEADER.kind, EVENT_KIND.PROCESS)],
    ];
    for (const [reason, change] of wrong) {
      const bad = message(Buffer.from('evil'), (writer) => {
        // as a process record these bytes would be string lengths
        writer.u16(PROCESS_EVENT.exe_bytes, 0xffff);
        change(writer);
      });
      const { events, taken, dropped } = decode(good, bad, good);
      assert.equal(events.length, 2, reason);
      assert.equal(taken, 3);
      assert.deepEqual(dropped, { [reason]: 1 });
    }
  });

  it('does not loop on a record of size 0', () => {
    const zero = message(new Uint8Array(0), (writer) => writer.u32(EVENT_HEADER.size, 0));
    const { taken, dropped } = decode(zero, good);
    assert.equal(taken, 1);
    assert.deepEqual(dropped, { cut: 1 });
  });

  it('survives random and mutated bytes', () => {
    // xorshift32: the same bytes every time
    let state = 0x9e3779b9;
    const random = (below: number) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    const base = Buffer.concat([good, connection(), owner(OWNER_ID), message4([1, 2, 3, 4]), good]);
    const owners = knownOwners();
    let decoded = 0;
    for (let round = 0; round < 100_000; round++) {
      const batch = round % 4 === 0 ? Buffer.alloc(random(700)) : Buffer.from(base);
      const changes = round % 4 === 0 ? batch.length : 1 + random(4);
      for (let i = 0; i < changes; i++) if (batch.length > 0) batch[random(batch.length)] = random(256);
      const stage = new Ledger().stage('wire');
      const events = decodeBatch(batch.subarray(0, batch.length - random(2)), TO_UNIX, stage, owners);
      assert.equal(stage.snapshot().missing, 0);
      assert.equal(stage.out, events.length);
      decoded += events.length;
    }
    assert.ok(decoded > 100_000, 'most mutations leave events readable');
  });
});

describe('process counters', () => {
  it('reads entries and packs keys', () => {
    const bytes = new Uint8Array(2 * (PROCESS_KEY.SIZEOF + PROCESS_VALUE.SIZEOF));
    const view = new DataView(bytes.buffer);
    const second = PROCESS_KEY.SIZEOF + PROCESS_VALUE.SIZEOF;
    view.setBigUint64(second + PROCESS_KEY.start_time, 11n, LITTLE);
    view.setUint32(second + PROCESS_KEY.tgid, 12, LITTLE);
    const value = second + PROCESS_KEY.SIZEOF;
    view.setBigUint64(value + PROCESS_VALUE.udp_requests, 13n, LITTLE);
    view.setBigUint64(value + PROCESS_VALUE.tcp_requests, 14n, LITTLE);
    view.setBigUint64(value + PROCESS_VALUE.request_bytes, 2n ** 40n, LITTLE);
    view.setBigUint64(value + PROCESS_VALUE.last_seen, 16n, LITTLE);
    view.setBigUint64(value + PROCESS_VALUE.cgroup_id, 17n, LITTLE);
    const counts = decodeProcessCounts(bytes, 1000n);
    assert.equal(counts.length, 2);
    assert.deepEqual(counts[1], {
      pid: 12,
      startTime: 11n,
      udpRequests: 13,
      tcpRequests: 14,
      requestBytes: 2 ** 40,
      lastSeen: 1016n,
      cgroupId: 17n,
      share: { cgroupId: 0n, user: 0 },
    });
    assert.deepEqual(encodeProcessKeys(counts.slice(1)), bytes.subarray(second, second + PROCESS_KEY.SIZEOF));
  });
});

describe('message events of what is not whole, or not an answer', () => {
  const LINK_LOCAL = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53];
  const flags = MESSAGE_FLAGS.ADDRESSES;

  it('fragments: the first with its ports, a later one by its place', () => {
    const first = message(Buffer.alloc(16), (writer) => {
      writer.u16(MESSAGE_EVENT.flags, flags | MESSAGE_FLAGS.FRAGMENT);
      writer.u8(MESSAGE_EVENT.skipped, 2);
    });
    const later = message(Buffer.alloc(8), (writer) => {
      writer.u16(MESSAGE_EVENT.flags, flags | MESSAGE_FLAGS.FRAGMENT);
      writer.u16(MESSAGE_EVENT.remote_port, 0);
      writer.u16(MESSAGE_EVENT.local_port, 0x2000 | 185);
    });
    const events = decode(first, later, message(Buffer.alloc(8))).events as RawMessage[];
    assert.deepEqual(
      events.map(({ fragment }) => fragment),
      [
        { datagram: 0xfffffff0, offset: 0, more: true, skipped: 16 },
        { datagram: 0xfffffff0, offset: 1480, more: true, skipped: 0 },
        undefined,
      ],
    );
  });

  it('ICMP errors', () => {
    for (const [code, name] of [
      [1, 'connection_refused'],
      [2, 'host_unreachable'],
      [3, 'network_unreachable'],
      [0xffff_ffff, 'connection_refused'],
    ] as const) {
      const record = message(Buffer.alloc(2), (writer) => {
        writer.u16(MESSAGE_EVENT.flags, flags | MESSAGE_FLAGS.UNREACHABLE);
        writer.u32(MESSAGE_EVENT.sequence, code);
        writer.u8(MESSAGE_EVENT.direction, MESSAGE_DIRECTION.RESPONSE);
      });
      assert.equal((decode(record).events[0] as RawMessage).unreachable, name);
    }
  });

  function named(index: number, name: string): Uint8Array {
    const writer = new Writer(INTERFACE_EVENT.SIZEOF, EVENT_KIND.INTERFACE);
    writer.u32(INTERFACE_EVENT.net_ns, 4026531840);
    writer.u32(INTERFACE_EVENT.index, index);
    writer.raw(INTERFACE_EVENT.name, Buffer.from(name.padEnd(16, '\0'), 'latin1').subarray(0, 16));
    return writer.bytes;
  }

  /** Of a request to fe80::53, or another address, on the device with that index. */
  function onLink(index: number, address = LINK_LOCAL): Uint8Array {
    return message(Buffer.alloc(2), (writer) => {
      writer.raw(MESSAGE_EVENT.SIZEOF + MESSAGE_ADDRESSES.remote_address, address);
      writer.u32(MESSAGE_EVENT.interface, index);
    });
  }

  it('zones: a name that is told, renamed, not told, hostile; none where none is needed', () => {
    // The name is looked up when it is asked for.
    const zones = [
      [named(7, 'eth0'), onLink(7)],
      [named(7, 'wan'), onLink(7)],
      [onLink(8)],
      [named(9, 'lan'), named(9, '\x1b[2J%"\n'), onLink(9)],
      [named(10, 'sixteen-bytes-xy'), onLink(10)],
      [onLink(0)],
      [onLink(7, V6)],
    ].map((records) => {
      const { events, taken } = decode(...records);
      assert.equal(taken, 1);
      return (events[0] as Envelope).zone;
    });
    assert.deepEqual(zones, ['eth0', 'wan', '8', '9', '10', undefined, undefined]);
    assert.equal(decode(named(7, 'eth0').subarray(0, 24)).dropped['cut'], 1);
  });
});
