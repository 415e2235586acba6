/** README's first commands, from a fresh clone on Debian and Ubuntu with empty caches: all that they need they install. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { MANIFEST } from '../../packaging/platforms.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { captures, runOnline } from './installed.ts';
import { cloneRoot, type Root } from './roots.ts';
import { systemOf } from './systems.ts';

/** README names these for tests. */
const TESTED = ['bookworm', 'trixie'];

let namespace: Namespace;
let server: NameServer;

before(async () => {
  namespace = await Namespace.open();
  const zone = { name: 'packages.test', lines: ['address=/packages.test/192.0.2.1'] };
  server = await startDnsmasq(namespace, zone, ['127.0.0.1']);
});
after(async () => {
  await server?.stop();
  await namespace?.close();
});

for (const suite of ['bookworm', 'trixie', 'jammy', 'noble'])
  describe(`a fresh clone on ${systemOf(suite).title}`, () => {
    let root: Root;
    const online = (script: string) =>
      runOnline(root.directory, ['sh', '-c', `cd /whodns && export HOME=/root && ${script}`]);
    before(async () => {
      root = await cloneRoot(suite);
    });
    after(() => root?.remove());

    it('npm start installs what is missing, builds, and runs', async () => {
      assert.match(await online('npm start -- --version'), new RegExp(`^${MANIFEST.version}$`, 'm'));
      // What `npm start` installs is for running, not for tests.
      const installed = await online('dpkg --get-selections');
      // Ubuntu 22.04's libbpf is too old: a later one is built.
      (suite === 'jammy' ? assert.doesNotMatch : assert.match)(installed, /^libbpf-dev\b/m);
      assert.doesNotMatch(installed, /^(qemu-system-x86|docker\.io|default-jdk-headless|bpftool)\b/m);
    });

    it('and captures', () =>
      // The script of `npm start`, without npm between the signal and the program.
      captures(namespace, root.directory, [
        'sh',
        '-c',
        'cd /whodns && native/setup.sh build && exec node_modules/.bin/node dist/main.js "$@"',
        'whodns',
      ]));

    it('npm run check: what it needs is installed, and it passes', async () => {
      const output = await online(
        'native/setup.sh check && PATH="$PWD/node_modules/.bin:$PATH" node test/run.ts check',
      );
      assert.match(output, /^check +1 passed, 0 failed/m);
    });

    if (TESTED.includes(suite))
      it('npm test: what its first stage needs is installed, and it passes', async () => {
        const output = await online(
          'native/setup.sh unit && PATH="$PWD/node_modules/.bin:$PATH" node test/run.ts unit',
        );
        assert.match(output, /^unit +\d{3,} passed, 0 failed/m);
      });
  });
