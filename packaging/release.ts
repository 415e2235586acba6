/**
 * Everything that is published, built into release/: `npm run release -- --dry-run`. Nothing is uploaded: without --dry-run it says
 * with which commands that is done.
 *
 *   npm/*.tgz                        whodns and one package for each platform
 *   whodns-linux-ARCH                one file, Node inside
 *   whodns_VERSION_ARCH.deb, whodns-VERSION-1.ARCH.rpm
 *   whodns-VERSION.oci.tar           an image for both processors
 *   sbom.cdx.json, SHA256SUMS
 *
 * `--platform PLATFORM` (several times) builds for these only, `--only npm,single,system,image` these kinds only.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildImage } from './image.ts';
import { packNpm } from './npm.ts';
import { isPlatform, PLATFORMS, type Platform, RELEASE, ROOT } from './platforms.ts';
import { buildSbom } from './sbom.ts';
import { buildSingle } from './single.ts';
import { buildSystemPackages } from './system.ts';

const JOBS = `-j${availableParallelism()}`;
const KINDS = ['npm', 'single', 'system', 'image'];

const { values } = parseArgs({
  options: {
    'dry-run': { type: 'boolean', default: false },
    platform: { type: 'string', multiple: true, default: [...PLATFORMS] },
    only: { type: 'string', default: KINDS.join(',') },
  },
});
const wanted = values.platform.map((name): Platform => {
  if (isPlatform(name)) return name;
  throw new Error(`--platform ${name}: one of ${PLATFORMS.join(', ')}`);
});
const kinds = values.only.split(',');
for (const kind of kinds)
  if (!KINDS.includes(kind)) throw new Error(`--only ${kind}: of ${KINDS.join(', ')}`);

const say = (text: string) => process.stderr.write(`release: ${text}\n`);
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });

rmSync(RELEASE, { recursive: true, force: true });
mkdirSync(join(RELEASE, 'npm'), { recursive: true });
say('toolchain and sources');
run('packaging/toolchain.sh');
for (const platform of wanted) {
  say(`native parts for ${platform}`);
  run('make', JOBS, '--no-print-directory', '-s', '-C', 'packaging', `PLATFORM=${platform}`);
}
say('bundle');
run(process.execPath, 'packaging/bundle.ts');
if (kinds.includes('npm')) {
  say('npm packages');
  packNpm(wanted);
}
const withGlibc = wanted.filter((each) => each.endsWith('-glibc'));
for (const platform of withGlibc) {
  if (kinds.includes('single')) {
    say(`single file for ${platform}`);
    await buildSingle(platform);
  }
  if (kinds.includes('system')) {
    say(`deb and rpm for ${platform}`);
    buildSystemPackages(platform);
  }
}
if (kinds.includes('image') && withGlibc.length > 0) {
  say('image');
  await buildImage(withGlibc);
}
buildSbom();
const files = globSync('**/*', { cwd: RELEASE, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => join(entry.parentPath, entry.name).slice(RELEASE.length + 1))
  .sort();
const digest = (file: string) =>
  createHash('sha256')
    .update(readFileSync(join(RELEASE, file)))
    .digest('hex');
writeFileSync(join(RELEASE, 'SHA256SUMS'), files.map((file) => `${digest(file)}  ${file}\n`).join(''));
say(`${files.length} files in release/`);
if (!values['dry-run'])
  say(
    'to publish: npm publish each of release/npm/whodns-linux-*.tgz with --access public, then release/npm/whodns-[0-9]*.tgz',
  );
