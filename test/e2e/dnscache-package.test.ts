/** A TypeScript program that has the packed package installed: types, the cache of its own, the cache of an agent, typed errors. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';

const PROGRAM = `
import { createServer } from 'node:http';
import { DataNotFound, DnsCache, type DnsCacheAnswer, KeyNotSupported, RemoteDnsCache, type Scope } from 'whodns/dnscache';

const cache = new DnsCache({ trees: 10, now: () => 2_000_000_000n });
const record = { name: 'www.test', type: 1, class: 1, ttl: 60, data: '192.0.2.1' };
const message = {
  id: 1, response: true, opcode: 0, authoritative: false, truncated: false, recursionDesired: true,
  recursionAvailable: true, authenticData: false, checkingDisabled: false, rcode: 0, questionCount: 1,
  questions: [{ name: 'www.test', type: 1, class: 1 }], answers: [record], authorities: [], additionals: [],
  edns: undefined, malformed: undefined,
};
const raw = { time: 1_000_000_000n, networkNamespace: 1, local: { address: '127.0.0.1', port: 40000 } };
const event = { raw, length: 0, captured: 0, message } as unknown as Parameters<DnsCache['add']>[0]['request'];
cache.add({
  request: event, response: event, outcome: 'answered', retries: 0, duration: 1n,
  process: { pid: 7, startTime: 7n, attribution: 'kernel', executableName: '', containerId: undefined, workload: '', resource: {} },
});
const scope: Scope = { kind: 'process', pid: 7 };
const answer: DnsCacheAnswer = cache.get('192.0.2.1', scope);
const codes: string[] = [];
for (const key of ['no.test', '']) {
  try { cache.get(key); } catch (error) {
    if (error instanceof DataNotFound || error instanceof KeyNotSupported) codes.push(error.code);
  }
}
const server = createServer((_, response) => {
  response.end(JSON.stringify({ error: { code: 'DATA_NOT_FOUND', message: 'no', expired: true } }));
});
await new Promise<void>((done) => server.listen({ path: process.argv[2] }, done));
const remote = await new RemoteDnsCache(process.argv[2] ?? '').get('a.test').catch((error: unknown) => error);
server.close();
console.log(JSON.stringify({ answer, codes, remote: remote instanceof DataNotFound && remote.expired }));
`;

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-package-'));
  execFileSync(resolve('native/setup.sh'), ['build'], { stdio: 'ignore' });
  const packed = execFileSync(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', directory],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  const installed = join(directory, 'node_modules/whodns');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(directory, filename), '-C', installed, '--strip-components=1']);
  mkdirSync(join(directory, 'node_modules/@types'));
  symlinkSync(resolve('node_modules/@types/node'), join(directory, 'node_modules/@types/node'));
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}\n');
  writeFileSync(join(directory, 'program.ts'), PROGRAM);
});
after(() => rmSync(directory, { recursive: true, force: true }));

describe('the package', () => {
  it('its types are there and right', () => {
    const options = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node', '--noEmit'];
    const { status, stdout } = spawnSync(resolve('node_modules/.bin/tsc'), [...options, 'program.ts'], {
      cwd: directory,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout);
  });

  it('a program that imports it runs, and needs no other package', () => {
    const socket = join(directory, 'socket');
    const { status, stdout, stderr } = spawnSync(process.execPath, ['program.ts', socket], {
      cwd: directory,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
    assert.deepEqual(JSON.parse(stdout), {
      answer: { ip_addresses: ['192.0.2.1'], dns_queries: ['www.test'], dns_root: 'www.test' },
      codes: ['DATA_NOT_FOUND', 'KEY_NOT_SUPPORTED'],
      remote: true,
    });
  });

  it('nothing else of it can be imported', () => {
    const code = "import('whodns/dist/agent.js').then(() => process.exit(3), (e) => console.log(e.code))";
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
      cwd: directory,
      encoding: 'utf8',
    });
    assert.deepEqual([status, stdout.trim()], [0, 'ERR_PACKAGE_PATH_NOT_EXPORTED']);
  });
});
