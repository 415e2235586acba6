/** A real browser that looks at the page: what it asked for, what it complained of. */
import { existsSync } from 'node:fs';
import { type Browser as Chromium, chromium, type Page } from 'playwright-core';

const PROGRAM = '/usr/bin/chromium';
const FLAGS = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...[
    '--disable-component-update',
    '--disable-sync',
    '--disable-dev-shm-usage',
    '--font-render-hinting=none',
  ],
];

export interface Look {
  readonly page: Page;
  /** Errors of scripts and of the security policy. */
  readonly faults: string[];
  /** Addresses asked for beyond the page's own origin. */
  readonly foreign: string[];
}

export interface LookOptions {
  readonly width?: number;
  readonly height?: number;
  readonly scheme?: 'dark' | 'light';
}

export class Browser {
  readonly #chromium: Chromium;

  private constructor(opened: Chromium) {
    this.#chromium = opened;
  }

  static async open(): Promise<Browser> {
    if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is missing: native/setup.sh ui installs it`);
    return new Browser(await chromium.launch({ executablePath: PROGRAM, args: FLAGS }));
  }

  /** A new browser profile looks at the address. */
  async look(url: string, { width = 1280, height = 800, scheme = 'dark' }: LookOptions = {}): Promise<Look> {
    const context = await this.#chromium.newContext({ viewport: { width, height }, colorScheme: scheme });
    context.setDefaultTimeout(20_000);
    const page = await context.newPage();
    const faults: string[] = [];
    const foreign: string[] = [];
    const { origin } = new URL(url);
    page.on('pageerror', (error) => faults.push(error.stack ?? error.message));
    page.on('console', (message) => {
      // That there is no answer while the agent is away is no fault of the page.
      if (message.type() === 'error' && !/^Failed to load resource/.test(message.text()))
        faults.push(message.text());
    });
    page.on('request', (request) => {
      if (new URL(request.url()).origin !== origin) foreign.push(request.url());
    });
    await page.goto(url);
    return { page, faults, foreign };
  }

  close(): Promise<void> {
    return this.#chromium.close();
  }
}
