/** The chart rendered by the real Helm. */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { helmProgram } from './helm.ts';

const ROOT = join(import.meta.dirname, '../..');
export const CHART = join(ROOT, 'deploy/helm/whodns');
export const NAMESPACE = 'whodns';
/** Values files of the tests; '' is the defaults. */
export const VALUES: readonly string[] = ['', ...globSync(join(import.meta.dirname, 'values/*.yaml')).sort()];

export interface HelmResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function helm(...args: readonly string[]): Promise<HelmResult> {
  const program = await helmProgram();
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd: ROOT });
  return { code: status, stdout, stderr };
}

export function template(...args: readonly string[]): Promise<HelmResult> {
  return helm('template', 'whodns', CHART, '--namespace', NAMESPACE, ...args);
}

export function withValues(file: string): readonly string[] {
  return file === '' ? [] : ['--values', file];
}

export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text)
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0];
      return document.toJS() as Manifest | null;
    })
    .filter((manifest) => manifest !== null);
}

export interface Container {
  readonly args: readonly string[];
  readonly env: readonly { readonly name: string; readonly value?: string }[];
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly volumeMounts: readonly {
    readonly name: string;
    readonly mountPath: string;
    readonly readOnly?: boolean;
  }[];
}

export function containerOf(manifests: readonly Manifest[]): Container {
  const set = manifests.find(({ kind }) => kind === 'DaemonSet') as
    | (Manifest & {
        readonly spec: { readonly template: { readonly spec: { readonly containers: Container[] } } };
      })
    | undefined;
  const container = set?.spec.template.spec.containers[0];
  if (container === undefined) throw new Error('no DaemonSet with a container');
  return container;
}

/** Arguments and environment as the kubelet gives them: $(NAME) replaced, $$( is $(. */
export function asStarted(
  { args, env }: Container,
  given: Readonly<Record<string, string>>,
): { readonly args: string[]; readonly env: Record<string, string> } {
  const known: Record<string, string> = {};
  const expand = (text: string): string =>
    text.replaceAll(/\$(\$)\(|\$\(([^)]*)\)/g, (all, escaped: string | undefined, name: string) =>
      escaped === undefined ? (known[name] ?? all) : '$(',
    );
  for (const { name, value } of env) known[name] = value === undefined ? (given[name] ?? '') : expand(value);
  return { args: args.map(expand), env: known };
}
