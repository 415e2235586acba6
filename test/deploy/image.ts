/**
 * Builds the image of the Dockerfile with buildah, without a registry and without a daemon: the base is made with
 * debootstrap, node and npm in it come from their npm packages. Layers are kept beside the cached programs, so a second
 * build takes seconds. `node test/deploy/image.ts` prints the size.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { cachedProgram, programDirectory, run } from '../collector/program-cache.ts';
import { debootstrap } from '../packages/systems.ts';

const ROOT = join(import.meta.dirname, '../..');
const NPM = '11.21.2';
const IMAGE = 'localhost/whodns';

/** buildah with a store of its own. */
export function buildah(...args: readonly string[]): Promise<string> {
  const store = join(dirname(programDirectory()), 'image');
  const own = ['--root', join(store, 'root'), '--runroot', join(store, 'run'), '--storage-driver', 'overlay'];
  return run(['buildah', ...own, ...args]);
}

/** @returns the image's name in the store */
export async function buildImage(): Promise<string> {
  const base = await baseImage();
  await buildah(
    'bud',
    ...['--isolation', 'chroot', '--network', 'host', '--layers', '--pull-never', '--quiet'],
    ...['--build-arg', `BASE=${base}`, '--tag', IMAGE, '--file', join(ROOT, 'Dockerfile'), ROOT],
  );
  return IMAGE;
}

export interface ImageConfig {
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly layers: number;
}

export async function inspectImage(image: string): Promise<ImageConfig> {
  const { OCIv1 } = JSON.parse(await buildah('inspect', '--type', 'image', image)) as {
    OCIv1: { config: { User: string; Entrypoint: string[] }; rootfs: { diff_ids: string[] } };
  };
  const { config, rootfs } = OCIv1;
  return { user: config.User, entrypoint: config.Entrypoint, layers: rootfs.diff_ids.length };
}

/** The image's file system as a directory. @returns it, and what removes it */
export async function unpackImage(
  image: string,
): Promise<{ readonly directory: string; readonly remove: () => Promise<void> }> {
  const container = (await buildah('from', '--pull-never', image)).trim();
  const directory = (await buildah('mount', container)).trim();
  return {
    directory,
    remove: async () => {
      await buildah('umount', container);
      await buildah('rm', container);
    },
  };
}

async function baseImage(): Promise<string> {
  const name = `localhost/whodns-base:npm-${NPM}`;
  const found = await buildah('images', '--format', '{{.Name}}:{{.Tag}}');
  if (found.split('\n').includes(name)) return name;
  const archive = await baseArchive();
  const container = (await buildah('from', 'scratch')).trim();
  await buildah('add', container, archive, '/');
  await buildah('commit', '--rm', container, name);
  return name;
}

/**
 * The file system of a Debian with node, npm and the certificate authorities that this host trusts; kept.
 * @param packages beside them
 */
export function baseArchive(suite = 'bookworm', packages: readonly string[] = []): Promise<string> {
  const name = [`debian-${suite}-npm-${NPM}`, ...packages].join('-');
  return cachedProgram(`${name}.tar`, (target) => makeBase(target, suite, ['ca-certificates', ...packages]));
}

async function makeBase(target: string, suite: string, packages: readonly string[]): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'whodns-base-'));
  const root = join(work, 'root');
  try {
    await debootstrap(suite, packages, root);
    cpSync(join(ROOT, 'node_modules/node/bin/node'), join(root, 'usr/local/bin/node'));
    await run(['npm', 'pack', '--silent', '--pack-destination', work, `npm@${NPM}`]);
    const npm = join(root, 'usr/local/lib/node_modules/npm');
    mkdirSync(npm, { recursive: true });
    await run(['tar', '-xzf', join(work, `npm-${NPM}.tgz`), '-C', npm, '--strip-components=1']);
    await run(['ln', '-s', '../lib/node_modules/npm/bin/npm-cli.js', join(root, 'usr/local/bin/npm')]);
    const authorities = '/etc/ssl/certs/ca-certificates.crt';
    cpSync(authorities, join(root, authorities));
    // npm has its own list otherwise.
    mkdirSync(join(root, 'usr/local/etc'), { recursive: true });
    writeFileSync(join(root, 'usr/local/etc/npmrc'), `cafile=${authorities}\n`);
    await run(['tar', '-cf', target, '--exclude=./var/cache/apt/archives/*.deb', '-C', root, '.']);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** MiB on disk. */
export function sizeOf(directory: string): number {
  const kilobytes = execFileSync('du', ['-sk', '--apparent-size', directory], { encoding: 'utf8' }).split(
    '\t',
  )[0];
  return Number(kilobytes) / 1024;
}

if (import.meta.main) {
  if (!existsSync(join(ROOT, 'node_modules/node/bin/node'))) throw new Error('run npm ci first');
  const started = performance.now();
  const image = await buildImage();
  const { directory, remove } = await unpackImage(image);
  console.log(
    `${image}: ${sizeOf(directory).toFixed(0)} MiB (${((performance.now() - started) / 1000).toFixed(0)} s)`,
  );
  await remove();
}
