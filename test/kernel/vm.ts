/**
 * Runs a job in a virtual machine with one of the kernels of kernels.txt: qemu, software emulation (KVM is not asked for: it
 * is missing on many build machines), no disk, no network card. Results come back through the second serial port.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { type Architecture, kernel } from './kernels.ts';
import { baseArchive, type GuestFiles, REPOSITORY_PARTS, runArchive } from './rootfs.ts';

/**
 * One thread for all virtual processors: with a thread each, Node crashed in one of some twenty starts (a failed check of V8's own, or a segmentation
 * fault), never with one; and on a two-core host it is no slower.
 */
const ACCELERATOR = 'tcg,thread=single';
/**
 * Without cmpxchg16b: qemu 7.2 leaves garbage in the flags register after it (seen in oopses as EFLAGS like a1142606: the direction flag set,
 * so that string operations run backwards; or the nested-task flag, so that iretq faults). The kernel's allocator uses it on every
 * path, and 6.12 broke within minutes. The random generator spares the wait for entropy.
 */
const CPU = 'Westmere,-cx16,+rdrand';
const CONSOLE_TAIL = 6000;
/** What init.sh prints before it starts the job. */
const JOB_STARTS = 'whodns-vm: ';

/** Machines at once: each takes one processor of the host. */
export const MACHINES = Math.max(1, Math.min(4, availableParallelism()));

/** A kind of machine: its processor, and the root that programs for it are in. */
export interface Machine {
  readonly architecture: Architecture;
  /** The emulator and what it emulates; its first serial port is the console, its second the way of the results. */
  readonly command: readonly string[];
  readonly memoryMb: number;
  /** The kernel's name of the first serial port, and what else it is told. */
  readonly kernelArguments: string;
  readonly base: () => string | Promise<string>;
  /** Of the repository. */
  readonly parts: readonly string[];
}

const X64: Machine = {
  architecture: 'amd64',
  command: ['qemu-system-x86_64', '-cpu', CPU],
  memoryMb: 1500,
  kernelArguments: 'console=ttyS0 mitigations=off tsc=reliable',
  base: baseArchive,
  parts: REPOSITORY_PARTS,
};

export interface VmRequest {
  /** Name in kernels.txt. */
  readonly kernel: string;
  /** Shell script, run by busybox sh in the repository's directory; files it puts in /results come back. */
  readonly job: string;
  readonly files?: GuestFiles;
  /** Programs of this host to take along with their libraries, beside those that are always there. */
  readonly programs?: readonly string[];
  readonly timeoutS: number;
  /** Further qemu arguments, e.g. `-icount shift=0,sleep=off`. */
  readonly qemu?: readonly string[];
  /** MB of memory instead of the machine's; half of it holds the files. */
  readonly memoryMb?: number;
  /** Number of virtual processors, 2 unless told. */
  readonly processors?: number;
  /** x86-64 unless told. */
  readonly machine?: Machine;
}

export interface VmResult {
  /** The job's exit code. */
  readonly exitCode: number;
  /** Standard output and error of the job. */
  readonly output: string;
  /** What the job left in /results: relative path -> content. */
  readonly results: ReadonlyMap<string, Buffer>;
  /** Everything the console said, kernel messages included. */
  readonly console: string;
  /** Wall time from starting qemu to its end, s. */
  readonly seconds: number;
}

/**
 * Boots, runs, powers off. Throws with the console's tail if the machine hangs, panics or gives no results. One that does not get
 * as far as the job is started once more and says so on standard error: that says nothing about the job.
 */
export async function runInVm(request: VmRequest): Promise<VmResult> {
  const machine = request.machine ?? X64;
  const { vmlinuz } = await kernel(request.kernel, machine.architecture);
  const base = await machine.base();
  const directory = mkdtempSync(join(tmpdir(), 'whodns-vm-'));
  try {
    const run = runArchive(
      directory,
      request.job,
      request.files ?? {},
      request.programs ?? [],
      machine.parts,
    );
    const initrd = join(directory, 'initrd');
    concatenate([base, run], initrd);
    let attempt = await bootOnce(request, vmlinuz, initrd, join(directory, 'results'));
    if (attempt.results === undefined && !attempt.console.includes(JOB_STARTS)) {
      process.stderr.write(
        `kernel ${request.kernel}: did not reach the job, once more; its console:\n${tail(attempt)}\n`,
      );
      attempt = await bootOnce(request, vmlinuz, initrd, join(directory, 'results'));
    }
    const { results, console, seconds, timedOut } = attempt;
    if (results === undefined) {
      const end = timedOut ? `did not end within ${request.timeoutS} s` : 'ended without results';
      throw new Error(`kernel ${request.kernel}: the machine ${end}; its console:\n${tail(attempt)}`);
    }
    const exitCode = Number.parseInt(results.get('.exit')?.toString() ?? '', 10);
    const output = results.get('.output')?.toString() ?? '';
    results.delete('.exit');
    results.delete('.output');
    return { exitCode, output, results, console, seconds };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Attempt {
  readonly console: string;
  readonly timedOut: boolean;
  readonly seconds: number;
  readonly results: Map<string, Buffer> | undefined;
}

function tail(attempt: Attempt): string {
  return attempt.console.slice(-CONSOLE_TAIL);
}

async function bootOnce(
  request: VmRequest,
  vmlinuz: string,
  initrd: string,
  resultFile: string,
): Promise<Attempt> {
  const started = performance.now();
  const said = await boot(request, vmlinuz, initrd, resultFile);
  const seconds = (performance.now() - started) / 1000;
  return { ...said, seconds, results: readResults(resultFile) };
}

async function boot(
  request: VmRequest,
  vmlinuz: string,
  initrd: string,
  resultFile: string,
): Promise<{ console: string; timedOut: boolean }> {
  // Behind everything else: emulation takes all it gets, and other tests on this host wait for things to happen in time.
  const command = qemuCommand(request, vmlinuz, initrd, resultFile);
  const child = spawn('nice', ['-n', '10', ...command], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let console = '';
  let timedOut = false;
  const listen = (chunk: Buffer): void => {
    console += chunk.toString('latin1');
    if (process.env['WHODNS_VM_CONSOLE'] !== undefined) process.stderr.write(chunk);
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill('SIGKILL');
  }, request.timeoutS * 1000);
  const stop = (): void => void child.kill('SIGKILL');
  process.once('exit', stop); // a test that is ended must not leave the machine running
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', () => resolve());
    });
  } finally {
    clearTimeout(timer);
    process.removeListener('exit', stop);
  }
  return { console, timedOut };
}

function qemuCommand(request: VmRequest, vmlinuz: string, initrd: string, resultFile: string): string[] {
  const machine = request.machine ?? X64;
  const { command, kernelArguments, architecture } = machine;
  const memoryMb = request.memoryMb ?? machine.memoryMb;
  return [
    ...[...command, '-smp', String(request.processors ?? 2), '-m', String(memoryMb)],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-monitor', 'none'],
    ...['-serial', 'stdio'],
    // The arm64 machine has one serial port; a second is a device on its bus.
    ...(architecture === 'amd64'
      ? ['-serial', `file:${resultFile}`]
      : ['-chardev', `file,id=results,path=${resultFile}`, '-device', 'pci-serial,chardev=results']),
    ...['-kernel', vmlinuz, '-initrd', initrd],
    ...['-append', `quiet panic=-1 oops=panic random.trust_cpu=on ${kernelArguments}`],
    ...(request.qemu?.includes('-accel') === true ? [] : ['-accel', ACCELERATOR]),
    ...(request.qemu ?? []),
  ];
}

/** The files between the markers; undefined unless the end marker is there. */
function readResults(resultFile: string): Map<string, Buffer> | undefined {
  const text = readFileSync(resultFile, 'latin1').replaceAll('\r', '');
  const framed = /whodns-results-begin\n([A-Za-z0-9+/=\n]*)whodns-results-end\n/.exec(text)?.[1];
  if (framed === undefined) return undefined;
  return untar(gunzipSync(Buffer.from(framed, 'base64')));
}

/** Regular files of a ustar archive (POSIX.1-1988: 512-byte headers, octal sizes). */
function untar(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (let offset = 0; offset + 512 <= archive.length && archive[offset] !== 0; ) {
    const text = (from: number, length: number): string =>
      archive.toString('latin1', offset + from, offset + from + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(text(124, 12), 8);
    const type = text(156, 1);
    const name = text(0, 100).replace(/^\.\//, '');
    if (type === '0' || type === '') files.set(name, archive.subarray(offset + 512, offset + 512 + size));
    offset += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

function concatenate(files: readonly string[], target: string): void {
  const out = openSync(target, 'w');
  // Each archive must start on a 4-byte boundary; cpio pads its output to 512 bytes.
  for (const file of files) writeSync(out, readFileSync(file));
  closeSync(out);
}
