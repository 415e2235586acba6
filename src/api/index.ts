/**
 * What `import ... from 'whodns'` gives: the lookups of this host, or of a capture file, as typed events in a program of yours.
 *
 * ```ts
 * import { capture } from 'whodns';
 *
 * for await (const { process, question, outcome, responseCode } of capture())
 *   console.log(process.name, question?.name, responseCode ?? outcome);
 * ```
 *
 * @module whodns
 */
export { capture } from './capture.ts';
export { CaptureError, type CaptureErrorCode } from './capture-error.ts';
export type {
  Attributes,
  AttributeValue,
  LookupAnswer,
  LookupContainer,
  LookupEndpoint,
  LookupEvent,
  LookupKubernetes,
  LookupProcess,
  LookupQuestion,
  Outcome,
  Transport,
  UnknownReason,
} from './event.ts';
export * from './history.ts';
export type { Capture, CaptureOptions, CaptureStats, LookupOptions } from './options.ts';
export type { EmittedRecord, GivenLoggerProvider, GivenMeterProvider } from './providers.ts';
export { type CaptureFile, type ReplayOptions, replay } from './replay.ts';
