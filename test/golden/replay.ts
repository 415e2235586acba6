/** A capture file through the real way: container, packets, streams, decoder. */

import type { Damage } from '../../src/capture/captured-packet.ts';
import { PcapSource } from '../../src/capture/pcap.ts';
import { decodeMessage } from '../../src/dns/message.ts';
import { Stage, type StageSnapshot } from '../../src/ledger.ts';
import type { DnsEvent, SourceStats } from '../../src/model.ts';
import type { StreamMessage } from '../../src/streams/message.ts';
import { Streams } from '../../src/streams/streams.ts';

export interface Replayed {
  readonly events: readonly DnsEvent[];
  /** Copies of the DNS bytes, in the order of `events`. */
  readonly payloads: readonly Uint8Array[];
  readonly damage: Damage | undefined;
  readonly stats: SourceStats;
  readonly ledger: StageSnapshot;
}

export async function replay(path: string, ports: readonly number[] = [53]): Promise<Replayed> {
  const source = new PcapSource({ file: path, ports });
  const stage = new Stage('streams');
  const streams = new Streams(stage);
  const events: DnsEvent[] = [];
  const payloads: Uint8Array[] = [];
  const emit = ({ raw, payload, length }: StreamMessage) => {
    events.push({ raw, length, captured: payload.length, message: decodeMessage(payload, length) });
    payloads.push(Uint8Array.from(payload));
  };
  await source.start((batch) => {
    for (const event of batch) if (event.kind === 'message') streams.accept(event, emit);
  });
  await source.finished;
  streams.close(emit);
  return { events, payloads, damage: source.damage, stats: source.stats(), ledger: stage.snapshot() };
}
