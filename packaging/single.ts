/** whodns-linux-ARCH: Node's single executable application. The bundle is one script in it; what the system loads by path are assets. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'postject';
import { bundleScript } from './bundle.ts';
import {
  archOf,
  NATIVE_FILES,
  nodeProgram,
  type Platform,
  platformFolder,
  RELEASE,
  ROOT,
} from './platforms.ts';

/** lib/src/node_sea.cc: where Node looks. */
const SECTION = 'NODE_SEA_BLOB';
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';
const TEXTS = [
  'package.json',
  'data/doh-endpoints.txt',
  'src/enrich/runtimes/cri.proto',
  'src/enrich/runtimes/containerd-events.proto',
];

export async function buildSingle(platform: Platform): Promise<string> {
  const arch = archOf(platform);
  const work = join(ROOT, 'build/single', arch);
  mkdirSync(work, { recursive: true });
  const script = join(work, 'whodns.cjs');
  await bundleScript(script);
  const historyWorker = join(work, 'history-worker.cjs');
  await bundleScript(historyWorker, 'src/history/worker.ts');
  const assets = Object.fromEntries([
    ['dist/history-worker.cjs', historyWorker],
    ...TEXTS.map((path) => [path, join(ROOT, path)]),
    ...NATIVE_FILES.map((file) => [`build/${file}`, join(platformFolder(platform), file)]),
  ]);
  const blob = join(work, 'sea.blob');
  const settings = {
    main: script,
    output: blob,
    assets,
    disableExperimentalSEAWarning: true,
    useCodeCache: false,
    // src/lib/import-file.ts takes a part of node:vm that is called so.
    execArgv: ['--disable-warning=ExperimentalWarning'],
  };
  writeFileSync(join(work, 'sea.json'), JSON.stringify(settings));
  execFileSync(
    nodeProgram(process.arch === 'arm64' ? 'arm64' : 'x64'),
    ['--experimental-sea-config', join(work, 'sea.json')],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const target = join(RELEASE, `whodns-linux-${arch}`);
  copyFileSync(nodeProgram(arch), target);
  await inject(target, SECTION, readFileSync(blob), { sentinelFuse: FUSE });
  return target;
}
