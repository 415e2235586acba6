/**
 * Where it preempts kernel code, the kernel skips an fentry program that a preempted task is in, and a kprobe program while a
 * preempted task is in a system call on a map (the agent's own: bpf_disable_instrumentation). It counts both. So much of what a
 * family did not see is explained.
 */
import { execFileSync } from 'node:child_process';
import { currentPreemption, isPreempted } from '../../src/capture/preemption.ts';

/** Runs of the loaded programs of a family that the kernel skipped for that reason (bpf_prog_info.recursion_misses); 0 elsewhere. */
export function skippedRuns(family: string): number {
  if (family === '' || !isPreempted(currentPreemption())) return 0;
  const programs = JSON.parse(execFileSync('bpftool', ['-j', 'prog', 'show'], { encoding: 'utf8' })) as {
    name?: string;
    recursion_misses?: number;
  }[];
  return programs
    .filter(({ name }) => name?.startsWith(`${family}_`))
    .reduce((sum, { recursion_misses }) => sum + (recursion_misses ?? 0), 0);
}
