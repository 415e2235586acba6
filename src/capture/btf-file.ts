/** `--btf FILE`: the types of a kernel that does not have its own. */
import { existsSync } from 'node:fs';
import { UserError } from '../lib/errors.ts';
import { readTrusted } from '../lib/safe-file.ts';
import { faultOfBtf, MAX_BTF_BYTES } from './btf.ts';

export function kernelHasBtf(): boolean {
  return existsSync('/sys/kernel/btf/vmlinux');
}

/**
 * @returns the bytes that libbpf is given; undefined: no file is named, or the kernel has its own
 * @throws UserError: it cannot be read, may not be trusted, or is no BTF
 */
export function btfOfFile(path: string | undefined): Uint8Array | undefined {
  return path === undefined || kernelHasBtf() ? undefined : readBtf(path);
}

function readBtf(path: string): Uint8Array {
  try {
    const bytes = readTrusted(path, MAX_BTF_BYTES);
    const fault = faultOfBtf(bytes);
    if (fault === undefined) return bytes;
    throw new UserError(fault, { hint: HINT });
  } catch (cause) {
    const { message, hint } = cause as UserError;
    throw new UserError(`--btf ${path}: ${message}`, { ...(hint === undefined ? {} : { hint }), cause });
  }
}

const HINT =
  'it takes the file KERNEL.btf itself: that of this kernel (uname -r), out of its archive by tar -xJf KERNEL.btf.tar.xz';
