/** Whose answers count. The same name may mean different things to different askers (split-horizon DNS, a pod's own search list). */
import type { ProcessIdentity } from '../model.ts';

export type Scope =
  /** Everything that was answered on this host. */
  | { readonly kind: 'host' }
  /** inode of the network namespace (/proc/PID/ns/net). */
  | { readonly kind: 'network-namespace'; readonly networkNamespace: number }
  | { readonly kind: 'container'; readonly containerId: string }
  /** Without `startTime` any process that has or had this pid. */
  | { readonly kind: 'process'; readonly pid: number; readonly startTime?: bigint };

export const HOST_SCOPE: Scope = Object.freeze({ kind: 'host' });

/**
 * The scopes of a process, the narrowest first. The network namespace comes before the host: the containers of a pod share
 * it, so that a side car's connection is named by what its neighbour asked.
 */
export function scopesOf(process: ProcessIdentity, networkNamespace: number): readonly Scope[] {
  const scopes: Scope[] = [];
  const { pid, startTime, containerId } = process;
  if (pid > 0) scopes.push({ kind: 'process', pid, startTime });
  if (containerId !== undefined) scopes.push({ kind: 'container', containerId });
  if (networkNamespace > 0) scopes.push({ kind: 'network-namespace', networkNamespace });
  scopes.push(HOST_SCOPE);
  return scopes;
}

/** `host`, `netns=INODE`, `container=ID`, `pid=PID`; undefined: none of them. */
export function parseScope(text: string): Scope | undefined {
  if (text === 'host') return HOST_SCOPE;
  const at = text.indexOf('=');
  const [kind, value] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 0 || value === '') return undefined;
  if (kind === 'container') return { kind, containerId: value };
  if (!/^\d{1,10}$/.test(value)) return undefined;
  if (kind === 'netns') return { kind: 'network-namespace', networkNamespace: Number(value) };
  return kind === 'pid' ? { kind: 'process', pid: Number(value) } : undefined;
}

/** The text that `parseScope` reads; the start time of a process is left out. */
export function scopeText(scope: Scope): string {
  switch (scope.kind) {
    case 'host':
      return 'host';
    case 'network-namespace':
      return `netns=${scope.networkNamespace}`;
    case 'container':
      return `container=${scope.containerId}`;
    case 'process':
      return `pid=${scope.pid}`;
  }
}
