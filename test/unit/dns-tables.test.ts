/** The number tables against those of other programs, and the names of what is in none. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { className, opcodeName } from '../../src/tables/classes.ts';
import { ednsOptionName, extendedErrorName } from '../../src/tables/edns.ts';
import { RCODES, rcodeName } from '../../src/tables/rcodes.ts';
import { isAddressType, RR_TYPES, typeName } from '../../src/tables/rrtypes.ts';
import { svcbKeyName } from '../../src/tables/svcb.ts';

test('numbers without a name', () => {
  assert.equal(typeName(65_280), 'TYPE65280');
  assert.equal(typeName(54), 'TYPE54');
  assert.equal(className(7), 'CLASS7');
  assert.equal(rcodeName(3841), 'RCODE3841');
  assert.equal(opcodeName(3), 'OPCODE3');
  assert.equal(ednsOptionName(65_001), 'OPT65001');
  assert.equal(extendedErrorName(65_001), 'EDE65001');
  assert.equal(svcbKeyName(667), 'key667');
});

test('numbers with a name', () => {
  assert.equal(typeName(28), 'AAAA');
  assert.equal(typeName(32_769), 'DLV');
  assert.equal(className(255), 'ANY');
  assert.equal(rcodeName(16), 'BADVERS');
  assert.equal(rcodeName(23), 'BADCOOKIE');
  assert.equal(extendedErrorName(15), 'Blocked');
  assert.equal(svcbKeyName(7), 'dohpath');
  assert.deepEqual([1, 2, 28].map(isAddressType), [true, false, true]);
});

const noTshark = spawnSync('tshark', ['--version']).error !== undefined && 'tshark is not installed';

/** Names that tshark has otherwise: it says `*` for ANY, `NULL RR` before 4.4, and has types that IANA does not list. */
const OTHERWISE = new Map([
  [0, 'Unused'],
  [255, '*'],
  [10, 'NULL'],
  [65_281, 'WINS'],
  [65_282, 'WINS-R'],
  [65_422, 'XPF'],
]);

test('types as tshark names them', { skip: noTshark }, () => {
  const values = execFileSync('tshark', ['-G', 'values'], {
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const types = values
    .toString()
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([kind, field]) => kind === 'V' && field === 'dns.resp.type');
  assert.ok(types.length > 80);
  for (const [, , number, text] of types) {
    const type = Number(number);
    const name = text?.replace(/ \(.*/, '');
    if (OTHERWISE.has(type))
      assert.match(name ?? '', new RegExp(`^${RegExp.escape(OTHERWISE.get(type) ?? '')}`));
    else assert.equal(typeName(type), name, `type ${type}`);
  }
});

test('no number has two names', () => {
  for (const table of [RR_TYPES, RCODES]) {
    const numbers = Object.values(table);
    assert.equal(new Set(numbers).size, numbers.length);
  }
});
