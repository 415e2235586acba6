/** The package as npm packs it, installed in an empty directory: what it exports can be imported and used, and its types compile. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

const ROOT = resolve(import.meta.dirname, '../..');
const CAPTURE = join(ROOT, 'test/golden/pcaps/dns_udp.pcap');

let directory = '';
before(() => {
  execFileSync(join(ROOT, 'native/setup.sh'), ['build'], { stdio: 'ignore' });
  directory = mkdtempSync(join(tmpdir(), 'whodns-package-'));
  const packed = ['pack', '--json', '--ignore-scripts', '--pack-destination', directory];
  const [{ filename }] = JSON.parse(execFileSync('npm', packed, { cwd: ROOT, encoding: 'utf8' })) as [
    { readonly filename: string },
  ];
  writeFileSync(join(directory, 'package.json'), '{"private":true,"type":"module"}');
  execFileSync(
    'npm',
    ['install', '--offline', '--no-audit', '--no-fund', '--ignore-scripts', `./${filename}`],
    {
      cwd: directory,
      stdio: 'ignore',
    },
  );
});
after(() => rmSync(directory, { recursive: true, force: true }));

function run(text: string): unknown {
  const file = join(directory, 'program.mjs');
  writeFileSync(file, text);
  const env = { PATH: process.env['PATH'] };
  return JSON.parse(execFileSync(process.execPath, [file], { cwd: directory, encoding: 'utf8', env }));
}

test('capture, replay and openHistory are there; a capture is replayed', () => {
  const said = run(`
    import { CaptureError, capture, openHistory, replay } from 'whodns';
    const names = [];
    for await (const { question, outcome, answers } of replay(${JSON.stringify(CAPTURE)}))
      names.push([question.name, outcome, answers.length]);
    console.log(JSON.stringify({ kinds: [CaptureError, capture, openHistory, replay].map((each) => typeof each), names }));
  `);
  assert.deepEqual(said, {
    kinds: ['function', 'function', 'function', 'function'],
    names: [['www.tcpdump.org', 'answered', 2]],
  });
});

test('openHistory: what the packed command kept is found; what is none is a CaptureError', () => {
  const history = join(directory, 'history');
  const command = join(directory, 'node_modules/.bin/whodns');
  execFileSync(process.execPath, [command, 'replay', CAPTURE, '--exporter', 'none', '--history', history], {
    stdio: 'ignore',
  });
  const said = run(`
    import { openHistory } from 'whodns';
    const place = ${JSON.stringify(history)};
    await using history = await openHistory(place);
    const { rows } = await history.search({ suffix: 'tcpdump.org', kinds: ['lookup'] });
    const { lookups } = await history.status();
    const [top] = (await history.top({ by: 'domain' })).rows;
    const name = await history.name('www.tcpdump.org');
    const codes = [];
    for (const act of [
      () => openHistory(place + '/none'),
      () => history.search({ pattern: '(' }),
      () => history.search({ filter: 'rcod=1' }),
    ])
      await act().then(() => codes.push('none'), ({ name, code }) => codes.push(name + ' ' + code));
    console.log(JSON.stringify({ names: rows.map((row) => row.name), lookups, top: top.label, count: name.answers[0].count, codes }));
  `);
  assert.deepEqual(said, {
    names: ['www.tcpdump.org'],
    lookups: 1,
    top: 'tcpdump.org',
    count: 1,
    codes: ['CaptureError file', 'CaptureError options', 'CaptureError options'],
  });
});

test('its types compile in a strict program, and refuse what is wrong', () => {
  mkdirSync(join(directory, 'node_modules/@types'), { recursive: true });
  for (const types of ['node'])
    symlinkSync(join(ROOT, 'node_modules/@types', types), join(directory, 'node_modules/@types', types));
  symlinkSync(join(ROOT, 'node_modules/undici-types'), join(directory, 'node_modules/undici-types'));
  const config = {
    compilerOptions: {
      target: 'es2024',
      lib: ['es2025', 'esnext.disposable'],
      module: 'nodenext',
      types: ['node'],
      strict: true,
      noEmit: true,
      skipLibCheck: false,
    },
    files: ['program.ts'],
  };
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(
    join(directory, 'program.ts'),
    `import { capture, openHistory, replay, type History, type LookupEvent, type SearchQuery } from 'whodns';
export async function first(file: string): Promise<LookupEvent | undefined> {
  for await (const event of replay(file, { filter: 'failed' })) return event;
  return undefined;
}
export async function names(history: History, query: SearchQuery): Promise<readonly string[]> {
  const { rows } = await history.search(query);
  return rows.flatMap((row) => (row.kind === 'lookup' ? [row.name] : []));
}
export const live = capture({ hook: 'auto' });
export const opened: Promise<History> = openHistory('/var/lib/whodns');
// @ts-expect-error: no such hook
capture({ hook: 'magic' });
// @ts-expect-error: events are read-only
export const write = (event: LookupEvent) => { event.outcome = 'timeout'; };
`,
  );
  execFileSync(join(ROOT, 'node_modules/.bin/tsc'), ['-p', '.'], { cwd: directory, encoding: 'utf8' });
});
