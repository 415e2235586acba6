/** Asks what speaks Prometheus' HTTP API, and brings the answers into one form. */

/** Labels as `key=value` joined by commas in order of the key, to the value. */
export type Values = ReadonlyMap<string, number>;

interface VectorEntry {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
  readonly values?: readonly (readonly [number, string])[];
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
  return valuesOf(await get(`${api}/query`, { query, time: time.toFixed(3) }));
}

/** Range query of a metric; the last value of each series. */
export async function range(api: string, query: string, start: number, end: number): Promise<Values> {
  const parameters = { query, start: start.toFixed(3), end: end.toFixed(3), step: '1' };
  return valuesOf(await get(`${api}/query_range`, parameters));
}

/** One series with all its points: Unix s, and the value. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly points: readonly (readonly [time: number, value: number])[];
}

/** Of an answer in Prometheus' form: every series, without its name. */
export function seriesOf(answer: unknown): Series[] {
  const { data } = answer as { data: { result: VectorEntry[] } };
  return data.result.map(({ metric, value, values }) => {
    const { __name__: _, ...labels } = metric;
    const points = values ?? (value === undefined ? [] : [value]);
    return { labels, points: points.map(([time, text]) => [time, Number(text)]) };
  });
}

/** Of an answer in Prometheus' form: the value, or the last one, of each series. */
export function valuesOf(answer: unknown): Values {
  const { data } = answer as { data: { result: VectorEntry[] } };
  return new Map(
    data.result.map(({ metric, value, values }) => [
      labelText(metric),
      Number((value ?? values?.at(-1))?.[1]),
    ]),
  );
}

export function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.keys(labels)
    .filter((key) => key !== '__name__' && labels[key] !== '')
    .sort()
    .map((key) => `${key}=${labels[key]}`)
    .join(',');
}
