/** The page in Chromium: what is on it, panel by panel. */
import { mkdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Browser, type Look } from '../ui/browser.ts';
import { pageBundle } from './build.ts';
import type { BoardInput, PanelSeen } from './page/input.ts';

/** All of a board: tables draw no rows beyond the window. */
const HEIGHT = 4500;

/** A panel as it stands on the screen. */
export interface PanelShown {
  readonly title: string;
  readonly text: string;
  /** Names of the lines. */
  readonly legend: readonly string[];
  /** Of a table. */
  readonly headings: readonly string[];
  /** Of a table, or of logs. */
  readonly rows: number;
  /** Columns reach beyond the panel. */
  readonly isCut: boolean;
  /** Share of the chart's pixels that are painted. */
  readonly ink: number;
  /** What was written beside the upright axis, from below. */
  readonly axis: readonly string[];
  readonly box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}

export interface Drawn {
  readonly seen: readonly PanelSeen[];
  readonly shown: readonly PanelShown[];
  readonly faults: readonly string[];
}

const STYLE = `html { font-size: 14px } body { margin: 0; background: #111217; color: #ccccdc; font: 14px Inter, sans-serif }
.empty { display: flex; height: 100%; align-items: center; justify-content: center; color: #8e8e9a }
button { background: none; border: 0; padding: 0; color: inherit; font: inherit } .sr-only { display: none }
section { overflow: hidden } .log { white-space: nowrap } .u-wrap canvas { display: block }`;

export class Screen {
  readonly #browser: Browser;
  readonly #server: Server;
  readonly #look: Look;

  private constructor(browser: Browser, server: Server, look: Look) {
    this.#browser = browser;
    this.#server = server;
    this.#look = look;
  }

  static async open(): Promise<Screen> {
    const { script, style } = await pageBundle();
    const parts: Readonly<Record<string, readonly [type: string, text: string]>> = {
      '/': [
        'text/html',
        `<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="/style.css"><body><script type="module" src="/script.js"></script>`,
      ],
      '/script.js': ['text/javascript', AXES + script],
      '/style.css': ['text/css', style + STYLE],
    };
    const server = createServer(({ url = '' }, response) => {
      const [type, text] = parts[url] ?? ['text/plain', ''];
      response
        .writeHead(parts[url] === undefined ? 404 : 200, { 'content-type': `${type}; charset=utf-8` })
        .end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const browser = await Browser.open();
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const look = await browser.look(url, { width: 1600, height: HEIGHT });
    await look.page.waitForFunction('window.draw !== undefined');
    return new Screen(browser, server, look);
  }

  async draw(board: BoardInput): Promise<Drawn> {
    const { page, faults } = this.#look;
    faults.length = 0;
    const seen = (await page.evaluate(
      `window.axes = new Map(); window.draw(${JSON.stringify(board)})`,
    )) as readonly PanelSeen[];
    const shown = await this.#settled();
    return { seen, shown, faults: [...faults] };
  }

  /** Charts and tables are drawn some frames after they are mounted, the first ones much later. */
  async #settled(): Promise<readonly PanelShown[]> {
    const deadline = performance.now() + 15_000;
    let before: readonly PanelShown[] = [];
    while (performance.now() < deadline) {
      await sleep(250);
      const shown = (await this.#look.page.evaluate(LOOK)) as readonly PanelShown[];
      const isDrawn = shown.every(({ title, text, ink }) => ink > 0 || text.trim().length > title.length);
      if (isDrawn && isDeepStrictEqual(shown, before)) return shown;
      before = shown;
    }
    return before;
  }

  /** A picture of all that is drawn. */
  async shoot(path: string): Promise<void> {
    mkdirSync(dirname(path), { recursive: true });
    await this.#look.page.locator('main').screenshot({ path });
  }

  async close(): Promise<void> {
    await this.#browser.close();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Axes are painted, not written: keeps the texts that each canvas was given, with their places. */
const AXES = `window.axes = new Map();
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
  const all = window.axes.get(this.canvas) ?? [];
  all.push([text, x, y]);
  window.axes.set(this.canvas, all);
  return fillText.call(this, text, x, y, ...rest);
};
`;

/** Run in the page. */
const LOOK = `[...document.querySelectorAll('[data-panel]')].map((panel) => {
  const texts = (selector) => [...panel.querySelectorAll(selector)].map((one) => one.textContent.trim());
  const canvas = panel.querySelector('.u-wrap canvas');
  let ink = 0;
  let axis = [];
  if (canvas) {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    // Bright ones: not the grid.
    for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 20 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 40) ink++;
    ink /= data.length / 4;
    const all = window.axes.get(canvas) ?? [];
    const left = Math.min(...all.map(([, x]) => x));
    axis = [...new Map(all.filter(([text, x]) => x < left + 40 && !/\\d:\\d\\d/.test(text)).sort((a, b) => b[2] - a[2]).map(([text]) => [text, text])).keys()];
  }
  const { x, y, width, height } = panel.getBoundingClientRect();
  return {
    title: panel.dataset.panel,
    text: panel.innerText,
    legend: texts('table tbody tr td:nth-child(2)'),
    headings: texts('[role="columnheader"]'),
    rows: panel.querySelectorAll('[role="row"]:not(:has([role="columnheader"])), .log').length,
    ink, axis,
    isCut: [...panel.querySelectorAll('[role="grid"]')].some((grid) => grid.scrollWidth > grid.clientWidth),
    box: { x, y, width, height },
  };
})`;
