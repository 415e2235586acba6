/** The npm packages: `whodns`, and `@whodns/linux-ARCH-LIBC` with what is native, of which npm installs the one that fits. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nativeNotices } from './notices.ts';
import {
  archOf,
  MANIFEST,
  NATIVE_FILES,
  PLATFORMS,
  type Platform,
  platformFolder,
  RELEASE,
  ROOT,
} from './platforms.ts';

const STAGE = join(ROOT, 'build/npm');
/** Only to build, only in a checkout. */
const LEFT_OUT = ['devDependencies', 'scripts', 'allowScripts', 'overrides', 'private'];

export function packNpm(platforms: readonly Platform[]): void {
  rmSync(STAGE, { recursive: true, force: true });
  for (const platform of platforms) pack(stagePlatform(platform));
  pack(stageMain());
}

/** All platforms are named, also those that this run does not build: they are one release. */
function stageMain(): string {
  const folder = join(STAGE, 'whodns');
  const kept = Object.entries(MANIFEST).filter(([key]) => !LEFT_OUT.includes(key));
  const files = (MANIFEST['files'] as string[]).filter((file) => !file.startsWith('build/'));
  const optionalDependencies = Object.fromEntries(
    PLATFORMS.map((platform) => [`@whodns/${platform}`, MANIFEST.version]),
  );
  write(folder, { ...Object.fromEntries(kept), files, optionalDependencies });
  for (const path of [
    'dist',
    'data',
    'otel-config',
    'docs/whodns.1',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'SECURITY.md',
  ])
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  const protos = 'src/enrich/runtimes';
  for (const name of ['cri.proto', 'containerd-events.proto'])
    cpSync(join(ROOT, protos, name), join(folder, protos, name));
  return folder;
}

function stagePlatform(platform: Platform): string {
  const folder = join(STAGE, platform);
  const { version, license, engines } = MANIFEST;
  write(folder, {
    name: `@whodns/${platform}`,
    version,
    description: `The part of whodns that is built for ${platform}`,
    license,
    ...(MANIFEST['repository'] === undefined ? {} : { repository: MANIFEST['repository'] }),
    engines,
    os: ['linux'],
    cpu: [archOf(platform)],
    libc: [platform.endsWith('musl') ? 'musl' : 'glibc'],
    files: [...NATIVE_FILES, 'NOTICES.txt'],
  });
  for (const file of NATIVE_FILES) cpSync(join(platformFolder(platform), file), join(folder, file));
  cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
  writeFileSync(join(folder, 'NOTICES.txt'), nativeNotices());
  writeFileSync(
    join(folder, 'README.md'),
    `# @whodns/${platform}\n\nInstalled by the package \`whodns\` where it fits.\n`,
  );
  return folder;
}

function write(folder: string, manifest: object): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

function pack(folder: string): void {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', join(RELEASE, 'npm')], { cwd: folder });
}
