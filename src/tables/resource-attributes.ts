/** Attributes of the resource: the process that asked, its container and its host. See attributes.ts for the columns. */
export type AttributeType = 'string' | 'int' | 'double' | 'boolean' | 'string[]';
export type Stability = 'stable' | 'release_candidate' | 'development';

export interface AttributeDefinition {
  readonly type: AttributeType;
  readonly stability: Stability;
  readonly source: 'semconv' | 'proposed' | 'whodns';
  readonly description: string;
  readonly example: string | number | boolean | readonly string[];
}

export const RESOURCE_ATTRIBUTES = {
  'process.pid': {
    type: 'int',
    stability: 'release_candidate',
    source: 'semconv',
    description: 'Process id as the host sees it (initial pid namespace).',
    example: 1234,
  },
  'process.creation.time': {
    type: 'string',
    stability: 'release_candidate',
    source: 'semconv',
    description: 'Start of the process, ISO 8601 with milliseconds; with `process.pid` its identity.',
    example: '2026-01-31T09:25:34.853Z',
  },
  'process.executable.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'Base name of the executable.',
    example: 'curl',
  },
  'process.executable.path': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: "Path of the executable in the process's mount namespace.",
    example: '/usr/bin/curl',
  },
  'whodns.process.executable.deleted': {
    type: 'boolean',
    stability: 'development',
    source: 'whodns',
    description:
      'True when no directory has the executable any more, or never had (a memory file); absent otherwise.',
    example: true,
  },
  'process.command': {
    type: 'string',
    stability: 'release_candidate',
    source: 'semconv',
    description: 'Argument zero.',
    example: 'curl',
  },
  'process.args_count': {
    type: 'int',
    stability: 'development',
    source: 'semconv',
    description:
      'Length of the argument list, argument zero included; absent when it could not be read whole.',
    example: 3,
  },
  'process.command_args': {
    type: 'string[]',
    stability: 'development',
    source: 'semconv',
    description: 'All arguments, secrets masked; only with --command-args.',
    example: ['curl', '-u', '****', 'https://example.com'],
  },
  'process.parent_pid': {
    type: 'int',
    stability: 'development',
    source: 'semconv',
    description: 'Process id of the parent at the time of the request.',
    example: 1,
  },
  'process.vpid': {
    type: 'int',
    stability: 'development',
    source: 'semconv',
    description: 'Process id inside the innermost pid namespace.',
    example: 12,
  },
  'process.user.id': {
    type: 'int',
    stability: 'development',
    source: 'semconv',
    description: 'Effective user id, in the initial user namespace.',
    example: 1000,
  },
  'process.user.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description:
      "Its name in the /etc/passwd of the host's first process; absent in containers and in other mount namespaces (but for the host's own services), which may have another user list.",
    example: 'alice',
  },
  'process.working_directory': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'Working directory when the process was first seen.',
    example: '/srv/app',
  },
  'process.interactive': {
    type: 'boolean',
    stability: 'development',
    source: 'semconv',
    description: 'Whether the process has a controlling terminal.',
    example: true,
  },
  'process.linux.cgroup': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description:
      "The control group: `0::PATH` for version 2 as in /proc/PID/cgroup, the controller's line or bare path for version 1.",
    example: '0::/system.slice/ssh.service',
  },
  'whodns.process.parent.executable.name': {
    type: 'string',
    stability: 'development',
    source: 'whodns',
    description: 'Name of the parent process as the kernel keeps it (comm, at most 15 bytes).',
    example: 'bash',
  },
  'container.id': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Container id, from the cgroup path.',
    example: '4c01db0b339c9a4d9d12a9e1a7b2c2e8a9f2f2c7d4d5e6f708192a3b4c5d6e7f',
  },
  'container.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'Name the runtime has for it: in a pod that of the container.',
    example: 'web',
  },
  'container.image.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Image it was made from, without tag and digest.',
    example: 'registry.example/shop/web',
  },
  'container.image.id': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'Id of the image as the runtime gives it.',
    example: 'sha256:19c92d0a00d1b66d897bceaa7319bee0dd38a10a851c60bcec9474aa3f01e50f',
  },
  'container.image.tags': {
    type: 'string[]',
    stability: 'stable',
    source: 'semconv',
    description: 'Tags that the image has under that name.',
    example: ['1.2.3'],
  },
  'container.image.repo_digests': {
    type: 'string[]',
    stability: 'stable',
    source: 'semconv',
    description: 'Digests under which registries know the image.',
    example: [
      'registry.example/shop/web@sha256:afcc7f1ac1b49db317a7196c902e61c6c3c4607d63599ee1a82d702d249a0ccb',
    ],
  },
  'container.runtime.version': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'Version of the runtime.',
    example: '1.7.24',
  },
  'container.label.<key>': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'Labels of the container named by --container-label.',
    example: 'web',
  },
  'container.runtime.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description:
      'docker, containerd, cri-o, podman, lxc: what the runtime calls itself, else as the cgroup path has it; absent when neither tells.',
    example: 'containerd',
  },
  'k8s.pod.uid': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Pod uid, from the cgroup path.',
    example: '275ecb36-5aa8-4c2a-9c47-d8bb681b9aff',
  },
  'k8s.pod.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Pod, from the runtime or the Kubernetes API.',
    example: 'checkout-7d9f8b6c5-x2x7k',
  },
  'k8s.namespace.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Namespace of the pod.',
    example: 'shop',
  },
  'k8s.container.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Container in the pod; absent for the pause container.',
    example: 'web',
  },
  'k8s.container.restart_count': {
    type: 'int',
    stability: 'stable',
    source: 'semconv',
    description: 'How often the container was restarted.',
    example: 0,
  },
  'k8s.node.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Node, as --node-name has it; on processes outside pods too.',
    example: 'node-7',
  },
  'k8s.node.uid': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Uid of the node, from the API.',
    example: '1eb3a0c6-0477-4080-a9cb-0cb7db65c6a2',
  },
  'k8s.cluster.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'What --cluster-name says.',
    example: 'production-eu',
  },
  'k8s.cluster.uid': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Uid of the namespace kube-system.',
    example: '218fc5a9-a5f1-4b54-aa05-46717d0ab26d',
  },
  'k8s.deployment.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description:
      'Deployment of the pod, by the name of its ReplicaSet or from the API (--kubernetes-owners).',
    example: 'checkout',
  },
  'k8s.replicaset.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'ReplicaSet that owns the pod.',
    example: 'checkout-7d9f8b6c5',
  },
  'k8s.statefulset.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'StatefulSet that owns the pod.',
    example: 'database',
  },
  'k8s.daemonset.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'DaemonSet that owns the pod.',
    example: 'log-shipper',
  },
  'k8s.job.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Job that owns the pod.',
    example: 'backup-29012345',
  },
  'k8s.cronjob.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'CronJob of the pod, by the name of its Job or from the API (--kubernetes-owners).',
    example: 'backup',
  },
  'k8s.pod.label.<key>': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Labels of the pod named by --pod-label.',
    example: 'web',
  },
  'k8s.pod.annotation.<key>': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Annotations of the pod named by --pod-annotation.',
    example: 'team-a',
  },
  'k8s.namespace.label.<key>': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Labels of the namespace named by --namespace-label.',
    example: 'team-a',
  },
  'k8s.namespace.annotation.<key>': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Annotations of the namespace named by --namespace-annotation.',
    example: 'cost-center-7',
  },
  'service.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description:
      'What the application reports: OTEL_SERVICE_NAME, then OTEL_RESOURCE_ATTRIBUTES of its environment; else of its pod by the rules of the conventions (operating.md); else `unknown_service:<executable>`.',
    example: 'checkout',
  },
  'service.namespace': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description:
      "From OTEL_RESOURCE_ATTRIBUTES of the application; else the pod's annotation, else its namespace.",
    example: 'shop',
  },
  'service.instance.id': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description:
      "From OTEL_RESOURCE_ATTRIBUTES of the application; else the pod's annotation, else namespace, pod and container joined by dots.",
    example: '627cc493-f310-47de-96bd-71410b7dec09',
  },
  'service.version': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description:
      "From OTEL_RESOURCE_ATTRIBUTES of the application; else the pod's annotation, the label app.kubernetes.io/version, or tag and digest of the image.",
    example: '2.0.0',
  },
  'host.name': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'Host name.',
    example: 'node-7',
  },
  'host.id': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'Contents of /etc/machine-id; absent when there is none.',
    example: 'fdbf79e8af94cb7f9e8df36789187052',
  },
  'os.type': {
    type: 'string',
    stability: 'development',
    source: 'semconv',
    description: 'Always `linux`.',
    example: 'linux',
  },
  'telemetry.distro.name': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Always `whodns`: which program made the record.',
    example: 'whodns',
  },
  'telemetry.distro.version': {
    type: 'string',
    stability: 'stable',
    source: 'semconv',
    description: 'Version of this program.',
    example: '0.1.0',
  },
} as const satisfies Readonly<Record<string, AttributeDefinition>>;

export type ResourceAttributeName = keyof typeof RESOURCE_ATTRIBUTES;
