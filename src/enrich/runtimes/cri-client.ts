/** CRI and containerd's events over a Unix socket: the calls that cri.ts needs, typed. */
import {
  type ClientReadableStream,
  type ClientUnaryCall,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { readPackageFile } from '../../lib/package-files.ts';

const CALL_MS = 5000;
/** A node with a thousand containers and their labels has a list of some megabytes. */
const MAX_BYTES = 32 * 1024 * 1024;

export interface CriSandbox {
  readonly id: string;
  readonly metadata: { readonly name: string; readonly uid: string; readonly namespace: string } | null;
  /** ns */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface CriContainer {
  readonly id: string;
  readonly podSandboxId: string;
  readonly metadata: { readonly name: string; readonly attempt: number } | null;
  readonly image: { readonly image: string; readonly userSpecifiedImage: string } | null;
  readonly imageRef: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface CriImage {
  readonly id: string;
  readonly repoTags: readonly string[];
  readonly repoDigests: readonly string[];
}

export interface CriVersion {
  readonly runtimeName: string;
  readonly runtimeVersion: string;
}

export interface CriEvent {
  readonly containerId: string;
  readonly containerEventType: string;
}

export interface ContainerdEvent {
  readonly topic: string;
  readonly event: { readonly value: { readonly id: string } | null } | null;
}

type Unary = (
  request: object,
  options: { readonly deadline: number },
  callback: (error: ServiceError | null, response: unknown) => void,
) => ClientUnaryCall;

interface Stub {
  readonly [method: string]: Unary | ((request: object) => ClientReadableStream<unknown>) | undefined;
}

function load(file: string): ReturnType<typeof loadPackageDefinition> {
  const { root } = protobuf.parse(readPackageFile(`src/enrich/runtimes/${file}`));
  const options = { longs: String, enums: String, defaults: true };
  return loadPackageDefinition(fromJSON(root.toJSON(), options));
}

const FILES = { cri: load('cri.proto'), containerd: load('containerd-events.proto') };

export class CriClient {
  readonly #stubs: readonly { close(): void }[];
  readonly #runtime: Stub;
  readonly #image: Stub;
  readonly #events: Stub;

  /** @param path of the socket. Connects with the first call. */
  constructor(path: string) {
    const make = (definitions: (typeof FILES)['cri'], name: string) => {
      let found: unknown = definitions;
      for (const part of name.split('.')) found = (found as Record<string, unknown>)[part];
      const Service = found as ServiceClientConstructor;
      return new Service(`unix://${path}`, credentials.createInsecure(), {
        'grpc.max_receive_message_length': MAX_BYTES,
        // A session that has ended makes a new client: it decides when to connect again.
        'grpc.enable_retries': 0,
        'grpc.use_local_subchannel_pool': 1,
      });
    };
    const runtime = make(FILES.cri, 'runtime.v1.RuntimeService');
    const image = make(FILES.cri, 'runtime.v1.ImageService');
    const events = make(FILES.containerd, 'containerd.services.events.v1.Events');
    this.#stubs = [runtime, image, events];
    this.#runtime = runtime as unknown as Stub;
    this.#image = image as unknown as Stub;
    this.#events = events as unknown as Stub;
  }

  close(): void {
    for (const stub of this.#stubs) stub.close();
  }

  version(): Promise<CriVersion> {
    return call<CriVersion>(this.#runtime, 'Version', { version: 'v1' });
  }

  /** @param id undefined: all. */
  async containers(id?: string): Promise<readonly CriContainer[]> {
    const request = id === undefined ? {} : { filter: { id } };
    const { containers } = await call<{ containers: CriContainer[] }>(
      this.#runtime,
      'ListContainers',
      request,
    );
    return containers;
  }

  async sandboxes(id?: string): Promise<readonly CriSandbox[]> {
    const request = id === undefined ? {} : { filter: { id } };
    return (await call<{ items: CriSandbox[] }>(this.#runtime, 'ListPodSandbox', request)).items;
  }

  async image(reference: string): Promise<CriImage | null> {
    const request = { image: { image: reference } };
    return (await call<{ image: CriImage | null }>(this.#image, 'ImageStatus', request)).image;
  }

  containerEvents(): ClientReadableStream<CriEvent> {
    return stream<CriEvent>(this.#runtime, 'GetContainerEvents', {});
  }

  /** Of CRI's containers only. */
  containerdEvents(topics: readonly string[]): ClientReadableStream<ContainerdEvent> {
    // The CRI plugin keeps its containers in this namespace (pkg/cri/constants).
    const filters = topics.map((topic) => `namespace==k8s.io,topic=="${topic}"`);
    return stream<ContainerdEvent>(this.#events, 'Subscribe', { filters });
  }
}

function call<Response>(stub: Stub, method: string, request: object): Promise<Response> {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + CALL_MS;
    (stub[method] as Unary).call(stub, request, { deadline }, (error, response) => {
      if (error === null) resolve(response as Response);
      else reject(error);
    });
  });
}

function stream<Message>(stub: Stub, method: string, request: object): ClientReadableStream<Message> {
  const open = stub[method] as (request: object) => ClientReadableStream<Message>;
  return open.call(stub, request);
}
