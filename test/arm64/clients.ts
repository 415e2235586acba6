/**
 * The test clients of the resolver matrix for arm64, by zig's clang
 * (packaging/toolchain.sh): those of its core, each way of sending once (test/matrix/clients.ts).
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, TOOLS } from '../../packaging/platforms.ts';
import { run } from '../collector/program-cache.ts';

const ZIG = join(TOOLS, 'zig/ziglang/zig');
const SOURCES = join(ROOT, 'test/clients');
/** glibc of the Debian that the machine's root is of. */
const GLIBC = 'aarch64-linux-gnu.2.36';

/**
 * @param target folder
 * @param usr of a root of arm64 that has liburing-dev
 */
export async function buildArm64Clients(target: string, usr: string): Promise<void> {
  mkdirSync(target, { recursive: true });
  const cache = join(TOOLS, 'zig-cache');
  const env = { ZIG_GLOBAL_CACHE_DIR: cache, ZIG_LOCAL_CACHE_DIR: cache };
  const compile = (output: string, triple: string, ...more: readonly string[]) =>
    run([ZIG, 'cc', '-target', triple, '-O2', '-s', '-Wall', '-o', join(target, output), ...more], { env });
  // Only what liburing has of /usr/include: the C library's headers are zig's.
  const headers = join(target, '.include');
  mkdirSync(headers);
  for (const name of ['liburing', 'liburing.h'])
    cpSync(join(usr, 'include', name), join(headers, name), { recursive: true });
  const uring = join(usr, 'lib/aarch64-linux-gnu/liburing.a');
  await compile('sender', GLIBC, `-I${headers}`, join(SOURCES, 'sender.c'), uring);
  await compile('resolve-musl', 'aarch64-linux-musl', '-static', join(SOURCES, 'resolve.c'));
  rmSync(headers, { recursive: true });
}
