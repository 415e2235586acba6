/** A finding as a log record. What a detector gives is checked here: a user's may give anything. */
import { uuidV7 } from '../lib/uuid.ts';
import type { Attributes, AttributeValue, LogEvent } from '../model.ts';
import type { FindingSeverity } from '../tables/detections.ts';
import type { Detector, DetectorEvent, Finding } from './detector.ts';

export const FINDING_EVENT_NAME = 'whodns.finding';
/** OpenTelemetry SeverityNumber (logs data model, "Field: SeverityNumber"). */
export const FINDING_SEVERITY: Readonly<Record<FindingSeverity, number>> = { info: 9, warn: 13, error: 17 };

const MOST_CHARACTERS = 1024;
export const MOST_SUBJECT_CHARACTERS = 255;
const MOST_EVIDENCE = 32;

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
  addEvidence(attributes, found.evidence);
  Object.assign(attributes, {
    'security_rule.name': detector.name,
    'security_rule.description': bounded(detector.describe),
    'whodns.finding.subject': bounded(found.subject, MOST_SUBJECT_CHARACTERS),
    ...(found.kind === undefined
      ? {}
      : { 'whodns.finding.kind': bounded(found.kind, MOST_SUBJECT_CHARACTERS) }),
    ...(suppressed === 0 ? {} : { 'whodns.finding.suppressed': suppressed }),
    ...(uid === undefined ? {} : { 'whodns.finding.record.uid': bounded(uid, MOST_SUBJECT_CHARACTERS) }),
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

/** A well-formed finding of any detector. */
export function isFinding(value: unknown): value is Finding {
  if (typeof value !== 'object' || value === null) return false;
  const { subject, message, kind, record, evidence } = value as Record<string, unknown>;
  return (
    typeof subject === 'string' &&
    typeof message === 'string' &&
    (kind === undefined || typeof kind === 'string') &&
    (record === undefined || typeof record === 'string') &&
    (evidence === undefined || (typeof evidence === 'object' && evidence !== null))
  );
}

function addEvidence(into: Record<string, AttributeValue>, evidence: Attributes | undefined): void {
  let count = 0;
  for (const [name, value] of Object.entries(evidence ?? {})) {
    if (++count > MOST_EVIDENCE) return;
    const kept = attributeValue(value);
    if (kept !== undefined && name !== '' && name.length <= MOST_SUBJECT_CHARACTERS) into[name] = kept;
  }
}

function attributeValue(value: unknown): AttributeValue | undefined {
  if (typeof value === 'string') return bounded(value);
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const texts = value.slice(0, MOST_EVIDENCE).filter((each) => typeof each === 'string');
  return texts.length === 0 ? undefined : texts.map((text) => bounded(text));
}

function bounded(text: string, most = MOST_CHARACTERS): string {
  return text.length <= most ? text : `${text.slice(0, most - 1).toWellFormed()}…`;
}
