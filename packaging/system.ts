/** .deb and .rpm by nfpm, from one description: Node, the program, its unit, man page and completions. Nothing is started by them. */
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { nativeNotices } from './notices.ts';
import {
  archOf,
  MANIFEST,
  NATIVE_FILES,
  nodeProgram,
  type Platform,
  platformFolder,
  RELEASE,
  ROOT,
  SHARED,
  TOOLS,
} from './platforms.ts';

const NFPM = '2.45.2';
const NAMES = { x64: 'amd64', arm64: 'arm64' } as const;

export function buildSystemPackages(platform: Platform): void {
  const arch = archOf(platform);
  const stage = join(ROOT, 'build/system', arch);
  rmSync(stage, { recursive: true, force: true });
  const app = join(stage, 'usr/lib/whodns');
  const put = (path: string, content: string | Uint8Array, mode = 0o644) => {
    const target = join(stage, path);
    mkdirSync(join(target, '..'), { recursive: true });
    writeFileSync(target, content);
    chmodSync(target, mode);
  };
  for (const path of [...SHARED, 'package.json', 'README.md'])
    cpSync(join(ROOT, path), join(app, path), {
      recursive: true,
      filter: (source) => !source.endsWith('.map') && !source.endsWith('dist/types'),
    });
  for (const file of NATIVE_FILES) cpSync(join(platformFolder(platform), file), join(app, 'build', file));
  cpSync(nodeProgram(arch), join(app, 'node'));
  put('usr/bin/whodns', '#!/bin/sh\nexec /usr/lib/whodns/node /usr/lib/whodns/dist/main.js "$@"\n', 0o755);
  for (const unit of ['whodns.service'])
    put(`usr/lib/systemd/system/${unit}`, readFileSync(join(ROOT, 'deploy/systemd', unit)));
  put(
    'usr/share/doc/whodns/runtime-sockets.conf',
    readFileSync(join(ROOT, 'deploy/systemd/runtime-sockets.conf')),
  );
  put('usr/share/man/man1/whodns.1.gz', gzipSync(readFileSync(join(ROOT, 'docs/whodns.1')), { level: 9 }));
  for (const [shell, path] of [
    ['bash', 'usr/share/bash-completion/completions/whodns'],
    ['zsh', 'usr/share/zsh/vendor-completions/_whodns'],
    ['fish', 'usr/share/fish/vendor_completions.d/whodns.fish'],
  ] as const)
    put(path, execFileSync(process.execPath, [join(ROOT, 'dist/main.js'), 'completion', shell]));
  const notices = [readFileSync(join(ROOT, 'dist/NOTICES.txt'), 'utf8'), nativeNotices()];
  const node = readFileSync(join(nodeProgram(arch), '../../LICENSE'), 'utf8');
  const own = readFileSync(join(ROOT, 'LICENSE'), 'utf8');
  put(
    'usr/share/doc/whodns/copyright',
    [own, ...notices, `Node.js\n\n${node}`].join(`\n${'='.repeat(80)}\n\n`),
  );
  for (const file of ['README.md', 'CHANGELOG.md', 'SECURITY.md'])
    put(`usr/share/doc/whodns/${file}`, readFileSync(join(ROOT, file)));
  put(
    'etc/default/whodns',
    '# NAME=VALUE, read by whodns.service: variables of docs/configuration.md\n#OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317\n',
  );
  const script = join(stage, 'reload.sh');
  writeFileSync(
    script,
    '#!/bin/sh\n# The unit is known; whoever wants it enables it: systemctl enable --now whodns\n[ ! -d /run/systemd/system ] || systemctl daemon-reload || true\n',
  );
  const remove = join(stage, 'stop.sh');
  writeFileSync(
    remove,
    '#!/bin/sh\n# Not on upgrade.\ncase $1 in upgrade | 1) exit 0 ;; esac\n[ ! -d /run/systemd/system ] || systemctl disable --now whodns.service >/dev/null 2>&1 || true\n',
  );
  // nfpm reads YAML, and JSON is YAML.
  const description = {
    name: 'whodns',
    arch: NAMES[arch],
    platform: 'linux',
    version: MANIFEST.version,
    release: '1',
    section: 'net',
    priority: 'optional',
    maintainer: 'The whodns authors <noreply@localhost>',
    description: MANIFEST['description'],
    license: MANIFEST['license'],
    mtime: '2026-01-01T00:00:00Z',
    depends: [],
    overrides: {
      deb: { depends: ['libc6 (>= 2.28)', 'libstdc++6'] },
      rpm: { depends: ['glibc >= 2.28', 'libstdc++'] },
    },
    contents: [
      { src: `${stage}/usr/`, dst: '/usr', type: 'tree' },
      { src: `${stage}/etc/default/whodns`, dst: '/etc/default/whodns', type: 'config|noreplace' },
    ],
    scripts: { postinstall: script, preremove: remove, postremove: script },
    deb: { compression: 'gzip' },
    rpm: { compression: 'gzip', summary: MANIFEST['description'] },
  };
  const config = join(stage, 'nfpm.json');
  writeFileSync(config, JSON.stringify(description));
  for (const packager of ['deb', 'rpm'])
    execFileSync(nfpm(), ['package', '--config', config, '--packager', packager, '--target', RELEASE], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
}

/** Built from its Go module. */
function nfpm(): string {
  const program = join(TOOLS, `nfpm-${NFPM}/nfpm`);
  if (!existsSync(program))
    execFileSync('go', ['install', `github.com/goreleaser/nfpm/v2/cmd/nfpm@v${NFPM}`], {
      env: { ...process.env, GOBIN: join(program, '..'), GOFLAGS: '-mod=mod' },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  return program;
}
