/** Bytes of a terminal as keys and clicks. Node decodes the keys; reports of the mouse (xterm, SGR 1006) it does not know. */

import { emitKeypressEvents } from 'node:readline';
import { PassThrough } from 'node:stream';
import { forTerminal } from '../../lib/escape.ts';

export type Input =
  /** `text` is what the key writes, '' for one that writes nothing. */
  | { readonly kind: 'key'; readonly name: string; readonly text: string; readonly ctrl: boolean }
  /** Cells from 0. */
  | { readonly kind: 'click'; readonly x: number; readonly y: number }
  | { readonly kind: 'wheel'; readonly lines: number };

// biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal sends
const REPORT = /\x1b\[<(\d{1,4});(\d{1,5});(\d{1,5})([Mm])/;
/** The beginning of one, whose end is still to come. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal sends
const BEGUN = /\x1b(?:\[(?:<[\d;]{0,16})?)?$/;
const ESCAPE = '\x1b';
const ESCAPED = ESCAPE.repeat(2);
const WHEEL = 64;
const WHEEL_LINES = 3;
/** ms after which an escape alone is the key. */
const ESCAPE_MS = 50;

export class Keys {
  readonly #onInput: (input: Input) => void;
  readonly #plain = new PassThrough();
  #begun = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(onInput: (input: Input) => void) {
    this.#onInput = onInput;
    this.#plain.setEncoding('utf8');
    emitKeypressEvents(this.#plain);
    this.#plain.on('keypress', (text: string | undefined, key: { name?: string; ctrl?: boolean }) => {
      const written = text !== undefined && forTerminal(text) === text ? text : '';
      onInput({ kind: 'key', name: key.name ?? written, text: written, ctrl: key.ctrl === true });
    });
  }

  push(chunk: string): void {
    clearTimeout(this.#timer);
    let text = this.#begun + chunk;
    this.#begun = '';
    for (let report = REPORT.exec(text); report !== null; report = REPORT.exec(text)) {
      this.#pass(text.slice(0, report.index));
      text = text.slice(report.index + report[0].length);
      this.#mouse(report);
    }
    // Node would wait half a second for what follows one, and takes two for one.
    for (let at = text.indexOf(ESCAPED); at >= 0; at = text.indexOf(ESCAPED)) {
      this.#pass(text.slice(0, at));
      this.#escape();
      text = text.slice(at + 1);
    }
    const begun = BEGUN.exec(text)?.[0] ?? '';
    this.#pass(text.slice(0, text.length - begun.length));
    this.#begun = begun;
    if (begun !== '')
      this.#timer = setTimeout(() => {
        this.#begun = '';
        if (begun === ESCAPE) this.#escape();
        else this.#pass(begun);
      }, ESCAPE_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#plain.destroy();
  }

  #pass(text: string): void {
    if (text !== '') this.#plain.write(text);
  }

  #escape(): void {
    this.#onInput({ kind: 'key', name: 'escape', text: '', ctrl: false });
  }

  #mouse([, code, x, y, end]: RegExpExecArray): void {
    const button = Number(code);
    if ((button & WHEEL) !== 0)
      this.#onInput({ kind: 'wheel', lines: (button & 1) === 0 ? -WHEEL_LINES : WHEEL_LINES });
    else if ((button & 3) === 0 && end === 'M')
      this.#onInput({ kind: 'click', x: Number(x) - 1, y: Number(y) - 1 });
  }
}
