/** What the native side reports -> an error the user can act on. */
import { getSystemErrorMap } from 'node:util';
import { type Lack, UserError } from '../lib/errors.ts';
import type { NativeError } from './addon.ts';

export class CaptureError extends UserError {
  readonly op: string;
  readonly code: string;
  /** End of libbpf's and the verifier's log: for --log-level debug and bug reports, not for the one line. */
  readonly detail: string;

  constructor(error: NativeError) {
    super(describe(error), { lack: lackOf(error), ...(error.hint === '' ? {} : { hint: error.hint }) });
    this.name = 'CaptureError';
    this.op = error.op;
    this.code = error.code;
    this.detail = error.detail;
  }
}

/** Op `open`: the BPF object, not the kernel. */
function lackOf({ op, code }: NativeError): Lack {
  if (op === 'open') return 'addon';
  return code === 'EPERM' || code === 'EACCES' ? 'rights' : 'kernel';
}

const WHAT: Readonly<Record<string, (subject: string) => string>> = {
  open: (subject) => `cannot read the BPF object ${subject}`,
  btf: () => 'the BTF is not that of this kernel',
  family: (subject) => `the BPF object has no ${subject} programs for this kernel`,
  rodata: (subject) => `cannot set ${subject}`,
  ring: (subject) => `cannot make the ring buffer (${subject})`,
  load: (subject) => `the kernel does not load the ${subject} programs`,
  attach: (subject) => `the kernel does not attach ${subject}`,
  map: (subject) => `cannot read the map ${subject}`,
  wakeup: (subject) => `cannot watch the ring buffer (${subject})`,
  threads: (subject) => `cannot give up capabilities in every thread (${subject})`,
  seccomp: (subject) => `cannot filter system calls${subject === '' ? '' : ` (${subject})`}`,
};

/** One line: what failed, and the system's word for it. */
function describe(error: NativeError): string {
  const what = WHAT[error.op]?.(error.subject) ?? `${error.op} ${error.subject}`.trim();
  // ENOTSUPP is the kernel's own (include/linux/errno.h), so libuv does not know it
  const why = error.code === 'ENOTSUPP' ? 'not supported' : getSystemErrorMap().get(-error.errno)?.[1];
  return error.errno === 0 ? what : `${what}: ${why ?? `errno ${error.errno}`} (${error.code})`;
}
