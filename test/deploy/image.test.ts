/** The image, built from the Dockerfile and run with what the chart gives it: it captures on this kernel. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildClients } from '../clients/build.ts';
import { Containerd } from '../containers/containerd.ts';
import { buildImage as buildTools } from '../containers/image.ts';
import { Site } from '../containers/site.ts';
import { ACTOR } from '../e2e/stage.ts';
import type { JsonRecord } from '../matrix/agent.ts';
import { Namespace } from '../matrix/namespace.ts';
import { type NameServer, startDnsmasq } from '../matrix/servers.ts';
import { buildImage, type ImageConfig, inspectImage, sizeOf, unpackImage } from './image.ts';
import { Container, type ContainerSpec } from './oci.ts';

const CAPABILITIES = ['CAP_BPF', 'CAP_PERFMON', 'CAP_SYS_PTRACE', 'CAP_DAC_READ_SEARCH'];
const BINDS = ['/sys/fs/cgroup', '/etc/machine-id', '/etc/passwd'];
const PORT = 9464;
const PATIENCE_MS = 60_000;
/** Measured 177; docs/deployment.md says it. */
const MAX_MEBIBYTES = 200;

describe('image', { timeout: 3_600_000 }, () => {
  let root = '';
  let config: ImageConfig;
  let remove = async (): Promise<void> => {};
  let namespace: Namespace;
  let server: NameServer;
  const zone = `i${randomBytes(4).toString('hex')}.test`;

  before(async () => {
    buildClients();
    const image = await buildImage();
    config = await inspectImage(image);
    ({ directory: root, remove } = await unpackImage(image));
    namespace = await Namespace.open();
    server = await startDnsmasq(namespace, { name: zone, lines: [`address=/${zone}/192.0.2.1`] }, [
      '127.0.0.1',
    ]);
  });
  after(async () => {
    await server?.stop();
    await namespace?.close();
    await remove();
  });

  function start(more: Partial<ContainerSpec>, ...args: readonly string[]): Running {
    const container = Container.start({
      root,
      args: [...config.entrypoint, ...args],
      env: { NODE_NAME: 'node-1', WHODNS_CONTROL: '/run/whodns/control.sock' },
      uid: 0,
      capabilities: CAPABILITIES,
      networkOf: namespace.pid,
      binds: BINDS,
      ...more,
    });
    return new Running(container);
  }

  const CHART = [
    `--health=:${PORT}`,
    '--health-metrics',
    '--control=/run/whodns/control.sock',
    '--host-name=node-1',
    '--container-runtime=auto',
  ];

  it('is small, without shell, compiler, package manager, or anything that runs as another', () => {
    assert.ok(sizeOf(root) < MAX_MEBIBYTES, `${sizeOf(root)} MiB`);
    assert.deepEqual([config.user, config.layers], ['65532:65532', 1]);
    const programs = globSync('{bin,sbin,usr/bin,usr/sbin,usr/local/bin,usr/local/sbin}/*', { cwd: root });
    assert.deepEqual(programs, ['usr/local/bin/node']);
    const elsewhere = globSync('**/{sh,bash,gcc,cc,clang*,apt*,npm,tsc,biome}', { cwd: root }).filter(
      (path) => {
        const found = statSync(join(root, path));
        return found.isFile() && (found.mode & 0o111) !== 0;
      },
    );
    assert.deepEqual(elsewhere, []);
    assert.equal(execFileSync('find', [root, '-perm', '/6000'], { encoding: 'utf8' }), '');
    assert.equal(execFileSync('getcap', ['-r', root], { encoding: 'utf8' }), '');
  });

  it('holds the prebuilt addon, the BPF object and what they are linked with', () => {
    for (const file of [
      'build/whodns.node',
      'build/whodns-inspector',
      'build/dns.bpf.o',
      'dist/main.js',
      'dist/NOTICES.txt',
      'data/doh-endpoints.txt',
      'src/enrich/runtimes/cri.proto',
    ])
      assert.ok(existsSync(join(root, 'opt/whodns', file)), file);
    assert.equal(existsSync(join(root, 'opt/whodns/node_modules')), false);
    const packages = globSync('var/lib/dpkg/status.d/*', { cwd: root }).map((path) => path.split('/').at(-1));
    assert.deepEqual(packages.sort(), ['libbpf1', 'libc6', 'libelf1', 'libgcc-s1', 'libstdc++6', 'zlib1g']);
  });

  it('as its own user, without any right: help, version; and it says what it lacks to capture', async () => {
    const version = start({ uid: 65532, capabilities: [] }, '--version');
    assert.deepEqual([await version.ended(), version.stdout.trim()], [0, '0.1.0']);
    const capture = start({ uid: 65532, capabilities: [] });
    assert.equal(await capture.ended(), 1);
    assert.match(capture.stderr, /not allowed|not permitted/);
  });

  for (const [who, more] of [
    ['uid 0 with four capabilities, as the chart', {}],
    ['its own user with four ambient capabilities', { uid: 65532, ambient: true }],
  ] as const) {
    it(`captures as ${who}`, async () => {
      const agent = start(more, ...CHART, '--exporter=console', '--format=json', '--timeout=2s');
      try {
        await agent.until(() => agent.stderr.includes('capturing with'));
        for (const path of ['livez', 'readyz']) assert.equal(await curl(path), 'ok\n');
        const name = `${who.replaceAll(/\W/g, '')}.${zone}`;
        const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'env'];
        const asked = await namespace.run([
          ...asNobody,
          'OTEL_SERVICE_NAME=asker',
          ACTOR,
          'ask',
          '127.0.0.1',
          name,
        ]);
        assert.equal(asked.exitCode, 0, asked.errors);
        const pid = Number(/^(\d+) /m.exec(asked.output)?.[1]);
        const isOurs = (record: JsonRecord): boolean => record.attributes['dns.question.name'] === name;
        await agent.until(() => agent.records.some(isOurs));
        const { resource, attributes } = agent.records.find(isOurs) as JsonRecord;
        assert.deepEqual(
          [resource['process.pid'], resource['process.executable.path'], resource['host.name']],
          [pid, ACTOR, 'node-1'],
        );
        assert.deepEqual(attributes['dns.answers'], ['192.0.2.1']);
        assert.match(await curl('metrics'), /^whodns_kernel_events_total\{.*\} [1-9]/m);
        const stats = agent.container.exec([...config.entrypoint, 'stats', '--format=json']);
        assert.match(JSON.parse(stats).source.hook, /fentry|kprobe|tracepoint/);
      } finally {
        assert.equal(await agent.container.stop(), 0, agent.stderr);
      }
    });
  }

  it('reads the identity of a service of another user', async () => {
    const agent = start({}, '--exporter=console', '--format=json', '--timeout=2s');
    try {
      await agent.until(() => agent.stderr.includes('capturing with'));
      const name = `service.${zone}`;
      const script = `import socket, time; socket.getaddrinfo('${name}', 80); time.sleep(2)`;
      const asNobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'];
      const asked = await namespace.run([
        ...asNobody,
        'env',
        'OTEL_SERVICE_NAME=shop',
        'python3',
        '-c',
        script,
      ]);
      assert.equal(asked.exitCode, 0, asked.errors);
      const isOurs = (record: JsonRecord): boolean => record.attributes['dns.question.name'] === name;
      await agent.until(() => agent.records.some(isOurs));
      assert.equal(agent.records.find(isOurs)?.resource['service.name'], 'shop');
    } finally {
      await agent.container.stop();
    }
  });

  it("finds a runtime's socket that is mounted in a usual place, read only", async () => {
    const site = await Site.open();
    const containerd = await Containerd.start(`${site.directory}/c`, site.namespace, site.cgroups);
    const binds = [...BINDS, { source: `${site.directory}/c`, destination: '/run/containerd' }];
    containerd.importImage(buildTools(site.directory, Containerd.imageNames()).file);
    const agent = start({ binds }, '--exporter=console', '--format=json', '--timeout=2s', ...CHART);
    try {
      await agent.until(() => agent.stderr.includes('capturing with'));
      const pod = await containerd.runPod({
        name: 'web-1',
        annotations: { 'resource.opentelemetry.io/service.name': 'web' },
      });
      const id = await containerd.runContainer(pod, 'web');
      const name = `pod.${site.zone}`;
      const { exitCode, errors } = await containerd.exec(id, ['getent', 'hosts', name]);
      assert.equal(exitCode, 0, errors);
      const isOurs = (record: JsonRecord): boolean => record.attributes['dns.question.name'] === name;
      await agent.until(() => agent.records.some(isOurs));
      const { resource } = agent.records.find(isOurs) as JsonRecord;
      assert.deepEqual(
        [
          resource['container.id'],
          resource['k8s.pod.name'],
          resource['k8s.pod.uid'],
          resource['service.name'],
        ],
        [id, 'web-1', pod.uid, 'web'],
      );
    } finally {
      await agent.container.stop();
      await containerd.close();
      await site.close();
    }
  });

  async function curl(path: string): Promise<string> {
    const { exitCode, output, errors } = await namespace.run([
      'curl',
      '-sS',
      `http://127.0.0.1:${PORT}/${path}`,
    ]);
    assert.equal(exitCode, 0, errors);
    return output;
  }
});

/** What a container prints. */
class Running {
  readonly container: Container;
  readonly records: JsonRecord[] = [];
  stdout = '';
  stderr = '';

  constructor(container: Container) {
    this.container = container;
    const { stdout, stderr } = container.child;
    if (stdout === null || stderr === null) throw new Error('no pipes');
    createInterface({ input: stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.records.push(JSON.parse(line) as JsonRecord);
      else this.stdout += `${line}\n`;
    });
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
  }

  /** Exit code. */
  async ended(): Promise<number | null> {
    await this.until(() => this.container.child.exitCode !== null, false);
    return this.container.stop();
  }

  async until(condition: () => boolean, running = true): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!condition()) {
      if (running) assert.equal(this.container.child.exitCode, null, this.stderr);
      assert.ok(performance.now() < deadline, this.stderr);
      await sleep(50);
    }
  }
}
