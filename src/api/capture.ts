/**
 * `capture`: the lookups of this host as an async iterator, in the program that asks for them.
 *
 * The program stays the caller's: no signal handler, no exit, no change of its capabilities, its memory settings or V8's flags. It needs
 * the rights that loading BPF programs takes (CAP_BPF and CAP_PERFMON, for kprobe hooks often CAP_SYS_ADMIN; README, "Privileges") when
 * `capture` is called, and may give them up when `ready` resolves.
 */
import { existsSync } from 'node:fs';
import { Agent } from '../agent.ts';
import { CaptureError } from './capture-error.ts';
import type { Capture, CaptureOptions } from './options.ts';
import { configOf, LookupStream } from './stream.ts';

const DEFAULT_QUEUE = 10_000;

/**
 * The lookups of all processes of this host, but for this program's own. Begins at once; several at a time are independent of each other.
 * @throws CaptureError (by the iterator and by `ready`): `rights`, `kernel`, `addon`, `options`
 */
export function capture(options: CaptureOptions = {}): Capture {
  return new LookupStream({
    options,
    queueSize: options.queueSize ?? DEFAULT_QUEUE,
    durationMs: options.durationMs,
    otherwise: 'kernel',
    async open(parts) {
      if (!existsSync('/proc/self/ns/pid')) throw new CaptureError('kernel', '/proc is not mounted');
      return Agent.create({ ...parts, config: configOf('run', options), file: undefined });
    },
  });
}
