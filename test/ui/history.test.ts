/** The page over a history of a million lookups on disk: search and scrolling, in a real browser. It says how long each took. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import { fillHistory } from '../../bench/history-fill.ts';
import { Browser, type Look } from './browser.ts';
import { Stage } from './stage.ts';

const ROWS = 1_000_000;
const RARE = 'host19999.zone499.example.com';
/** A busy machine is slow, not broken. */
const PATIENCE_MS = 10_000;
const PAGES = 40;
/** What the history is filled over. */
const WEEK_MIN = 7 * 24 * 60;

let base = '';
let stage: Stage;
let browser: Browser;
let look: Look;
let page: Page;
before(async () => {
  base = mkdtempSync(join(tmpdir(), 'whodns-ui-history-'));
  const directory = join(base, 'kept');
  mkdirSync(directory, { mode: 0o700 });
  const { lookups } = await fillHistory(directory, ROWS, () => {});
  assert.equal(lookups, ROWS);
  stage = await Stage.open('--history', directory);
  browser = await Browser.open();
  look = await browser.look(stage.url);
  page = look.page;
});
after(async () => {
  await browser?.close();
  await stage?.close();
  rmSync(base, { recursive: true, force: true });
});

async function timed(what: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await what();
  return performance.now() - began;
}

const rows = () => page.locator('table.rows tbody tr[data-id]');

test('a rare name among a million lookups is found', async (context) => {
  await page.goto(`${stage.origin}/#/lookups?last=${WEEK_MIN}`);
  await rows().first().waitFor();
  const took = await timed(async () => {
    await page.getByRole('combobox', { name: 'Filter' }).fill(RARE);
    await page.keyboard.press('Enter');
    await rows().filter({ hasText: RARE }).first().waitFor();
  });
  context.diagnostic(`found after ${took.toFixed(0)} ms`);
  assert.ok(took < PATIENCE_MS, `${took} ms`);
  assert.deepEqual([...new Set(await page.locator('td.c-name').allInnerTexts())], [RARE]);
  await page.getByRole('button', { name: 'Remove the filter' }).click();
});

test('scrolling goes on into the past, with few rows in the document', async (context) => {
  await page.waitForURL((url) => !url.hash.includes('filter='));
  await rows().filter({ hasNotText: RARE }).first().waitFor();
  const first = Number(await rows().first().getAttribute('data-id'));
  await rows().first().hover();
  let slowest = 0;
  for (let i = 0; i < PAGES; i++) {
    const before = await rows().last().getAttribute('data-id');
    const took = await timed(async () => {
      await page.mouse.wheel(0, 4000);
      for (let j = 0; j < 500 && (await rows().last().getAttribute('data-id')) === before; j++)
        await sleep(20);
    });
    slowest = Math.max(slowest, took);
  }
  const last = Number(await rows().last().getAttribute('data-id'));
  context.diagnostic(
    `${PAGES} times 4000 pixels: ${first - last} rows back, the slowest took ${slowest.toFixed(0)} ms`,
  );
  assert.ok(first - last > PAGES * 50, `${first} to ${last}`);
  assert.ok((await rows().count()) < 200, `${await rows().count()} rows in the document`);
  assert.ok(slowest < PATIENCE_MS, `${slowest} ms`);
  assert.deepEqual(look.faults, []);
  assert.deepEqual(look.foreign, []);
});
