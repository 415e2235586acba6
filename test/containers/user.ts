/**
 * A user of the site's own, as systemd-logind and the service manager make one: an entry in passwd with subordinate ids, a runtime directory,
 * and a part of the control group tree (version 2, which the site's namespace then sees alone) that is given to him.
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Site } from './site.ts';

const SUBORDINATE = '700000:65536';

export class SiteUser {
  readonly uid: number;
  readonly home: string;
  /** His part of the control group tree, as Podman takes it. */
  readonly cgroup: string;
  readonly #site: Site;

  private constructor(site: Site, uid: number) {
    this.uid = uid;
    this.#site = site;
    this.home = join(site.directory, `home-${uid}`);
    this.cgroup = site.cgroups.path(`user@${uid}.service`);
  }

  static async add(site: Site, uid: number): Promise<SiteUser> {
    const user = new SiteUser(site, uid);
    chmodSync(site.directory, 0o711);
    mkdirSync(user.home);
    chownSync(user.home, uid, uid);
    const etc = join(site.directory, 'etc');
    mkdirSync(etc, { recursive: true });
    const files = {
      passwd: `${readFileSync('/etc/passwd', 'utf8')}u${uid}:x:${uid}:${uid}::${user.home}:/bin/sh\n`,
      group: `${readFileSync('/etc/group', 'utf8')}u${uid}:x:${uid}:\n`,
      subuid: `u${uid}:${SUBORDINATE}\n`,
      subgid: `u${uid}:${SUBORDINATE}\n`,
    };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(etc, name), content);
    await user.#inside(
      ...Object.keys(files).map((name) => `mount --bind ${etc}/${name} /etc/${name}`),
      `mkdir -p /run/user/${uid} && chown ${uid}:${uid} /run/user/${uid} && chmod 700 /run/user/${uid}`,
      // The service manager of the user, who is given all below.
      `unified=$(awk '$3 == "cgroup2" {print $2; exit}' /proc/mounts)`,
      `mkdir -p "$unified${user.cgroup}/app" && chown -R ${uid}:${uid} "$unified${user.cgroup}"`,
      // Podman takes the version from what is mounted there.
      `[ "$unified" = /sys/fs/cgroup ] || { mount --bind "$unified" /mnt; mount --bind /mnt /sys/fs/cgroup; }`,
    );
    return user;
  }

  /** Put before a command: it runs as the user, in his part of the tree. */
  get as(): readonly string[] {
    const script = `echo $$ >/sys/fs/cgroup${this.cgroup}/app/cgroup.procs && cd ${this.home} && exec "$@"`;
    return [
      ...['sh', '-c', script, 'sh', 'setpriv', '--reuid', String(this.uid), '--regid', String(this.uid)],
      ...['--clear-groups', 'env', `HOME=${this.home}`, `XDG_RUNTIME_DIR=/run/user/${this.uid}`],
    ];
  }

  /** Ends what still runs there: Podman leaves a process that holds its namespaces. */
  async end(): Promise<void> {
    await this.#inside(
      `for list in $(find /sys/fs/cgroup${this.cgroup} -name cgroup.procs); do for pid in $(cat "$list"); do kill -KILL "$pid"; done; done; true`,
    );
    await sleep(200);
  }

  async #inside(...lines: readonly string[]): Promise<void> {
    const { exitCode, errors } = await this.#site.namespace.run(['sh', '-c', `set -e\n${lines.join('\n')}`]);
    assert.equal(exitCode, 0, errors);
  }
}
