/** Asks the backends what Grafana would ask, and brings the answers into one form. */

/** Labels as `key=value` joined by commas in order of the key, to the value. */
export type Values = ReadonlyMap<string, number>;

interface VectorEntry {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
}

interface StreamEntry {
  readonly stream: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [string, string])[];
}

export interface LogLine {
  readonly labels: Readonly<Record<string, string>>;
  readonly line: string;
}

export interface FoundTrace {
  readonly traceID: string;
  readonly rootServiceName?: string;
  readonly rootTraceName?: string;
}

/** GET; throws with the server's words when it refuses. */
export async function get(url: string, parameters: Readonly<Record<string, string>> = {}): Promise<unknown> {
  const response = await fetch(`${url}?${new URLSearchParams(parameters)}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} ${JSON.stringify(parameters)}: HTTP ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Instant query at a time (Unix s) of Prometheus or, with its base path, Loki. */
export async function instant(api: string, query: string, time: number): Promise<Values> {
  const answer = (await get(`${api}/query`, { query, time: time.toFixed(3) })) as {
    data: { result: VectorEntry[] };
  };
  return new Map(answer.data.result.map((entry) => [labelText(entry.metric), Number(entry.value?.[1])]));
}

/** Range query of a metric; the last value of each series. */
export async function range(api: string, query: string, start: number, end: number): Promise<Values> {
  const parameters = { query, start: start.toFixed(3), end: end.toFixed(3), step: '1' };
  const answer = (await get(`${api}/query_range`, parameters)) as { data: { result: VectorEntry[] } };
  return new Map(
    answer.data.result.map((entry) => [labelText(entry.metric), Number(entry.values?.at(-1)?.[1])]),
  );
}

/** Log lines of Loki between two times (Unix s), with all their labels. */
export async function lines(lokiUrl: string, query: string, start: number, end: number): Promise<LogLine[]> {
  const parameters = { query, start: start.toFixed(3), end: end.toFixed(3), limit: '5000' };
  const answer = (await get(`${lokiUrl}/loki/api/v1/query_range`, parameters)) as {
    data: { result: StreamEntry[] };
  };
  return answer.data.result.flatMap(({ stream, values }) =>
    values.map(([, line]) => ({ labels: stream, line })),
  );
}

/** TraceQL search of Tempo between two times (Unix s). */
export async function traces(
  tempoUrl: string,
  query: string,
  start: number,
  end: number,
): Promise<FoundTrace[]> {
  const parameters = {
    q: query,
    start: String(Math.floor(start)),
    end: String(Math.ceil(end)),
    limit: '500',
  };
  return ((await get(`${tempoUrl}/api/search`, parameters)) as { traces?: FoundTrace[] }).traces ?? [];
}

export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.keys(labels)
    .filter((key) => key !== '__name__')
    .sort()
    .map((key) => `${key}=${labels[key]}`)
    .join(',');
}
