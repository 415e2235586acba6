/**
 * The records of the captures: each message as the answer of a lookup, or as its request. `records.jsonl` says what records built from
 * objects said, before they were written straight from the bytes (but for reasons in snake_case and client subnets without their
 * scope). `node test/golden/records.test.ts --write` makes it anew: look at the difference then.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { viewOf } from '../unit/message-bytes.ts';
import { identity, lookup, recordOf } from '../unit/sink-events.ts';
import { replay } from './replay.ts';

const CAPTURES = new URL('pcaps/', import.meta.url).pathname;
const GOLDEN = new URL('records.jsonl', import.meta.url).pathname;
const PROCESS = identity();

async function lines(): Promise<string[]> {
  const found: string[] = [];
  for (const file of readdirSync(CAPTURES)
    .filter((name) => name.endsWith('.pcap'))
    .sort())
    for (const [index, payload] of (await replay(CAPTURES + file, [53, 8053])).payloads.entries()) {
      const isAnswer = ((payload[2] ?? 0) & 0x80) !== 0;
      const view = viewOf(lookup({ process: PROCESS, outcome: isAnswer ? 'answered' : 'timeout' }));
      const { message } = isAnswer ? view.answer : view.request;
      message.parse(payload, 0, payload.length, payload.length);
      const { severity, body, attributes } = recordOf(view);
      const { 'log.record.uid': _uid, ...rest } = attributes;
      found.push(JSON.stringify({ file, index, severity, body, attributes: rest }));
    }
  return found;
}

if (process.argv.includes('--write')) writeFileSync(GOLDEN, `${(await lines()).join('\n')}\n`);

test('records of all captures', async () => {
  assert.deepEqual(await lines(), readFileSync(GOLDEN, 'utf8').trimEnd().split('\n'));
});
