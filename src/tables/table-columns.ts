/** Columns that the table can show (`--columns`), in their usual order. */
export const TABLE_COLUMNS = [
  'time',
  'pid',
  'process',
  'user',
  'parent',
  'command',
  'container',
  'type',
  'name',
  'result',
  'latency',
  'answers',
  'server',
] as const;

export type ColumnName = (typeof TABLE_COLUMNS)[number];
/** `+user`: in addition to those that fit. */
export type TableColumn = ColumnName | `+${ColumnName}`;
