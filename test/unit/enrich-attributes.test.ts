/** The attribute tables against the published constants of the semantic conventions. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as stable from '@opentelemetry/semantic-conventions';
import * as incubating from '@opentelemetry/semantic-conventions/incubating';
import { ATTRIBUTES } from '../../src/tables/attributes.ts';

/** `dns.lookup.duration` is a metric there; naming.md lets attribute and metric share a name. */
const names = (module: object) =>
  new Set(
    Object.entries(module).flatMap(([key, value]) => {
      if (!/^(?:ATTR|METRIC)_/.test(key)) return [];
      // those with a key of the user's in their name are functions of it
      return [typeof value === 'function' ? String(value('<key>')) : String(value)];
    }),
  );
const ALL = names(incubating);
const STABLE = names(stable);

describe('attributes', () => {
  for (const [name, { type, stability, source, description, example }] of Object.entries(ATTRIBUTES)) {
    it(name, () => {
      assert.equal(ALL.has(name), source === 'semconv', 'is in the conventions');
      assert.equal(name.startsWith('whodns.'), source === 'whodns', 'has our prefix');
      if (source === 'semconv') assert.equal(stability === 'stable', STABLE.has(name), 'is stable there');
      const shown = Array.isArray(example) ? 'string[]' : typeof example;
      assert.equal(shown, type === 'int' || type === 'double' ? 'number' : type, 'example of the type');
      if (type === 'int') assert.ok(Number.isInteger(example));
      assert.match(description, /\.$/);
    });
  }
});
