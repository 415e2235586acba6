/** What goes between the main thread and the one that keeps the history. */
import type { SentProcess } from './process-rows.ts';
import type { SentEvent } from './sent-event.ts';
import type { HistoryQueries } from './types.ts';

export interface WorkerData {
  readonly place: string;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly maxRows: number;
}

export type ToWorker =
  | {
      readonly kind: 'batch';
      readonly buffer: ArrayBuffer;
      readonly count: number;
      readonly processes: ReadonlyMap<number, SentProcess>;
      /** The numbers of processes begin again with these. */
      readonly isFirst: boolean;
      readonly events: readonly SentEvent[];
    }
  | {
      readonly kind: 'question';
      readonly id: number;
      readonly question: keyof HistoryQueries;
      readonly given: readonly unknown[];
    }
  | { readonly kind: 'close' };

export type FromWorker =
  | { readonly kind: 'ready' }
  /** It cannot begin; it ends. */
  | { readonly kind: 'refused'; readonly message: string }
  /** The batches are answered in their order. @see error undefined: all of it is kept, else nothing */
  | { readonly kind: 'kept'; readonly buffer: ArrayBuffer; readonly error: string | undefined }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | {
      readonly kind: 'failure';
      readonly id: number;
      readonly message: string;
      readonly hint: string | undefined;
      /** undefined: no UserError, a defect. */
      readonly exitCode: number | undefined;
    }
  | { readonly kind: 'warning'; readonly message: string }
  | { readonly kind: 'closed' };
