/**
 * What a process may say of itself as resource attributes: its service and whatever else is its own affair, but nothing that
 * is measured or set by whoever runs it. Pure.
 */
import type { Attributes, AttributeValue } from '../../model.ts';
import { RESOURCE_ATTRIBUTES } from '../../tables/resource-attributes.ts';

/**
 * Where the process runs and as what: namespaces of the semantic conventions (docs/resource) that describe the process, its
 * container, pod, host, cloud account and the program that measures. A process, and a pod's author, can know them, but could
 * say another's as well.
 */
const MEASURED =
  /^(?:aws|azure|cloud|cloudfoundry|container|device|gcp|heroku|host|k8s|oci|openshift|os|otel|process|telemetry|whodns)\./i;
/** Backends write names with `_` for whatever they do not know: such a name must not become one of ours there. */
const OURS = new Set(
  Object.keys(RESOURCE_ATTRIBUTES)
    .filter((key) => MEASURED.test(key))
    .map(flattened),
);
const K8S = /^k8s_/;
/** Control characters, blanks, what turns the writing's direction or is not shown: two names would look like one. */
const UNSEEN = /[\p{Cc}\p{Cf}\s]/u;
/** Of all that one process says, by characters: every record of it carries them. */
const MAX_CHARACTERS = 16 * 1024;
const MAX_ATTRIBUTES = 128;

export function isMeasured(key: string): boolean {
  const flat = flattened(key);
  return MEASURED.test(key) || K8S.test(flat) || OURS.has(flat);
}

function flattened(key: string): string {
  return key.toLowerCase().replace(/[^a-z0-9]/g, '_');
}

export interface Taken {
  readonly attributes: Attributes;
  /** Left out. */
  readonly refused: number;
}

/** Of what a process says, what counts; in its order, up to the bounds. */
export function takeClaims(claims: Iterable<readonly [string, AttributeValue]>): Taken {
  const taken = new Map<string, AttributeValue>();
  let refused = 0;
  let room = MAX_CHARACTERS;
  for (const [key, value] of claims) {
    const size = key.length + charactersOf(value);
    if (isMeasured(key) || UNSEEN.test(key) || size > room || taken.size === MAX_ATTRIBUTES) {
      refused++;
      continue;
    }
    room -= size;
    taken.set(key, value);
  }
  return { attributes: Object.fromEntries(taken), refused };
}

function charactersOf(value: AttributeValue): number {
  if (typeof value === 'string') return value.length;
  const NUMBER = 8;
  if (typeof value !== 'object') return NUMBER;
  let sum = 0;
  for (const each of value) sum += typeof each === 'string' ? each.length : NUMBER;
  return sum;
}
