/** Small files of the host itself. What belongs to other processes is read by the inspector. */
import { closeSync, constants, openSync, readSync } from 'node:fs';

/** At most `limit` bytes of a file whose size is not known before; undefined: not readable. */
export function readFile(path: string, limit: number): Buffer | undefined {
  let fd: number;
  try {
    // A FIFO must not hold up the program; regular files do not mind.
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    let bytes = Buffer.allocUnsafe(Math.min(limit, 4096));
    let length = 0;
    for (;;) {
      const got = readSync(fd, bytes, length, bytes.length - length, null);
      length += got;
      if (got === 0 || length === limit) return bytes.subarray(0, length);
      if (length === bytes.length) {
        const larger = Buffer.allocUnsafe(Math.min(limit, bytes.length * 4));
        bytes.copy(larger);
        bytes = larger;
      }
    }
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}
