/** Attributes of the log record `whodns.suppressed`. */
import type { AttributeDefinition } from './resource-attributes.ts';

export const SUPPRESSED_ATTRIBUTES = {
  'whodns.suppressed.requests': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description:
      'Requests that the kernel left out since the last such record: each would have been a lookup. Not on records with `whodns.suppressed.bound`.',
    example: 41_532,
  },
  'whodns.suppressed.responses': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description:
      'Answers left out. An answer to a request left out from a new socket counts as one that was not asked for.',
    example: 12,
  },
  'whodns.suppressed.connections': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'Connections left out (--connections).',
    example: 0,
  },
  'whodns.suppressed.since': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'When the first of them was left out, at the earliest.',
    example: '2026-11-30T12:00:00.000Z',
  },
  'whodns.suppressed.share': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      'Whose share was used up: `cgroup`; or what stands for those without one: `unknown` (no process is known), `unasked` (more answers than requests), `table_full`, `too_deep` (control groups nested too deep). At a bound of the agent: `cgroup`, `unknown`, or `others` (workloads no longer counted apart).',
    example: 'cgroup',
  },
  'whodns.suppressed.bound': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      'What was full in the agent, so that who holds most gives way: as the drop reason, for example `requests_full`, `streams_full`. One record for each workload and bound.',
    example: 'requests_full',
  },
  'whodns.suppressed.given_up': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'How often that workload gave way there since the last such record.',
    example: 118,
  },
  'whodns.suppressed.cgroup.id': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description:
      'The control group that was charged (cgroup v2 id): of the workload or, where a user may make groups himself, above it.',
    example: '4711',
  },
  'whodns.suppressed.user.id': {
    type: 'int',
    stability: 'development',
    source: 'whodns',
    description: 'On the host: the user in that group. In a user namespace: who made it.',
    example: 1000,
  },
} as const satisfies Readonly<Record<string, AttributeDefinition>>;

export type SuppressedAttributeName = keyof typeof SUPPRESSED_ATTRIBUTES;
