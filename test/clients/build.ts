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

/** A library of the thread-local variable: the two ways that compilers have to reach it from there. */
const threadLibrary = (
  name: string,
  dialect: 'gnu' | 'gnu2',
  compiler = 'gcc',
  ...more: readonly string[]
): Target => ({
  output: `thread-context/${name}.so`,
  sources: ['thread_variable.c'],
  build: (output) =>
    run(compiler, [
      ...[...CFLAGS, ...more, '-fPIC', '-shared', `-Wl,-soname,${name}.so`, `-mtls-dialect=${dialect}`],
      ...['-o', output, source('thread_variable.c')],
    ]),
});

/** A publisher of thread contexts that has the variable itself. */
const threadExecutable = (name: string, compiler: string, ...more: readonly string[]): Target => ({
  output: `thread-context/${name}`,
  sources: ['thread_context.c', 'thread_variable.c', 'publish.h', 'message.h'],
  build: (output) =>
    run(compiler, [
      ...[...CFLAGS, ...more, '-pthread', '-Wl,--export-dynamic-symbol=otel_thread_ctx_v1', '-o', output],
      ...[source('thread_context.c'), source('thread_variable.c')],
    ]),
});

/** One that has it from a library: linked, or loaded late. */
const threadUser = (name: string, compiler: string, ...more: readonly string[]): Target => ({
  output: `thread-context/${name}`,
  sources: ['thread_context.c', 'publish.h', 'message.h'],
  build: (output) =>
    run(compiler, [...CFLAGS, '-pthread', '-o', output, source('thread_context.c'), ...more]),
});

const linked = (library: string): readonly string[] => [
  join(CLIENTS, 'thread-context', library),
  '-Wl,-rpath,$ORIGIN',
];

const TARGETS: readonly Target[] = [
  threadLibrary('gnu', 'gnu'),
  threadLibrary('gnu2', 'gnu2'),
  threadLibrary('large-gnu', 'gnu', 'gcc', '-DLARGE'),
  threadLibrary('large-gnu2', 'gnu2', 'gcc', '-DLARGE'),
  threadLibrary('bound-gnu', 'gnu', 'gcc', '-DLARGE', '-Wl,-Bsymbolic'),
  threadLibrary('bound-gnu2', 'gnu2', 'gcc', '-DLARGE', '-Wl,-Bsymbolic'),
  threadLibrary('sysv-hash', 'gnu2', 'gcc', '-Wl,--hash-style=sysv'),
  threadLibrary('musl-gnu', 'gnu', 'musl-gcc', '-DLARGE'),
  threadLibrary('musl-gnu2', 'gnu2', 'musl-gcc', '-DLARGE'),
  threadExecutable('pie', 'gcc', '-fPIE', '-pie'),
  threadExecutable('fixed', 'gcc', '-no-pie'),
  threadExecutable('static-pie', 'gcc', '-static-pie'),
  threadExecutable('musl', 'musl-gcc'),
  threadUser('linked-gnu', 'gcc', ...linked('gnu.so')),
  threadUser('linked-gnu2', 'gcc', ...linked('gnu2.so')),
  threadUser('loader', 'gcc', '-DLOADED'),
  threadUser('musl-loader', 'musl-gcc', '-DLOADED'),
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
    sources: ['process_context.c', 'publish.h', 'message.h'],
    build: (output) => run('gcc', [...CFLAGS, '-static', '-o', output, source('process_context.c')]),
  },
  {
    output: 'hanging',
    sources: ['hanging.c', 'message.h'],
    build: (output) => run('gcc', [...CFLAGS, '-pthread', '-static', '-o', output, source('hanging.c')]),
  },
  {
    output: 'connector',
    sources: ['connector.c'],
    build: (output) => run('gcc', [...CFLAGS, '-o', output, source('connector.c')]),
  },
  {
    output: 'burst',
    sources: ['burst.c', 'message.h'],
    build: (output) => run('gcc', [...CFLAGS, '-o', output, source('burst.c')]),
  },
  {
    output: 'notified',
    sources: ['notified.c'],
    build: (output) => run('gcc', [...CFLAGS, '-o', output, source('notified.c')]),
  },
  {
    output: 'victim',
    sources: ['victim.c', 'message.h'],
    build: (output) => run('gcc', [...CFLAGS, '-o', output, source('victim.c')]),
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
  for (const folder of ['java/classes', 'thread-context'])
    mkdirSync(join(CLIENTS, folder), { recursive: true });
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
