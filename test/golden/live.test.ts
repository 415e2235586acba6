/**
 * A zone with many types served by unbound in a network namespace of its own, asked by dig, drill and kdig over UDP and
 * TCP, IPv4 and IPv6, with fragments and segments. Two oracles: tshark on the capture, and what dig printed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ResourceRecord } from '../../src/model.ts';
import { className } from '../../src/tables/classes.ts';
import { typeName } from '../../src/tables/rrtypes.ts';
import { type Replayed, replay } from './replay.ts';
import { inWords, tshark } from './tshark.ts';

const HERE = new URL('zone', import.meta.url).pathname;
const TOOLS = ['unshare', 'ip', 'unbound', 'tcpdump', 'tshark', 'dig', 'drill', 'kdig'];
const missing = TOOLS.filter((tool) => spawnSync('which', [tool]).status !== 0);
const skip =
  process.getuid?.() !== 0
    ? 'a network namespace of its own needs root'
    : missing.length > 0 && `not installed: ${missing.join(', ')}`;

let directory = '';
let replayed: Replayed;

before(async () => {
  if (skip !== false) return;
  directory = mkdtempSync(join(tmpdir(), 'whodns-live-'));
  copyFileSync(join(HERE, 'queries'), join(directory, 'queries'));
  const run = spawnSync('unshare', ['-n', 'bash', join(HERE, 'capture.sh'), directory, HERE], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(run.status, 0, run.stderr);
  replayed = await replay(join(directory, 'live.pcap'));
});

after(() => {
  if (directory !== '') rmSync(directory, { recursive: true });
});

test('every message as tshark reads it', { skip }, () => {
  const told = tshark(join(directory, 'live.pcap'), [53]);
  assert.ok(told.length > 150, `only ${told.length} messages were captured`);
  assert.deepEqual(
    replayed.events.map(inWords),
    told.map((message) => message.told),
  );
  assert.deepEqual(
    told.filter(({ malformed }) => malformed),
    [],
  );
});

test('nothing is malformed, damaged, dropped or missing', { skip }, () => {
  assert.deepEqual(
    replayed.events.flatMap(({ message }) => message.malformed ?? []),
    [],
  );
  assert.equal(replayed.damage, undefined);
  assert.deepEqual(replayed.stats.drops, {});
  assert.deepEqual(replayed.ledger.dropped, {});
  assert.equal(replayed.ledger.missing, 0);
  assert.equal(replayed.ledger.held, 0);
});

test('the capture has what it is for: fragments, segments, both transports and families', { skip }, () => {
  assert.ok((replayed.stats.counters['fragments'] ?? 0) >= 4);
  assert.ok((replayed.ledger.filtered['joined'] ?? 0) >= 4);
  const kinds = new Set(replayed.events.map(({ raw }) => `${raw.transport}${raw.family}`));
  assert.deepEqual([...kinds].sort(), ['tcp4', 'tcp6', 'udp4', 'udp6']);
  const types = new Set(replayed.events.flatMap(({ message }) => message.answers.map(({ type }) => type)));
  assert.ok(types.size >= 36, `answers of ${types.size} types`);
});

test('every answer as dig prints it', { skip }, () => {
  const printed = readFileSync(join(directory, 'dig.out'), 'latin1')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(';'));
  assert.ok(printed.length > 500, `dig printed ${printed.length} lines`);
  const decoded = new Set(
    replayed.events.flatMap(({ message }) => message.answers).flatMap((record) => asDig(record)),
  );
  assert.deepEqual(
    printed.map(normal).filter((line) => !decoded.has(line)),
    [],
  );
});

/** Our record as a line of dig, normalised; also as `+unknownformat` says it. */
function asDig({ name, ttl, class: recordClass, type, data }: ResourceRecord): string[] {
  const line = `${name} ${ttl} ${className(recordClass)} ${typeName(type)} ${data}`;
  return [normal(line), normal(`${name} ${ttl} CLASS${recordClass} TYPE${type} ${data}`)];
}

/**
 * Both sides: one space between words, no dot at the end of a name (the root keeps its), lower case for the hexadecimal of
 * digests, no backslash before characters that only a master file needs escaped, the names of newer parameters of SVCB.
 */
function normal(line: string): string {
  return line
    .replace(/[\t ]+/g, ' ')
    .replace(/([^ .\\])\.(?= |$)/g, '$1')
    .replace(/\\(?=[;@$()])/g, '')
    .replace(/\b(?:[0-9A-F]{2}){4,}\b/g, (hex) => hex.toLowerCase())
    .replace(/\bkey7=/, 'dohpath=')
    .trimEnd();
}
