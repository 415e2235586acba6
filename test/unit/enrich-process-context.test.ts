/** The payload of a process context. Reading it out of real processes: test/e2e/process-context.test.ts. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeProcessContext } from '../../src/enrich/process/process-context-payload.ts';
import { publishedAttributes } from '../../src/enrich/process/service.ts';
import { contextBytes } from './process-context-bytes.ts';

describe('process context payload', () => {
  it('gives back what the published definitions encode', () => {
    const resource = {
      'service.name': 'Prüfstand',
      'service.instance.id': '00000000-0000-4000-8000-000000000000',
      yes: true,
      no: false,
      small: 1,
      negative: -7,
      large: Number.MAX_SAFE_INTEGER,
      half: 0.5,
      list: ['a', 'b'],
    };
    const attributes = {
      'threadlocal.schema_version': 'tlsdesc_v1_dev',
      'threadlocal.attribute_key_map': ['x'],
    };
    const decoded = decodeProcessContext(contextBytes(resource, attributes));
    assert.deepEqual(decoded, { resource, attributes });
  });

  it('takes an empty message', () =>
    assert.deepEqual(decodeProcessContext(new Uint8Array()), { resource: {}, attributes: {} }));

  it('skips fields it does not know, of every wire type', () => {
    const known = contextBytes({ a: 'b' });
    const unknown = [0x78, 0x96, 0x01, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 2, 9, 9, 0x7d, 1, 2, 3, 4];
    const decoded = decodeProcessContext(Uint8Array.from([...unknown, ...known, ...unknown]));
    assert.deepEqual(decoded?.resource, { a: 'b' });
  });

  it('is undefined for a message cut anywhere inside a field', () => {
    const bytes = contextBytes({ 'service.name': 'checkout' });
    for (let length = 1; length < bytes.length; length++)
      assert.equal(decodeProcessContext(bytes.subarray(0, length)), undefined, `cut at ${length}`);
  });

  const bad: readonly (readonly [string, readonly number[]])[] = [
    ['field number 0', [0x02, 0]],
    ['a group', [0x0b, 0x0c]],
    ['a resource that is a number', [0x08, 1]],
    ['a varint without end', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]],
    ['a length beyond the end', [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['a key that is not UTF-8', [0x0a, 5, 0x0a, 3, 0x0a, 1, 0xff]],
  ];
  for (const [what, bytes] of bad)
    it(`is undefined for ${what}`, () =>
      assert.equal(decodeProcessContext(Uint8Array.from(bytes)), undefined));

  it('keeps bounds: attributes, characters, items', () => {
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, 'v']));
    assert.equal(Object.keys(decodeProcessContext(contextBytes(many))?.resource ?? {}).length, 128);
    assert.deepEqual(decodeProcessContext(contextBytes({ a: 'x'.repeat(1025), b: 'y' }))?.resource, {
      b: 'y',
    });
    const items = Array.from({ length: 65 }, String);
    assert.deepEqual(decodeProcessContext(contextBytes({ a: items, b: 'y' }))?.resource, { b: 'y' });
  });

  it('takes names as data', () => {
    const { resource } = decodeProcessContext(contextBytes({ ['__proto__']: 'x', constructor: 'y' })) ?? {};
    assert.equal(resource?.['constructor'], 'y');
    assert.equal(Object.getPrototypeOf(resource), Object.prototype);
  });
});

describe('attributes that are taken from it', () => {
  it('leaves out what is measured, empty or not expanded', () => {
    const { attributes: taken, refused } = publishedAttributes({
      'service.name': 'checkout',
      'service.namespace': '',
      'service.version': '$VERSION',
      'process.pid': 1,
      'host.name': 'elsewhere',
      'k8s.pod.name': 'payments-0',
      'deployment.environment.name': 'prod',
    });
    assert.deepEqual(taken, { 'service.name': 'checkout', 'deployment.environment.name': 'prod' });
    assert.equal(refused, 3);
  });

  it('takes a service name only as text', () =>
    assert.deepEqual(publishedAttributes({ 'service.name': 5, 'service.version': 5 }).attributes, {
      'service.version': 5,
    }));
});
