/** Which container runtimes there are on this host: those named, or those whose sockets are there. */
import { accessSync, constants, statSync } from 'node:fs';
import type { Log } from '../../lib/log.ts';
import type { RuntimeAddress } from '../../tables/options-metadata.ts';
import type { MetadataSource } from '../containers/metadata-source.ts';
import type { PodRules } from '../kubernetes/pod-metadata.ts';

/** Usual places of sockets. /var/run is /run. */
const USUAL: readonly RuntimeAddress[] = [
  { api: 'cri', path: '/run/containerd/containerd.sock' },
  { api: 'cri', path: '/run/crio/crio.sock' },
  { api: 'cri', path: '/run/k3s/containerd/containerd.sock' },
  { api: 'cri', path: '/run/k0s/containerd.sock' },
  { api: 'cri', path: '/var/snap/microk8s/common/run/containerd.sock' },
  { api: 'cri', path: '/run/cri-dockerd.sock' },
  { api: 'docker', path: '/run/docker.sock' },
  { api: 'docker', path: '/run/podman/podman.sock' },
];

/** What is told of what they know. */
export interface RuntimesTold {
  /** Labels of containers. */
  readonly labels: readonly string[];
  readonly rules: PodRules;
}

export class Runtimes {
  readonly #addresses: readonly RuntimeAddress[];
  readonly #told: RuntimesTold;
  readonly #named: boolean;
  readonly #log: Pick<Log, 'warn' | 'debug'>;
  readonly #used = new Set<RuntimeAddress>();

  /** @param addresses `auto`: the usual places. */
  constructor(
    addresses: 'auto' | readonly RuntimeAddress[],
    told: RuntimesTold,
    log: Pick<Log, 'warn' | 'debug'>,
  ) {
    this.#log = log;
    this.#named = addresses !== 'auto';
    this.#addresses = addresses === 'auto' ? USUAL : addresses;
    this.#told = told;
  }

  /**
   * Sources not given before. One that is named is there whether its socket is or not: it waits for it. Each API is loaded
   * when it is used.
   */
  async find(): Promise<readonly MetadataSource[]> {
    const found = this.#addresses.filter(
      (address) => !this.#used.has(address) && (this.#named || isSocket(address.path)),
    );
    for (const address of found) this.#used.add(address);
    if (!this.#named) for (const { path } of found) if (!mayConnect(path)) this.#log.warn(refusal(path));
    const sources = await Promise.all(found.map((address) => this.#sourceOrNone(address)));
    return sources.filter((source) => source !== undefined);
  }

  /** A package in a directory of another user cannot be read any more once the agent has given up its rights. */
  async #sourceOrNone(address: RuntimeAddress): Promise<MetadataSource | undefined> {
    try {
      return await this.#source(address);
    } catch (error) {
      this.#log.warn(`container runtime ${address.path}: ${(error as Error).message}`);
      return undefined;
    }
  }

  async #source({ api, path }: RuntimeAddress): Promise<MetadataSource> {
    // A socket in a usual place need not be a runtime's: dockerd's own containerd offers no CRI.
    const notice = (line: string) => this.#log[this.#named ? 'warn' : 'debug'](`container runtime ${line}`);
    const options = { ...this.#told, path, notice };
    if (api === 'docker') return new (await import('./docker.ts')).DockerSource(options);
    return new (await import('./cri.ts')).CriSource(options);
  }
}

/** connect(2) asks for the right to write (unix(7)). */
function mayConnect(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EACCES';
  }
}

const refusal = (path: string): string =>
  `container runtime ${path}: this user may not open it, so names, images and pods of its containers are not known (docs/operating.md, Privileges)`;

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch {
    return false; // not there, or not to be seen
  }
}
