/** OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT and _VALUE_LENGTH_LIMIT (specification, common, "Attribute Limits"). */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MAX_ATTRIBUTES } from '../../src/records/record-common.ts';
import { copyOf, limited, withinLimits } from '../../src/sinks/limits.ts';
import { logEvent, record } from './sink-events.ts';

describe('attribute limits', () => {
  it('leave the event alone when nothing is above them', () => {
    const event = logEvent();
    assert.equal(withinLimits(event, { count: 128, length: undefined }), event);
    assert.equal(withinLimits(event, { count: 128, length: 1000 }), event);
  });

  it('keep the first attributes and count the others', () => {
    const event = logEvent();
    const { attributes, droppedAttributes } = withinLimits(event, { count: 3, length: undefined });
    assert.deepEqual(Object.keys(attributes), Object.keys(event.attributes).slice(0, 3));
    assert.equal(droppedAttributes, Object.keys(event.attributes).length - 3);
    assert.deepEqual(withinLimits(event, { count: 0, length: undefined }).attributes, {});
  });

  it('cut texts, each of a list, and nothing else', () => {
    const answers = [record('www.example.com', 1, '192.0.2.1'), record('www.example.com', 1, '1.1.1.1')];
    const event = logEvent({ name: 'www.example.com', answers });
    const { attributes, droppedAttributes } = withinLimits(event, { count: 128, length: 7 });
    assert.equal(attributes['dns.question.name'], 'www.exa');
    assert.deepEqual(attributes['dns.answers'], ['192.0.2', '1.1.1.1']);
    assert.equal(attributes['dns.id'], 4242);
    assert.equal(droppedAttributes, 0);
  });

  it('do not cut a character in two', () => {
    const event = { ...copyOf(logEvent()), attributes: { a: 'x\u{1f600}y', b: '\u{1f600}' } };
    const { attributes } = withinLimits(event, { count: 9, length: 2 });
    assert.deepEqual(attributes, { a: 'x', b: '\u{1f600}' });
    assert.deepEqual(withinLimits(event, { count: 9, length: 1 }).attributes, { a: 'x', b: '' });
    assert.deepEqual(withinLimits(event, { count: 9, length: 0 }).attributes, { a: '', b: '' });
  });

  it('stand in front of a sink under its own name', async () => {
    const seen: object[] = [];
    const inner = {
      name: 'inner',
      accept: (event: object) => seen.push(event),
      flush: async () => {},
      close: async () => {},
    };
    // The defaults leave out nothing: no record has so many attributes.
    assert.ok(Object.keys(logEvent().attributes).length < MAX_ATTRIBUTES);
    assert.equal(limited(inner, { count: 128, length: undefined }), inner);
    const sink = limited(inner, { count: 1, length: undefined });
    assert.notEqual(sink, inner);
    sink.accept(logEvent());
    await sink.close(0);
    assert.equal(sink.name, 'inner');
    assert.equal(seen.length, 1);
  });
});
