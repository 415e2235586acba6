/** Decisions kept in step with groups and metadata: what goes to the kernel's map, what is told, what is left to user space. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { visibilityTable } from '../../src/control/visibility-table.ts';
import { createLog } from '../../src/lib/log.ts';
import type { PodMetadata, ProcessIdentity } from '../../src/model.ts';
import type { Level, Policy } from '../../src/visibility/decide.ts';
import { levelEvent } from '../../src/visibility/event.ts';
import { Visibility } from '../../src/visibility/visibility.ts';
import type { LevelChange } from '../../src/visibility/workload.ts';

const UID = '11111111-2222-3333-4444-555555555555';
const APP = 'a'.repeat(64);
const SIDE = 'b'.repeat(64);
const OPEN: Policy = {
  default: 'on',
  host: undefined,
  includeNamespaces: [],
  excludeNamespaces: [],
  includePods: [],
  excludePods: [],
};

function pod(annotations: Record<string, string>, change: Partial<PodMetadata> = {}): PodMetadata {
  return {
    uid: UID,
    name: 'web-0',
    namespace: 'shop',
    labels: {},
    annotations,
    namespaceLabels: {},
    namespaceAnnotations: {},
    hostNetwork: false,
    containers: [
      { name: 'app', id: APP, kind: 'container', restartCount: 0, attributes: {} },
      { name: 'side', id: SIDE, kind: 'container', restartCount: 0, attributes: {} },
    ],
    attributes: { 'service.name': 'web' },
    ...change,
  };
}

function identity(containerId: string | undefined): ProcessIdentity {
  return {
    pid: 1,
    startTime: 1n,
    attribution: 'kernel',
    executableName: 'x',
    containerId,
    workload: '',
    resource: {},
  };
}

describe('visibility', () => {
  let root: string;
  let pods: Map<string, PodMetadata>;
  let kernel: Map<bigint, Level>;
  let room: number;
  let changes: LevelChange[];
  let said: string;
  let visibility: Visibility | undefined;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'whodns-visible-'));
    pods = new Map();
    kernel = new Map();
    room = 1000;
    changes = [];
    said = '';
  });
  afterEach(() => {
    visibility?.stop();
    rmSync(root, { recursive: true, force: true });
  });

  const group = (path: string): void => {
    mkdirSync(root + path, { recursive: true });
  };
  function start(policy: Partial<Policy> = {}, version: 1 | 2 = 2): Visibility {
    const mount = { path: root, version };
    visibility = new Visibility({
      policy: { ...OPEN, ...policy },
      directory: { container: () => undefined, pod: (uid) => pods.get(uid) },
      mounts:
        version === 2
          ? { v2: mount, v1: undefined, hierarchies: [] }
          : { v2: undefined, v1: mount, hierarchies: [mount] },
      kernel: {
        setLevels: (wanted) => {
          const refused: bigint[] = [];
          for (const [id, level] of wanted) {
            if (level === undefined) kernel.delete(id);
            else if (kernel.has(id) || kernel.size < room) kernel.set(id, level);
            else refused.push(id);
          }
          return refused;
        },
      },
      log: createLog('info', (line) => {
        said += line;
      }),
      onChange: (change) => changes.push(change),
    });
    visibility.start();
    return visibility;
  }
  const levels = (): string[] => [...kernel.values()].sort();
  async function told(): Promise<void> {
    visibility?.metadataChanged();
    await sleep(150);
  }

  it('a change of annotations reaches the kernel and is told, once for each container', async () => {
    group(`/kubepods/pod${UID}/${APP}`);
    group(`/kubepods/pod${UID}/${SIDE}`);
    start();
    assert.deepEqual(levels(), ['on', 'on', 'on', 'on', 'on']); // root, pods, pod, two containers
    pods.set(UID, pod({ 'whodns/capture.app': 'off', 'whodns/capture': 'metrics' }));
    await told();
    assert.deepEqual(levels(), ['metrics', 'metrics', 'off', 'on', 'on']);
    assert.deepEqual(
      changes.map(({ name, previous, decision }) => [name, previous, decision.level]),
      [
        ['shop/web-0/app', 'on', 'off'],
        ['shop/web-0/side', 'on', 'metrics'],
      ],
    );
    await told();
    assert.equal(changes.length, 2, 'told twice');
    const event = levelEvent(changes[0] as LevelChange, 1n, { 'host.name': 'h' });
    assert.equal(event.eventName, 'whodns.visibility');
    assert.equal(event.process.resource['k8s.container.name'], 'app');
    assert.equal(event.process.resource['service.name'], 'web');
  });

  it('what held stands while a pod is forgotten before its processes are gone', async () => {
    group(`/kubepods/pod${UID}/${APP}`);
    pods.set(UID, pod({ 'whodns/capture': 'off' }));
    start();
    assert.deepEqual(levels(), ['off', 'off', 'on', 'on']);
    pods.clear();
    await told();
    assert.deepEqual(levels(), ['off', 'off', 'on', 'on']);
    pods.set(UID, pod({}));
    await told();
    assert.deepEqual(levels(), ['on', 'on', 'on', 'on']);
  });

  it('a group that is gone is forgotten by the kernel too', async () => {
    group(`/docker/${APP}`);
    start();
    const before = kernel.size;
    rmSync(`${root}/docker`, { recursive: true });
    await sleep(300);
    assert.equal(kernel.size, before - 1);
  });

  it('where the kernel sees the group it has the last word; else it is judged here', () => {
    group(`/docker/${APP}`);
    const both = (made: Visibility) => [
      made.levelOf(identity(APP)),
      made.levelOf(identity(undefined)),
      made.levelOf(identity(SIDE)),
    ];
    // SIDE has no group: judged here. Host processes are told apart by the root group on a unified host.
    assert.deepEqual(both(start({ default: 'off', host: 'metrics' })), ['on', 'on', 'off']);
    visibility?.stop();
    assert.deepEqual(both(start({ default: 'off', host: 'metrics' }, 1)), ['off', 'metrics', 'off']);
    assert.equal(visibility?.levelOf({ ...identity(undefined), attribution: 'none' }), 'on');
  });

  it('the kernel has no room: said once, and judged here', async () => {
    room = 2;
    group(`/docker/${APP}`);
    group(`/docker/${SIDE}`);
    const made = start({ default: 'off' });
    assert.equal(made.counts.refused, 1);
    assert.deepEqual([made.levelOf(identity(APP)), made.levelOf(identity(SIDE))].sort(), ['off', 'on']);
    assert.match(said, /no room for 1 control groups/);
    await told();
    assert.equal(said.match(/no room/g)?.length, 1);
    assert.deepEqual(
      made
        .status()
        .map(({ enforcedBy }) => enforcedBy)
        .sort(),
      ['agent', 'kernel', 'kernel'],
    );
  });

  it('a container that names a group of its own after another stays what it is', () => {
    pods.set(UID, pod({ 'whodns/capture.app': 'off' }));
    group(`/kubepods/pod${UID}/${APP}`);
    group(`/kubepods/pod${UID}/${SIDE}/docker/${APP}`);
    const made = start();
    assert.deepEqual(levels(), ['off', 'on', 'on', 'on', 'on']); // the impostor is as the container around it
    assert.equal(made.status().length, 3);
  });

  it('unknown values are told once, safe for a terminal, and counted', async () => {
    group(`/kubepods/pod${UID}/${APP}`);
    group(`/kubepods/pod${UID}/${SIDE}`);
    pods.set(
      UID,
      pod({ 'whodns/capture': '\u001b]0;owned\u0007' }, { namespaceAnnotations: { 'whodns/capture': 'ja' } }),
    );
    const made = start();
    await told();
    assert.equal(made.counts.unknownValues, 2);
    assert.equal(said.match(/is not on, off or metrics/g)?.length, 2);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(said, /[\x00-\x09\x0b-\x1f]/);
  });

  it('hostile names do not reach the terminal raw', () => {
    group(`/kubepods/pod${UID}/${APP}`);
    pods.set(
      UID,
      pod({ 'whodns/capture': 'off' }, { name: '\u001b[2Jweb\u202e', namespace: 'x'.repeat(5000) }),
    );
    const made = start();
    const table = visibilityTable(JSON.parse(JSON.stringify({ workloads: made.status() })));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    assert.doesNotMatch(table, /[\x00-\x09\x0b-\x1f\u202e]/);
    assert.match(table, /1 containers: 0 on, 0 metrics, 1 off/);
    assert.ok(
      table.split('\n').every((line) => line.length < 200),
      table,
    );
    for (const nonsense of [
      null,
      7,
      {},
      { workloads: 'x' },
      { workloads: [null, 1, { level: {}, containerId: 'x' }] },
    ])
      assert.match(visibilityTable(nonsense), /containers:/);
  });

  it('the status looks for itself where nothing is enforced', () => {
    group(`/docker/${APP}`);
    const made = start();
    made.stop();
    const [host, container] = made.status();
    assert.deepEqual([host?.kind, container?.containerId, container?.origin], ['host', APP, 'default']);
  });
});
