/** What a replay says at its end of the file it read. */
import type { Damage } from './captured-packet.ts';
import type { PacketCounters } from './dns-packets.ts';

export interface CaptureReport {
  /** The file, or nothing of it, could be read. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  /** One line of figures. */
  readonly summary: string;
}

export interface CaptureFacts {
  readonly name: string;
  readonly damage: Damage | undefined;
  /** Packets of link types that are not read, by link type. */
  readonly unreadLinkTypes: ReadonlyMap<number, number>;
  readonly counters: PacketCounters;
}

export function describeCapture({ name, damage, unreadLinkTypes, counters }: CaptureFacts): CaptureReport {
  const errors: string[] = [];
  const warnings: string[] = [];
  if (damage !== undefined) {
    const { reason, offset } = damage;
    errors.push(`${name}: damaged at byte ${offset} (${reason}); what stands before it was read`);
  }
  for (const [linkType, count] of unreadLinkTypes) {
    const isAll = count === counters.packets;
    (isAll ? errors : warnings).push(
      `${name}: ${count} packets of link type ${linkType} not read (https://www.tcpdump.org/linktypes.html); whodns replay --help lists what is`,
    );
  }
  return { errors, warnings, summary: `${name}: ${figures(counters)}` };
}

/** Zeros are left out, but for what was looked for. */
function figures(counters: PacketCounters): string {
  const { packets, requests, responses, fragments, tunnels, duplicates, unreadable } = counters;
  const parts: readonly (readonly [number, string])[] = [
    [fragments, 'fragments'],
    [tunnels, 'packets within others'],
    [duplicates, 'seen twice'],
    [unreadable, 'not readable as IP'],
  ];
  const further = parts.filter(([count]) => count > 0).map(([count, what]) => `, ${count} ${what}`);
  return `${packets} packets, ${requests} of requests, ${responses} of answers${further.join('')}`;
}
