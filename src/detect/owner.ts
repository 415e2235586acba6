/** The process behind an event, as the kernel knows it; undefined: a capture file. */
import type { Owner } from '../model.ts';
import type { DetectorEvent } from './detector.ts';

export function ownerOf(event: DetectorEvent): Owner | undefined {
  return event.kind === 'lookup' ? event.lookup.request.raw.owner : event.connection.owner;
}
