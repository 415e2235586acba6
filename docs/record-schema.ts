/** JSON Schema of what `--format json` prints, one line a record, from the attribute tables. */
import { RECORD_ATTRIBUTES, VISIBILITY_ATTRIBUTES } from '../src/tables/attributes.ts';
import { CONNECT_ATTRIBUTES } from '../src/tables/attributes-connect.ts';
import { FINDING_ATTRIBUTES } from '../src/tables/finding-attributes.ts';
import {
  type AttributeDefinition,
  type AttributeType,
  RESOURCE_ATTRIBUTES,
} from '../src/tables/resource-attributes.ts';
import { SUPPRESSED_ATTRIBUTES } from '../src/tables/suppressed-attributes.ts';

type Attributes = Readonly<Record<string, AttributeDefinition>>;

const TYPES: Readonly<Record<AttributeType, object>> = {
  string: { type: 'string' },
  int: { type: 'integer' },
  double: { type: 'number' },
  boolean: { type: 'boolean' },
  'string[]': { type: 'array', items: { type: 'string' } },
};
/** `k8s.pod.label.<key>` */
const TEMPLATE = '<key>';
/** What the application says of itself may have any type. */
const CLAIMED = /^service\./;

const ANY_VALUE = {
  type: ['string', 'number', 'boolean', 'array'],
  items: { type: ['string', 'number', 'boolean'] },
};
/** RFC 3339 in UTC with nanoseconds. */
const TIME = { type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{9}Z$' };

export function recordSchema(): string {
  const schema = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'https://whodns.example/records.schema.json',
    title: 'A record of whodns',
    description: 'One line of `whodns --format json`. docs/attributes.md says more of each attribute.',
    oneOf: [
      { $ref: '#/$defs/query' },
      { $ref: '#/$defs/connect' },
      { $ref: '#/$defs/finding' },
      { $ref: '#/$defs/visibility' },
      { $ref: '#/$defs/suppressed' },
    ],
    $defs: {
      query: record('whodns.query', 'A DNS request and its answer.', attributesOf(RECORD_ATTRIBUTES), [
        'whodns.hook',
        'whodns.attribution',
        'log.record.uid',
      ]),
      connect: record('whodns.connect', 'A TCP connection.', attributesOf(CONNECT_ATTRIBUTES), [
        'log.record.uid',
      ]),
      // Evidence of a user's detector may have names of its own.
      finding: record(
        'whodns.finding',
        'What a detector found.',
        { ...attributesOf(FINDING_ATTRIBUTES), additionalProperties: { $ref: '#/$defs/value' } },
        ['security_rule.name', 'whodns.finding.subject'],
      ),
      visibility: record(
        'whodns.visibility',
        'Another capture level of a workload.',
        attributesOf(VISIBILITY_ATTRIBUTES),
        [],
      ),
      suppressed: record(
        'whodns.suppressed',
        'What was left out of a workload over its share.',
        attributesOf(SUPPRESSED_ATTRIBUTES),
        [],
      ),
      resource: {
        type: 'object',
        description:
          'The process that asked, its container and its host, and what the application says of itself.',
        ...attributesOf(RESOURCE_ATTRIBUTES),
        additionalProperties: { $ref: '#/$defs/value' },
      },
      value: ANY_VALUE,
    },
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function record(
  eventName: string,
  description: string,
  attributes: object,
  required: readonly string[],
): object {
  return {
    type: 'object',
    description,
    properties: {
      time: { ...TIME, description: 'When it happened, by the kernel: RFC 3339, nanoseconds.' },
      observed_time: { ...TIME, description: 'When whodns had it in hand.' },
      event_name: { const: eventName },
      severity_number: { enum: [9, 13, 17], description: 'OpenTelemetry SeverityNumber: INFO, WARN, ERROR.' },
      body: { type: 'string', description: 'One line for people.' },
      trace_id: { type: 'string', pattern: '^[0-9a-f]{32}$' },
      span_id: { type: 'string', pattern: '^[0-9a-f]{16}$' },
      attributes: { type: 'object', ...attributes, required },
      resource: { $ref: '#/$defs/resource' },
    },
    required: ['time', 'observed_time', 'event_name', 'severity_number', 'body', 'attributes', 'resource'],
    dependentRequired: { trace_id: ['span_id'], span_id: ['trace_id'] },
    additionalProperties: false,
  };
}

function attributesOf(table: Attributes): {
  readonly properties: object;
  readonly patternProperties?: object;
  readonly additionalProperties: boolean | object;
} {
  const properties: Record<string, object> = {};
  const patterns: Record<string, object> = {};
  for (const [name, { type, description, example }] of Object.entries(table)) {
    const shape = CLAIMED.test(name) ? { $ref: '#/$defs/value' } : TYPES[type];
    const described = { ...shape, description, examples: [example] };
    if (name.endsWith(TEMPLATE))
      patterns[`^${name.slice(0, -TEMPLATE.length).replaceAll('.', '\\.')}`] = described;
    else properties[name] = described;
  }
  return {
    properties,
    ...(Object.keys(patterns).length === 0 ? {} : { patternProperties: patterns }),
    additionalProperties: false,
  };
}
