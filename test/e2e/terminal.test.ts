/** What a person sees: the table, top and a program that is watched, in a real terminal, with real lookups. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { displayWidth } from '../../src/lib/display-width.ts';
import { finish, Namespace } from '../matrix/namespace.ts';
import { MAIN as PROGRAM } from '../matrix/program.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { NO_TMUX, Terminal } from './tmux.ts';

const missing =
  process.getuid?.() !== 0
    ? 'needs root'
    : !existsSync('/sys/kernel/btf/vmlinux')
      ? 'this kernel has no BTF'
      : NO_TMUX;
const MAIN = `${process.execPath} ${PROGRAM}`;
const ZONE = `t${randomBytes(2).toString('hex')}.test`;
const LONG = `${'long-label-'.repeat(5)}end`;

describe('a terminal', { skip: missing }, () => {
  let directory: string;
  let namespace: Namespace;
  let server: NameServer;

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'whodns-terminal-'));
    namespace = await Namespace.open();
    const zone = { name: ZONE, lines: [`address=/${ZONE}/192.0.2.1`] };
    server = await startDnsmasq(namespace, zone, ['127.0.0.1']);
  });
  after(async () => {
    await server?.stop();
    await namespace?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  async function ask(name: string, ...more: readonly string[]): Promise<void> {
    await namespace.run(['dig', '+tries=1', '+time=1', '@127.0.0.1', `${name}.${ZONE}`, ...more]);
  }

  test('the table at 80, 120 and 200 columns; a time-out when it happens; hostile names; a summary', async () => {
    const command = `${MAIN} --timeout 1s --filter 'domain=${ZONE} or name~/evil/' --columns +user`;
    const terminal = new Terminal(directory, command, 80);
    try {
      await terminal.until(/capturing with/);
      for (const columns of [80, 120, 200]) {
        terminal.resize(columns);
        await sleep(500);
        await ask(`w${columns}`);
        await ask(`w${columns}.${LONG}`);
        await ask(`evil\\027[2J\\226\\128\\174.w${columns}`);
        const text = await terminal.until(new RegExp(`w${columns}\\.[^]*evil`));
        const rows = text.split('\n');
        for (const row of rows) assert.ok(displayWidth(row) <= columns, row);
        const header = rows.findLast((row) => row.startsWith('TIME')) ?? '';
        assert.match(header, /^TIME +PID +PROCESS +USER +TYPE +NAME /);
        const row = rows.find((each) => each.includes(`w${columns}.${ZONE}`)) ?? '';
        assert.match(row, /^\d\d:\d\d:\d\d\S* +\d+ +dig +0 +A +w/);
        assert.match(row, / 192\.0\.2\.1/);
        assert.match(text, new RegExp(` w${columns}\\.lo\\S*…`));
        assert.match(text, /evil\\0/);
      }
      // Who takes requests and says nothing.
      const mute = `require('dgram').createSocket('udp4').bind(53, '127.0.0.8', () => console.log('bound'))`;
      const listener = namespace.spawn([process.execPath, '-e', mute]);
      await new Promise((resolve) => listener.stdout?.once('data', resolve));
      await namespace.run(['dig', '+tries=1', '+time=1', '@127.0.0.8', `late.${ZONE}`]);
      await terminal.until(/late\.\S+ +timeout/, 5000);
      listener.kill('SIGKILL');
      terminal.keys('C-c');
      const end = await terminal.until(/left 0/, 20_000, true);
      assert.match(end, /^\d+ lookups by \d+ processes, \d+ failed.*$/m);
      assert.match(
        end,
        /^(?:failed most: \S+.*|nothing failed); slowest server: 127\.0\.0\.1, p50 \S+, p99 \S+$/m,
      );
      assert.match(end, /^lost 0$/m);
    } finally {
      terminal.close();
    }
  });

  test('top: who asks, down to the lookups and back, filter, mouse, resize; the terminal is as before', async () => {
    const terminal = new Terminal(directory, `${MAIN} top --filter 'domain=${ZONE}'`, 80);
    try {
      await terminal.until(/whodns top/);
      await sleep(3000);
      for (const name of ['one', 'two', 'evil\\027[2J', LONG]) await ask(name);
      await ask('one', 'TYPE65');
      let text = await terminal.until(/dig +\d+/);
      for (const row of text.split('\n')) assert.ok(displayWidth(row) <= 80, row);
      assert.match(text, /^PROCESS +PID +RATE\/s↓ +SHARE +FAILED +P50 +P99 +NAMES$/m);
      assert.match(text, new RegExp(`^filter: domain=${ZONE}$`, 'm'));
      assert.match(text, /^dig +\d+ +\d\.\d\d +\d+\.\d% .*s +1$/m);
      terminal.keys('2');
      text = await terminal.until(/^DOMAIN .*NAMES$/m);
      await terminal.until(new RegExp(`^${ZONE} +`, 'm'));
      terminal.keys('Enter');
      text = await terminal.until(new RegExp(`one\\.${ZONE}`));
      assert.match(text, /evil\\0/);
      terminal.keys('/');
      terminal.bytes(` and rcod=1`);
      terminal.keys('Enter');
      await terminal.until(/is no field: did you mean/);
      terminal.keys('C-u');
      terminal.bytes(`name=one.${ZONE}`);
      terminal.keys('Enter');
      text = await terminal.until(new RegExp(`filter: name=one\\.${ZONE}`));
      terminal.keys('Enter');
      text = await terminal.until(/^TIME +PROCESS +TYPE +RESULT +LATENCY +ANSWERS$/m);
      await terminal.until(/dig +(?:A|HTTPS) +NOERROR +\S+s/);
      terminal.keys('Escape', 'Escape');
      await terminal.until(/^DOMAIN /m);
      // A click on the first tab.
      terminal.bytes('\x1b[<0;3;2M');
      text = await terminal.until(/^PROCESS /m);
      for (const columns of [120, 200]) {
        terminal.resize(columns);
        text = await terminal.until(/^PROCESS .*CONTAINER\/POD .*NAMES$/m);
        for (const row of text.split('\n')) assert.ok(displayWidth(row) <= columns, row);
      }
      terminal.keys('q');
      text = await terminal.until(/left 0/, 20_000);
      assert.doesNotMatch(text, /whodns top/);
    } finally {
      terminal.close();
    }
  });

  test('a program: its lookups and those of its children alone as they happen, its exit code, nothing left behind', async () => {
    const other = ask('other');
    const seen = join(directory, 'seen');
    const first = `dig +tries=1 @127.0.0.1 first.${ZONE} >/dev/null; for i in $(seq 200); do [ -e ${seen} ] && break; sleep 0.1; done; [ -e ${seen} ] || exit 9`;
    const script = `${OWN_GROUP}; ${first}; (dig +tries=1 @127.0.0.1 own.${ZONE} >/dev/null; setsid -f dig +tries=1 @127.0.0.1 orphan.${ZONE} >/dev/null) ; exit 7`;
    const child = namespace.spawn([...MAIN.split(' '), '--', 'sh', '-c', script]);
    let [out, said] = ['', ''];
    child.stdout?.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      // The program waits for it: it is shown while it runs.
      if (said.includes(`first.${ZONE}`)) writeFileSync(seen, '');
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    await other;
    assert.equal(code, 7, said);
    assert.match(out, /^whodns-[0-9a-f]{16}\n$/);
    assert.match(said, new RegExp(` dig .* own\\.${ZONE} `));
    assert.match(said, new RegExp(` dig .* orphan\\.${ZONE} `));
    assert.doesNotMatch(said, new RegExp(`other\\.${ZONE}`));
    assert.equal(existsSync(pathOf(out)), false, out);
  });

  test('a program: no such one; a signal is passed on; an agent that is killed leaves no group behind', async () => {
    const none = await namespace.run([...MAIN.split(' '), '--', 'no-such-program-of-whodns']);
    assert.equal(none.exitCode, 127, none.errors);
    assert.match(none.errors, /no-such-program-of-whodns: .*not found/);
    const script = `trap 'echo got it; exit 9' TERM; echo begun; while :; do sleep 0.1; done`;
    const argv = [...MAIN.split(' '), '--', 'sh', '-c', script];
    const signalled = namespace.spawn(argv);
    const ended = finish(signalled, 30_000);
    await new Promise((resolve) => signalled.stdout?.once('data', resolve));
    signalled.kill('SIGTERM');
    const { exitCode, output } = await ended;
    assert.deepEqual({ exitCode, output }, { exitCode: 9, output: 'begun\ngot it\n' });
    const last = `${OWN_GROUP}; exec sleep 3`;
    const killed = namespace.spawn([...MAIN.split(' '), '--', 'sh', '-c', last]);
    const end = finish(killed, 30_000);
    const group = pathOf(String(await new Promise((resolve) => killed.stdout?.once('data', resolve))));
    assert.ok(existsSync(group), group);
    killed.kill('SIGKILL');
    await end;
    for (let i = 0; i < 50 && existsSync(group); i++) await sleep(100);
    assert.equal(existsSync(group), false, group);
  });

  test('top of an agent that runs, by its control socket', async () => {
    const control = join(directory, 'control');
    const agent = namespace.spawn([...MAIN.split(' '), '--control', control], 'ignore');
    let terminal: Terminal | undefined;
    try {
      for (let i = 0; i < 100 && !existsSync(control); i++) await sleep(100);
      terminal = new Terminal(directory, `${MAIN} top --control ${control} --filter 'domain=${ZONE}'`, 80);
      await terminal.until(/whodns top/);
      await sleep(1000);
      await ask('by-socket');
      terminal.keys('2');
      await terminal.until(new RegExp(`^${ZONE} +`, 'm'));
      assert.match(await terminal.until(/lost \d/), / 1 lookups /);
      terminal.keys('q');
      await terminal.until(/left 0/, 20_000);
    } finally {
      terminal?.close();
      agent.kill('SIGTERM');
      await finish(agent, 20_000);
    }
  });
});

/** Says in which group a watched program is. */
const OWN_GROUP = `grep -o 'whodns-[0-9a-f]*$' /proc/self/cgroup`;

function pathOf(group: string): string {
  const mount = /^\S+ (\S+) cgroup2 /m.exec(readFileSync('/proc/mounts', 'utf8'))?.[1] ?? '';
  const own = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  return join(mount, own, group.trim());
}
