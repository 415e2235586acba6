/** Where pods are known from and what is told of them: part of OPTIONS. */
import { boolean, oneOf, type Parsed, type Parser } from '../lib/values.ts';
import { type Command, option, type RepeatableOption, repeatable } from './option.ts';

const RUN: readonly Command[] = ['run'];

/** A label or annotation key, or the beginning of one and `*`. */
const KEY = /^[A-Za-z0-9][-A-Za-z0-9_./]{0,316}\*?$/;

export const KUBERNETES_OPTIONS = {
  kubernetes: option<'auto' | 'off' | 'api' | 'kubelet'>({
    flag: '--kubernetes <from>',
    commands: RUN,
    env: ['WHODNS_KUBERNETES'],
    description:
      "pods from: api (service account or --kubeconfig), kubelet (this node's), off, auto (inside a pod api, and kubelet while that gives none; else off)",
    parse: oneOf('auto', 'off', 'api', 'kubelet'),
    default: 'auto',
  }),
  nodeName: option<string | undefined>({
    flag: '--node-name <name>',
    commands: RUN,
    env: ['WHODNS_NODE_NAME', 'K8S_NODE_NAME', 'KUBE_NODE_NAME', 'NODE_NAME'],
    description: 'name of this Kubernetes node',
    parse: matching(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'is not the name of a node'),
    default: undefined,
    shownDefault: 'the host name',
  }),
  clusterName: option<string | undefined>({
    flag: '--cluster-name <name>',
    commands: RUN,
    env: ['WHODNS_CLUSTER_NAME', 'K8S_CLUSTER_NAME'],
    description: 'k8s.cluster.name, which Kubernetes does not know',
    parse: matching(/^[^\p{Cc}]{1,253}$/u, 'is not a name'),
    default: undefined,
  }),
  kubeconfig: option<string | undefined>({
    flag: '--kubeconfig <file>',
    commands: RUN,
    env: ['WHODNS_KUBECONFIG', 'KUBECONFIG'],
    description: 'for --kubernetes api and kubelet: cluster and credentials, in place of the service account',
    parse: matching(/^[^\0]+$/, 'is not a file name'),
    default: undefined,
  }),
  kubeletUrl: option<URL>({
    flag: '--kubelet-url <url>',
    commands: RUN,
    env: ['WHODNS_KUBELET_URL'],
    description: 'of the kubelet (--kubernetes kubelet and auto); with http: no credentials are sent',
    parse: httpUrl,
    default: new URL('https://127.0.0.1:10250'),
    shownDefault: 'https://127.0.0.1:10250',
  }),
  kubeletTlsVerify: option<boolean>({
    flag: '--no-kubelet-tls-verify',
    commands: RUN,
    env: ['WHODNS_KUBELET_TLS_VERIFY'],
    description: "accept any certificate of the kubelet: many clusters' kubelets have self-signed ones",
    parse: boolean,
    default: true,
    shownDefault: 'it is checked',
  }),
  kubernetesOwners: option<'name' | 'api'>({
    flag: '--kubernetes-owners <how>',
    commands: RUN,
    env: ['WHODNS_KUBERNETES_OWNERS'],
    description:
      'Deployment and CronJob of a pod: name (of its ReplicaSet or Job), api (asked, once for each of them)',
    parse: oneOf('name', 'api'),
    default: 'name',
  }),
  podLabels: keys('pod-label', 'label of the pod', 'k8s.pod.label.KEY'),
  podAnnotations: keys('pod-annotation', 'annotation of the pod', 'k8s.pod.annotation.KEY'),
  namespaceLabels: keys('namespace-label', 'label of the namespace', 'k8s.namespace.label.KEY'),
  namespaceAnnotations: keys(
    'namespace-annotation',
    'annotation of the namespace',
    'k8s.namespace.annotation.KEY',
  ),
  wellKnownLabels: option<boolean>({
    flag: '--no-well-known-labels',
    commands: RUN,
    env: ['WHODNS_WELL_KNOWN_LABELS'],
    description: 'do not take service.name and service.version of a pod from app.kubernetes.io labels',
    parse: boolean,
    default: true,
    shownDefault: 'they are taken',
  }),
} as const;

function keys(name: string, what: string, attribute: string): RepeatableOption<string> {
  return repeatable<string>({
    flag: `--${name} <key>`,
    repeatable: true,
    commands: RUN,
    env: [`WHODNS_${name.replace('-', '_').toUpperCase()}S`],
    description: `${what} told as ${attribute}; prefix* for several; repeat or comma list`,
    parse: matching(KEY, 'is not a key, nor a beginning and *'),
    default: [],
    shownDefault: 'none',
  });
}

function matching(pattern: RegExp, problem: string): Parser<string> {
  return (text) => (pattern.test(text) ? { value: text } : { problem });
}

function httpUrl(text: string): Parsed<URL> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isUsable = (url?.protocol === 'https:' || url?.protocol === 'http:') && url.username === '';
  return url !== undefined && isUsable
    ? { value: url }
    : { problem: 'is not an http or https URL without user' };
}
