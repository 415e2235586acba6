/** One question of the benchmark: one file that measures, judges and renders it. */

export interface RunOptions {
  /** Fewer and shorter runs: to see that it works, not for the page. */
  readonly quick: boolean;
  /** Also what takes ten minutes. */
  readonly full: boolean;
  /** Take today's instruction counts as the committed ones. */
  readonly commit: boolean;
  /** Progress, one line. */
  readonly say: (line: string) => void;
}

export interface Question<T> {
  /** Word on the command line; name of bench/results/NAME.json. */
  readonly name: string;
  readonly title: string;
  measure(options: RunOptions): Promise<T>;
  /** What was asked for and is not met, one line each. */
  failures(result: T): string[];
  /** Lines of Markdown below the title. */
  page(result: T): string[];
}
