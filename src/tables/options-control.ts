/** What the agent opens to others, all of it off by default: part of OPTIONS. */
import { resolve } from 'node:path';
import { parseListenAddress } from '../lib/endpoint.ts';
import { boolean } from '../lib/values.ts';
import { type ClientCommand, type Command, option } from './option.ts';

export const CLIENT_COMMANDS: readonly ClientCommand[] = ['stats', 'status', 'cache'];
const RUN: readonly Command[] = ['run'];

export const CONTROL_OPTIONS = {
  control: option<string | undefined>({
    flag: '--control <path>',
    commands: ['run', 'search', ...CLIENT_COMMANDS],
    env: ['WHODNS_CONTROL'],
    description: 'Unix socket on which the running agent answers questions, for its own user only',
    parse: (text) => (text.includes('\0') ? { problem: 'is not a path' } : { value: resolve(text) }),
    default: undefined,
    shownDefault: 'none',
  }),
  health: option<string | undefined>({
    flag: '--health <address>',
    commands: RUN,
    env: ['WHODNS_HEALTH'],
    description: 'ADDRESS:PORT or :PORT where /livez and /readyz answer by HTTP',
    parse: (text) =>
      parseListenAddress(text) === undefined ? { problem: 'is not ADDRESS:PORT or :PORT' } : { value: text },
    default: undefined,
    shownDefault: 'nothing listens',
  }),
  healthMetrics: option<boolean>({
    flag: '--health-metrics',
    commands: RUN,
    env: ['WHODNS_HEALTH_METRICS'],
    description: 'the metrics for Prometheus at /metrics of --health',
    parse: boolean,
    default: false,
  }),
} as const;
