/** Text measured as a terminal shows it: wide characters take two cells, combining ones none. */
import stringWidth from 'string-width';

const ASCII = /^[\x20-\x7e]*$/;
const ELLIPSIS = '…';
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** Cells that the text takes. It must hold no control characters (lib/escape.ts). */
export function displayWidth(text: string): number {
  return ASCII.test(text) ? text.length : stringWidth(text);
}

/** The text in at most `width` cells, its end replaced by an ellipsis where it does not fit. */
export function shortenEnd(text: string, width: number): string {
  if (fits(text, width)) return text;
  if (width <= 1) return width === 1 ? ELLIPSIS : '';
  return takeStart(text, width - 1) + ELLIPSIS;
}

/** As `shortenEnd`, but the middle goes: of a domain name both the host and the registered domain tell something. */
export function shortenMiddle(text: string, width: number): string {
  if (fits(text, width)) return text;
  if (width < 8) return shortenEnd(text, width);
  const tail = Math.ceil((width - 1) / 2);
  return takeStart(text, width - 1 - tail) + ELLIPSIS + takeEnd(text, tail);
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)));
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - displayWidth(text))) + text;
}

function fits(text: string, width: number): boolean {
  // No cell count is asked of a text that is far too long: it could be megabytes.
  return text.length <= width * 16 && displayWidth(text) <= width;
}

function takeStart(text: string, width: number): string {
  if (ASCII.test(text)) return text.slice(0, width);
  return collect(graphemes.segment(text.slice(0, width * 16)), width).join('');
}

function takeEnd(text: string, width: number): string {
  if (ASCII.test(text)) return text.slice(text.length - width);
  const reversed = [...graphemes.segment(text.slice(-width * 16))].reverse();
  return collect(reversed, width).reverse().join('');
}

function collect(segments: Iterable<{ readonly segment: string }>, width: number): string[] {
  const taken: string[] = [];
  let used = 0;
  for (const { segment } of segments) {
    used += stringWidth(segment);
    if (used > width) break;
    taken.push(segment);
  }
  return taken;
}
