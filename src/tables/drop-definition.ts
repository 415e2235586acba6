/** What a drop costs, and how it is described: the rows of docs/runbook.md. */

/**
 * `record`: a record is missing at the destination. `answer`: its lookup is told as `unknown`. `detail`: the record is there, a part of
 * what it could say is not. `finding`: what a detection would have said.
 */
export type Cost = 'record' | 'answer' | 'detail' | 'finding';

export interface DropDefinition {
  readonly cost: Cost;
  /** What it means. */
  readonly description: string;
  /** What to do about it. */
  readonly action: string;
}

export type Drops = Readonly<Record<string, DropDefinition>>;
/** Reason to what it means. */
export type Filters = Readonly<Record<string, string>>;

/** The reasons that one stage can give. */
export interface StageReasons {
  readonly dropped: Drops;
  readonly filtered: Filters;
}
