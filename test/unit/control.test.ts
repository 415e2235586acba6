/** The control socket with real sockets: rights, what stands at the path already, hostile requests, every failure of a question. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { ControlError, type Routes } from '../../src/control/answers.ts';
import { ask } from '../../src/control/client.ts';
import { ControlServer } from '../../src/control/server.ts';
import { UserError } from '../../src/lib/errors.ts';
import { createLog } from '../../src/lib/log.ts';

let directory = '';
let path = '';
let said: string[] = [];
const open: ControlServer[] = [];
const log = createLog('debug', (line) => said.push(line));

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodns-control-'));
  path = join(directory, 'socket');
  said = [];
});
afterEach(() => {
  for (const server of open.splice(0)) server.close();
  rmSync(directory, { recursive: true });
});

const ROUTES: Routes = {
  '/echo': (query) => ({ name: query.get('name'), big: 2n ** 60n }),
  '/nothing': () => undefined,
  '/refuse': () => {
    throw new ControlError('bad-request', 'name is not a name\u001b[31m');
  },
  '/unable': async () => {
    throw new UserError('the kernel says no');
  },
  '/defect': () => {
    throw new TypeError('secret detail');
  },
  '/large': () => 'x'.repeat(1_000_000),
  '/slow': () => new Promise(() => {}),
};

async function listen(routes: Routes = ROUTES): Promise<ControlServer> {
  const server = await ControlServer.listen(path, routes, log);
  open.push(server);
  return server;
}

function failsWith(message: RegExp, exitCode = 1): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, message);
    assert.equal(error.exitCode, exitCode);
    return true;
  };
}

/** A process that binds the path, listens and is killed: what an agent that crashed leaves. */
async function leaveStale(): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => console.log('up')); setInterval(() => {}, 1000)`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  assert.ok(statSync(path).isSocket());
}

/** What the server sends to these bytes until it closes. */
async function raw(text: string): Promise<string> {
  const socket = connect(path);
  let answer = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    answer += part;
  });
  socket.write(text);
  await closed(socket);
  return answer;
}

/** Unlike `once` it does not mind an error before. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket
      .on('error', () => {})
      .on('close', () => resolve())
      .resume();
  });
}

describe('control socket', () => {
  it('answers questions in JSON', async () => {
    await listen();
    assert.deepEqual(await ask(path, '/echo', { name: 'a&b=c \u001b' }), {
      name: 'a&b=c \u001b',
      big: '1152921504606846976',
    });
    assert.equal(await ask(path, '/nothing'), null);
    assert.equal(String(await ask(path, '/large')).length, 1_000_000);
  });

  it('tells failures as such', async () => {
    await listen();
    await assert.rejects(ask(path, '/none'), failsWith(/no such route; there are \/echo/));
    await assert.rejects(ask(path, '/__proto__'), failsWith(/no such route/));
    await assert.rejects(ask(path, '/refuse'), failsWith(/name is not a name/, 2));
    await assert.rejects(ask(path, '/unable'), failsWith(/the kernel says no/));
    await assert.rejects(ask(path, '/defect'), failsWith(/^internal error, see the log of the agent$/));
    assert.ok(said.some((line) => line.includes('secret detail')));
    await assert.rejects(ask(path, '/slow', {}, { timeoutMs: 200 }), failsWith(/no answer .* within 0.2 s/));
    await assert.rejects(ask(path, '/slow'), failsWith(/no answer within 5000 ms/));
  });

  it('is for its owner only, from the moment it exists', async () => {
    const before = process.umask(0);
    try {
      await listen();
      assert.equal(process.umask(), 0, 'the umask is what it was');
    } finally {
      process.umask(before);
    }
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.deepEqual(readdirSync(directory), ['socket']);
    execFileSync('chmod', ['755', directory]);
    const client = `import { ask } from '${join(import.meta.dirname, '../../src/control/client.ts')}';
      ask(${JSON.stringify(path)}, '/echo').catch((error) => console.log(error.message));`;
    const asNobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath];
    const text = execFileSync('setpriv', [...asNobody, '--input-type=module', '-e', client], {
      encoding: 'utf8',
    });
    assert.match(text, /^no right to ask the agent/);
  });

  it('no moment of its making shows another mode', async () => {
    const log_ = join(directory, 'trace');
    const script = `import { ControlServer } from '${join(import.meta.dirname, '../../src/control/server.ts')}';
      process.umask(0);
      const server = await ControlServer.listen(${JSON.stringify(path)}, {}, console);
      server.close();`;
    execFileSync(
      'strace',
      ['-f', '-e', 'trace=umask,bind,listen,link,chmod,fchmod', '-o', log_, process.execPath, '-e', script],
      {
        stdio: 'pipe',
      },
    );
    const calls = [...readFileSync(log_, 'utf8').matchAll(/(umask\(0?\d+|bind|listen|link(?=\())/g)].map(
      ([call]) => call,
    );
    assert.deepEqual(calls.slice(calls.indexOf('umask(0177')), [
      'umask(0177',
      'bind',
      'listen',
      'umask(000',
      'link',
    ]);
  });

  it('is gone when the agent stops, and nothing but it', async () => {
    const server = await listen();
    server.close();
    assert.equal(existsSync(path), false);
    const second = await listen();
    rmSync(path);
    writeFileSync(path, 'somebody else was here');
    second.close();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(readFileSync(path, 'utf8'), 'somebody else was here');
  });

  it('takes the place of a socket that nobody listens on any more', async () => {
    await leaveStale();
    await listen();
    assert.deepEqual(await ask(path, '/nothing'), null);
  });

  it('never takes the place of anything else', async () => {
    writeFileSync(path, 'precious');
    await assert.rejects(listen(), failsWith(/something else than a socket/));
    assert.equal(readFileSync(path, 'utf8'), 'precious');
    rmSync(path);
    execFileSync('ln', ['-s', join(directory, 'elsewhere'), path]);
    await assert.rejects(listen(), failsWith(/something else than a socket/));
    assert.equal(existsSync(join(directory, 'elsewhere')), false);
    rmSync(path);
    await leaveStale();
    execFileSync('chown', ['65534', path]);
    await assert.rejects(listen(), failsWith(/socket of another user/));
    assert.deepEqual(readdirSync(directory), ['socket']);
  });

  it('refuses the path of a running agent, which keeps it', async () => {
    await listen();
    await assert.rejects(listen(), failsWith(/another program listens/));
    assert.deepEqual(await ask(path, '/nothing'), null);
    assert.deepEqual(readdirSync(directory), ['socket']);
  });

  it('of agents started at the same time one has it, and it answers', async () => {
    await leaveStale();
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => listen()));
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
    assert.deepEqual(await ask(path, '/nothing'), null);
    assert.deepEqual(readdirSync(directory), ['socket']);
  });

  it('says why a path cannot be', async () => {
    path = join(directory, 'none/socket');
    await assert.rejects(listen(), failsWith(/cannot make the control socket .*: E/));
    path = `/tmp/${'x'.repeat(120)}`;
    await assert.rejects(listen(), failsWith(/too long/));
  });
});

describe('control socket, hostile requests', () => {
  const cases: readonly { name: string; text: string; answer: RegExp }[] = [
    { name: 'no HTTP', text: '\x00\xff\x1b[2J\r\n\r\n', answer: /^HTTP\/1.1 400/ },
    { name: 'another method', text: 'POST /echo HTTP/1.1\r\nHost: x\r\n\r\n', answer: /method-not-allowed/ },
    {
      name: 'a body',
      text: 'GET /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello',
      answer: /has no body/,
    },
    {
      name: 'a chunked body',
      text: 'GET /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      answer: /has no body/,
    },
    { name: 'a path that is none', text: 'GET // HTTP/1.1\r\nHost: x\r\n\r\n', answer: /not well-formed/ },
    {
      name: 'a path of half a megabyte',
      text: `GET /${'a'.repeat(500_000)} HTTP/1.1\r\n\r\n`,
      answer: /^(HTTP\/1.1 4|$)/,
    },
    {
      name: 'endless headers',
      text: `GET /echo HTTP/1.1\r\n${'a: b\r\n'.repeat(50_000)}`,
      answer: /^(HTTP\/1.1 4|$)/,
    },
    {
      name: 'a second request on the connection',
      text: 'GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2),
      answer: /^HTTP\/1.1 200[\s\S]*\r\n\r\nnull\n$/,
    },
  ];
  for (const { name, text, answer } of cases) {
    it(name, async () => {
      await listen();
      assert.match(await raw(text), answer);
      assert.equal(await ask(path, '/nothing'), null);
    });
  }

  it('cuts off who sends nothing, and a hundred of them', async () => {
    await listen();
    const silent = Array.from({ length: 100 }, () => connect(path));
    await Promise.all(silent.map(closed));
    assert.equal(await ask(path, '/nothing'), null);
  });
});

describe('asking an agent', () => {
  const strangers: readonly { name: string; reply: string | undefined; error: RegExp }[] = [
    { name: 'something else than HTTP', reply: 'hello\n', error: /cannot ask the agent/ },
    { name: 'something else than JSON', reply: 'HTTP/1.1 200 OK\r\n\r\n<html>', error: /not JSON/ },
    { name: 'an error without message', reply: 'HTTP/1.1 500 X\r\n\r\n{"error":null}', error: /status 500/ },
    { name: 'an error of another shape', reply: 'HTTP/1.1 500 X\r\n\r\n7', error: /status 500/ },
    { name: 'nothing', reply: '', error: /cannot ask the agent/ },
    { name: 'silence', reply: undefined, error: /no answer from the agent/ },
  ];
  for (const { name, reply, error } of strangers) {
    it(`${name} at the path`, async () => {
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.once('data', () => (reply === undefined ? undefined : socket.end(reply)));
      }).listen(path);
      await once(server, 'listening');
      try {
        await assert.rejects(ask(path, '/x', {}, { timeoutMs: 500 }), failsWith(error));
      } finally {
        server.close();
      }
    });
  }

  it('no agent', async () => {
    await assert.rejects(ask(undefined, '/x'), failsWith(/which agent/, 2));
    await assert.rejects(ask(path, '/x'), failsWith(/^no agent listens at/));
    await leaveStale();
    await assert.rejects(ask(path, '/x'), failsWith(/^no agent listens at/));
    rmSync(path);
    writeFileSync(path, '');
    await assert.rejects(ask(path, '/x'), failsWith(/^no agent listens at/));
    await assert.rejects(ask(`/${'x'.repeat(300)}`, '/x'), failsWith(/cannot ask the agent/));
  });

  it('a stopped agent', async () => {
    const script = `import { ControlServer } from '${join(import.meta.dirname, '../../src/control/server.ts')}';
      await ControlServer.listen(${JSON.stringify(path)}, { '/x': () => 1 }, console); console.log('up');`;
    const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(child.stdout as NodeJS.ReadableStream, 'data');
      assert.equal(await ask(path, '/x'), 1);
      child.kill('SIGSTOP');
      await assert.rejects(ask(path, '/x', {}, { timeoutMs: 500 }), failsWith(/within 0.5 s/));
    } finally {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  });
});
