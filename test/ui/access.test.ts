/** Who may look: nobody without the token, from nowhere but the page itself, whatever user of the host or page in the browser asks. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from '../matrix/agent.ts';
import { end } from '../matrix/children.ts';
import { AGENT, ask, PROGRAM, Stage } from './stage.ts';

const PRIVATE = [
  '/api/live',
  '/api/search',
  '/api/top',
  '/api/timeline',
  '/api/edges',
  '/api/health',
  '/api/name?name=a',
];
const SLOW = join(import.meta.dirname, '../hostile/slow_http.py');
/** Of a thousand lookups each: more than a socket holds of rows that are not read. */
const ROUNDS = 6;
const NOBODY = { uid: 65_534, gid: 65_534 };

/** As another user of the host. @returns status of HTTP */
async function asNobody(
  ...argv: readonly string[]
): Promise<{ readonly status: string; readonly said: string }> {
  const child = spawn(
    'curl',
    ['-s', '-o', '/dev/stdout', '-w', '\n%{http_code}', '--max-time', '5', ...argv],
    {
      ...NOBODY,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  let text = '';
  for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk;
  const lines = text.split('\n');
  return { status: lines.pop() ?? '', said: lines.join('\n') };
}

describe('access to the page', { timeout: 170_000 }, () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  it('tells its token to who may ask the control socket, and to no log', async () => {
    assert.match(
      stage.agent.errors,
      /page on http:\/\/127\.0\.0\.1:\d+, its address with the token: whodns ui/,
    );
    assert.ok(!stage.agent.errors.includes(stage.token));
    const [node = '', ...main] = PROGRAM;
    const child = spawn(node, [...main, 'ui', '--control', stage.control], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) said += chunk;
    assert.equal(said, `${stage.url}\n`);
    assert.match(stage.token, /^[\w-]{43}$/);
  });

  it('gives its files to everyone, each with what keeps others out of it', async () => {
    for (const path of ['/', '/page.js', '/page.css', '/icon.svg']) {
      const { status, headers, text } = await ask(stage.origin, path);
      assert.equal(status, 200, path);
      const policy = String(headers['content-security-policy']);
      assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'/);
      assert.doesNotMatch(policy, /unsafe|\*|http|data:/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.equal(headers['cache-control'], 'no-store');
      assert.equal(headers['access-control-allow-origin'], undefined);
      assert.equal(headers['set-cookie'], undefined);
      assert.doesNotMatch(text, new RegExp(stage.zone));
    }
  });

  it('tells nothing of the agent without the token, or with another one', async () => {
    const wrong = [
      {},
      { authorization: 'Bearer ' },
      { authorization: `Bearer ${'A'.repeat(43)}` },
      { authorization: `Bearer ${stage.token.slice(0, -1)}` },
      { authorization: `Bearer ${stage.token}x` },
      { authorization: `Basic ${stage.token}` },
      { cookie: `token=${stage.token}` },
    ];
    for (const path of PRIVATE)
      for (const headers of wrong) {
        const { status, text } = await ask(stage.origin, path, headers);
        assert.equal(status, 401, `${path} ${JSON.stringify(headers)}`);
        assert.equal((JSON.parse(text) as { error: { code: string } }).error.code, 'unauthorized');
      }
    const { status } = await ask(stage.origin, `/api/health?token=${stage.token}`);
    assert.equal(status, 401);
    assert.equal((await stage.ask('/api/health')).status, 200);
  });

  it('refuses a Host that a name server could point here', async () => {
    for (const host of [
      'evil.example',
      'evil.example:9053',
      `127.0.0.1.evil.example`,
      'localhost.evil.example',
      '127.0.0.1@evil.example',
    ])
      for (const path of ['/', '/api/health']) {
        const { status } = await stage.ask(path, { host });
        assert.ok(status === 403 || status === 400, `${host} ${path} ${status}`);
      }
    const { port } = new URL(stage.origin);
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, '[::1]:8080', '127.0.0.1:8080'])
      assert.equal((await stage.ask('/api/health', { host })).status, 200, host);
  });

  it('refuses an Origin that is not the page, and what a browser says comes from elsewhere', async () => {
    for (const origin of [
      'http://evil.example',
      'null',
      'https://127.0.0.1',
      stage.origin.replace(/\d+$/, '1'),
    ])
      assert.equal((await stage.ask('/api/health', { origin })).status, 403, origin);
    assert.equal((await stage.ask('/api/health', { origin: stage.origin })).status, 200);
    for (const site of ['cross-site', 'same-site', 'none'])
      assert.equal((await stage.ask('/api/health', { 'sec-fetch-site': site })).status, 403, site);
    assert.equal((await stage.ask('/api/health', { 'sec-fetch-site': 'same-origin' })).status, 200);
  });

  it('reads only: no other method, no body, no path outside the page', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'TRACE'])
      assert.equal((await ask(stage.origin, '/', {}, method)).status, 405, method);
    assert.equal((await ask(stage.origin, '/', { 'content-length': 5 })).status, 400);
    for (const path of ['/../package.json', '/%2e%2e/package.json', '//etc/passwd', '/index.html/', '/api/'])
      assert.ok([401, 404].includes((await ask(stage.origin, path)).status), path);
    assert.equal((await stage.ask('/api/none')).status, 404);
  });

  it('answers bad questions with what is wrong', async () => {
    const cases: readonly (readonly [string, RegExp])[] = [
      ['/api/search?limit=x', /limit is not a number/],
      ['/api/search?since=-1', /since is not a number/],
      ['/api/search?kinds=all', /kinds is none of/],
      ['/api/top?by=moon', /by is none of/],
      [`/api/search?filter=${'a'.repeat(5000)}`, /too long|longer than/],
    ];
    for (const [path, message] of cases) {
      const { status, text } = await stage.ask(path);
      assert.equal(status, 400, path);
      assert.match(text, message);
    }
    const { status, text } = await stage.ask(`/api/search?filter=${encodeURIComponent('name=a and rcod=X')}`);
    const { error } = JSON.parse(text) as { error: { at: number; end: number } };
    assert.equal(status, 400);
    assert.deepEqual([error.at, error.end], [11, 15]);
  });

  it('another user of the host gets nothing', async () => {
    for (const path of PRIVATE) {
      const { status, said } = await asNobody(`${stage.origin}${path}`);
      assert.equal(status, '401', path);
      assert.doesNotMatch(said, new RegExp(stage.zone));
    }
  });

  it('slow strangers are cut off after a second, and a flood of them closes no stream of who has the token', async () => {
    const { port } = new URL(stage.origin);
    const began = performance.now();
    const socket = connect(Number(port), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\n');
    await new Promise((resolve) => socket.once('close', resolve));
    const took = performance.now() - began;
    assert.ok(took > 500 && took < 5000, `${took} ms`);

    const live = spawn(
      'curl',
      ['-sN', '--max-time', '60', '-H', `Authorization: Bearer ${stage.token}`, `${stage.origin}/api/live`],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    let heard = '';
    live.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      heard += chunk;
    });
    const flood: ChildProcess = spawn('python3', [SLOW, port, '400', '6', 'header'], {
      ...NOBODY,
      stdio: 'ignore',
    });
    await sleep(2000);
    heard = '';
    await stage.dig('www.shop');
    for (let i = 0; i < 100 && !heard.includes(`www.shop.${stage.zone}`); i++) await sleep(50);
    assert.ok(heard.includes(`www.shop.${stage.zone}`), heard.slice(0, 400));
    assert.equal((await stage.ask('/api/health')).status, 200);
    assert.equal(live.exitCode, null);
    await end(flood, 'SIGTERM', 8000).catch(() => {});
    await end(live);
  });

  it('a page that does not read loses its own rows, is told how many, and holds up no one', async () => {
    const { port } = new URL(stage.origin);
    const slow = connect(Number(port), '127.0.0.1');
    slow.write(
      `GET /api/live HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${stage.token}\r\n\r\n`,
    );
    slow.pause();
    await sleep(500);
    const names = Array.from({ length: 1000 }, (_, index) => `n${index}.any`);
    for (let round = 0; round < ROUNDS; round++) await stage.dig(...names);
    // All are in the history while the page has not read: what it is given and told then is of a reader that was behind.
    const kept = async (): Promise<number> =>
      (JSON.parse((await stage.ask('/api/top?by=domain')).text) as { count: number }).count;
    for (let i = 0; i < 400 && (await kept()) < ROUNDS * 1000; i++) await sleep(50);
    assert.ok((await kept()) >= ROUNDS * 1000);
    let seen = 0;
    let skipped = 0;
    let rest = '';
    slow.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (!line.startsWith('{"kind":"rows"')) continue;
        const message = JSON.parse(line) as { rows: { name: string }[]; skipped: number };
        seen += message.rows.filter(({ name }) => name.includes('.any.')).length;
        skipped += message.skipped;
      }
    });
    slow.resume();
    for (let i = 0; i < 600 && seen + skipped < ROUNDS * 1000; i++) await sleep(50);
    slow.destroy();
    assert.equal(seen + skipped, ROUNDS * 1000, `${seen} seen, ${skipped} left out`);
  });
});

describe('where the page is served', { timeout: 120_000 }, () => {
  it('a Unix socket is for its owner only, and wants the token all the same', async () => {
    const stage = await Stage.open('--ui', 'unix:/run/whodns-ui-test.sock');
    try {
      assert.equal(statSync('/run/whodns-ui-test.sock').mode & 0o777, 0o600);
      const socket = '/run/whodns-ui-test.sock';
      assert.equal((await ask(socket, '/', { host: 'localhost:8080' })).status, 200);
      assert.equal((await ask(socket, '/api/health', { host: 'localhost' })).status, 401);
      const headers = { host: 'localhost', authorization: `Bearer ${stage.token}` };
      assert.equal((await ask(socket, '/api/health', headers)).status, 200);
      const { status } = await asNobody('--unix-socket', socket, 'http://localhost/');
      assert.equal(status, '000');
    } finally {
      await stage.close();
    }
  });

  it('beyond loopback it warns', async () => {
    const stage = await Stage.open('--ui', ':0');
    try {
      assert.match(stage.agent.errors, /listens beyond this host: .* unencrypted/);
    } finally {
      await stage.close();
    }
  });

  it('an address that is taken ends the start with its name', async () => {
    const stage = await Stage.open();
    try {
      const second = Agent.start([...AGENT, '--ui', `127.0.0.1:${new URL(stage.url).port}`]);
      const deadline = performance.now() + 60_000;
      while (second.running && performance.now() < deadline) await sleep(50);
      assert.equal(await second.stop(), 1);
      assert.match(second.errors, /cannot listen on 127\.0\.0\.1:\d+ for --ui: .*EADDRINUSE/);
    } finally {
      await stage.close();
    }
  });
});
