/** A capture file as a source: the same events as from the kernel, without owners. */
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { ProcessCount, RawMessage, SourceStats } from '../model.ts';
import { openPackets } from './capture-file.ts';
import type { CapturedPacket, Damage, Packets } from './captured-packet.ts';
import { DnsPackets } from './dns-packets.ts';
import { FileBytes, nameOf, STANDARD_INPUT, unreadable } from './file-bytes.ts';
import { readIp } from './ip-packet.ts';
import { findIp } from './link-layer.ts';
import { type CaptureReport, describeCapture } from './report.ts';
import type { OnBatch, Source } from './source.ts';

/** Messages handed over at once; then the event loop gets its turn, so that sinks can write. */
const BATCH = 512;
/** Packets after which the event loop gets its turn even without messages. */
const PACKETS_PER_TURN = 8192;

export interface PcapOptions {
  /** A path, STANDARD_INPUT, or a stream of the file's bytes. */
  readonly file: string | Readable;
  /** Ports that DNS servers listen on. */
  readonly ports: readonly number[];
}

export class PcapSource implements Source {
  readonly finished: Promise<void>;
  /** Where the file stopped being readable; undefined if it was whole. Known when `finished` resolves. */
  damage: Damage | undefined;
  /** Packets of link types that are not read, by link type. */
  readonly unreadLinkTypes = new Map<number, number>();
  readonly #input: string | Readable;
  readonly #packets: DnsPackets;
  #batch: RawMessage[] = [];
  #onBatch: OnBatch = () => undefined;
  #batches = 0;
  #batchBytes = 0;
  #submitted = 0;
  #stopping = false;
  #stopped: Promise<void> | undefined;
  #started = false;
  #file: FileBytes | undefined;
  readonly #settle: PromiseWithResolvers<void>;

  constructor(options: PcapOptions) {
    this.#input = options.file;
    this.#packets = new DnsPackets(options.ports, (message) => this.#batch.push(message));
    this.#settle = Promise.withResolvers<void>();
    this.finished = this.#settle.promise;
    // A start that fails reports the error itself; nobody need listen here.
    this.finished.catch(() => {});
  }

  /** Opens the file and begins to read it. Rejects with a UserError if it cannot be read or is no capture file. */
  async start(onBatch: OnBatch): Promise<void> {
    this.#started = true;
    this.#onBatch = onBatch;
    try {
      const file = await FileBytes.open(this.#input);
      this.#file = file;
      const packets = await openPackets(file, nameOf(this.#input)).catch(async (error: unknown) => {
        await file.close();
        throw error;
      });
      // A pipe can be silent for long: what was read by then is not to wait.
      file.onRead = () => this.#handOver();
      this.#read(packets, file)
        .finally(() => file.close())
        .then(this.#settle.resolve, (error: unknown) => this.#settle.reject(this.#failure(error)));
    } catch (error) {
      const failure = this.#failure(error);
      this.#settle.reject(failure);
      throw failure;
    }
  }

  /** An error of the file system as a UserError. */
  #failure(error: unknown): unknown {
    return error instanceof Error && 'code' in error ? unreadable(this.#input, error) : error;
  }

  stop(): Promise<void> {
    this.#stopping = true;
    // A read of a pipe would go on until something is written there.
    if (this.#input === STANDARD_INPUT || typeof this.#input !== 'string') this.#file?.close();
    if (!this.#started) this.#settle.resolve();
    this.#stopped ??= this.finished.catch(() => {});
    return this.#stopped;
  }

  stats(): SourceStats {
    return {
      hook: 'pcap',
      counters: { ...this.#packets.counters, submitted: this.#submitted },
      drops: Object.fromEntries(this.#packets.droppedFragments),
      missedRuns: 0,
      batches: this.#batches,
      batchBytes: this.#batchBytes,
      ring: undefined,
    };
  }

  /** What was read of the file and what was not. */
  report(): CaptureReport {
    const { damage, unreadLinkTypes } = this;
    const { counters } = this.#packets;
    return describeCapture({ name: nameOf(this.#input), damage, unreadLinkTypes, counters });
  }

  /** A capture file knows no processes. */
  processes(): readonly ProcessCount[] {
    return [];
  }

  forget(): void {}

  async #read(packets: Packets, file: FileBytes): Promise<void> {
    let count = 0;
    for (;;) {
      const result = await packets.next();
      if (result.done === true) {
        this.damage = file.broken === undefined ? result.value : { offset: file.offset, reason: file.broken };
        break;
      }
      this.#accept(result.value);
      count++;
      if (this.#batch.length >= BATCH || count % PACKETS_PER_TURN === 0) {
        await this.#handOver();
        await setImmediate();
      }
      if (this.#stopping) break;
    }
    this.#packets.close();
    await this.#handOver();
  }

  readonly #onUnread = (linkType: number): void => {
    this.unreadLinkTypes.set(linkType, (this.unreadLinkTypes.get(linkType) ?? 0) + 1);
  };

  #accept({ time, linkType, bytes }: CapturedPacket): void {
    this.#packets.counters.packets++;
    const offset = findIp(linkType, bytes, this.#onUnread);
    const packet = offset < 0 ? undefined : readIp(bytes, offset);
    if (packet === undefined) this.#packets.counters.unreadable++;
    else this.#packets.accept(packet, time);
  }

  /** What the receiver's promise waits for is waited for: a file need not be read faster than it is exported. */
  async #handOver(): Promise<void> {
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#batches++;
    this.#submitted += batch.length;
    for (const message of batch) this.#batchBytes += message.payload.length;
    await this.#onBatch(batch);
  }
}
