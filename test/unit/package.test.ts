/** The npm package: what is in it, and what its first file says where it cannot run. Installed and run: npm run test:packages. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');
const MAIN = join(ROOT, 'dist/main.js');
const PACKAGE = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));

interface Packed {
  readonly files: readonly { readonly path: string; readonly size: number; readonly mode: number }[];
}

let packed: Packed;
before(() => {
  execFileSync(join(ROOT, 'native/setup.sh'), ['build'], { stdio: 'ignore' });
  packed = pack();
});

/** `npm pack` without the build that it starts. */
function pack(): Packed {
  const options = ['pack', '--dry-run', '--json', '--ignore-scripts'];
  const [packed] = JSON.parse(execFileSync('npm', options, { cwd: ROOT, encoding: 'utf8' })) as [Packed];
  return packed;
}

describe('what is packed', () => {
  const paths = () => packed.files.map(({ path }) => path);

  it('the program, what it loads, what it is described with', () => {
    for (const path of [
      'dist/main.js',
      'dist/whodns.js',
      'dist/dnscache.js',
      'dist/detect.js',
      'dist/NOTICES.txt',
      'build/dns.bpf.o',
      'build/whodns.node',
      'build/whodns-inspector',
      'data/doh-endpoints.txt',
      'src/enrich/runtimes/cri.proto',
      'src/enrich/runtimes/containerd-events.proto',
      'docs/whodns.1',
      'LICENSE',
      'README.md',
    ])
      assert.ok(paths().includes(path), path);
    for (const { types, default: code } of [PACKAGE.exports['./dnscache'], PACKAGE.exports['./detect']])
      for (const path of [types, code]) assert.ok(paths().includes(path.replace('./', '')), path);
    assert.equal(paths().includes(PACKAGE.bin.whodns), true);
  });

  it('nothing else: no source, no test, no source map', () => {
    const known =
      /^(dist|build|data|otel-config)\/|^docs\/whodns\.1$|^src\/enrich\/runtimes\/[a-z-]+\.proto$|^[A-Z]+(\.md)?$|^package\.json$/;
    assert.deepEqual(
      paths().filter((path) => !known.test(path) || path.endsWith('.map')),
      [],
    );
  });

  it('its programs can be run', () => {
    for (const path of ['dist/main.js', 'build/whodns-inspector'])
      assert.equal((packed.files.find((file) => file.path === path)?.mode ?? 0) & 0o111, 0o111, path);
  });
});

describe('the bundle', () => {
  /** Wanted by packages in it, which do without. */
  const OPTIONAL = ['supports-color', 'bufferutil', 'utf-8-validate'];

  it('needs no package: the command runs where there is no node_modules', () => {
    assert.equal(PACKAGE.dependencies, undefined);
    const bare = new Set<string>();
    for (const { path } of packed.files.filter((file) => /^dist\/[^/]*\.js$/.test(file.path))) {
      const text = readFileSync(join(ROOT, path), 'utf8');
      for (const [, name = ''] of text.matchAll(
        /^(?:import|\} from|import .* from) ["']([^"'.][^"']*)["'];$/gm,
      ))
        if (!name.startsWith('node:')) bare.add(name);
      for (const [, name = ''] of text.matchAll(/\b(?:__)?require\d*\(["']([^"']+)["']\)/g))
        if (!name.startsWith('node:') && !OPTIONAL.includes(name)) bare.add(name);
    }
    assert.deepEqual(
      [...bare].filter((name) => !process.getBuiltinModule(name)),
      [],
    );
  });

  it('says the licence of each package in it', () => {
    const text = readFileSync(join(ROOT, 'dist/NOTICES.txt'), 'utf8');
    for (const name of [
      'commander',
      '@grpc/grpc-js',
      '@opentelemetry/core',
      '@kubernetes/client-node',
      'yaml',
    ])
      assert.match(text, new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(.+\\)$`, 'm'));
    assert.doesNotMatch(text, /\((?:A?L?GPL|SSPL|BUSL)[^)]*\)$/m);
  });
});

describe('the first file', () => {
  const text = () => readFileSync(MAIN, 'utf8');
  /** Where the real one is another. */
  const start = (pretended: string, ...args: readonly string[]) => {
    const preload = `data:text/javascript,${encodeURIComponent(pretended)}`;
    return spawnSync(process.execPath, ['--import', preload, MAIN, ...args], { encoding: 'utf8' });
  };
  const version = (node: string) =>
    `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${node}' } })`;

  it('is read by old Nodes: nothing is imported, no syntax is newer than they are', () => {
    assert.doesNotMatch(text(), /^(?:import|export)\s/m);
    assert.doesNotMatch(text(), /\?\?|\?\.|#\w+\(|\bawait\b|\busing\b/);
  });

  for (const [what, pretended, says] of [
    ['Node 18', version('18.20.4'), /^whodns: Node 18\.20\.4 is too old: install Node 22\.15 or later .*\n$/],
    ['Node 22.14', version('22.14.0'), /^whodns: Node 22\.14\.0 is too old: .*\n$/],
    [
      'macOS',
      "Object.defineProperty(process, 'platform', { value: 'darwin' })",
      /^whodns: this is darwin: .*Linux.*\n$/,
    ],
    [
      '32 bits',
      "Object.defineProperty(process, 'arch', { value: 'arm' })",
      /^whodns: this Node is for arm: .*x64 and arm64.*\n$/,
    ],
  ] as const)
    it(`says in one line what is missing: ${what}`, () => {
      const { status, stdout, stderr } = start(pretended, '--version');
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(stderr, says);
    });

  it('22.15 is enough for it, and so is what runs this', () => {
    for (const pretended of [version('22.15.0'), version('30.0.0'), '']) {
      const { status, stdout } = start(pretended, '--version');
      assert.deepEqual([status, stdout.trim()], [0, PACKAGE.version]);
    }
    assert.equal(PACKAGE.engines.node, '>=22.15');
  });
});
