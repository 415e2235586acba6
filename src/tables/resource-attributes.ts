/** Attributes of the resource: the process that asked, its container and its host. See attributes.ts for the columns. */
export type AttributeType = 'string' | 'int' | 'double' | 'boolean' | 'string[]';
export type Stability = 'stable' | 'release_candidate' | 'development';

export interface AttributeDefinition {
  readonly type: AttributeType;
  readonly stability: Stability;
  readonly source: 'semconv' | 'proposed' | 'whodns';
  readonly brief: string;
  readonly example: string | number | boolean | readonly string[];
}

export const RESOURCE_ATTRIBUTES = {
  'process.pid': {
    type: 'int',
    stability: 'release_candidate',
    source: 'semconv',
    brief: 'Process id as the host sees it (initial pid namespace).',
    example: 1234,
  },
  'process.creation.time': {
    type: 'string',
    stability: 'release_candidate',
    source: 'semconv',
    brief: 'Start of the process, ISO 8601 with milliseconds; with `process.pid` its identity.',
    example: '2026-01-31T09:25:34.853Z',
  },
  'process.executable.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'Base name of the executable.',
    example: 'curl',
  },
  'process.executable.path': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: "Path of the executable in the process's mount namespace.",
    example: '/usr/bin/curl',
  },
  'whodns.process.executable.deleted': {
    type: 'boolean',
    stability: 'development',
    source: 'whodns',
    brief:
      'True when no directory has the executable any more, or never had (a memory file); absent otherwise.',
    example: true,
  },
  'process.command': {
    type: 'string',
    stability: 'release_candidate',
    source: 'semconv',
    brief: 'Argument zero.',
    example: 'curl',
  },
  'process.args_count': {
    type: 'int',
    stability: 'development',
    source: 'semconv',
    brief: 'Length of the argument list, argument zero included; absent when it could not be read whole.',
    example: 3,
  },
  'process.command_args': {
    type: 'string[]',
    stability: 'development',
    source: 'semconv',
    brief: 'All arguments, secrets masked; only with --command-args.',
    example: ['curl', '-u', '****', 'https://example.com'],
  },
  'process.parent_pid': {
    type: 'int',
    stability: 'development',
    source: 'semconv',
    brief: 'Process id of the parent at the time of the request.',
    example: 1,
  },
  'process.vpid': {
    type: 'int',
    stability: 'development',
    source: 'semconv',
    brief: 'Process id inside the innermost pid namespace.',
    example: 12,
  },
  'process.user.id': {
    type: 'int',
    stability: 'development',
    source: 'semconv',
    brief: 'Effective user id, in the initial user namespace.',
    example: 1000,
  },
  'process.user.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: "Its name in the host's /etc/passwd; absent in containers, which have a user list of their own.",
    example: 'alice',
  },
  'process.working_directory': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'Working directory when the process was first seen.',
    example: '/srv/app',
  },
  'process.interactive': {
    type: 'boolean',
    stability: 'development',
    source: 'semconv',
    brief: 'Whether the process has a controlling terminal.',
    example: true,
  },
  'process.linux.cgroup': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief:
      "The control group: `0::PATH` for version 2 as in /proc/PID/cgroup, the controller's line or bare path for version 1.",
    example: '0::/system.slice/ssh.service',
  },
  'whodns.process.parent.executable.name': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    brief: 'Name of the parent process as the kernel keeps it (comm, at most 15 bytes).',
    example: 'bash',
  },
  'container.id': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'Container id, from the cgroup path.',
    example: '4c01db0b339c9a4d9d12a9e1a7b2c2e8a9f2f2c7d4d5e6f708192a3b4c5d6e7f',
  },
  'container.runtime.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'docker, containerd, cri-o, podman, lxc; absent when the path does not tell.',
    example: 'containerd',
  },
  'k8s.pod.uid': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'Pod uid, from the cgroup path.',
    example: '275ecb36-5aa8-4c2a-9c47-d8bb681b9aff',
  },
  'service.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief:
      'What the application reports: OTEL_SERVICE_NAME, then OTEL_RESOURCE_ATTRIBUTES of its environment, else `unknown_service:<executable>`.',
    example: 'checkout',
  },
  'service.namespace': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'From OTEL_RESOURCE_ATTRIBUTES of the application.',
    example: 'shop',
  },
  'service.instance.id': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'From OTEL_RESOURCE_ATTRIBUTES of the application.',
    example: '627cc493-f310-47de-96bd-71410b7dec09',
  },
  'service.version': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'From OTEL_RESOURCE_ATTRIBUTES of the application.',
    example: '2.0.0',
  },
  'host.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'Host name.',
    example: 'node-7',
  },
  'host.id': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'Contents of /etc/machine-id; absent when there is none.',
    example: 'fdbf79e8af94cb7f9e8df36789187052',
  },
  'os.type': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'Always `linux`.',
    example: 'linux',
  },
  'telemetry.distro.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'Always `whodns`: which program made the record.',
    example: 'whodns',
  },
  'telemetry.distro.version': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'Version of this program.',
    example: '0.1.0',
  },
} as const satisfies Readonly<Record<string, AttributeDefinition>>;

export type ResourceAttributeName = keyof typeof RESOURCE_ATTRIBUTES;
