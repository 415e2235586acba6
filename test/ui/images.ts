/**
 * Makes docs/images/ again: pictures of the page while common programs look names up. Not a test.
 *   unshare --uts sh -c 'hostname web-1 && exec node test/ui/images.ts'
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { startDnsmasq } from '../matrix/servers.ts';
import { Browser } from './browser.ts';
import { AGENT, ask, SERVER } from './stage.ts';

const IMAGES = join(import.meta.dirname, '../../docs/images');
const BUSY_MS = 60_000;
const LINES = [
  'local=/internal/',
  'host-record=www.shop.example,192.0.2.80',
  'host-record=api.shop.example,192.0.2.81',
  'host-record=img1.cdn.example,static2.cdn.example,198.51.100.10,2001:db8::10',
  'host-record=auth.example,203.0.113.5',
  'mx-host=shop.example,mail.shop.example,10',
  'txt-record=shop.example,v=spf1 -all',
  'host-record=db.internal,10.0.3.7',
  'host-record=cache.internal,10.0.3.8',
  'host-record=queue.internal,10.0.3.9',
];
/** Programs as people run them. What they ask is answered, that they then reach nothing does not matter. */
const RUNS: readonly (readonly string[])[] = [
  ['curl', '-s', '-m', '1', 'http://www.shop.example/'],
  ['curl', '-s', '-m', '1', 'http://api.shop.example/'],
  ['wget', '-q', '-T', '1', '-t', '1', '-O', '/dev/null', 'http://img1.cdn.example/'],
  ['node', '-e', 'for (const n of ["db", "cache"]) require("dns").lookup(n + ".internal", () => {})'],
  ['python3', '-c', 'import socket; [socket.gethostbyname(n) for n in ("db.internal", "queue.internal")]'],
  ['python3', '-c', 'import socket; socket.getaddrinfo("auth.example", 443)'],
  ['getent', 'ahosts', 'cache.internal'],
  ['dig', '+noall', 'MX', 'shop.example'],
  ['getent', 'hosts', 'tpyo.internal'],
  ['curl', '-s', '-m', '1', 'http://static2.cdn.example/'],
  ['curl', '-s', '-m', '1', 'http://api.shop.example/'],
  ['dig', '+noall', 'TXT', 'shop.example'],
];

const directory = mkdtempSync(join(tmpdir(), 'whodns-images-'));
const control = join(directory, 'control');
const namespace = await Namespace.open();
const server = await startDnsmasq(namespace, { name: 'example', lines: LINES }, [SERVER]);
const own = ['--include-domain', 'example', '--include-domain', 'internal'];
const agent = Agent.start([...AGENT, ...own, '--ui', '127.0.0.1:0', '--control', control], () => false);
const browser = await Browser.open();
try {
  while (agent.running && !agent.errors.includes('capturing with')) await sleep(50);
  const { url } = JSON.parse((await ask(control, '/ui')).text) as { readonly url: string };
  const began = performance.now();
  for (let i = 0; performance.now() - began < BUSY_MS; i++) {
    // Busier in the middle, so that the time line has a shape.
    const part = (performance.now() - began) / BUSY_MS;
    await namespace.run(RUNS[i % RUNS.length] ?? []);
    await sleep(300 * Math.abs(Math.cos(part * Math.PI)) + 200 * Math.random());
  }
  mkdirSync(IMAGES, { recursive: true });
  const shoot = async (place: string, name: string, scheme: 'dark' | 'light', width: number) => {
    const { page } = await browser.look(url, { width, height: 720, scheme });
    await page.locator('tr[data-id]').first().waitFor();
    await page.goto(`${new URL(url).origin}/#/${place}`);
    await sleep(1500);
    await page.screenshot({ path: join(IMAGES, `${name}.png`) });
    await page.context().close();
  };
  await shoot('lookups', 'page-lookups', 'dark', 1280);
  await shoot('top', 'page-top', 'light', 1280);
  await shoot('flow', 'page-flow', 'dark', 1280);
  await shoot('lookups?name=db.internal', 'page-name', 'dark', 1280);
  await shoot('agent', 'page-agent', 'light', 1280);
} finally {
  await browser.close();
  await agent.stop();
  await server.stop();
  await namespace.close();
  rmSync(directory, { recursive: true, force: true });
}
