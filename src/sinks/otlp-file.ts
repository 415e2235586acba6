/**
 * OTLP/JSON lines in a file, one ExportLogsServiceRequest or ExportMetricsServiceRequest a line: what the Collector's
 * file exporter writes and its otlp_json_file receiver reads (OpenTelemetry specification, "OpenTelemetry Protocol File
 * Exporter"). The file is appended to, never rotated and never truncated but for a line that could not be finished.
 */
import { close, constants, fstatSync, ftruncateSync, openSync, statSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { JsonMetricsSerializer } from '@opentelemetry/otlp-transformer';
import type { PushMetricExporter, ResourceMetrics } from '@opentelemetry/sdk-metrics';
import type { Ledger } from '../health.ts';
import { UserError } from '../lib/errors.ts';
import { type DeliveryLimits, DeliverySink, type RequestSender, type SendResult } from './delivery.ts';
import { FailureReporter } from './failure-reporter.ts';
import { canonicalMetricsRequest, JsonLinesEncoder } from './otlp-json.ts';
import type { RequestStore, SealedRequest } from './request-store.ts';
import type { Notices } from './sink.ts';

const writeBytes = promisify(write);
const closeFile = promisify(close);

/** A file of lines. Several writers may share it: each line is written whole, in the order of the calls. */
export class LinesFile {
  readonly path: string;
  readonly #descriptor: number;
  readonly #regular: boolean;
  #last: Promise<unknown> = Promise.resolve();
  #users = 0;

  private constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#regular = fstatSync(descriptor).isFile();
  }

  /** @throws UserError when the file cannot be opened for appending */
  static open(path: string): LinesFile {
    try {
      // Opening a FIFO would wait for its reader, and hold the whole program.
      const kind = statSync(path, { throwIfNoEntry: false });
      if (kind !== undefined && !kind.isFile() && !kind.isCharacterDevice()) {
        throw new UserError(`cannot write to ${path}: not a regular file`);
      }
      const descriptor = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND, 0o640);
      return new LinesFile(path, descriptor);
    } catch (error) {
      if (error instanceof UserError) throw error;
      const hint = 'give a path in a directory that exists and is writable: --exporter otlp-file:PATH';
      throw new UserError(`cannot write to ${path}: ${(error as Error).message}`, { hint, cause: error });
    }
  }

  /** Each user calls `release` once. */
  use(): this {
    this.#users++;
    return this;
  }

  /** Appends lines, their breaks included. Rejects when they could not be written; then nothing of them is in the file. */
  append(lines: Uint8Array): Promise<void> {
    const written = this.#last.then(() => this.#write(lines));
    this.#last = written.catch(() => undefined);
    return written;
  }

  /** Closes the file when its last user is done. */
  async release(): Promise<void> {
    await this.#last;
    this.#users--;
    if (this.#users === 0) await closeFile(this.#descriptor);
  }

  async #write(bytes: Uint8Array): Promise<void> {
    const before = this.#regular ? fstatSync(this.#descriptor).size : 0;
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await writeBytes(this.#descriptor, bytes, done, bytes.length - done);
        done += bytesWritten;
      }
    } catch (error) {
      // Half a line would make the next one unreadable too.
      if (this.#regular) ftruncateSync(this.#descriptor, before);
      throw error;
    }
  }
}

export interface OtlpFileOptions {
  /** `otlp-file` unless there are several. */
  readonly name?: string;
  readonly file: LinesFile;
  readonly scope: { readonly name: string; readonly version: string };
  readonly ledger: Ledger;
  readonly notices: Notices;
  readonly store: RequestStore;
  readonly limits: Omit<DeliveryLimits, 'concurrency'>;
}

/** Characters of one line: readers have a bound for them (the Collector's file receivers: 1 MiB unless configured). */
const MAX_LINE = 1_000_000;

/** A sink that writes records to the file. */
export function createOtlpFileSink(options: OtlpFileOptions): DeliverySink {
  const { file, scope, ledger, notices, store, limits } = options;
  const name = options.name ?? 'otlp-file';
  return new DeliverySink({
    name,
    encoder: new JsonLinesEncoder(scope, MAX_LINE),
    store,
    sender: new FileSender(file.use()),
    ledger,
    reporter: new FailureReporter(name, notices),
    limits: { ...limits, concurrency: 1 },
  });
}

/** Writes once: a file that cannot be written to now is not waited for. */
class FileSender implements RequestSender {
  readonly #file: LinesFile;

  constructor(file: LinesFile) {
    this.#file = file;
  }

  async send({ bytes }: SealedRequest): Promise<SendResult> {
    try {
      await this.#file.append(bytes);
      return { kind: 'delivered', rejected: 0, warning: undefined };
    } catch (error) {
      return {
        kind: 'refused',
        reason: 'failed',
        message: `${this.#file.path}: ${(error as Error).message}`,
      };
    }
  }

  hurry(): void {}

  shutdown(): Promise<void> {
    return this.#file.release();
  }
}

/** Metrics to the same kind of file, for MetricsSink; cumulative. */
export function createOtlpFileMetricExporter(file: LinesFile): PushMetricExporter {
  file.use();
  let released: Promise<void> | undefined;
  return {
    export(metrics: ResourceMetrics, done: (result: ExportResult) => void): void {
      const bytes = JsonMetricsSerializer.serializeRequest(metrics);
      file.append(Buffer.from(`${canonicalMetricsRequest(new TextDecoder().decode(bytes))}\n`)).then(
        () => done({ code: ExportResultCode.SUCCESS }),
        (error: Error) => done({ code: ExportResultCode.FAILED, error }),
      );
    },
    forceFlush: async () => {},
    shutdown(): Promise<void> {
      released ??= file.release();
      return released;
    },
  };
}
