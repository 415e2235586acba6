import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DetectorContext, LookupEvent } from 'whodns/detect';
import detector from './late-night.ts';

/** Only what the detector looks at. */
const context = { state: { programs: new Set(['dig']) } } as DetectorContext<{ programs: Set<string> }>;

function lookup(executableName: string, time: string): LookupEvent {
  return {
    kind: 'lookup',
    at: Date.parse(time),
    name: 'example.com',
    process: { executableName },
  } as LookupEvent;
}

test('dig at three in the morning is found', () => {
  const found = detector.onEvent(lookup('dig', '2026-11-21T03:00:00Z'), context);
  assert.equal(found?.subject, 'dig');
});

test('dig at noon, and curl at night, are not', () => {
  assert.equal(detector.onEvent(lookup('dig', '2026-11-21T12:00:00Z'), context), undefined);
  assert.equal(detector.onEvent(lookup('curl', '2026-11-21T03:00:00Z'), context), undefined);
});
