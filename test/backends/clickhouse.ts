/**
 * ClickHouse from npm: the package has the whole server as a library (Apache-2.0), clickhouse/server.c makes a program of it that speaks
 * the native protocol and HTTP.
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { cachedProgram, run } from '../collector/program-cache.ts';
import { type RunningProgram, startProgram } from '../collector/running-program.ts';

const SOURCE = join(import.meta.dirname, 'clickhouse');

/** Directory with `clickhouse` and the library beside it. */
export async function clickHouseProgram(): Promise<string> {
  const files = ['package.json', 'package-lock.json', 'server.c'].map((name) => join(SOURCE, name));
  const content = files.map((file) => readFileSync(file));
  const digest = createHash('sha256').update(Buffer.concat(content)).digest('hex').slice(0, 8);
  return cachedProgram(`clickhouse-${digest}`, async (target) => {
    mkdirSync(target);
    for (const file of files) cpSync(file, join(target, basename(file)));
    await run(['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: target });
    const library = `node_modules/@chdb/lib-linux-${process.arch}-gnu`;
    const link = [`-L${library}`, '-lchdb', `-Wl,-rpath,$ORIGIN/${library}`];
    await run(['cc', '-O2', '-Wall', '-Wextra', '-Werror', '-o', 'clickhouse', 'server.c', ...link], {
      cwd: target,
    });
  });
}

export interface ClickHousePorts {
  readonly native: number;
  readonly http: number;
}

export async function startClickHouse(data: string, ports: ClickHousePorts): Promise<RunningProgram> {
  mkdirSync(data, { recursive: true });
  return startProgram({
    command: [
      join(await clickHouseProgram(), 'clickhouse'),
      ...['--path', data, '--listen_host=127.0.0.1'],
      ...[`--tcp_port=${ports.native}`, `--http_port=${ports.http}`],
    ],
    readyUrl: `http://127.0.0.1:${ports.http}/ping`,
  });
}

/** A value of a row: 64-bit integers as numbers, maps as objects. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * Rows of one statement.
 * @param parameters what stands in it as `{name:Type}`
 * @throws what ClickHouse says of one that it refuses
 */
export async function ask(
  port: number,
  statement: string,
  parameters: Readonly<Record<string, string>> = {},
): Promise<Row[]> {
  const settings = {
    database: 'otel',
    default_format: 'JSONEachRow',
    output_format_json_quote_64bit_integers: '0',
    ...Object.fromEntries(Object.entries(parameters).map(([name, value]) => [`param_${name}`, value])),
  };
  const response = await fetch(`http://127.0.0.1:${port}/?${new URLSearchParams(settings)}`, {
    method: 'POST',
    body: statement,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${statement}: HTTP ${response.status} ${text}`);
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Row);
}
