import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIPv4, formatIPv6, writeIPv4, writeIPv6 } from '../../src/lib/address.ts';
import { ByteWriter } from '../../src/lib/byte-writer.ts';

function written(write: (out: ByteWriter) => void): string {
  const out = new ByteWriter(0);
  write(out);
  assert.ok(out.position <= out.bytes.length, 'written beyond what was reserved');
  return out.latin1();
}

test('integers in decimal, up to 2^53 - 1', () => {
  const edges = [0, 9, 10, 99, 100, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 99_991_231_235_959, 2 ** 53 - 1];
  for (const value of edges)
    assert.equal(
      written((out) => out.decimal(value)),
      String(value),
    );
  for (let digits = 1; digits < 16; digits++) {
    for (const value of [10 ** digits - 1, 10 ** digits, 10 ** digits + 1])
      assert.equal(
        written((out) => out.decimal(value)),
        String(value),
      );
  }
});

test('hexadecimal and base64 are those of Buffer, at every length and place', () => {
  const bytes = Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 167) & 255));
  for (let start = 0; start < 4; start++) {
    for (let end = start; end <= bytes.length; end++) {
      assert.equal(
        written((out) => out.hex(bytes, start, end)),
        bytes.toString('hex', start, end),
      );
      assert.equal(
        written((out) => out.base64(bytes, start, end)),
        bytes.toString('base64', start, end),
      );
    }
  }
});

test('runs short and long are copied, and what was there before stays', () => {
  const bytes = Buffer.from(Array.from({ length: 200 }, (_, i) => i));
  for (const end of [0, 1, 64, 65, 200]) {
    const out = new ByteWriter(2);
    out.ascii('ab');
    out.range(bytes, 0, end);
    out.raw(bytes.subarray(0, 3));
    const expected = Buffer.concat([Buffer.from('ab'), bytes.subarray(0, end), bytes.subarray(0, 3)]);
    assert.deepEqual(Buffer.from(out.bytes.subarray(0, out.position)), expected);
    assert.equal(out.latin1(2), expected.toString('latin1', 2));
  }
});

test('every octet of an IPv4 address', () => {
  for (let octet = 0; octet < 256; octet++) {
    const bytes = Uint8Array.of(9, octet, 255 - octet, 0, octet);
    assert.equal(
      written((out) => writeIPv4(out, bytes, 1)),
      `${octet}.${255 - octet}.0.${octet}`,
    );
    assert.equal(formatIPv4(bytes, 1), `${octet}.${255 - octet}.0.${octet}`);
  }
});

test('IPv6 addresses are in the form of RFC 5952, as URL writes them', () => {
  // Each group zero, of one to four digits, in many combinations.
  const values = [0, 0xf, 0xa1, 0xb23, 0xc456];
  for (let seed = 0; seed < 20_000; seed++) {
    const groups = Array.from({ length: 8 }, (_, i) => {
      const pick = Math.imul(seed + 1, 0x9e3779b1 ^ Math.imul(i + 1, 0x85ebca6b)) >>> 16;
      return pick % 3 === 0 ? (values[pick % values.length] as number) : 0;
    });
    if (groups.slice(0, 5).every((group) => group === 0)) groups[0] = 0x2001; // mixed notation is not URL's
    const bytes = Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]));
    const colons = groups.map((group) => group.toString(16)).join(':');
    const expected = new URL(`http://[${colons}]/`).hostname.slice(1, -1);
    assert.equal(formatIPv6(bytes, 0), expected);
    assert.equal(
      written((out) => writeIPv6(out, bytes, 0)),
      expected,
    );
  }
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1);
  assert.equal(formatIPv6(mapped, 0), '::ffff:192.0.2.1');
  assert.equal(formatIPv6(new Uint8Array(16), 0), '::');
});
