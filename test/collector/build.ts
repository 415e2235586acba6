/**
 * Builds the collector of otel-config/builder.yaml, or of another manifest, with the OpenTelemetry Collector Builder from Go modules.
 * `node test/collector/build.ts` prints the program's path (and how long a fresh build took).
 */
import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedProgram, GO_ENVIRONMENT, run } from './program-cache.ts';

const MANIFEST = join(import.meta.dirname, '../../otel-config/builder.yaml');
/** The module that the manifest names by its path. */
const RECEIVER = join(import.meta.dirname, '../../otel-config/receiver');
const BUILDER = 'go.opentelemetry.io/collector/cmd/builder';

/**
 * Path of the collector built from a manifest, by default the shipped one with its receiver. Comments in the manifest do not cause a new
 * build.
 */
export async function collectorProgram(file = MANIFEST): Promise<string> {
  const manifest = readFileSync(file, 'utf8');
  const version = collectorVersion(manifest);
  const content = manifest.replaceAll(/^\s*(#.*)?\n/gm, '');
  const hash = createHash('sha256').update(content);
  if (file === MANIFEST)
    for (const name of readdirSync(RECEIVER).sort())
      if (/\.go$|^go\./.test(name) && !name.endsWith('_test.go'))
        hash.update(name).update(readFileSync(join(RECEIVER, name)));
  const digest = hash.digest('hex').slice(0, 8);
  const builder = await cachedProgram(`ocb-v${version}`, (target) => installBuilder(version, target));
  const name = /^ {2}name: (\S+)$/m.exec(manifest)?.[1] ?? '';
  return cachedProgram(`${name}-v${version}-${digest}`, (target) => compile(builder, manifest, name, target));
}

/** The manifest's `version`, e.g. `0.158.0`. */
export function collectorVersion(manifest: string): string {
  const version = /^ {2}version: (\d+\.\d+\.\d+)$/m.exec(manifest)?.[1];
  if (version === undefined) throw new Error(`${MANIFEST}: no dist.version`);
  return version;
}

async function installBuilder(version: string, target: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-ocb-'));
  try {
    await run(['go', 'install', `${BUILDER}@v${version}`], { env: { ...GO_ENVIRONMENT, GOBIN: directory } });
    cpSync(join(directory, 'builder'), target);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @param name the manifest's `name`, also of the directory it is built in */
async function compile(builder: string, manifest: string, name: string, target: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'whodns-otelcol-'));
  try {
    writeFileSync(join(directory, 'builder.yaml'), manifest);
    cpSync(RECEIVER, join(directory, 'receiver'), { recursive: true });
    await run([builder, '--config=builder.yaml'], { cwd: directory, env: GO_ENVIRONMENT });
    cpSync(join(directory, name, name), target);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const started = performance.now();
  const path = await collectorProgram();
  console.log(`${path} (${((performance.now() - started) / 1000).toFixed(0)} s)`);
}
