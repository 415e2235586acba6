/** How long something took, for people: three significant digits, `99ns`, `412µs`, `1.23ms`, `45.6ms`, `120ms`, `1.20s`. */
import { ByteWriter } from '../lib/byte-writer.ts';

const MICRO = Uint8Array.from(Buffer.from('µs'));
const scratch = new ByteWriter(32);

export function latencyText(ns: number): string {
  scratch.position = 0;
  writeLatency(scratch, ns);
  return scratch.bytes.toString('utf8', 0, scratch.position);
}

/** Rounded half up. @param ns from 0 to 2^53 - 1 */
export function writeLatency(writer: ByteWriter, ns: number): void {
  if (ns < 1000) {
    writer.decimal(ns);
    writer.ascii('ns');
  } else if (ns < 999_500) {
    writer.decimal(Math.floor((ns + 500) / 1000));
    writer.raw(MICRO);
  } else if (ns < 999_500_000) {
    writeDigits(writer, ns, 1e6);
    writer.ascii('ms');
  } else {
    writeDigits(writer, ns, 1e9);
    writer.ascii('s');
  }
}

/** Two decimals below ten, one below a hundred. */
function writeDigits(writer: ByteWriter, ns: number, unit: number): void {
  if (ns < (9995 * unit) / 1000) writeFraction(writer, ns, unit / 100, 100);
  else if (ns < (9995 * unit) / 100) writeFraction(writer, ns, unit / 10, 10);
  else writer.decimal(Math.floor((ns + unit / 2) / unit));
}

/** @param step what one of the last digit is, ns; @param scale so many of them are a whole */
function writeFraction(writer: ByteWriter, ns: number, step: number, scale: number): void {
  const steps = Math.floor((ns + step / 2) / step);
  const whole = Math.floor(steps / scale);
  writer.decimal(whole);
  writer.ascii('.');
  const rest = steps - whole * scale;
  if (scale === 100 && rest < 10) writer.ascii('0');
  writer.decimal(rest);
}
