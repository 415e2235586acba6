/** Records of the kernel are in the host's byte order: the second argument of a DataView's readers. */
export const LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
