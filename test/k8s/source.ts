/** A source of pods as the agent makes it, in the test's own process. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MetadataChange } from '../../src/enrich/containers/metadata-source.ts';
import { inClusterAccess } from '../../src/enrich/kubernetes/access.ts';
import { type ApiSourceOptions, KubernetesApiSource } from '../../src/enrich/kubernetes/api-source.ts';
import type { PodRules } from '../../src/enrich/kubernetes/pod-metadata.ts';
import { createLog } from '../../src/lib/log.ts';
import type { Scope } from '../e2e/certificates.ts';
import { type Cluster, serviceAccountDirectory } from './cluster.ts';

const PATIENCE_MS = 60_000;

export const NO_RULES: PodRules = {
  podLabels: [],
  podAnnotations: [],
  namespaceLabels: [],
  namespaceAnnotations: [],
  wellKnownLabels: true,
};

/** With what it said and told. */
export class ObservedSource extends KubernetesApiSource {
  readonly changes: MetadataChange[] = [];
  readonly said: string[];

  constructor(options: ApiSourceOptions, said: string[]) {
    super(options);
    this.said = said;
  }
}

type Choices = Partial<Omit<ApiSourceOptions, 'rules'>> & { readonly rules?: Partial<PodRules> };

/** Asks as a pod does: by the files of its service account. Stopped when the test ends. */
export function openSource(
  t: Scope,
  url: string,
  cluster: Cluster,
  token: string,
  choices: Choices = {},
): ObservedSource {
  const { hostname, port } = new URL(url);
  const environment = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
  const access = inClusterAccess(environment, serviceAccountDirectory(cluster, token));
  assert.ok(access !== undefined);
  const said: string[] = [];
  const source = new ObservedSource(
    {
      access,
      nodeName: 'node-a',
      clusterName: 'test',
      askOwners: false,
      log: createLog('debug', (line) => said.push(line)),
      ...choices,
      rules: { ...NO_RULES, ...choices.rules },
    },
    said,
  );
  t.after(() => source.stop());
  source.start((change) => source.changes.push(change));
  return source;
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await sleep(20);
  }
}
