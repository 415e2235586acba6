/** Configuration files that mean harm, or are none: one clear line, exit code 2, within bounds of time and memory. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { loadConfigFile } from '../../src/config/file.ts';
import { EXIT, UserError } from '../../src/lib/errors.ts';
import { MAIN } from '../matrix/program.ts';
import { reportAttack } from './report.ts';

const MAX_MS = 8000;
const MAX_HEAP_MB = 256;

const directory = mkdtempSync(join(tmpdir(), 'whodns-configuration-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const HEAD = 'file_format: "1.0"\n';
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

/** Ten names of the level below, nine levels: 10^9 values if they were all made. */
function bomb(open: string, close: string): string {
  const levels = range(8).map((level) => {
    const ten = range(10).map((index) => (open === '{' ? `k${index}: *a${level}` : `*a${level}`));
    return `a${level + 1}: &a${level + 1} ${open}${ten.join(', ')}${close}\n`;
  });
  const first = open === '{' ? '{k: x}' : '[x,x,x,x,x,x,x,x,x,x]';
  return `${HEAD}a0: &a0 ${first}\n${levels.join('')}`;
}

const TEXTS: Readonly<Record<string, string>> = {
  'a bomb of lists': bomb('[', ']'),
  'a bomb of mappings': bomb('{', '}'),
  'a bomb below a key that is read': `${bomb('[', ']')}distribution:\n  whodns:\n    include_domain: *a8\n`,
  'a bomb of merged mappings': `${HEAD}a0: &a0 {x: 1}\n${range(8)
    .map(
      (level) =>
        `a${level + 1}: &a${level + 1}\n  <<: [${range(10).map(() => `*a${level}`)}]\n  y${level}: *a${level}\n`,
    )
    .join('')}`,
  'a value that holds itself': `${HEAD}a: &a [*a]\nresource: *a\n`,
  'lists 50 000 deep': `${HEAD}a: ${'['.repeat(50_000)}${']'.repeat(50_000)}\n`,
  'mappings 2000 deep': `${HEAD}a: ${'{a: '.repeat(2000)}1${'}'.repeat(2000)}\n`,
  '40 000 keys':
    HEAD +
    range(40_000)
      .map((index) => `key${index}: ${index}\n`)
      .join(''),
  'one word of 900 KB': `${HEAD}a: ${'x'.repeat(900_000)}\n`,
  'a tag that names code': `${HEAD}a: !!js/function 'function () { process.exit(42) }'\n`,
  'the prototype of all objects': `${HEAD}__proto__: {polluted: true}\nconstructor: {prototype: {polluted: true}}\n`,
  'a number beyond all numbers': `file_format: ${'9'.repeat(5000)}\n`,
  'nothing but zero bytes': '\0'.repeat(10_000),
  'bytes that are no text': Buffer.from(range(4096).map((index) => (index * 7919) & 0xff)).toString('latin1'),
  'escape sequences': `${HEAD}"\\e[31m\\e]0;title\\a": 1\n\x1b[31m: 2\n`,
  'a line of a log': `${HEAD}"\\nwhodns: error: forged": 1\n`,
  'documents without end': `${HEAD}---\n`.repeat(20_000),
  'a list': '- a\n',
  nothing: '',
};

/** What reading it says; undefined: it is read. @throws what is no clear refusal */
function refusal(path: string): string | undefined {
  const begun = performance.now();
  let said: string | undefined;
  try {
    loadConfigFile(path);
  } catch (error) {
    assert.ok(error instanceof UserError && error.exitCode === EXIT.usage, String((error as Error).stack));
    said = error.message;
    assert.ok(!said.includes('\n') && !said.includes('\u001b'), JSON.stringify(said.slice(0, 500)));
    assert.ok(said.length < 4000, `${said.length} characters`);
  }
  assert.ok(performance.now() - begun < MAX_MS, `${performance.now() - begun} ms`);
  return said;
}

describe('a configuration file that is', () => {
  for (const [name, text] of Object.entries(TEXTS)) {
    it(name, () => {
      const path = join(directory, 'text.yaml');
      writeFileSync(path, text);
      refusal(path); // what is odd but valid by the schema may be read
      assert.equal(({} as { polluted?: boolean }).polluted, undefined);
    });
  }

  it('no regular file', async () => {
    const fifo = join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    const socket = join(directory, 'socket');
    const server = createServer();
    await new Promise<void>((resolve) => {
      server.listen(socket, resolve);
    });
    const sparse = join(directory, 'sparse');
    writeFileSync(sparse, HEAD);
    truncateSync(sparse, 2 ** 40);
    for (const path of [fifo, socket, sparse, directory, '/dev/zero', '/dev/tty', '/none', '/none/x'])
      assert.match(refusal(path) ?? 'read', /cannot be read/, path);
    refusal('/proc/self/mem');
    server.close();
  });

  for (const name of ['a bomb of lists', 'a bomb of mappings', 'a bomb below a key that is read']) {
    it(`${name}, given to the command`, () => {
      const path = join(directory, 'bomb.yaml');
      writeFileSync(path, TEXTS[name] ?? '');
      const flags = [`--max-old-space-size=${MAX_HEAP_MB}`, MAIN, 'config', '--config-file', path];
      const env = { PATH: process.env.PATH };
      const ran = spawnSync(process.execPath, flags, { encoding: 'utf8', timeout: 2 * MAX_MS, env });
      assert.equal(ran.status, EXIT.usage, `${ran.signal} ${ran.stderr}`);
      assert.match(ran.stderr, /^whodns: \S+\/bomb.yaml: [^\n]+\n {2}[^\n]+\n$/);
      reportAttack({
        attack: `a configuration file that is ${name}`,
        stranger: 'user',
        holds: `refused with one line, in ${MAX_HEAP_MB} MB of heap`,
        figure: 'refused',
      });
    });
  }
});
