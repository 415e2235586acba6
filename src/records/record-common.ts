/** What records of all kinds share. */
import { uuidV7 } from '../lib/uuid.ts';

/** OpenTelemetry SeverityNumber (logs data model, "Field: SeverityNumber"). */
export const SEVERITY = { info: 9, warn: 13 } as const;

/** UTF-16 units of a text; what is longer is cut and ends in an ellipsis. */
export const MAX_CHARACTERS = 1024;

/** No record has more attributes. */
export const MAX_ATTRIBUTES = 64;

export function bounded(text: string): string {
  if (text.length <= MAX_CHARACTERS) return text;
  return `${text.slice(0, MAX_CHARACTERS - 1).toWellFormed()}…`;
}

/** The kernel's comm is bytes, most often UTF-8; the model carries them as latin1. */
export function commText(latin1: string): string {
  for (let i = 0; i < latin1.length; i++) {
    if (latin1.charCodeAt(i) > 0x7f) return Buffer.from(latin1, 'latin1').toString('utf8');
  }
  return latin1;
}

/** A new `log.record.uid`. @param time Unix ns */
export function newUid(time: bigint): string {
  return uuidV7(Number(time / 1_000_000n));
}
