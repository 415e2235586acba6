/** A finding as a log record. What a detector gives is checked and copied here: a user's may give anything. */
import { uuidV7 } from '../lib/uuid.ts';
import type { Attributes, AttributeValue, LogEvent } from '../model.ts';
import type { FindingSeverity } from '../tables/detections.ts';
import type { Detector, DetectorEvent, Finding } from './detector.ts';

export const FINDING_EVENT_NAME = 'whodns.finding';
/** OpenTelemetry SeverityNumber (logs data model, "Field: SeverityNumber"). */
export const FINDING_SEVERITY: Readonly<Record<FindingSeverity, number>> = { info: 9, warn: 13, error: 17 };

const MAX_CHARACTERS = 1024;
const MAX_SUBJECT_CHARACTERS = 255;
const MAX_EVIDENCE = 32;
const LONGEST_TEXT = 4 * 1024 * 1024;

/** @param suppressed findings of the same process and subject that were not reported since the last one */
export function findingRecord(
  found: Finding,
  detector: Detector,
  event: DetectorEvent,
  observedTime: bigint,
  suppressed: number,
): LogEvent {
  const attributes: Record<string, AttributeValue> = {};
  const uid = found.record ?? event.uid;
  const { networkNamespace } = event.kind === 'lookup' ? event.lookup.request.raw : event.connection;
  Object.assign(attributes, found.evidence, {
    'security_rule.name': detector.name,
    'security_rule.description': bounded(detector.describe),
    'whodns.finding.subject': found.subject,
    ...(found.kind === undefined ? {} : { 'whodns.finding.kind': found.kind }),
    ...(suppressed === 0 ? {} : { 'whodns.finding.suppressed': suppressed }),
    ...(uid === undefined ? {} : { 'whodns.finding.record.uid': uid }),
    ...(networkNamespace === 0 ? {} : { 'whodns.netns': networkNamespace }),
    'whodns.attribution': event.process.attribution,
    'log.record.uid': uuidV7(Number(observedTime / 1_000_000n)),
  });
  return {
    eventName: FINDING_EVENT_NAME,
    time: event.kind === 'lookup' ? event.lookup.request.raw.time : event.time,
    observedTime,
    severity: FINDING_SEVERITY[detector.severity],
    body: bounded(`${detector.name}: ${found.message}`),
    attributes,
    process: event.process,
    lookup: undefined,
  };
}

/**
 * A copy of what a detector returned, every part read once and cut to its bound; undefined: it is no finding. What is returned may
 * be anything: a Proxy, getters that throw or say something else the second time, texts of a gigabyte.
 * @throws what its parts throw
 */
export function copyOfFinding(value: unknown): Finding | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { subject, message, kind, record, evidence } = value as Record<string, unknown>;
  if (!isText(subject) || !isText(message)) return undefined;
  if (kind !== undefined && !isText(kind)) return undefined;
  if (record !== undefined && !isText(record)) return undefined;
  if (evidence !== undefined && (typeof evidence !== 'object' || evidence === null)) return undefined;
  return {
    subject: subject.slice(0, MAX_SUBJECT_CHARACTERS),
    message: bounded(message),
    ...(kind === undefined ? {} : { kind: bounded(kind, MAX_SUBJECT_CHARACTERS) }),
    ...(record === undefined ? {} : { record: bounded(record, MAX_SUBJECT_CHARACTERS) }),
    ...(evidence === undefined ? {} : { evidence: evidenceOf(evidence as Record<string, unknown>) }),
  };
}

/** To cut a text that V8 holds in pieces it is first put together: one of a gigabyte would take that much memory. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= LONGEST_TEXT;
}

function evidenceOf(given: Readonly<Record<string, unknown>>): Attributes {
  const evidence: Record<string, AttributeValue> = {};
  for (const name of Object.keys(given).slice(0, MAX_EVIDENCE)) {
    const kept = attributeValue(given[name]);
    if (kept !== undefined && name !== '' && name.length <= MAX_SUBJECT_CHARACTERS) evidence[name] = kept;
  }
  return evidence;
}

function attributeValue(value: unknown): AttributeValue | undefined {
  if (isText(value)) return bounded(value);
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (!Array.isArray(value)) return undefined;
  const texts: string[] = [];
  // No method of it: it may be of a class of its own.
  for (let index = 0; index < MAX_EVIDENCE && index < value.length; index++) {
    const each: unknown = value[index];
    if (isText(each)) texts.push(bounded(each));
  }
  return texts.length === 0 ? undefined : texts;
}

function bounded(text: string, max = MAX_CHARACTERS): string {
  return text.length <= max ? text : `${text.slice(0, max - 1).toWellFormed()}…`;
}
