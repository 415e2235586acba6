/** What a user sees of the command: messages, exit codes, signals, and that nothing stays behind in the kernel. */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { HookFamily } from '../../src/model.ts';
import { missedBy } from '../../src/tables/blind-spots.ts';
import { MAIN } from '../matrix/program.ts';

const CAPTURE = path.resolve('test/golden/pcaps/dns_udp.pcap');
/** Nothing here takes longer; SIGKILL then, which no test expects. */
const LIMIT_MS = 120_000;
const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];

interface Result {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly done: Promise<Result>;
  /** Resolves when the agent says that it captures. */
  readonly capturing: Promise<void>;
}

function start(
  args: readonly string[],
  prefix: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Running {
  const [command = '', ...rest] = [...prefix, process.execPath, MAIN, ...args];
  const child = spawn(command, rest, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const capturing = Promise.withResolvers<void>();
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    if (stderr.includes('capturing with')) capturing.resolve();
  });
  const late = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  const done = new Promise<Result>((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(late);
      capturing.reject(new Error(`ended: ${stderr}`));
      resolve({ code, signal, stdout, stderr });
    });
  });
  capturing.promise.catch(() => {});
  return { child, done, capturing: capturing.promise };
}

/** Ids of all BPF programs in the kernel, whoever loaded them. */
function programs(): Set<number> {
  const list = JSON.parse(execFileSync('bpftool', ['-j', 'prog', 'list'], { encoding: 'utf8' })) as {
    id: number;
  }[];
  return new Set(list.map(({ id }) => id));
}

/** Ids of the BPF programs that a process holds (their descriptors' fdinfo); other agents may run on the same kernel. */
function programsOf(pid: number): number[] {
  const ids = readdirSync(`/proc/${pid}/fdinfo`).flatMap((fd) =>
    [...readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8').matchAll(/^prog_id:\s*(\d+)$/gm)].map((match) =>
      Number(match[1]),
    ),
  );
  return [...new Set(ids)];
}

/** Those that some process holds. */
function heldPrograms(): Set<number> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return new Set(
    pids.flatMap((pid) => {
      try {
        return programsOf(Number(pid));
      } catch {
        return []; // gone meanwhile
      }
    }),
  );
}

/** Which of them are still loaded; the kernel frees them some moments after the last descriptor. */
async function stillLoaded(ids: readonly number[]): Promise<number[]> {
  let left: number[] = [...ids];
  for (let i = 0; i < 50 && left.length > 0; i++) {
    const loaded = programs();
    left = left.filter((id) => loaded.has(id));
    if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return left;
}

/** A DNS server and clients in a network namespace of their own; runs a shell script there. */
function inNamespace(script: string): string {
  const server = `ip link set lo up
dnsmasq --keep-in-foreground --conf-file=/dev/null --port=53 --listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts \\
  --pid-file= --user=root --host-record=a.test,10.1.2.3 --local=/test/ >/dev/null 2>&1 &
server=$!
for i in 1 2 3 4 5 6 7 8 9 10; do dig @127.0.0.1 +tries=1 +time=1 ready.test >/dev/null && break; sleep 0.1; done
${script}
kill $server`;
  return execFileSync('unshare', ['-n', 'sh', '-c', server], { encoding: 'utf8' });
}

describe('command line, for real', () => {
  let folder = '';
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'whodns-cli-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  const refusals: readonly {
    name: string;
    args: string[];
    code: number;
    stderr: RegExp;
    prefix?: string[];
  }[] = [
    { name: 'no privileges', args: [], code: 1, stderr: /not allowed|not permitted/, prefix: asNobody },
    { name: 'no privileges, with what to do', args: [], code: 1, stderr: /root|CAP_BPF/, prefix: asNobody },
    {
      name: 'a kernel without BTF',
      args: [],
      code: 1,
      stderr: /no BTF[^\n]*\n {2}use a kernel built with/,
      prefix: ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /sys/kernel/btf && exec "$@"', 'sh'],
    },
    {
      name: 'an unknown flag',
      args: ['--exproter', 'none'],
      code: 2,
      stderr: /unknown option '--exproter'\n {2}did you mean --exporter/,
    },
    {
      name: 'a port out of range',
      args: ['--port', '70000'],
      code: 2,
      stderr: /--port "70000" is not a whole number/,
    },
    {
      name: 'a file that is no capture',
      args: ['replay', '/etc/passwd'],
      code: 1,
      stderr: /not a capture file/,
    },
    {
      name: 'a file that is not there',
      args: ['replay', '/nonexistent.pcap'],
      code: 1,
      stderr: /nonexistent\.pcap.*no such file/i,
    },
    {
      name: 'an output that cannot be written',
      args: ['--exporter', 'otlp-file:/nonexistent/x'],
      code: 1,
      stderr: /\/nonexistent\/x/,
    },
  ];
  for (const { name, args, code, stderr, prefix } of refusals) {
    it(`says what is wrong and leaves with ${code}: ${name}`, async () => {
      const result = await start(args, prefix).done;
      assert.match(result.stderr, stderr);
      assert.equal(result.code, code);
      assert.doesNotMatch(result.stderr, /\n\s+at |internal error/, 'no stack trace');
    });
  }

  it('a hook family that cannot attach here is refused by name', async () => {
    const report = JSON.parse((await start(['doctor', '--format', 'json']).done).stdout) as {
      chosen: string;
      families: { family: string; available: boolean }[];
    };
    const missing = report.families.find(({ available }) => !available);
    // On a kernel where all families attach there is nothing to refuse: the matrix in test/kernel covers those.
    assert.ok(missing !== undefined, 'this kernel attaches every family');
    const before = programs();
    const agent = start(['--hook', missing.family, '--duration', '1s']);
    const result = await agent.done;
    assert.equal(result.code, 1);
    assert.match(result.stderr, new RegExp(missing.family));
    // Other tests' programs may have come meanwhile: those somebody holds.
    const held = heldPrograms();
    const orphans = [...programs()].filter((id) => !before.has(id) && !held.has(id));
    assert.deepEqual(await stillLoaded(orphans), []);
  });

  it('a damaged capture gives what can be read, a message and exit code 2', async () => {
    const file = path.join(folder, 'cut.pcap');
    writeFileSync(file, readFileSync(CAPTURE).subarray(0, 200));
    const result = await start(['replay', file, '--format', 'json']).done;
    assert.equal(result.code, 2);
    assert.match(result.stderr, /damaged at byte \d+/);
    assert.equal(result.stdout.trim().split('\n').length, 1);
  });

  it('replay needs no privileges', async () => {
    const result = await start(['replay', CAPTURE, '--format', 'json'], asNobody).done;
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stdout, /"dns\.question\.name":"www\.tcpdump\.org"/);
  });

  it('help of a command', async () => {
    const result = await start(['help', 'run']).done;
    assert.deepEqual([result.code, result.stderr], [0, '']);
    assert.equal(result.stdout, (await start(['run', '--help']).done).stdout);
    assert.equal((await start(['help', 'rum']).done).code, 2);
  });

  it('doctor tells which hooks would attach', async () => {
    const result = await start(['doctor']).done;
    assert.equal(result.code, 0);
    const [, hook] = /whodns would use the (\w+) hooks/.exec(result.stdout) ?? [];
    for (const row of missedBy(hook as HookFamily)) assert.ok(result.stdout.includes(`  - ${row}\n`), row);
    const rights = 'no_new_privs: yes; system calls: filtered$';
    const lines = [
      `^agent, capturing +capabilities: (none|CAP_BPF); bounding set: (none|CAP_BPF); ${rights}`,
      `^inspector +capabilities: CAP_DAC_READ_SEARCH CAP_SYS_PTRACE; bounding set: none; ${rights}`,
    ];
    for (const line of lines) assert.match(result.stdout, new RegExp(line, 'm'));
    const nobody = await start(['doctor'], asNobody).done;
    assert.equal(nobody.code, 1);
    assert.match(nobody.stdout, /This user may not capture/);
  });

  it('stops on the first signal, flushed, within 5 s, and leaves nothing in the kernel', async () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const agent = start(['--format', 'json']);
      await agent.capturing;
      inNamespace('dig @127.0.0.1 +short flushed.test');
      const loaded = programsOf(agent.child.pid ?? 0);
      assert.ok(loaded.length > 0);
      const began = performance.now();
      agent.child.kill(signal);
      const result = await agent.done;
      assert.equal(result.code, 0);
      assert.match(result.stdout, /"dns\.question\.name":"flushed\.test"/);
      assert.ok(performance.now() - began < 6000);
      assert.deepEqual(await stillLoaded(loaded), []);
    }
  });

  it('leaves at once on the second signal', async () => {
    // An endpoint that accepts and never answers keeps the first stop busy.
    const silent = createServer(() => {});
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const address = silent.address();
    assert.ok(address !== null && typeof address === 'object');
    const agent = start(['--exporter', 'otlp'], [], {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${address.port}`,
    });
    await agent.capturing;
    inNamespace('dig @127.0.0.1 +short stuck.test');
    await new Promise((resolve) => setTimeout(resolve, 300));
    agent.child.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 300));
    const began = performance.now();
    agent.child.kill('SIGTERM');
    const result = await agent.done;
    silent.close();
    assert.equal(result.signal, 'SIGTERM'); // 143 in a shell
    assert.ok(performance.now() - began < 1000);
  });

  it('leaves nothing in the kernel when it is killed', async () => {
    const agent = start(['--exporter', 'none']);
    await agent.capturing;
    const loaded = programsOf(agent.child.pid ?? 0);
    assert.ok(loaded.length > 0);
    agent.child.kill('SIGKILL');
    await agent.done;
    assert.deepEqual(await stillLoaded(loaded), []);
  });

  it('an endpoint that refuses gets one line, and the agent goes on', async () => {
    const agent = start(['--exporter', 'otlp', '--exporter', 'console', '--format', 'json'], [], {
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      OTEL_BLRP_SCHEDULE_DELAY: '100',
    });
    await agent.capturing;
    for (const name of ['one', 'two', 'three']) {
      inNamespace(`dig @127.0.0.1 +short ${name}.test`);
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    agent.child.kill('SIGINT');
    const result = await agent.done;
    // What could not be sent is lost.
    assert.equal(result.code, 3, result.stderr);
    assert.match(result.stdout, /three\.test/);
    const warnings = result.stderr.split('\n').filter((line) => /^whodns: warning: otlp/.test(line));
    assert.ok(warnings.length >= 1 && warnings.length <= 2, result.stderr);
  });

  it('a reader that goes away ends it quietly', async () => {
    const agent = start(['--format', 'json', '--duration', '20s']);
    await agent.capturing;
    agent.child.stdout?.destroy();
    const began = performance.now();
    inNamespace('dig @127.0.0.1 +short a.test; sleep 0.3; dig @127.0.0.1 +short a.test');
    const result = await agent.done;
    assert.equal(result.code, 0, result.stderr);
    assert.ok(performance.now() - began < 15_000);
  });

  it('nothing hostile reaches the terminal raw', async () => {
    for (const format of ['table', 'json']) {
      const agent = start(['--format', format]);
      await agent.capturing;
      // A name with escape sequences and a program whose name and arguments hold them too.
      inNamespace(`cp "$(command -v dig)" "${folder}/$(printf 'di\\033[31mg\\n')"
"${folder}/$(printf 'di\\033[31mg\\n')" @127.0.0.1 +short '\\027[2J\\007evil.test'`);
      agent.child.kill('SIGINT');
      const { stdout } = await agent.done;
      assert.match(stdout, /evil\.test/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that none is left is what is tested
      assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    }
  });
});
