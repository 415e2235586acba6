/** A metadata source whose contents the test writes; containers and pods to fill it with. */
import type { MetadataChange, MetadataSource } from '../../src/enrich/containers/metadata-source.ts';
import type { ContainerMetadata, Owner, PodMetadata, RawProcess } from '../../src/model.ts';

export class ListedSource implements MetadataSource {
  readonly name: string;
  readonly tells?: 'containers' | 'pods';
  connected = true;
  readonly containers = new Map<string, ContainerMetadata>();
  readonly known = new Map<string, PodMetadata>();
  readonly sought: string[] = [];
  #tell: (change: MetadataChange) => void = () => {};

  constructor(name: string, tells?: 'containers' | 'pods') {
    this.name = name;
    if (tells !== undefined) this.tells = tells;
  }

  start(onChange: (change: MetadataChange) => void): void {
    this.#tell = onChange;
  }

  async stop(): Promise<void> {}

  container(id: string): ContainerMetadata | undefined {
    return this.containers.get(id);
  }

  pod(uid: string): PodMetadata | undefined {
    return this.known.get(uid);
  }

  seek(containerId: string): void {
    this.sought.push(containerId);
  }

  addContainer(container: ContainerMetadata): void {
    this.containers.set(container.id, container);
    this.#tell({ containerId: container.id });
  }

  removeContainer(id: string): void {
    this.#tell({ containerId: id, gone: true });
    this.containers.delete(id);
  }

  addPod(pod: PodMetadata): void {
    this.known.set(pod.uid, pod);
    this.#tell({ podUid: pod.uid });
  }

  removePod(uid: string): void {
    this.#tell({ podUid: uid, gone: true });
    this.known.delete(uid);
  }
}

export const ID = '4c01db0b339c9a4d9d12a9e1a7b2c2e8a9f2f2c7d4d5e6f708192a3b4c5d6e7f';
export const UID = '275ecb36-5aa8-4c2a-9c47-d8bb681b9aff';

export function container(overrides: Partial<ContainerMetadata> = {}): ContainerMetadata {
  return {
    id: ID,
    name: 'web',
    imageName: 'registry.example/shop/web',
    imageId: 'sha256:11',
    imageTags: ['1.2'],
    imageRepoDigests: ['registry.example/shop/web@sha256:22'],
    labels: {},
    runtimeName: 'containerd',
    runtimeVersion: '1.6.20',
    sandbox: false,
    pod: { uid: UID, name: 'shop-1', namespace: 'prod', container: 'web' },
    restartCount: 3,
    ...overrides,
  };
}

const OWN = { 'service.instance.id': 'prod.shop-1.web', 'service.version': '1.2@sha256:22' };

export function pod(overrides: Partial<PodMetadata> = {}): PodMetadata {
  return {
    uid: UID,
    name: 'shop-1',
    namespace: 'prod',
    labels: {},
    annotations: {},
    namespaceLabels: {},
    namespaceAnnotations: {},
    hostNetwork: false,
    containers: [{ name: 'web', id: ID, kind: 'container', restartCount: 3, attributes: OWN }],
    attributes: { 'k8s.deployment.name': 'shop', 'service.name': 'shop', 'service.namespace': 'prod' },
    ...overrides,
  };
}

/** A process that does not exist any more: nothing but its record is known of it. */
export function ownerIn(overrides: Partial<Owner> = {}): Owner {
  return {
    pid: 4_194_302,
    tid: 4_194_302,
    parentPid: 1,
    vpid: 7,
    uid: 0,
    gid: 0,
    pidNamespace: 1,
    mountNamespace: 1,
    networkNamespace: 1,
    startTime: 99n,
    cgroupId: 5n,
    threadName: 'getent',
    processName: 'getent',
    cached: false,
    ...overrides,
  };
}

export function recordOf(owner: Owner, overrides: Partial<RawProcess> = {}): RawProcess {
  return {
    kind: 'process',
    time: 1n,
    owner,
    executablePath: '/usr/bin/getent',
    executableDeleted: false,
    kernelThread: false,
    executableInode: 42n,
    args: ['getent', 'hosts'],
    argsCut: false,
    workingDirectory: '/',
    cgroupPath: `/kubepods/besteffort/pod${UID}/${ID}`,
    cgroupVersion: 2,
    tty: 0,
    environment: [],
    parentName: 'sh',
    ...overrides,
  };
}
