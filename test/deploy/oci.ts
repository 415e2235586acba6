/** A container of the image as a kubelet and its runtime would start the chart's, by runc with an OCI bundle. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ContainerSpec {
  /** The image's file system. */
  readonly root: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly uid: number;
  /** CAP_... */
  readonly capabilities: readonly string[];
  /** Kubernetes gives none; podman does to another uid than 0. */
  readonly ambient?: boolean;
  /** /proc/PID/ns/net of this process. */
  readonly networkOf: number;
  /** Bind mounts, read only: of the same path, or of another. */
  readonly binds: readonly (string | { readonly source: string; readonly destination: string })[];
}

/** A root directory that is read only, of a container that shares the host's process ids. */
export class Container {
  readonly id: string;
  readonly child: ChildProcess;
  readonly #directory: string;

  private constructor(id: string, directory: string, child: ChildProcess) {
    this.id = id;
    this.#directory = directory;
    this.child = child;
  }

  static start(spec: ContainerSpec): Container {
    const directory = mkdtempSync(join(tmpdir(), 'whodns-container-'));
    mkdirSync(join(directory, 'state'));
    writeFileSync(join(directory, 'config.json'), JSON.stringify(bundle(spec)));
    const id = `whodns-test-${process.pid}-${directory.slice(-6)}`;
    const child = spawn('runc', [...global(directory), 'run', '--bundle', directory, id], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new Container(id, directory, child);
  }

  /** A program in the container, as `kubectl exec` starts it: with the container's environment and capabilities. */
  exec(args: readonly string[]): string {
    return execFileSync('runc', [...global(this.#directory), 'exec', this.id, ...args], { encoding: 'utf8' });
  }

  /** The signal of a pod's deletion. @returns exit code */
  async stop(): Promise<number | null> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const closed = once(child, 'close');
      execFileSync('runc', [...global(this.#directory), 'kill', this.id, 'TERM']);
      const timer = setTimeout(
        () => execFileSync('runc', [...global(this.#directory), 'kill', this.id, 'KILL']),
        15_000,
      );
      await closed;
      clearTimeout(timer);
    }
    rmSync(this.#directory, { recursive: true, force: true });
    return child.exitCode;
  }
}

function global(directory: string): string[] {
  return ['--root', join(directory, 'state')];
}

/** config.json: what containerd makes of the chart's pod (hostPID, capabilities, read-only root, its default masks). */
function bundle(spec: ContainerSpec): object {
  const { capabilities } = spec;
  const held = spec.uid === 0 || spec.ambient === true ? capabilities : [];
  const ambient = spec.ambient === true ? capabilities : [];
  const bind = (path: ContainerSpec['binds'][number]): object => ({
    ...(typeof path === 'string' ? { source: path, destination: path } : path),
    type: 'bind',
    options: ['rbind', 'ro', 'nosuid', 'nodev'],
  });
  const tmpfs = (destination: string, options: readonly string[]): object => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', ...options],
  });
  return {
    ociVersion: '1.0.2',
    hostname: 'whodns-abcde',
    root: { path: spec.root, readonly: true },
    process: {
      user: { uid: spec.uid, gid: spec.uid },
      args: spec.args,
      env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`),
      cwd: '/',
      noNewPrivileges: true,
      capabilities: {
        bounding: capabilities,
        permitted: held,
        effective: held,
        inheritable: ambient,
        ambient,
      },
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
      tmpfs('/dev', ['strictatime', 'mode=755', 'size=65536k']),
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
      tmpfs('/run/whodns', ['nodev', `uid=${spec.uid}`, 'mode=777']),
      ...spec.binds.map(bind),
    ],
    linux: {
      namespaces: [
        { type: 'mount' },
        { type: 'uts' },
        { type: 'ipc' },
        { type: 'network', path: `/proc/${spec.networkOf}/ns/net` },
      ],
      // containerd: oci/spec.go, populateDefaultUnixSpec
      maskedPaths: [
        ...[
          '/proc/acpi',
          '/proc/asound',
          '/proc/kcore',
          '/proc/keys',
          '/proc/latency_stats',
          '/proc/timer_list',
        ],
        ...['/proc/timer_stats', '/proc/sched_debug', '/sys/firmware', '/proc/scsi'],
      ],
      readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    },
  };
}
