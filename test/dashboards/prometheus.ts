/** Prometheus over blocks that promtool made of the text of an hour. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { prometheusProgram, promtoolProgram } from '../backends/build.ts';
import { run } from '../collector/program-cache.ts';
import { freePorts, startProgram } from '../collector/running-program.ts';
import { type Hour, openMetrics } from './hour.ts';

export interface Metrics {
  /** Base of the API. */
  readonly api: string;
  readonly stop: () => Promise<void>;
}

export async function startMetrics(
  directory: string,
  hour: Hour,
  shape: Parameters<typeof openMetrics>[1],
): Promise<Metrics> {
  mkdirSync(directory, { recursive: true });
  const [text, configuration, data] = ['hour.om', 'prometheus.yml', 'tsdb'].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  writeFileSync(text, openMetrics(hour, shape));
  writeFileSync(configuration, 'global: {}\n');
  await run([await promtoolProgram(), 'tsdb', 'create-blocks-from', 'openmetrics', text, data]);
  const [port] = await freePorts(1);
  const { stop } = await startProgram({
    command: [
      await prometheusProgram(),
      `--config.file=${configuration}`,
      `--storage.tsdb.path=${data}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    readyUrl: `http://127.0.0.1:${port}/-/ready`,
  });
  return { api: `http://127.0.0.1:${port}/api/v1`, stop };
}
