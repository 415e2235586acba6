/**
 * Builds the test clients into build/clients, each only when its source is newer. Needs Debian's gcc, musl-tools,
 * liburing-dev and openjdk-17-jdk-headless, and Go.
 *
 * Run as a program it builds and prints the directory.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = import.meta.dirname;
export const CLIENTS = join(SOURCES, '../../build/clients');
const GO = existsSync('/usr/local/go/bin/go') ? '/usr/local/go/bin/go' : 'go';
/** Debian's; another java may come first on the PATH. */
const JAVA_HOME = '/usr/lib/jvm/java-17-openjdk-amd64';
const CFLAGS = ['-O2', '-g', '-Wall', '-Wextra', '-Werror'];

interface Target {
  readonly output: string;
  readonly sources: readonly string[];
  readonly build: (output: string) => void;
}

const TARGETS: readonly Target[] = [
  {
    output: 'sender',
    sources: ['sender.c', 'message.h'],
    build: (output) => run('gcc', [...CFLAGS, '-o', output, source('sender.c'), '-luring']),
  },
  {
    output: 'actor',
    sources: ['actor.c', 'message.h'],
    build: (output) =>
      run('gcc', [
        ...CFLAGS,
        '-pthread',
        '-static',
        '-o',
        output,
        source('actor.c'),
        source('actor_sockets.c'),
      ]),
  },
  {
    output: 'process_context',
    sources: ['process_context.c', 'message.h'],
    build: (output) => run('gcc', [...CFLAGS, '-static', '-o', output, source('process_context.c')]),
  },
  {
    output: 'connector',
    sources: ['connector.c'],
    build: (output) => run('gcc', [...CFLAGS, '-o', output, source('connector.c')]),
  },
  {
    output: 'resolve-musl',
    sources: ['resolve.c'],
    build: (output) => run('musl-gcc', [...CFLAGS, '-static', '-o', output, source('resolve.c')]),
  },
  {
    output: 'resolve-go',
    sources: ['resolve.go'],
    build: (output) =>
      run(GO, ['build', '-trimpath', '-o', output, source('resolve.go')], {
        CGO_ENABLED: '0',
        GO111MODULE: 'off',
      }),
  },
  {
    output: 'java/classes/Resolve.class',
    sources: ['Resolve.java'],
    build: () =>
      run(join(JAVA_HOME, 'bin/javac'), ['-d', join(CLIENTS, 'java/classes'), source('Resolve.java')]),
  },
  {
    // A small runtime that the test machines can take along: java.base and the DNS client of JNDI.
    output: 'java/runtime/bin/java',
    sources: [],
    build: () => {
      rmSync(join(CLIENTS, 'java/runtime'), { recursive: true, force: true });
      const modules = ['--add-modules', 'java.base,java.naming,jdk.naming.dns'];
      const trim = ['--strip-debug', '--no-header-files', '--no-man-pages'];
      run(join(JAVA_HOME, 'bin/jlink'), [...modules, ...trim, '--output', join(CLIENTS, 'java/runtime')]);
    },
  },
];

/** Builds what is missing or stale. Throws with the compiler's output if something does not build. */
export function buildClients(): void {
  mkdirSync(join(CLIENTS, 'java/classes'), { recursive: true });
  for (const target of TARGETS) {
    const output = join(CLIENTS, target.output);
    const built = existsSync(output) ? statSync(output).mtimeMs : 0;
    const newest = Math.max(1, ...target.sources.map((name) => statSync(source(name)).mtimeMs));
    if (built < newest) target.build(output);
  }
}

function source(name: string): string {
  return join(SOURCES, name);
}

function run(
  program: string,
  programArguments: readonly string[],
  environment: Record<string, string> = {},
): void {
  execFileSync(program, programArguments, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

if (import.meta.main) {
  buildClients();
  for (const path of globSync('*', { cwd: CLIENTS })) console.log(join(CLIENTS, path));
}
