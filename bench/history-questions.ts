/** Every kind of question to a history, and how long each takes: asked alone, and as the whole command. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readHistory } from '../src/history/reader.ts';
import type { SearchQuery } from '../src/history/types.ts';
import {
  addressOf,
  FIRST_JOB,
  localPortOf,
  NAMES,
  nameOf,
  PROCESSES,
  RARE,
  UNREACHED,
} from './history-fill.ts';
import { REPOSITORY } from './machine.ts';

const MAIN = join(REPOSITORY, 'dist/main.js');
const TEN_MINUTES_MS = 600_000;

export interface Answered {
  readonly name: string;
  readonly rows: number;
  /** ms with no file in the page cache, median ms with all of them there, of the question alone. */
  readonly first: number;
  readonly again: number;
  /** Median ms of the whole command. */
  readonly command: number;
}

/** What is said of it, its words on the command line, and the same as a question. */
type Case = readonly [what: string, words: readonly string[], query: SearchQuery];

export function cases(): readonly Case[] {
  const since = (Date.now() - TEN_MINUTES_MS) * 1000;
  const spread = NAMES - 3;
  const job = FIRST_JOB + 77;
  return [
    ['NAME that is asked for often', [nameOf(1)], { name: nameOf(1) }],
    ['NAME that is rare', [nameOf(RARE)], { name: nameOf(RARE) }],
    ['NAME that was never asked for', ['nothing.example.com'], { name: 'nothing.example.com' }],
    ['NAME, of the last ten minutes', [nameOf(1), '--since', '10m'], { name: nameOf(1), since }],
    ['`--since 10m`', ['--since', '10m'], { since }],
    ["'*.SUFFIX' of 40 names", ['*.zone499.example.com'], { suffix: '*.zone499.example.com' }],
    ["'*.SUFFIX' of all names", ['*.example.com'], { suffix: '*.example.com' }],
    ["'*.SUFFIX' of none", ['*.example.net'], { suffix: '*.example.net' }],
    [
      'ADDRESS of an answer',
      [addressOf(spread)],
      { address: addressOf(spread), kinds: ['lookup', 'connection'] },
    ],
    [
      'ADDRESS that no one was told',
      ['203.0.113.66'],
      { address: '203.0.113.66', kinds: ['lookup', 'connection'] },
    ],
    [
      'ADDRESS:PORT `--local-port`',
      [`${addressOf(1)}:443`, '--local-port', String(localPortOf(1))],
      { address: addressOf(1), port: 443, localPort: localPortOf(1), kinds: ['connection'] },
    ],
    ['`--process` that stays', ['--process', 'service7'], { process: 'service7' }],
    ['`--process` of jobs', ['--process', 'job7'], { process: 'job7' }],
    ["`--process 'job1*'`", ['--process', 'job1*'], { process: 'job1*' }],
    ['`--process` that never asked', ['--process', 'nothing'], { process: 'nothing' }],
    [
      '`--process`, NAME',
      ['--process', 'service7', nameOf(RARE)],
      { process: 'service7', name: nameOf(RARE) },
    ],
    [
      '`--process` that stays, NAME of others',
      ['--process', 'service7', nameOf(1)],
      { process: 'service7', name: nameOf(1) },
    ],
    [
      '`--process` that stays, `--failed`',
      ['--process', 'service8', '--failed'],
      { process: 'service8', filter: 'failed' },
    ],
    ['`--pid` that stays', ['--pid', String(999 + PROCESSES)], { pid: 999 + PROCESSES }],
    ['`--pid` of a job', ['--pid', String(job)], { pid: job }],
    ['`--container`', ['--container', 'web-96'], { container: 'web-96' }],
    ['`--user` that never asked', ['--user', 'nobody'], { user: 'nobody' }],
    ['`--failed`', ['--failed'], { filter: 'failed' }],
    ['`--failed`, NAME that did not', ['--failed', nameOf(1)], { filter: 'failed', name: nameOf(1) }],
    ['`--rcode timeout`, one name', ['--rcode', 'timeout'], { rcode: 'timeout' }],
    ['`--rcode` that never came', ['--rcode', 'REFUSED'], { rcode: 'REFUSED' }],
    ['`--type` that never was', ['--type', 'MX'], { type: 'MX' }],
    ['`--server` that was never asked', ['--server', '192.0.2.99'], { filter: 'server in (192.0.2.99)' }],
    ['`--min-latency` that nothing took', ['--min-latency', '10s'], { minLatency: 10e6 }],
    ['/REGEX/ of many', ['/^host1/'], { pattern: '^host1' }],
    ['/REGEX/ of one', [`/^host${UNREACHED}\\./`], { pattern: `^host${UNREACHED}\\.` }],
    ['/REGEX/ of none', ['/(x+x+)+y$/'], { pattern: '(x+x+)+y$' }],
    [
      "`--filter 'process=... and name=...'`",
      ['--filter', `process=service7 and name=*.zone499.example.com`],
      { filter: 'process=service7 and name=*.zone499.example.com' },
    ],
    ["`--filter 'not ...'`", ['--filter', 'not name=*.example.com'], { filter: 'not name=*.example.com' }],
  ];
}

/** @param asked times each */
export async function answerAll(
  directory: string,
  asked: number,
  say: (line: string) => void,
): Promise<Answered[]> {
  const found: Answered[] = [];
  for (const [name, words, query] of cases()) {
    forgetFiles(directory);
    const history = readHistory(directory, say);
    const times: number[] = [];
    let rows = 0;
    for (let i = 0; i <= asked; i++) {
      const began = performance.now();
      const answer = await history.search({ ...query, connections: true });
      times.push(performance.now() - began);
      rows = answer.rows.length;
    }
    history.close();
    const [first = 0, ...others] = times;
    const commands = Array.from({ length: asked }, () => commandMs(directory, words));
    found.push({ name, rows, first, again: median(others), command: median(commands) });
    say(
      `${name}: ${rows} rows, ${first.toFixed(0)} ms, ${median(others).toFixed(1)} ms, ${median(commands).toFixed(0)} ms`,
    );
  }
  return found;
}

/** Of the command without anything to look at. */
export function startMs(asked: number): number {
  const empty = mkdtempSync(join(tmpdir(), 'whodns-bench-empty-'));
  try {
    return median(Array.from({ length: asked }, () => commandMs(empty, ['nothing.example.com'])));
  } finally {
    rmSync(empty, { recursive: true, force: true });
  }
}

function commandMs(directory: string, words: readonly string[]): number {
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'search', ...words, '--history', directory], {
    encoding: 'utf8',
  });
  const took = performance.now() - began;
  if (status !== 0 && status !== 3) throw new Error(`whodns search ${words.join(' ')}: ${stderr}`);
  return took;
}

/** Out of the page cache, these alone (posix_fadvise(2), POSIX_FADV_DONTNEED). */
function forgetFiles(directory: string): void {
  for (const name of readdirSync(directory))
    execFileSync(
      'dd',
      [`of=${join(directory, name)}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'],
      {
        stdio: 'ignore',
      },
    );
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}
