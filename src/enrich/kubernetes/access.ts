/** Where the API server or the kubelet is, and as whom to ask: service account of this pod, or a kubeconfig. */
import { readFileSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { isIPv6 } from 'node:net';
import { UserError } from '../../lib/errors.ts';
import { trustedFile } from '../../lib/safe-file.ts';

export interface Access {
  readonly base: URL;
  /** TLS and authorization of one request. Asked for before each: tokens and certificates are renewed on disk. */
  options(): Promise<RequestOptions>;
}

/** Where the kubelet puts a pod's own credentials (Kubernetes documentation, "Accessing the Kubernetes API from a Pod"). */
export const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
/** A bearer token is a few kilobytes. */
const MAX_TOKEN = 64 * 1024;
/** Kinds of `auth-provider` for which the library starts programs. */
const PROGRAMS: readonly unknown[] = ['exec', 'gcp', 'azure'];

export type Environment = Readonly<Record<string, string | undefined>>;

/** The API server as every pod is told of it; undefined: this is no pod, or one without a service account. */
export function inClusterAccess(environment: Environment, directory = SERVICE_ACCOUNT): Access | undefined {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === '' || !/^\d{1,5}$/.test(port) || token(directory) === undefined) return undefined;
  const url = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  return URL.canParse(url)
    ? { base: new URL(url), options: () => serviceAccountOptions(directory) }
    : undefined;
}

/** The token of this pod's service account and the certificate authority of its cluster. */
export async function serviceAccountOptions(directory = SERVICE_ACCOUNT): Promise<RequestOptions> {
  const bearer = token(directory);
  return {
    ca: readFileSync(`${directory}/ca.crt`),
    ...(bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } }),
  };
}

function token(directory: string): string | undefined {
  try {
    const text = readFileSync(`${directory}/token`, 'latin1').trim();
    return text === '' || text.length > MAX_TOKEN || /\s/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/**
 * A kubeconfig's current context. Client certificates, tokens, OIDC and credential plugins are the library's matter, which is
 * loaded only here: it takes some 90 MB of memory, and an agent in a pod does not need it.
 * @param startsPrograms false: the agent's filter of system calls will not let it start a credential plugin
 * @throws UserError: the file cannot be read or names no cluster, or its user needs a plugin that cannot be started.
 */
export async function kubeconfigAccess(path: string, startsPrograms = true): Promise<Access> {
  const { KubeConfig } = await import('./kubeconfig.ts');
  const config = new KubeConfig();
  try {
    // A credential plugin that it names runs as the agent.
    config.loadFromFile(trustedFile(path).path);
  } catch (error) {
    const hint = error instanceof UserError && error.hint !== undefined ? { hint: error.hint } : {};
    throw new UserError(`kubeconfig ${path}: ${(error as Error).message}`, hint);
  }
  const server = config.getCurrentCluster()?.server ?? '';
  if (!URL.canParse(server)) throw new UserError(`kubeconfig ${path}: the current context names no cluster`);
  const user = config.getCurrentUser();
  if (!startsPrograms && (user?.exec !== undefined || PROGRAMS.includes(user?.authProvider?.name))) {
    throw new UserError(
      `kubeconfig ${path}: its user is known by a credential plugin, which the agent may not start`,
      {
        hint: 'take a user with a token or a certificate (a service account), or --seccomp off',
      },
    );
  }
  return {
    base: new URL(server),
    async options() {
      const options: RequestOptions = {};
      await config.applyToHTTPSOptions(options);
      return options;
    },
  };
}
