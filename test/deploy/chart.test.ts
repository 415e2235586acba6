/** Lint, rendering, schema and hostile values of the chart, with the real Helm; what it renders is what the agent takes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { manifests } from '../../deploy/generate.ts';
import { MAIN } from '../matrix/program.ts';
import {
  asStarted,
  CHART,
  containerOf,
  helm,
  type Manifest,
  parseManifests,
  template,
  VALUES,
  withValues,
} from './chart.ts';
import { helmProgram } from './helm.ts';

const ROOT = join(import.meta.dirname, '../..');
const GIVEN = { NODE_NAME: 'node-1', HOST_ADDRESS: '192.0.2.7', OTEL_EXPORTER_OTLP_HEADERS: 'a=b' };

interface Setting {
  readonly name: string;
  readonly value: unknown;
}

/** What the agent makes of the container's arguments and environment. */
function configOf(manifests_: readonly Manifest[], given = GIVEN): Map<string, unknown> {
  const { args, env } = asStarted(containerOf(manifests_), given);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [MAIN, 'config', '--format', 'json', ...args],
    { encoding: 'utf8', env },
  );
  assert.equal(status, 0, stderr);
  assert.equal(stderr, '');
  const { settings } = JSON.parse(stdout) as { settings: Setting[] };
  return new Map(settings.map(({ name, value }) => [name, value]));
}

describe('chart', { timeout: 3_600_000 }, () => {
  before(async () => {
    await helmProgram();
  });

  for (const file of VALUES) {
    const name = file === '' ? 'defaults' : basename(file);
    it(`${name}: lint`, async () => {
      const { code, stdout } = await helm('lint', '--strict', CHART, ...withValues(file));
      assert.equal(code, 0, stdout);
      assert.match(stdout, /1 chart\(s\) linted, 0 chart\(s\) failed/);
    });

    it(`${name}: never privileged, nothing writable, no capability but the listed`, async () => {
      const { code, stdout, stderr } = await template(...withValues(file));
      assert.equal(code, 0, stderr);
      const { securityContext, volumeMounts } = containerOf(parseManifests(stdout));
      const { capabilities, ...rest } = securityContext;
      assert.deepEqual((capabilities as { drop: unknown }).drop, ['ALL']);
      assert.deepEqual(
        {
          privileged: rest.privileged,
          escalation: rest.allowPrivilegeEscalation,
          root: rest.readOnlyRootFilesystem,
        },
        { privileged: false, escalation: false, root: true },
      );
      const writable = volumeMounts.filter(({ readOnly }) => readOnly !== true).map((mount) => mount.name);
      assert.deepEqual(writable, file.endsWith('everything.yaml') ? ['control', 'spool'] : ['control']);
    });

    it(`${name}: the agent takes every argument`, async () => {
      const given = name === 'kubelet.yaml' ? { ...GIVEN, HOST_ADDRESS: '2001:db8::7' } : GIVEN;
      const config = configOf(parseManifests((await template(...withValues(file))).stdout), given);
      assert.equal(config.get('--host-name'), 'node-1');
      assert.equal(config.get('--control'), '/run/whodns/control.sock');
    });
  }

  it('deploy/manifests is the chart with its defaults', async () => {
    const text = readFileSync(join(ROOT, 'deploy/manifests/whodns.yaml'), 'utf8');
    assert.equal(manifests(await helmProgram()), text);
    assert.deepEqual(
      parseManifests(text).map(({ kind }) => kind),
      ['Namespace', 'PriorityClass', 'ServiceAccount', 'ClusterRole', 'ClusterRoleBinding', 'DaemonSet'],
    );
  });

  it('values arrive as they were written', async () => {
    const file = VALUES.find((path) => path.endsWith('everything.yaml')) ?? '';
    const config = configOf(parseManifests((await template(...withValues(file))).stdout));
    const names = ['--cluster-name', '--timeout', '--port', '--max-in-flight', '--command-args', '--traces'];
    assert.deepEqual(
      names.map((name) => config.get(name)),
      ['prod "1" $(NODE_NAME)', 10_000, [53, 5353], 1_000_000, true, true],
    );
    assert.equal(config.get('OTEL_EXPORTER_OTLP_ENDPOINT'), 'https://collector.monitoring:4318/otlp');
    assert.deepEqual(config.get('OTEL_EXPORTER_OTLP_HEADERS'), { a: '***' });
  });

  it('rights are those of the source of pods, no more', async () => {
    const rules = async (...set: string[]): Promise<unknown> => {
      const { stdout } = await template(...set.flatMap((each) => ['--set', each]));
      const role = parseManifests(stdout).find(({ kind }) => kind === 'ClusterRole') as
        | { rules: { resources: string[]; verbs: string[] }[] }
        | undefined;
      return role?.rules.map(({ resources, verbs }) => `${verbs.join(',')} ${resources.join(',')}`);
    };
    const api = ['list,watch pods', 'list,watch namespaces', 'get nodes'];
    assert.deepEqual(await rules(), api);
    assert.deepEqual(await rules('kubernetes.owners=api'), [...api, 'get replicasets', 'get jobs']);
    assert.deepEqual(await rules('kubernetes.source=kubelet'), ['get nodes/pods']);
    assert.deepEqual(await rules('kubernetes.source=auto'), ['get nodes/pods', ...api]);
    assert.equal(await rules('kubernetes.source=off'), undefined);
  });

  it('sockets of runtimes: their directories, and the agent is told; none: the usual places, nothing mounted', async () => {
    const rendered = async (...set: string[]): Promise<[unknown, unknown]> => {
      const manifests_ = parseManifests((await template(...set.flatMap((each) => ['--set', each]))).stdout);
      const mounts = containerOf(manifests_).volumeMounts.filter(({ name }) => name.startsWith('runtime-'));
      return [
        configOf(manifests_).get('--container-runtime'),
        mounts.map(({ mountPath, readOnly }) => [mountPath, readOnly]),
      ];
    };
    assert.deepEqual(await rendered(), ['auto', []]);
    assert.deepEqual(
      await rendered('runtimeSockets={/run/containerd/containerd.sock,docker:/run/docker.sock}'),
      [
        ['cri:/run/containerd/containerd.sock', 'docker:/run/docker.sock'],
        [
          ['/run/containerd', true],
          ['/run/docker.sock', true],
        ],
      ],
    );
  });

  it('the port of the collector is let out', async () => {
    const port = async (endpoint: string): Promise<unknown> => {
      const { stdout, stderr } = await template(
        ...['--set', 'networkPolicy.enabled=true', '--set', 'otlp.target=central'],
        ...['--set-string', `otlp.endpoint=${endpoint}`],
      );
      const policy = parseManifests(stdout).find(({ kind }) => kind === 'NetworkPolicy') as
        | { spec: { egress: { ports: { port: number }[] }[] } }
        | undefined;
      assert.ok(policy, stderr);
      return policy.spec.egress.at(-1)?.ports.map((each) => each.port);
    };
    assert.deepEqual(await port('http://c.m:4317'), [4317]);
    assert.deepEqual(await port('https://c.m/otlp'), [443]);
    assert.deepEqual(await port('http://[2001:db8::1]'), [80]);
    assert.deepEqual(await port('http://[2001:db8::1]:4318/x'), [4318]);
  });
});

describe('chart, bad values', { timeout: 3_600_000 }, () => {
  const cases: readonly { readonly set: string; readonly says: RegExp }[] = [
    { set: 'otlp.target=cloud', says: /at '\/otlp\/target': value must be one of 'node', 'central', 'none'/ },
    { set: 'otlp.target=central', says: /at '\/otlp\/endpoint': minLength: got 0, want 1/ },
    {
      set: 'otlp.endpoint=collector:4317',
      says: /at '\/otlp\/endpoint': 'collector:4317' does not match pattern/,
    },
    { set: 'otlp.endpoint=http://user:pass@c:1', says: /at '\/otlp\/endpoint': .* does not match pattern/ },
    { set: 'otlp.node.port=70000', says: /at '\/otlp\/node\/port': maximum: got 70,?000, want 65,?535/ },
    { set: 'otpl.target=node', says: /additional properties 'otpl' not allowed/ },
    {
      set: 'settings.exclude-namspace=x',
      says: /at '\/settings': additional properties 'exclude-namspace' not allowed/,
    },
    {
      set: 'settings.timeout=true',
      says: /at '\/settings\/timeout': got boolean, want (string or number|number or string)/,
    },
    { set: 'settings.control=/x', says: /additional properties 'control' not allowed/ },
    {
      set: 'runtimeSockets={run/x.sock}',
      says: /at '\/runtimeSockets\/0': 'run\/x.sock' does not match pattern/,
    },
    { set: 'runtimeSockets={tcp:/run/x.sock}', says: /at '\/runtimeSockets\/0': .* does not match pattern/ },
    { set: 'runtimeSockets={/run/a:/etc}', says: /at '\/runtimeSockets\/0': .* does not match pattern/ },
    { set: 'capabilities.add={ALL}', says: /at '\/capabilities\/add\/0': 'not' failed/ },
    {
      set: 'capabilities.add={net_admin}',
      says: /at '\/capabilities\/add\/0': 'net_admin' does not match pattern/,
    },
    { set: 'securityContext.privileged=true', says: /additional properties 'privileged' not allowed/ },
    {
      set: 'kubernetes.source=false',
      says: /at '\/kubernetes\/source': value must be one of 'auto', 'api', 'kubelet', 'off'/,
    },
    { set: 'image.repository=x y', says: /at '\/image\/repository': 'x y' does not match pattern/ },
    { set: 'image.digest=sha256:1', says: /at '\/image\/digest': .* does not match pattern/ },
    { set: 'spool.bytes=lots', says: /at '\/spool\/bytes': 'lots' does not match pattern/ },
    { set: 'hostFiles={/}', says: /at '\/hostFiles\/0': '\/' does not match pattern/ },
  ];
  for (const { set, says } of cases) {
    it(set, async () => {
      const { code, stdout, stderr } = await template('--set', set);
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(stderr, says);
    });
  }

  it('text that would be YAML or another flag stays text', async () => {
    const hostile = 'a"\n- --exporter=console\n{{ .Release }} $(NODE_NAME) #\u001b';
    const { stdout, stderr } = await template(
      '--set-json',
      `kubernetes.clusterName=${JSON.stringify(hostile)}`,
    );
    const container = containerOf(parseManifests(stdout));
    const { args } = asStarted(container, GIVEN);
    assert.ok(args.includes(`--cluster-name=${hostile}`), stderr);
    assert.equal(args.filter((each) => each.startsWith('--exporter')).length, 0);
  });
});
