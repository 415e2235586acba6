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
  'container.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'Name the runtime has for it: in a pod that of the container.',
    example: 'web',
  },
  'container.image.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'Image it was made from, without tag and digest.',
    example: 'registry.example/shop/web',
  },
  'container.image.id': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'Id of the image as the runtime gives it.',
    example: 'sha256:19c92d0a00d1b66d897bceaa7319bee0dd38a10a851c60bcec9474aa3f01e50f',
  },
  'container.image.tags': {
    type: 'string[]',
    stability: 'stable',
    source: 'semconv',
    brief: 'Tags that the image has under that name.',
    example: ['1.2.3'],
  },
  'container.image.repo_digests': {
    type: 'string[]',
    stability: 'stable',
    source: 'semconv',
    brief: 'Digests under which registries know the image.',
    example: [
      'registry.example/shop/web@sha256:afcc7f1ac1b49db317a7196c902e61c6c3c4607d63599ee1a82d702d249a0ccb',
    ],
  },
  'container.runtime.version': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'Version of the runtime.',
    example: '1.7.24',
  },
  'container.label.<key>': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief: 'Labels of the container named by --container-label.',
    example: 'web',
  },
  'container.runtime.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    brief:
      'docker, containerd, cri-o, podman, lxc: what the runtime calls itself, else as the cgroup path has it; absent when neither tells.',
    example: 'containerd',
  },
  'k8s.pod.uid': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'Pod uid, from the cgroup path.',
    example: '275ecb36-5aa8-4c2a-9c47-d8bb681b9aff',
  },
  'k8s.pod.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'Pod, from the runtime or the Kubernetes API.',
    example: 'checkout-7d9f8b6c5-x2x7k',
  },
  'k8s.namespace.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'Namespace of the pod.',
    example: 'shop',
  },
  'k8s.container.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    brief: 'Container in the pod; absent for the pause container.',
    example: 'web',
  },
  'k8s.container.restart_count': {
    type: 'int',
    stability: 'stable',
    source: 'semconv',
    brief: 'How often the container was restarted.',
    example: 0,
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
