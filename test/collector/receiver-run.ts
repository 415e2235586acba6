/** An agent that someone else than the receiver starts. */
import { type ChildProcess, spawn } from 'node:child_process';

/** The agent's start on a busy machine. */
export const START_MS = 120_000;

/** Sends to the socket; `said` is its standard error so far. */
export function run(main: string, socket: string): ChildProcess & { said: string } {
  const child = Object.assign(
    spawn(process.execPath, [main, 'run'], {
      env: {
        PATH: process.env.PATH,
        OTEL_EXPORTER_OTLP_ENDPOINT: `unix:${socket}`,
        OTEL_METRIC_EXPORT_INTERVAL: '1000',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    }),
    { said: '' },
  );
  child.stderr?.on('data', (text) => (child.said += String(text)));
  return child;
}
