/** What is made of a pod's JSON: owners, service.*, images, allow-lists; and of JSON that is none of it. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type ApiPod, readPod } from '../../src/enrich/kubernetes/api-pod.ts';
import { imageVersion, parseImage, repositoryDigest } from '../../src/enrich/kubernetes/image.ts';
import { grandOwner, ownerAttributes } from '../../src/enrich/kubernetes/owners.ts';
import { describePod, keptAnnotation, type PodRules } from '../../src/enrich/kubernetes/pod-metadata.ts';
import { PodStore } from '../../src/enrich/kubernetes/pod-store.ts';
import type { Attributes } from '../../src/model.ts';

const DIGEST = `sha256:${'5e'.repeat(32)}`;
const RULES: PodRules = {
  podLabels: [],
  podAnnotations: [],
  namespaceLabels: [],
  namespaceAnnotations: [],
  wellKnownLabels: true,
};

function pod(metadata: object = {}, spec: object = {}, status: object = {}): ApiPod {
  const read = readPod(
    { metadata: { uid: 'u', name: 'p', namespace: 'n', ...metadata }, spec, status },
    keptAnnotation(['kept*']),
  );
  assert.ok(read !== undefined);
  return read;
}

function owned(apiVersion: string, kind: string, name: string, more: object = {}): ApiPod {
  return pod({ ownerReferences: [{ apiVersion, kind, name, uid: 'o', controller: true }], ...more });
}

function attributes(of: ApiPod, rules: Partial<PodRules> = {}): Attributes {
  const around = { namespace: undefined, place: {}, grandOwner: undefined };
  return describePod(of, around, { ...RULES, ...rules }).attributes;
}

describe('owner chain', () => {
  const hash = { labels: { 'pod-template-hash': '7d9f' } };
  const scheduled = new Date(29_012_345 * 60_000 + 90_000).toISOString();
  const late = new Date(29_012_345 * 60_000 + 25 * 3_600_000).toISOString();
  const cases: readonly [string, ApiPod, Attributes][] = [
    ['none', pod(), {}],
    [
      'ReplicaSet of a Deployment',
      owned('apps/v1', 'ReplicaSet', 'a-b-7d9f', hash),
      { 'k8s.replicaset.name': 'a-b-7d9f', 'k8s.deployment.name': 'a-b' },
    ],
    [
      'ReplicaSet without hash label',
      owned('apps/v1', 'ReplicaSet', 'a-b'),
      { 'k8s.replicaset.name': 'a-b' },
    ],
    [
      'ReplicaSet with another hash',
      owned('apps/v1', 'ReplicaSet', 'a-b', hash),
      { 'k8s.replicaset.name': 'a-b' },
    ],
    [
      'ReplicaSet that is all hash',
      owned('apps/v1', 'ReplicaSet', '-7d9f', hash),
      { 'k8s.replicaset.name': '-7d9f' },
    ],
    ['StatefulSet', owned('apps/v1', 'StatefulSet', 's'), { 'k8s.statefulset.name': 's' }],
    ['DaemonSet', owned('apps/v1', 'DaemonSet', 'd'), { 'k8s.daemonset.name': 'd' }],
    ['Job', owned('batch/v1', 'Job', 'j'), { 'k8s.job.name': 'j' }],
    [
      'Job of a CronJob',
      owned('batch/v1', 'Job', 'j-29012345', { creationTimestamp: scheduled }),
      { 'k8s.job.name': 'j-29012345', 'k8s.cronjob.name': 'j' },
    ],
    [
      'Job whose number is another time',
      owned('batch/v1', 'Job', 'j-29012345', { creationTimestamp: late }),
      { 'k8s.job.name': 'j-29012345' },
    ],
    ['Job of another API group', owned('batch.volcano.sh/v1alpha1', 'Job', 'j'), {}],
    ['Node', owned('v1', 'Node', 'n'), {}],
  ];
  for (const [what, given, wanted] of cases)
    it(what, () => assert.deepEqual(ownerAttributes(given, undefined), wanted));

  it('what the API says counts more than a name', () => {
    const rollout = grandOwner({ apiVersion: 'argoproj.io/v1', kind: 'Rollout', name: 'a-b', uid: '' });
    assert.equal(rollout, 'none');
    const given = owned('apps/v1', 'ReplicaSet', 'a-b-7d9f', hash);
    assert.deepEqual(ownerAttributes(given, rollout), { 'k8s.replicaset.name': 'a-b-7d9f' });
  });

  it('an owner that is not the controller is none', () => {
    const reference = { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'd', uid: 'o' };
    assert.deepEqual(ownerAttributes(pod({ ownerReferences: [reference] }), undefined), {});
  });
});

describe('service.* by the conventions', () => {
  const labels = {
    'app.kubernetes.io/instance': 'instance',
    'app.kubernetes.io/name': 'name',
    'app.kubernetes.io/version': '7',
    'pod-template-hash': 'h',
  };
  const { 'app.kubernetes.io/instance': _, ...withoutInstance } = labels;
  const annotation = { 'resource.opentelemetry.io/service.name': 'annotated' };
  const cases: readonly [string, ApiPod, string][] = [
    ['annotation', owned('apps/v1', 'ReplicaSet', 'd-h', { labels, annotations: annotation }), 'annotated'],
    [
      'an empty annotation says nothing',
      owned('apps/v1', 'ReplicaSet', 'd-h', {
        labels,
        annotations: { 'resource.opentelemetry.io/service.name': '' },
      }),
      'instance',
    ],
    ['label instance', owned('apps/v1', 'ReplicaSet', 'd-h', { labels }), 'instance'],
    ['label name', owned('apps/v1', 'ReplicaSet', 'd-h', { labels: withoutInstance }), 'name'],
    ['Deployment', owned('apps/v1', 'ReplicaSet', 'd-h', { labels: { 'pod-template-hash': 'h' } }), 'd'],
    ['ReplicaSet', owned('apps/v1', 'ReplicaSet', 'r'), 'r'],
    ['StatefulSet', owned('apps/v1', 'StatefulSet', 's'), 's'],
    ['DaemonSet', owned('apps/v1', 'DaemonSet', 'd'), 'd'],
    ['Job', owned('batch/v1', 'Job', 'j'), 'j'],
    ['pod', pod(), 'p'],
  ];
  for (const [what, given, name] of cases)
    it(`service.name: ${what}`, () => assert.equal(attributes(given)['service.name'], name));

  it('well-known labels can be switched off', () => {
    const given = owned('apps/v1', 'StatefulSet', 's', { labels });
    assert.equal(attributes(given, { wellKnownLabels: false })['service.name'], 's');
    assert.equal(attributes(given, { wellKnownLabels: false })['service.version'], undefined);
    assert.equal(attributes(given)['service.version'], '7');
  });

  it('of each container: version by the image, instance by its place; annotations come first', () => {
    const containers = [{ name: 'c', image: `r/i:1@${DIGEST}` }];
    const of = (metadata: object) =>
      describePod(
        pod(metadata, { containers }),
        { namespace: undefined, place: {}, grandOwner: undefined },
        RULES,
      ).containers[0]?.attributes;
    assert.equal(of({})?.['service.version'], `1@${DIGEST}`);
    assert.equal(of({})?.['service.instance.id'], 'n.p.c');
    assert.equal(of({ labels })?.['service.version'], '7');
    const annotations = {
      'resource.opentelemetry.io/service.version': '8',
      'resource.opentelemetry.io/service.instance.id': 'i',
    };
    assert.equal(of({ labels, annotations })?.['service.version'], '8');
    assert.equal(of({ annotations })?.['service.instance.id'], 'i');
  });

  it('an annotation adds any attribute, but not what is measured', () => {
    const annotations = Object.fromEntries(
      ['deployment.environment.name', 'k8s.pod.name', 'container.id', 'process.pid', 'host.name', ''].map(
        (key) => [`resource.opentelemetry.io/${key}`, 'forged'],
      ),
    );
    const found = attributes(pod({ annotations }));
    assert.equal(found['deployment.environment.name'], 'forged');
    assert.deepEqual(Object.entries(found).filter(([, value]) => value === 'forged').length, 1);
  });
});

describe('images', () => {
  const cases: readonly [string, ReturnType<typeof parseImage>, string | undefined][] = [
    ['nginx', { name: 'nginx', tag: undefined, digest: undefined }, undefined],
    ['nginx:1.2', { name: 'nginx', tag: '1.2', digest: undefined }, '1.2'],
    ['localhost:5000/a/b', { name: 'localhost:5000/a/b', tag: undefined, digest: undefined }, undefined],
    [`r.test/a@${DIGEST}`, { name: 'r.test/a', tag: undefined, digest: DIGEST }, DIGEST],
    [`r.test:1/a_b--c:t@${DIGEST}`, { name: 'r.test:1/a_b--c', tag: 't', digest: DIGEST }, `t@${DIGEST}`],
    ['UPPER', undefined, undefined],
    [DIGEST, undefined, undefined],
    ['5e'.repeat(32), undefined, undefined],
    ['', undefined, undefined],
    [`${'a/'.repeat(300)}a`, undefined, undefined],
  ];
  for (const [text, wanted, version] of cases)
    it(text.slice(0, 40) || '(empty)', () => {
      const image = parseImage(text);
      assert.deepEqual(image, wanted);
      assert.equal(image === undefined ? undefined : imageVersion(image), version);
    });

  it('repository digests are whole names', () => {
    assert.equal(repositoryDigest(`nginx@${DIGEST}`), `docker.io/library/nginx@${DIGEST}`);
    assert.equal(repositoryDigest(`docker-pullable://a/b@${DIGEST}`), `docker.io/a/b@${DIGEST}`);
    assert.equal(repositoryDigest(`r.test/b@${DIGEST}`), `r.test/b@${DIGEST}`);
    assert.equal(repositoryDigest(DIGEST), undefined);
  });

  it('a name made to be slow is not', () => {
    const started = process.cpuUsage();
    for (let i = 0; i < 1000; i++) parseImage(`${'a-'.repeat(250)}!`);
    assert.ok(process.cpuUsage(started).user < 5_000_000);
  });
});

describe('allow-lists', () => {
  const given = pod({
    labels: { team: 'a', 'app.test/x': '1', 'app.test/y': '' },
    annotations: { kept1: 'k', other: 'o' },
  });
  it('keys and beginnings of keys', () => {
    const found = attributes(given, {
      podLabels: ['team', 'app.test/*'],
      podAnnotations: ['kept1', 'other'],
    });
    const own = Object.entries(found).filter(([key]) => /^k8s\.pod\.(label|annotation)/.test(key));
    assert.deepEqual(Object.fromEntries(own), {
      'k8s.pod.label.team': 'a',
      'k8s.pod.label.app.test/x': '1',
      'k8s.pod.label.app.test/y': '',
      'k8s.pod.annotation.kept1': 'k',
    });
  });
  it('nothing by default', () =>
    assert.ok(!Object.keys(attributes(given)).some((key) => key.includes('label'))));
});

describe('input that is no pod', () => {
  const nothing = keptAnnotation([]);
  for (const value of [
    undefined,
    null,
    7,
    'x',
    [],
    {},
    { metadata: [] },
    { metadata: { uid: 'u', name: '', namespace: 'n' } },
  ])
    it(JSON.stringify(value) ?? 'undefined', () => assert.equal(readPod(value, nothing), undefined));

  it('fields of other types count as absent', () => {
    const read = readPod(
      {
        metadata: {
          uid: 'u',
          name: 'n',
          namespace: 's',
          labels: { a: 1, b: 'x', __proto__: { c: 'd' } },
          annotations: 'x',
          ownerReferences: {},
        },
        spec: { containers: [null, { name: 5 }, { name: 'ok', image: {} }], hostNetwork: 'true' },
        status: { containerStatuses: [{ name: 'ok', containerID: 'no id', restartCount: -1 }] },
      },
      nothing,
    );
    assert.deepEqual(read?.labels, { b: 'x' });
    assert.equal(read?.hostNetwork, false);
    assert.deepEqual(
      read?.containers.map(({ name, id, image, restartCount }) => [name, id, image, restartCount]),
      [['ok', undefined, undefined, 0]],
    );
  });

  it('whatever comes, it is read or passed over', () => {
    const around = { namespace: undefined, place: {}, grandOwner: undefined };
    const property = fc.property(fc.jsonValue(), fc.jsonValue(), fc.jsonValue(), (metadata, spec, status) => {
      const own = {
        uid: 'u',
        name: 'n',
        namespace: 's',
        labels: spec,
        annotations: status,
        ownerReferences: [metadata],
      };
      const containers = [spec, { name: 'c', image: status }];
      const input = {
        metadata: own,
        spec: { containers },
        status: { containerStatuses: [status, { name: 'c', lastState: spec }] },
      };
      const read = readPod(input, () => true);
      assert.equal(read?.name, 'n');
      assert.equal(describePod(read, around, { ...RULES, podLabels: ['*'] }).attributes['k8s.pod.name'], 'n');
      readPod(metadata, () => true);
    });
    fc.assert(property, { numRuns: 2000 });
  });

  it('is bounded', () => {
    const many = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, 'v']));
    const read = pod(
      { labels: { ...many, long: 'x'.repeat(5000) } },
      { containers: Array(5000).fill({ name: 'c' }) },
    );
    assert.ok(Object.keys(read.labels).length <= 256);
    assert.ok(read.containers.length <= 256);
  });
});

describe('the store of pods', () => {
  const around = { namespace: undefined, place: {}, grandOwner: undefined };
  const open = (max: number, lingerMs: number) => {
    const told: string[] = [];
    const store = new PodStore({
      describe: (one) => describePod(one, around, RULES),
      onChange: ({ podUid, gone }) => told.push(`${gone === true ? '-' : '+'}${podUid}`),
      max,
      lingerMs,
    });
    return { store, told };
  };

  it('is bounded: pods that went make room, pods that are there do not', () => {
    const { store, told } = open(2, 60_000);
    for (const uid of ['a', 'b', 'c']) store.set(pod({ uid }));
    assert.equal(store.pod('c'), undefined);
    assert.equal(store.counts.refused, 1);
    store.remove(pod({ uid: 'a' }));
    assert.ok(store.pod('a') !== undefined);
    store.set(pod({ uid: 'c' }));
    assert.equal(store.pod('a'), undefined);
    assert.equal(store.counts.evicted, 1);
    assert.deepEqual(told, ['+a', '+b', '-a', '+c']);
  });

  it('tells only of changes, and forgets containers with their pod', () => {
    const { store, told } = open(10, 0);
    const status = { containerStatuses: [{ name: 'c', containerID: 'containerd://cid' }] };
    const one = pod({ uid: 'a' }, { containers: [{ name: 'c' }] }, status);
    store.set(one);
    store.set({ ...one });
    assert.deepEqual(told, ['+a']);
    const kept = store.pod('a');
    store.replace([]);
    store.sweep();
    assert.equal(store.size, 0);
    assert.equal(store.container('cid'), undefined);
    assert.equal(kept?.name, 'p', 'who holds it keeps it');
    assert.deepEqual(told, ['+a', '-a']);
  });
});
