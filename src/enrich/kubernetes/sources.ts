/** Config -> where pods are known from. */
import { existsSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import { hostname } from 'node:os';
import type { Config } from '../../config/config.ts';
import { UserError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import type { Attributes, KubernetesStats } from '../../model.ts';
import type { MetadataSource } from '../metadata-source.ts';
import {
  type Access,
  type Environment,
  inClusterAccess,
  kubeconfigAccess,
  SERVICE_ACCOUNT,
  serviceAccountOptions,
} from './access.ts';
import { KubernetesApiSource } from './api-source.ts';
import { KubeletSource } from './kubelet-source.ts';

export interface KubernetesSource extends MetadataSource {
  stats(): KubernetesStats;
}

export interface Kubernetes {
  readonly source: KubernetesSource;
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
  const source =
    config.kubernetes === 'kubelet'
      ? new KubeletSource(shared)
      : new KubernetesApiSource({ ...shared, askOwners: config.kubernetesOwners === 'api' });
  return {
    source,
    host: {
      'k8s.node.name': nodeName,
      ...(clusterName === undefined ? {} : { 'k8s.cluster.name': clusterName }),
    },
  };
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
      if (config.kubeconfig !== undefined) return kubeconfigAccess(config.kubeconfig);
      const access = inClusterAccess(environment);
      if (access !== undefined) return access;
      throw new UserError('--kubernetes api: no service account here, and no --kubeconfig or KUBECONFIG');
    }
  }
}

async function kubeletAccess({ kubeletUrl, kubeconfig, kubeletTlsVerify }: Config): Promise<Access> {
  // In the clear anyone on the way could read them.
  if (kubeletUrl.protocol === 'http:') return { base: kubeletUrl, options: async () => ({}) };
  const inner = kubeconfig === undefined ? undefined : await kubeconfigAccess(kubeconfig);
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
