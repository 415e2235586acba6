/** An npm registry on loopback that has the packed packages of release/npm and nothing else. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';

export interface Registry {
  readonly url: string;
  /** Names that were asked for. */
  readonly asked: ReadonlySet<string>;
  close(): void;
}

/** @param folder of tarballs */
export async function startRegistry(folder: string): Promise<Registry> {
  const archives = globSync('*.tgz', { cwd: folder }).map((file) => {
    const content = readFileSync(join(folder, file));
    const manifest = JSON.parse(
      execFileSync('tar', ['-xzOf', join(folder, file), 'package/package.json'], { encoding: 'utf8' }),
    ) as { name: string; version: string };
    return { file, content, manifest };
  });
  const asked = new Set<string>();
  const server = createServer((request, response) => {
    const path = decodeURIComponent(request.url ?? '').slice(1);
    const archive = archives.find(({ file }) => file === basename(path));
    if (archive !== undefined) return response.end(archive.content);
    asked.add(path);
    const found = archives.find(({ manifest }) => manifest.name === path);
    if (found === undefined) return response.writeHead(404).end('{}');
    const { name, version } = found.manifest;
    const integrity = `sha512-${createHash('sha512').update(found.content).digest('base64')}`;
    const dist = { tarball: `${url}/-/${found.file}`, integrity };
    const versions = { [version]: { ...found.manifest, dist } };
    return response.end(JSON.stringify({ name, 'dist-tags': { latest: version }, versions }));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, asked, close: () => server.close() };
}
