/** A whole terminal: what it shows is written where it differs from before; everything is as it was when it is left. */
import * as escapes from 'ansi-escapes';
import { type Input, Keys } from './keys.ts';

/** process.stdin of a terminal. */
export interface TerminalInput {
  readonly isTTY?: boolean;
  setRawMode?(raw: boolean): unknown;
  setEncoding(encoding: 'utf8'): unknown;
  resume(): unknown;
  pause(): unknown;
  on(event: 'data', listener: (text: string) => void): unknown;
  off(event: 'data', listener: (text: string) => void): unknown;
}

/** process.stdout of a terminal. */
export interface TerminalOutput {
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): boolean;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** Clicks and the wheel, by xterm's SGR reports (XTerm Control Sequences, "Mouse Tracking"). */
const MOUSE_ON = '\x1b[?1000h\x1b[?1006h';
const MOUSE_OFF = '\x1b[?1006l\x1b[?1000l';
const NO_WRAP = '\x1b[?7l';
const WRAP = '\x1b[?7h';

export class Screen {
  readonly #input: TerminalInput;
  readonly #output: TerminalOutput;
  readonly #keys: Keys;
  readonly #onData = (text: string) => this.#keys.push(text);
  readonly #onResize: () => void;
  #shown: readonly string[] = [];
  #isOpen = false;

  constructor(
    input: TerminalInput,
    output: TerminalOutput,
    on: { readonly input: (input: Input) => void; readonly resize: () => void },
  ) {
    this.#input = input;
    this.#output = output;
    this.#keys = new Keys(on.input);
    this.#onResize = () => {
      this.#shown = [];
      this.#output.write(escapes.eraseScreen);
      on.resize();
    };
  }

  get size(): Size {
    return { columns: this.#output.columns ?? 80, rows: this.#output.rows ?? 24 };
  }

  open(): void {
    this.#isOpen = true;
    this.#input.setRawMode?.(true);
    this.#input.setEncoding('utf8');
    this.#input.on('data', this.#onData);
    this.#input.resume();
    this.#output.on('resize', this.#onResize);
    this.#output.write(
      escapes.enterAlternativeScreen + escapes.cursorHide + NO_WRAP + MOUSE_ON + escapes.eraseScreen,
    );
  }

  /** @param lines from the top; with colours, each ended by a reset */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    const { rows } = this.size;
    let text = '';
    for (let y = 0; y < rows; y++) {
      const line = lines[y] ?? '';
      // Erased before: behind a line as wide as the screen the cursor stands on its last cell.
      if (line !== this.#shown[y]) text += escapes.cursorTo(0, y) + escapes.eraseEndLine + line;
    }
    this.#shown = lines.slice(0, rows);
    // What the terminal has not taken yet is not piled up: it is drawn as a whole the next time.
    if (text !== '' && !this.#output.write(escapes.synchronizedOutput(text))) this.#shown = [];
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#input.off('data', this.#onData);
    this.#output.off('resize', this.#onResize);
    this.#keys.close();
    this.#output.write(MOUSE_OFF + WRAP + escapes.cursorShow + escapes.exitAlternativeScreen);
    this.#input.setRawMode?.(false);
    this.#input.pause();
  }
}
