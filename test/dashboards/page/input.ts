/** What the test hands to the page: panels as in a dashboard's JSON, with their data as frames. */

export interface FieldInput {
  readonly name: string;
  readonly type: 'time' | 'number' | 'string' | 'other';
  readonly values: readonly unknown[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly config?: { readonly displayNameFromDS?: string };
}

export interface FrameInput {
  readonly refId: string;
  readonly fields: readonly FieldInput[];
}

export interface FieldConfigInput {
  readonly defaults: {
    readonly unit?: string;
    readonly noValue?: string;
    readonly custom?: Readonly<Record<string, unknown>>;
  };
  readonly overrides: readonly unknown[];
}

export interface PanelInput {
  readonly title: string;
  readonly description: string;
  readonly type: string;
  /** Of 24 columns; rows of 30 pixels and 8 between. */
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig: FieldConfigInput;
  readonly options?: Readonly<Record<string, unknown>>;
  readonly transformations?: readonly {
    readonly id: string;
    readonly options: Readonly<Record<string, unknown>>;
  }[];
  readonly frames: readonly FrameInput[];
}

export interface BoardInput {
  readonly title: string;
  readonly panels: readonly PanelInput[];
  readonly variables: Readonly<Record<string, string>>;
  /** Unix ms */
  readonly from: number;
  readonly to: number;
}

export interface LinkSeen {
  readonly title: string;
  readonly href: string;
}

/** What the page says of a panel that it has drawn. */
export interface PanelSeen {
  readonly title: string;
  /** The text in place of the panel, '' where there is data. */
  readonly empty: string;
  /** Of the first row, or the first series. */
  readonly links: readonly LinkSeen[];
}

declare global {
  interface Window {
    draw: (board: BoardInput) => Promise<readonly PanelSeen[]>;
  }
}
