/** Systems of apt: where their archives are, and whose signature debootstrap asks for. */
import { MIRROR } from '../../packaging/debian-packages.ts';
import { run } from '../collector/program-cache.ts';
import { debianKeyring, UBUNTU, ubuntuKeyring } from '../kernel/archives.ts';

export interface System {
  /** As docs/platforms.md calls it. */
  readonly title: string;
  readonly suite: string;
  readonly mirror: string;
  readonly components: string;
  /** What debootstrap is told of it; '' = it knows the suite itself. */
  readonly script: string;
  /** Path of the keys that sign the archive. */
  keyring(): Promise<string>;
}

const debian = (suite: string): System => ({
  title: `Debian ${suite}`,
  suite,
  mirror: MIRROR,
  components: 'main',
  script: '',
  keyring: debianKeyring,
});

const ubuntu = (suite: string, version: string): System => ({
  title: `Ubuntu ${version}`,
  suite,
  mirror: UBUNTU,
  components: 'main,universe',
  // The script of all of Ubuntu's releases; debootstrap of Debian 12 does not know the last by its name.
  script: '/usr/share/debootstrap/scripts/gutsy',
  keyring: ubuntuKeyring,
});

export const DEBIAN = ['bullseye', 'bookworm', 'trixie'].map(debian);
export const UBUNTUS = [ubuntu('jammy', '22.04'), ubuntu('noble', '24.04')];

export function systemOf(suite: string): System {
  const found = [...DEBIAN, ...UBUNTUS].find((system) => system.suite === suite);
  if (found === undefined) throw new Error(`${suite}: no such system`);
  return found;
}

/** A minimal system in a new directory. */
export async function debootstrap(suite: string, packages: readonly string[], target: string): Promise<void> {
  const { mirror, components, script, keyring } = systemOf(suite);
  const include = packages.length > 0 ? [`--include=${packages.join(',')}`] : [];
  const options = [
    '--variant=minbase',
    `--keyring=${await keyring()}`,
    `--components=${components}`,
    ...include,
  ];
  await run(['debootstrap', ...options, suite, target, mirror, ...(script === '' ? [] : [script])]);
}
