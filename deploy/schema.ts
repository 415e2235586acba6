/** values.schema.json of the Helm chart. What `settings` may hold comes from the options of `whodns run`. */
import { OPTIONS, type Option, type RepeatableOption } from '../src/tables/options.ts';

type Schema = Readonly<Record<string, unknown>>;

/** Flags that the chart itself sets, or that make no sense in a pod. */
const NOT_SETTINGS: ReadonlySet<string> = new Set([
  ...[
    'health',
    'health-metrics',
    'control',
    'host-name',
    'node-name',
    'cluster-name',
    'kubernetes',
    'kubernetes-owners',
  ],
  ...[
    'kubelet-url',
    'no-kubelet-tls-verify',
    'container-runtime',
    'spool',
    'spool-bytes',
    'config',
    'duration',
    'stats',
  ],
]);

const text = (more: Schema = {}): Schema => ({ type: 'string', ...more });
const name = text({ pattern: '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$' });
const key = text({ pattern: '^[-._a-zA-Z0-9]{1,253}$' });
const path = text({ pattern: '^/[^\\x00-\\x1f,:]*[^\\x00-\\x1f,:/]$' });
const socket = text({ pattern: '^((cri|docker):)?/[^\\x00-\\x1f,:]*[^\\x00-\\x1f,:/]$' });
const port: Schema = { type: 'integer', minimum: 1, maximum: 65535 };
const flag: Schema = { type: 'boolean' };
const choice = (...values: readonly string[]): Schema => ({ enum: values });
const listOf = (items: Schema): Schema => ({ type: 'array', items });
const texts: Schema = { type: 'object', additionalProperties: text() };
/** Its shape is the API server's to check. */
const kubernetes = (type: 'object' | 'array'): Schema => ({ type });
const map = (properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  additionalProperties: false,
  properties,
});

export function valuesSchema(): Schema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Values of the whodns chart',
    ...map({ ...destinations(), ...pod(), settings: settings(), global: kubernetes('object') }),
  };
}

function destinations(): Record<string, Schema> {
  const otlp = map({
    target: choice('node', 'central', 'socket', 'none'),
    node: map({ port }),
    socket: map({ hostPath: path, name: text({ pattern: '^[A-Za-z0-9_][-A-Za-z0-9_.]{0,62}$' }) }),
    endpoint: text({ pattern: '^(https?://[^\\s/@]+(:[0-9]{1,5})?(/\\S*)?)?$' }),
    protocol: choice('grpc', 'http/protobuf'),
    compression: choice('none', 'gzip', 'zstd'),
    headersSecret: map({ name, key }),
    certificateAuthority: map({ configMap: name, key }),
  });
  const central = { properties: { target: { const: 'central' } }, required: ['target'] };
  return {
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    otlp: { ...otlp, if: central, then: { properties: { endpoint: { minLength: 1 } } } },
    kubernetes: map({
      source: choice('auto', 'api', 'kubelet', 'off'),
      owners: choice('name', 'api'),
      clusterName: text({ maxLength: 253 }),
      kubelet: map({ port, tlsVerify: flag }),
    }),
    addressFamily: choice('IPv4', 'IPv6'),
    runtimeSockets: { ...listOf(socket), maxItems: 8, uniqueItems: true },
    spool: map({ enabled: flag, hostPath: path, bytes: text({ pattern: '^[1-9][0-9]{0,11}[KMG]?$' }) }),
    health: map({ port, metrics: flag }),
    podMonitor: map({ enabled: flag, interval: text({ pattern: '^[1-9][0-9]*(ms|s|m)$' }), labels: texts }),
    networkPolicy: map({
      enabled: flag,
      metricsFrom: kubernetes('array'),
      apiServerPorts: listOf(port),
      otlpTo: kubernetes('array'),
    }),
  };
}

function pod(): Record<string, Schema> {
  return {
    image: map({
      repository: text({ pattern: '^[a-z0-9][-a-z0-9._/:]*$' }),
      tag: text({ pattern: '^([A-Za-z0-9_][-A-Za-z0-9_.]{0,127})?$' }),
      digest: text({ pattern: '^(sha256:[0-9a-f]{64})?$' }),
      pullPolicy: choice('Always', 'IfNotPresent', 'Never'),
    }),
    imagePullSecrets: listOf(map({ name })),
    rbac: map({ create: flag }),
    serviceAccount: map({ create: flag, name, annotations: texts }),
    priorityClass: map({
      create: flag,
      name,
      value: { type: 'integer', minimum: -2147483648, maximum: 1000000000 },
    }),
    capabilities: map({ add: listOf(text({ pattern: '^[A-Z_]+$', not: { enum: ['ALL', 'SYS_MODULE'] } })) }),
    securityContext: map({ appArmorProfile: kubernetes('object'), seccompProfile: kubernetes('object') }),
    seLinuxOptions: kubernetes('object'),
    hostFiles: { ...listOf(path), maxItems: 16, uniqueItems: true },
    resources: kubernetes('object'),
    tolerations: kubernetes('array'),
    nodeSelector: texts,
    affinity: kubernetes('object'),
    podLabels: texts,
    podAnnotations: texts,
    updateStrategy: kubernetes('object'),
    extraEnv: kubernetes('array'),
  };
}

/** A value is checked by the agent, which does not start with a bad one. */
function settings(): Schema {
  const value: Schema = { type: ['string', 'number'] };
  const found: Record<string, Schema> = {};
  for (const option of Object.values(OPTIONS) as (Option | RepeatableOption)[]) {
    const [long = '', argument] = option.flag?.split(' ') ?? [];
    const own = long.slice(2);
    if (own === '' || !option.commands.includes('run') || NOT_SETTINGS.has(own)) continue;
    const type =
      argument === undefined ? flag : 'repeatable' in option ? { anyOf: [value, listOf(value)] } : value;
    found[own] = { description: option.description, ...type };
  }
  return map(found);
}
