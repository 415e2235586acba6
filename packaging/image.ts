/**
 * An OCI image for both processors (image-spec 1.1, image-layout): an archive whose index names one image for each. It is put together from
 * what is built for each and from Debian's packages of the libraries that Node needs; nothing of the other processor is run.
 *   skopeo copy --all oci-archive:release/whodns-VERSION.oci.tar docker://REGISTRY/whodns:VERSION
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fetchPackages, unpackPackages } from './debian-packages.ts';
import {
  archOf,
  MANIFEST,
  NATIVE_FILES,
  nodeProgram,
  type Platform,
  platformFolder,
  RELEASE,
  ROOT,
  SHARED,
} from './platforms.ts';

const SUITE = 'bookworm';
const ARCHITECTURES = {
  x64: { name: 'amd64', triplet: 'x86_64-linux-gnu', loader: 'lib64/ld-linux-x86-64.so.2' },
  arm64: { name: 'arm64', triplet: 'aarch64-linux-gnu', loader: 'lib/ld-linux-aarch64.so.1' },
} as const;
/** What `readelf -d` says that Node needs; the addon needs some of them, the inspector none. */
const LIBRARIES = [
  'libc.so.6',
  'libm.so.6',
  'libpthread.so.0',
  'libdl.so.2',
  'libresolv.so.2',
  'libgcc_s.so.1',
  'libstdc++.so.6',
];
/** gcc-12-base has the others' copyright. */
const PACKAGES = ['libc6', 'libgcc-s1', 'libstdc++6', 'gcc-12-base'];
const USER = '65532:65532';
const TYPES = 'application/vnd.oci.image';
const CREATED = '2026-01-01T00:00:00Z';

/** @returns path of the archive */
export async function buildImage(platforms: readonly Platform[]): Promise<string> {
  const layout = join(ROOT, 'build/image/layout');
  rmSync(dirname(layout), { recursive: true, force: true });
  mkdirSync(join(layout, 'blobs/sha256'), { recursive: true });
  const manifests = [];
  for (const platform of platforms) manifests.push(await addImage(layout, platform));
  const index = { schemaVersion: 2, mediaType: `${TYPES}.index.v1+json`, manifests };
  const named = {
    ...putJson(layout, index, index.mediaType),
    annotations: { 'org.opencontainers.image.ref.name': MANIFEST.version },
  };
  write(layout, 'index.json', JSON.stringify({ schemaVersion: 2, manifests: [named] }));
  write(layout, 'oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  const target = join(RELEASE, `whodns-${MANIFEST.version}.oci.tar`);
  pack(layout, target);
  return target;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

async function addImage(layout: string, platform: Platform): Promise<object> {
  const root = await stageRoot(platform);
  const layer = `${root}.tar`;
  pack(root, layer);
  const content = readFileSync(layer);
  const packed = put(layout, gzipSync(content, { level: 6 }), `${TYPES}.layer.v1.tar+gzip`);
  const os = { architecture: ARCHITECTURES[archOf(platform)].name, os: 'linux' };
  const configuration = {
    created: CREATED,
    ...os,
    config: {
      User: USER,
      Entrypoint: ['/usr/local/bin/node', '/opt/whodns/dist/main.js'],
      WorkingDir: '/',
      Labels: {
        'org.opencontainers.image.title': 'whodns',
        'org.opencontainers.image.version': MANIFEST.version,
        'org.opencontainers.image.licenses': 'Apache-2.0',
        'org.opencontainers.image.description': String(MANIFEST['description']),
      },
    },
    rootfs: { type: 'layers', diff_ids: [digestOf(content)] },
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: `${TYPES}.manifest.v1+json`,
    config: putJson(layout, configuration, `${TYPES}.config.v1+json`),
    layers: [packed],
  };
  return { ...putJson(layout, manifest, manifest.mediaType), platform: os };
}

/** The same directories as the Dockerfile's (deploy/image.sh). */
async function stageRoot(platform: Platform): Promise<string> {
  const arch = archOf(platform);
  const { name, triplet, loader } = ARCHITECTURES[arch];
  const root = join(ROOT, 'build/image', name);
  const app = join(root, 'opt/whodns');
  for (const path of ['tmp', 'run/whodns', 'var/lib/whodns', 'proc', 'sys', 'dev', 'etc/ssl/certs'])
    mkdirSync(join(root, path), { recursive: true });
  execFileSync('chmod', ['1777', join(root, 'tmp')]);
  for (const path of [...SHARED, 'package.json'])
    cpSync(join(ROOT, path), join(app, path), {
      recursive: true,
      filter: (source) => !source.endsWith('.map') && !source.endsWith('dist/types'),
    });
  for (const file of NATIVE_FILES) cpSync(join(platformFolder(platform), file), join(app, 'build', file));
  cpSync(nodeProgram(arch), join(root, 'usr/local/bin/node'));
  const work = join(ROOT, 'build/image', `${name}-packages`);
  mkdirSync(work, { recursive: true });
  const release = { suite: SUITE, architecture: name, withDependencies: false } as const;
  const files = await fetchPackages(work, release, [...PACKAGES, 'ca-certificates']);
  const unpacked = join(work, 'unpacked');
  await unpackPackages(files, unpacked);
  const copyLibrary = (library: string, target: string) => {
    const found = ['lib', 'usr/lib']
      .map((folder) => join(unpacked, folder, triplet, library))
      .find(existsSync);
    if (found === undefined) throw new Error(`${library}: not in ${PACKAGES.join(', ')}`);
    copy(found, join(root, target));
  };
  for (const library of LIBRARIES) copyLibrary(library, `lib/${triplet}/${library}`);
  copyLibrary(basename(loader), loader);
  // Where scanners of images without a package manager look (as Distroless does).
  for (const file of files) {
    const field = execFileSync('dpkg-deb', ['-f', file], { encoding: 'utf8' });
    const [, debian = ''] = /^Package: (\S+)$/m.exec(field) ?? [];
    write(root, `var/lib/dpkg/status.d/${debian}`, field);
    const copyright = join('usr/share/doc', debian, 'copyright');
    copy(join(unpacked, copyright), join(root, copyright));
  }
  const authorities = globSync('usr/share/ca-certificates/mozilla/*.crt', { cwd: unpacked }).sort();
  write(
    root,
    'etc/ssl/certs/ca-certificates.crt',
    authorities.map((file) => readFileSync(join(unpacked, file), 'utf8')).join(''),
  );
  write(root, 'etc/machine-id', '');
  write(root, 'etc/nsswitch.conf', 'hosts: files dns\n');
  write(root, 'etc/passwd', 'root:x:0:0:root:/:/sbin/nologin\nwhodns:x:65532:65532:whodns:/:/sbin/nologin\n');
  write(root, 'etc/group', 'root:x:0:\nwhodns:x:65532:\n');
  return root;
}

/** Follows links. */
function copy(source: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(source, target);
}

function write(folder: string, path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

function put(layout: string, content: Buffer, mediaType: string): Descriptor {
  const digest = digestOf(content);
  writeFileSync(join(layout, 'blobs', digest.replace(':', '/')), content);
  return { mediaType, digest, size: content.length };
}

function putJson(layout: string, value: object, mediaType: string): Descriptor {
  return put(layout, Buffer.from(JSON.stringify(value)), mediaType);
}

function digestOf(content: Buffer): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** The same bytes for the same files. */
function pack(folder: string, target: string): void {
  const plain = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=gnu'];
  execFileSync('tar', [...plain, '-cf', target, '-C', folder, '.']);
}
