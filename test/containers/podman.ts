/** A Podman of the test's own: storage and state in a directory of its own, inside the site's namespace; root's, or a user's. */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { end } from '../matrix/children.ts';
import type { Finished } from '../matrix/namespace.ts';
import { IMAGE } from './containerd.ts';
import type { Site } from './site.ts';

const START_MS = 60_000;
const CALL_MS = 60_000;

export interface PodmanPlace {
  readonly directory: string;
  /** Control group that containers are made in, as Podman takes it. */
  readonly cgroup: string;
  /** Put before each command: whom it runs as. */
  readonly as?: readonly string[];
}

export class Podman {
  readonly socket: string;
  readonly #site: Site;
  readonly #place: PodmanPlace;
  #service: ChildProcess | undefined;

  constructor(site: Site, place: PodmanPlace) {
    this.#site = site;
    this.#place = place;
    this.socket = join(place.directory, 'podman.sock');
    mkdirSync(place.directory, { recursive: true });
    // Without CAP_SYS_RESOURCE no limit can be raised.
    const limits =
      '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\noom_score_adj = 0\n';
    writeFileSync(join(place.directory, 'containers.conf'), limits);
  }

  /** Starts the service, at first or again after `halt`. */
  async resume(): Promise<void> {
    const log = openSync(join(this.#place.directory, 'service.log'), 'a');
    const argv = this.#argv('system', 'service', '--time', '0', `unix://${this.socket}`);
    const service = this.#site.namespace.spawn(argv, ['ignore', log, log]);
    closeSync(log);
    this.#service = service;
    process.once('exit', () => service.kill('SIGKILL'));
    const deadline = performance.now() + START_MS;
    while (!existsSync(this.socket)) {
      if (service.exitCode !== null || performance.now() > deadline)
        throw new Error(`podman: ${this.#log()}`);
      await sleep(50);
    }
  }

  /** Ends the service; containers run on. */
  async halt(): Promise<void> {
    if (this.#service !== undefined) await end(this.#service, 'SIGTERM');
    execFileSync('rm', ['-f', this.socket]);
  }

  async close(): Promise<void> {
    await this.run('rm', '--all', '--force', '--time', '0').catch(() => undefined);
    await this.halt();
  }

  #log(): string {
    return readFileSync(join(this.#place.directory, 'service.log'), 'utf8').slice(-3000);
  }

  /** `podman WORDS`, to its end. @throws with what it said */
  async run(...words: readonly string[]): Promise<string> {
    const { exitCode, output, errors } = await this.finished(...words);
    if (exitCode !== 0) throw new Error(`podman ${words.join(' ')}: ${errors}`);
    return output.trim();
  }

  finished(...words: readonly string[]): Promise<Finished> {
    return this.#site.namespace.run(this.#argv(...words), CALL_MS);
  }

  /** Words of `podman run` for a container in the node's network. */
  container(name: string, ...command: readonly string[]): string[] {
    return [
      ...['--network', 'host', '--name', name, '--label', 'tier=front', '--label', 'other=x'],
      ...['--cgroup-parent', this.#place.cgroup],
      ...['--entrypoint', JSON.stringify(command), `${IMAGE.name}:${IMAGE.tag}`],
    ];
  }

  #argv(...words: readonly string[]): string[] {
    const at = (name: string) => join(this.#place.directory, name);
    return [
      ...(this.#place.as ?? []),
      ...['env', `CONTAINERS_CONF=${at('containers.conf')}`, 'podman'],
      ...['--root', at('root'), '--runroot', at('runroot'), '--tmpdir', at('tmp'), '--storage-driver', 'vfs'],
      // crun takes no host with control groups of both versions.
      ...[
        '--runtime',
        '/usr/sbin/runc',
        '--cgroup-manager',
        'cgroupfs',
        '--events-backend',
        'file',
        ...words,
      ],
    ];
  }
}
