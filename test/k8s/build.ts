/**
 * Builds kube-apiserver and kubelet from their Go modules: Debian has no packages of them, and the module does not build by
 * itself (its zip lacks `staging/`, which its go.mod points to), so a module of our own names the published staging modules.
 * `node test/k8s/build.ts` prints the programs' paths (and how long a fresh build took).
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedProgram, GO_ENVIRONMENT, run } from '../collector/program-cache.ts';

const VERSION = '1.35.4';
const MODULE = 'k8s.io/kubernetes';

type Program = 'kube-apiserver' | 'kubelet';

/** Path of the program. */
export function kubernetesProgram(name: Program): Promise<string> {
  return cachedProgram(`${name}-v${VERSION}`, (target) => compile(name, target));
}

async function compile(name: Program, target: string): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), `whodns-${name}-`));
  const environment = { ...GO_ENVIRONMENT, GOFLAGS: `${GO_ENVIRONMENT.GOFLAGS} -mod=mod` };
  try {
    writeFileSync(join(directory, 'go.mod'), await moduleFile(directory));
    const version = `-X k8s.io/component-base/version.gitVersion=v${VERSION}`;
    const output = join(directory, name);
    await run(
      [
        'go',
        'build',
        '-p=1',
        '-trimpath',
        `-ldflags=-s -w ${version}`,
        '-o',
        output,
        `${MODULE}/cmd/${name}`,
      ],
      { cwd: directory, env: { ...environment, CGO_ENABLED: '0' } },
    );
    cpSync(output, target);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Every `k8s.io/x => ./staging/src/k8s.io/x` of Kubernetes' go.mod becomes the module published with that release. */
async function moduleFile(directory: string): Promise<string> {
  const download: unknown = JSON.parse(
    await run(['go', 'mod', 'download', '-json', `${MODULE}@v${VERSION}`], {
      cwd: directory,
      env: GO_ENVIRONMENT,
    }),
  );
  const { GoMod } = download as { readonly GoMod: string };
  const edit: unknown = JSON.parse(
    await run(['go', 'mod', 'edit', '-json', GoMod], { cwd: directory, env: GO_ENVIRONMENT }),
  );
  const { Go, Replace } = edit as {
    readonly Go: string;
    readonly Replace: readonly { readonly Old: { readonly Path: string } }[];
  };
  const replaced = Replace.map(({ Old }) => `\t${Old.Path} => ${Old.Path} v${VERSION.replace(/^1/, '0')}`);
  return `module build\n\ngo ${Go}\n\nrequire ${MODULE} v${VERSION}\n\nreplace (\n${replaced.join('\n')}\n)\n`;
}

if (import.meta.main) {
  for (const name of ['kube-apiserver', 'kubelet'] as const) {
    const started = performance.now();
    const path = await kubernetesProgram(name);
    console.log(`${path} (${((performance.now() - started) / 1000).toFixed(0)} s)`);
  }
}
