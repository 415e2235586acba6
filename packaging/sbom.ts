/** release/sbom.cdx.json: what npm says of the packages in the bundle (CycloneDX), and the native libraries beside them. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RELEASE, ROOT, TOOLS } from './platforms.ts';

interface Component {
  readonly name: string;
  readonly version: string;
}

const LICENSES: Readonly<Record<string, string>> = {
  libbpf: 'BSD-2-Clause',
  elfutils: 'LGPL-3.0-or-later',
  zlib: 'Zlib',
};

export function buildSbom(): void {
  const text = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'], {
    cwd: ROOT,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const sbom = JSON.parse(text) as { components: Component[]; dependencies?: unknown };
  const bundled = JSON.parse(readFileSync(join(ROOT, 'build/bundled.json'), 'utf8')) as Component[];
  const isBundled = ({ name, version }: Component) =>
    bundled.some((each) => each.name === name && each.version === version);
  const components: object[] = sbom.components.filter(isBundled);
  if (components.length < bundled.length)
    throw new Error('a package in the bundle is not in package-lock.json');
  for (const line of readFileSync(join(TOOLS, 'versions.txt'), 'utf8').trim().split('\n')) {
    const [name = '', version = ''] = line.split(' ');
    components.push({
      'bom-ref': `${name}@${version}`,
      type: 'library',
      name,
      version,
      scope: 'required',
      purl: `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=source&distro=bookworm`,
      licenses: [{ license: { id: LICENSES[name] } }],
    });
  }
  // The graph of npm's own file names packages that are not in the bundle.
  const { dependencies: _, ...rest } = sbom;
  writeFileSync(join(RELEASE, 'sbom.cdx.json'), `${JSON.stringify({ ...rest, components }, null, 1)}\n`);
}
