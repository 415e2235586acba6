/** What no hook family sees is said: by `whodns doctor`, and in docs/operating.md (generated, `npm run check`). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HookFamily } from '../../src/model.ts';
import { ATTRIBUTES } from '../../src/tables/attributes.ts';
import { BLIND_SPOTS, missedBy } from '../../src/tables/blind-spots.ts';
import { DECODE_ERRORS } from '../../src/tables/decode-errors.ts';
import { HOOK_FAMILIES } from '../../src/tables/hook-families.ts';
import { SOURCE_DROPS, STAGES } from '../../src/tables/stages.ts';

const FAMILIES = Object.keys(HOOK_FAMILIES) as readonly HookFamily[];

test('each family says what it cannot see', () => {
  const says = (family: HookFamily, word: string) =>
    assert.ok(
      missedBy(family).some((row) => row.includes(word)),
      `${family}: ${word}`,
    );
  for (const family of FAMILIES)
    for (const word of ['UDP_SEGMENT', 'kTLS', 'SCTP', 'AF_XDP', 'TLS, HTTPS and QUIC']) says(family, word);
  for (const word of ['registered buffers', 'sendfile', 'splice', 'Multipath TCP']) says('fentry', word);
});

test('no row twice for one family; the words that records have are those of the tables', () => {
  const known = new Set([
    ...Object.keys(SOURCE_DROPS),
    ...Object.values(STAGES).flatMap(({ dropped }) => Object.keys(dropped)),
    ...Object.keys(DECODE_ERRORS),
    ...Object.keys(ATTRIBUTES),
  ]);
  for (const { seenAs = '' } of BLIND_SPOTS)
    for (const [, word = ''] of seenAs.matchAll(/`([^`]+)`/g)) assert.ok(known.has(word), word);
  for (const family of FAMILIES) {
    const whats = BLIND_SPOTS.filter(({ families }) => families.includes(family)).map(({ what }) => what);
    assert.equal(new Set(whats).size, whats.length, family);
  }
});
