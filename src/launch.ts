/**
 * The first file that runs. It is plain enough for any Node to read, and says in one line what the rest needs. Nothing is imported before
 * that: a syntax or a module that is not known would be a stack trace.
 */
const OLDEST = [22, 15];
const MACHINES = ['x64', 'arm64'];

function unfit(): string | undefined {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  const [oldestMajor, oldestMinor] = OLDEST as [number, number];
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    const needed = OLDEST.join('.');
    return `Node ${process.versions.node} is too old: install Node ${needed} or later (https://nodejs.org), or the package that brings its own (whodns-linux-${process.arch})`;
  }
  if (process.platform !== 'linux')
    return `this is ${process.platform}: whodns runs on Linux, where the kernel has eBPF`;
  if (MACHINES.indexOf(process.arch) < 0)
    return `this Node is for ${process.arch}: whodns is built for ${MACHINES.join(' and ')}; install a 64-bit Node for one of them`;
  return undefined;
}

const problem = unfit();
if (problem === undefined) import('./main.ts');
else {
  process.stderr.write(`whodns: ${problem}\n`);
  process.exitCode = 1;
}
