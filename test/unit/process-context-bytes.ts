/** Process contexts as bytes, written by protobufjs from the published definitions: the decoder's oracle. */
import { join } from 'node:path';
import protobuf from 'protobufjs';
import type { Attributes, AttributeValue } from '../../src/model.ts';

const root = new protobuf.Root();
root.resolvePath = (_, target) => join(import.meta.dirname, '../e2e/proto', target);
root.loadSync('opentelemetry/proto/resource/v1/resource.proto', { keepCase: true });
// opentelemetry-proto 1.11, processcontext/v1development/process_context.proto
protobuf.parse(
  `syntax = "proto3"; package test;
   message ProcessContext {
     opentelemetry.proto.resource.v1.Resource resource = 1;
     repeated opentelemetry.proto.common.v1.KeyValue attributes = 2;
   }`,
  root,
  { keepCase: true },
);
const ProcessContext = root.lookupType('test.ProcessContext');

export function contextBytes(resource: Attributes, attributes: Attributes = {}): Uint8Array {
  const message = { resource: { attributes: keyValues(resource) }, attributes: keyValues(attributes) };
  return ProcessContext.encode(ProcessContext.fromObject(message)).finish();
}

function keyValues(attributes: Attributes): object[] {
  return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: AttributeValue): object {
  if (typeof value === 'string') return { string_value: value };
  if (typeof value === 'boolean') return { bool_value: value };
  if (typeof value === 'number')
    return Number.isInteger(value) ? { int_value: value } : { double_value: value };
  return { array_value: { values: value.map((item: string | number | boolean) => anyValue(item)) } };
}
