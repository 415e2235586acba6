/** Helm, built from its Go module. `node test/deploy/helm.ts` prints the program's path. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cachedProgram, GO_ENVIRONMENT, run } from '../collector/program-cache.ts';

const VERSION = 'v4.3.1';
/** Its name among the cached programs. */
export const HELM = `helm-${VERSION}`;

export function helmProgram(): Promise<string> {
  return cachedProgram(HELM, async (target) => {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-helm-'));
    try {
      const env = { ...GO_ENVIRONMENT, GOBIN: directory };
      await run(['go', 'install', `helm.sh/helm/v4/cmd/helm@${VERSION}`], { env });
      cpSync(join(directory, 'helm'), target);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

if (import.meta.main) console.log(await helmProgram());
