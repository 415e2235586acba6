/** Config -> where pods are known from. */
import { existsSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { hostname } from 'node:os';
import type { Config } from '../../config/config.ts';
import { UserError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Attributes, KubernetesStats, PodMetadata } from '../../model.ts';
import type { MetadataSource } from '../containers/metadata-source.ts';
import {
  type Access,
  type Environment,
  inClusterAccess,
  kubeconfigAccess,
  SERVICE_ACCOUNT,
  serviceAccountOptions,
} from './access.ts';
import { type ApiSourceOptions, KubernetesApiSource } from './api-source.ts';
import { KubeletSource } from './kubelet-source.ts';

export interface KubernetesSource extends MetadataSource {
  /** Everything it knows now. */
  pods(): Iterable<PodMetadata>;
  stats(): KubernetesStats;
}

export interface Kubernetes {
  /** The first that knows a pod is right. */
  readonly sources: readonly KubernetesSource[];
  /** `k8s.node.name` and `k8s.cluster.name`: every process on this host has them. */
  readonly host: Attributes;
}

/** undefined: off, or `auto` outside a pod. @throws UserError: asked for, but there is nothing to ask. */
export async function createKubernetes(
  config: Config,
  environment: Environment,
  log: Log,
): Promise<Kubernetes | undefined> {
  const access = config.command === 'run' ? await chooseAccess(config, environment) : undefined;
  if (access === undefined) return undefined;
  const { clusterName } = config;
  const nodeName = config.nodeName ?? hostname().toLowerCase();
  if (config.nodeName === undefined)
    log.warn(`Kubernetes: no --node-name or NODE_NAME: taking the host name, ${nodeName}`);
  const shared = { access, nodeName, clusterName, rules: config, log };
  return {
    sources: config.kubernetes === 'kubelet' ? [new KubeletSource(shared)] : await fromApi(config, shared),
    host: {
      'k8s.node.name': nodeName,
      ...(clusterName === undefined ? {} : { 'k8s.cluster.name': clusterName }),
    },
  };
}

/** `auto`: where the API gives no pods, the kubelet is asked until it does. */
async function fromApi(
  config: Config,
  shared: Omit<ApiSourceOptions, 'askOwners'>,
): Promise<readonly KubernetesSource[]> {
  const api = new KubernetesApiSource({ ...shared, askOwners: config.kubernetesOwners === 'api' });
  if (config.kubernetes !== 'auto') return [api];
  const access = await kubeletAccess(config);
  return [api, new KubeletSource({ ...shared, access, isWanted: () => api.unreachable })];
}

async function chooseAccess(config: Config, environment: Environment): Promise<Access | undefined> {
  switch (config.kubernetes) {
    case 'off':
      return undefined;
    case 'auto':
      return inClusterAccess(environment);
    case 'kubelet':
      return kubeletAccess(config);
    case 'api': {
      if (config.kubeconfig !== undefined) return kubeconfigOf(config, config.kubeconfig);
      const access = inClusterAccess(environment);
      if (access !== undefined) return access;
      throw new UserError('--kubernetes api: no service account here, and no --kubeconfig or KUBECONFIG');
    }
  }
}

function kubeconfigOf({ seccomp }: Config, path: string): Promise<Access> {
  return kubeconfigAccess(path, seccomp !== 'enforce');
}

async function kubeletAccess(config: Config): Promise<Access> {
  const { kubeletUrl, kubeconfig, kubeletTlsVerify } = config;
  // In the clear anyone on the way could read them.
  if (kubeletUrl.protocol === 'http:') return { base: kubeletUrl, options: async () => ({}) };
  const inner = kubeconfig === undefined ? undefined : await kubeconfigOf(config, kubeconfig);
  const credentials = async (): Promise<RequestOptions> => {
    if (inner !== undefined) return inner.options();
    return existsSync(`${SERVICE_ACCOUNT}/token`) ? serviceAccountOptions() : {};
  };
  return {
    base: kubeletUrl,
    async options() {
      // The agent would bring its own check of the API server's name.
      const { agent: _, servername: __, ...options } = await credentials();
      return kubeletTlsVerify ? options : { ...options, rejectUnauthorized: false };
    },
  };
}
