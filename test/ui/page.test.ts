/** The page as people use it, in a real browser, of a real agent that sees real lookups. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Locator, Page } from 'playwright-core';
import { CLIENTS } from '../clients/build.ts';
import { Browser, type Look } from './browser.ts';
import { SERVER, Stage } from './stage.ts';

const ACTOR = join(CLIENTS, 'actor');
/** A name, a file name, that would be a script if anything took it for HTML; and one that turns text round and clears a terminal. */
const SCRIPT = '<img src=x onerror=alert(1)>';
const BIDI = 'pay\u202egnp\u2066\u0007\u001b[2J';

const browser = await Browser.open();
after(() => browser.close());

function rows(page: Page): Locator {
  return page.locator('table.rows tbody tr[data-id]');
}

async function filterBy(page: Page, text: string): Promise<void> {
  await page.getByRole('combobox', { name: 'Filter' }).fill(text);
  await page.keyboard.press('Enter');
}

function clean({ faults, foreign }: Look): void {
  assert.deepEqual(faults, []);
  assert.deepEqual(foreign, []);
}

describe('the page in a browser', { timeout: 400_000 }, () => {
  let stage: Stage;
  let look: Look;
  let page: Page;
  const named = (label: string) => (label === '' ? stage.zone : `${label}.${stage.zone}`);

  before(async () => {
    stage = await Stage.open('--detect', 'rogue-resolver');
    look = await browser.look(stage.url);
    page = look.page;
    await page.getByText('live', { exact: true }).waitFor();
    await stage.dig('www.shop', 'api.shop', 'db', 'none', 'www.shop');
    await stage.run('getent', 'ahosts', named('www.shop'));
  });
  after(() => stage.close());

  it('takes the token out of the address, and keeps none that another port would be sent', async () => {
    assert.doesNotMatch(page.url(), /token/);
    assert.deepEqual(await page.context().cookies(), []);
    assert.deepEqual((await page.context().storageState()).origins, []);
  });

  it('shows lookups as they end, each with its process and what it was told', async () => {
    const row = rows(page).filter({ hasText: named('db') });
    await row.first().waitFor();
    const cells = await row.first().locator('td').allInnerTexts();
    assert.match(cells[0] ?? '', /^\d\d:\d\d:\d\d\.\d{3}$/);
    assert.match(cells[1] ?? '', /^dig\s*\d+$/);
    assert.deepEqual(cells.slice(2, 5), ['A', named('db'), 'NOERROR']);
    assert.match(cells[5] ?? '', /^[\d.]+ (µs|ms)$/);
    assert.equal(cells[6], '10.0.3.7');
    assert.equal(cells[7], SERVER);
    await stage.dig('fresh.any');
    await rows(page)
      .filter({ hasText: named('fresh.any') })
      .first()
      .waitFor();
  });

  it('is a table to a screen reader, and says what it cannot show', async () => {
    const table = page.getByRole('table');
    assert.equal(await table.count(), 1);
    assert.deepEqual(await table.getByRole('columnheader').allInnerTexts(), [
      ...['Time', 'Process', 'Type', 'Name', 'Result', 'Latency', 'Answers', 'Server'],
    ]);
    assert.ok(Number(await table.getAttribute('aria-rowcount')) > 5);
    assert.equal(await table.getByRole('row').nth(1).getAttribute('aria-rowindex'), '2');
    await page.getByRole('figure', { name: /Lookups over time: \d+ lookups, \d+ failed/ }).waitFor();
    assert.equal((await page.locator('[aria-live=polite], [role=status]').count()) > 1, true);
    for (const name of ['Views']) await page.getByRole('navigation', { name }).waitFor();
    await page.getByRole('search').waitFor();
  });

  it('filters with the language of the command line, and with a plain name', async () => {
    await filterBy(page, 'rcode=NXDOMAIN');
    await page.waitForURL(/filter=rcode/);
    const results = async () => [...new Set(await page.locator('td.c-result').allInnerTexts())];
    // The rows of before are there until the filter's come.
    const deadline = performance.now() + 20_000;
    while ((await results()).join() !== 'NXDOMAIN' && performance.now() < deadline) await sleep(50);
    assert.deepEqual(await results(), ['NXDOMAIN']);
    assert.match(page.url(), /filter=rcode%3DNXDOMAIN/);
    await filterBy(page, 'api.shop');
    await page.waitForURL(/filter=name/);
    await rows(page)
      .filter({ hasText: named('api.shop') })
      .first()
      .waitFor();
    assert.equal(
      await rows(page)
        .filter({ hasText: named('db') })
        .count(),
      0,
    );
    await filterBy(page, '192.0.2.80');
    await rows(page)
      .filter({ hasText: named('www.shop') })
      .first()
      .waitFor();
    assert.equal(
      await rows(page)
        .filter({ hasText: named('db') })
        .count(),
      0,
    );
  });

  it('says where a filter is wrong, and does not apply it', async () => {
    const input = page.getByRole('combobox', { name: 'Filter' });
    const before = page.url();
    await filterBy(page, 'process=dig and rcod=NXDOMAIN');
    assert.equal(await input.getAttribute('aria-invalid'), 'true');
    assert.match(await page.locator('#filter-problem').innerText(), /^rcod .*rcode/s);
    assert.equal(page.url(), before);
    await page.getByRole('button', { name: 'Remove the filter' }).click();
    await page.waitForURL((url) => !url.hash.includes('filter='));
    // The address changes at once, what is drawn with the next frame.
    await page.locator('input[name=filter][aria-invalid=false]').waitFor();
    assert.equal(await input.inputValue(), '');
  });

  it('goes down from a name to who asked and what they were told, and to a process, and back', async () => {
    await rows(page)
      .filter({ hasText: named('www.shop') })
      .first()
      .getByRole('link', { name: named('www.shop') })
      .click();
    const panel = page.getByRole('complementary', { name: 'One name' });
    await panel.getByRole('heading', { name: named('www.shop') }).waitFor();
    const answers = panel.locator('table.answers');
    await answers.getByText('192.0.2.80').first().waitFor();
    assert.match(await answers.innerText(), /300 s/);
    await panel.getByRole('link', { name: /^dig/ }).first().click();
    const process = page.getByRole('complementary', { name: 'One process' });
    await process.getByRole('heading', { name: /^dig/ }).waitFor();
    const text = await process.innerText();
    for (const wanted of [
      /executable\s+\/usr\/bin\/dig/,
      /user\s+(?:root \(0\)|0)\s/,
      /first seen/,
      /known from\s+kernel/,
      /Tree/,
    ])
      assert.match(text, wanted);
    await process
      .getByRole('link', { name: named('www.shop') })
      .first()
      .waitFor();
    await page.goBack();
    await panel.getByRole('heading', { name: named('www.shop') }).waitFor();
    await page.keyboard.press('Escape');
    await panel.waitFor({ state: 'detached' });
    assert.match(page.url(), /#\/lookups$/);
  });

  it('searches the past: a span from the list, and one drawn across the time line', async () => {
    await page.getByRole('combobox', { name: 'Span of time' }).selectOption({ label: 'Last 15 min' });
    await page.waitForURL(/last=15/);
    await rows(page)
      .filter({ hasText: named('db') })
      .first()
      .waitFor();
    const chart = await page.locator('.chart .u-over').boundingBox();
    assert.ok(chart);
    const y = chart.y + chart.height / 2;
    await page.mouse.move(chart.x + chart.width * 0.2, y);
    await page.mouse.down();
    await page.mouse.move(chart.x + chart.width * 0.4, y, { steps: 4 });
    await page.mouse.up();
    await page.waitForURL(/since=\d+&until=\d+/);
    await page.getByText('No lookup matches.').waitFor();
    await page.goBack();
    await rows(page)
      .filter({ hasText: named('db') })
      .first()
      .waitFor();
    await page.locator('.span').getByRole('button', { name: 'Live' }).click();
    await page.waitForURL((url) => !/last=|since=/.test(url.hash));
  });

  it('shows who asks most, and a click narrows the filter', async () => {
    await page.getByRole('link', { name: 'Top' }).click();
    const domains = page.getByRole('region', { name: 'Domains' });
    await domains.getByRole('link', { name: stage.zone }).waitFor();
    await page.getByRole('region', { name: 'Processes' }).getByText('dig').first().waitFor();
    const failures = page.getByRole('region', { name: 'Failures' });
    await failures.getByRole('link', { name: 'NXDOMAIN' }).click();
    await page.waitForURL(/#\/lookups\?filter=rcode%3DNXDOMAIN/);
    await page.getByRole('button', { name: 'Remove the filter' }).click();
  });

  it('draws who talks to what, and says it as a table too', async () => {
    await page.getByRole('link', { name: 'Flow' }).click();
    await page.getByRole('link', { name: /^process dig, \d+ lookups/ }).waitFor();
    await page.getByRole('link', { name: /^address 10\.0\.3\.7/ }).waitFor();
    assert.ok((await page.locator('.picture path.band').count()) > 3);
    await page.getByRole('button', { name: 'As a table' }).click();
    await page.getByRole('cell', { name: '10.0.3.7' }).waitFor();
    await page.getByRole('button', { name: 'As a table' }).click();
    await page.getByRole('link', { name: new RegExp(`^domain ${stage.zone}`) }).click();
    await page.waitForURL(/filter=domain/);
    await page.getByRole('button', { name: 'Remove the filter' }).click();
  });

  it('shows what the agent did with all it saw, and that it lost nothing', async () => {
    await page.getByRole('link', { name: 'Agent' }).click();
    const tile = page.locator('.tile', { hasText: 'Unaccounted' });
    await tile.waitFor();
    assert.equal(await tile.locator('strong').innerText(), '0');
    await page.getByRole('rowheader', { name: 'correlate' }).waitFor();
    await page.getByRole('rowheader', { name: 'sink:history' }).waitFor();
    assert.match(await page.locator('.agent').innerText(), /Hooks\s+(fentry|kprobe|tracepoint)/);
  });

  it('is worked by the keyboard alone', async () => {
    await page.locator('main').focus();
    await page.keyboard.press('1');
    await page.waitForURL(/#\/lookups/);
    await page.keyboard.press('/');
    assert.equal(await page.locator(':focus').getAttribute('name'), 'filter');
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: /^Pause/ }).waitFor();
    await page.keyboard.press('Space');
    const pause = page.getByRole('button', { name: /^Resume/ });
    await pause.waitFor();
    const before = await rows(page).first().getAttribute('data-id');
    await stage.dig('while-paused.any');
    await page.getByRole('button', { name: /^\d+ new/ }).waitFor();
    assert.equal(await rows(page).first().getAttribute('data-id'), before);
    await page.getByRole('button', { name: /^Resume/ }).press('Enter');
    await rows(page)
      .filter({ hasText: named('while-paused.any') })
      .first()
      .waitFor();
    await page.keyboard.press('2');
    await page.reload();
    const reached: string[] = [];
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press('Tab');
      const focused = page.locator(':focus');
      reached.push((await focused.innerText()).trim() || (await focused.evaluate((each) => each.tagName)));
    }
    for (const wanted of ['Skip to the content', 'whodns', 'INPUT', 'Top'])
      assert.ok(reached.includes(wanted), reached.join(', '));
  });

  it('shows names of attackers as text', async () => {
    page.on('dialog', (dialog) => {
      look.faults.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    const programs = join(stage.directory, 'programs');
    mkdirSync(programs);
    for (const name of [SCRIPT.replaceAll('/', ''), BIDI]) {
      const program = join(programs, name);
      copyFileSync(ACTOR, program);
      chmodSync(program, 0o755);
      await stage.run(program, 'ask', SERVER, named('hostile.any'));
    }
    await stage.dig(
      '<script>alert(1)</script>.any',
      '"onmouseover=alert(1)".any',
      '\\226\\128\\174moc.any',
      '\\000\\007\\027.any',
    );
    await page.goto(`${stage.origin}/#/lookups`);
    await rows(page).filter({ hasText: '<script>alert(1)</script>.any' }).first().waitFor();
    const text = await page.locator('table.rows').innerText();
    assert.ok(text.includes('<img src=x onerror=alert(1)>'), text);
    assert.ok(text.includes('pay\\u{202e}gnp\\u{2066}\\x07\\x1b[2J'), text);
    assert.doesNotMatch(text.replaceAll('\n', '').replaceAll('\t', ''), /[\p{Cc}\p{Bidi_Control}]/u);
    assert.equal(await page.locator('main img, main script, aside img').count(), 0);
    for (const place of ['top', 'flow']) {
      await page.goto(`${stage.origin}/#/${place}`);
      await page.locator('.list a, a.node text').filter({ hasText: '<img src=x' }).first().waitFor();
      assert.equal(await page.locator('main img, main script').count(), 0);
    }
    await page.goto(`${stage.origin}/#/lookups`);
    await rows(page)
      .getByRole('link', { name: /onerror/ })
      .first()
      .click();
    await page.getByRole('complementary', { name: 'One process' }).getByText('All attributes').click();
    assert.equal(await page.locator('aside img').count(), 0);
    await page.keyboard.press('Escape');
  });

  it('looks as it should, dark and light, wide and narrow', async () => {
    for (const scheme of ['dark', 'light'] as const)
      for (const [width, height] of [
        [1280, 800],
        [390, 844],
      ] as const) {
        const shown = await browser.look(stage.url, { width, height, scheme });
        await rows(shown.page).first().waitFor();
        await shown.page.locator('.chart canvas').waitFor();
        const sideways = await shown.page
          .locator('html')
          .evaluate((html) => html.scrollWidth - html.clientWidth);
        assert.ok(sideways <= 0, `${scheme} ${width}: ${sideways} pixels too wide`);
        for (const place of ['lookups', 'top', 'flow', 'agent']) {
          await shown.page.goto(`${stage.origin}/#/${place}`);
          await sleep(600);
          const name = `${place} ${scheme} ${width}`;
          const picture = await shown.page.screenshot();
          assert.ok(picture.length > 8000, name);
        }
        clean(shown);
        await shown.page.context().close();
      }
  });

  it('sees that the agent is gone, and goes on with the next one', async () => {
    await page.goto(`${stage.origin}/#/lookups`);
    await rows(page).first().waitFor();
    await stage.restart();
    // Another start, another token: what this page knows is worth nothing to who took the port meanwhile.
    await page.getByText('each start has a new one').waitFor();
    await page
      .getByRole('textbox', { name: 'Address or token' })
      .or(page.getByLabel('Address or token'))
      .fill('not a token');
    await page.getByRole('button', { name: 'Look' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Address or token').fill(stage.url);
    await page.getByRole('button', { name: 'Look' }).click();
    await page.getByText('live', { exact: true }).waitFor();
    await stage.dig('after-restart.any');
    await rows(page)
      .filter({ hasText: named('after-restart.any') })
      .first()
      .waitFor();
    assert.equal(
      await rows(page)
        .filter({ hasText: named('db') })
        .count(),
      0,
    );
  });

  it('asked nobody but the agent, and broke none of its rules', () => clean(look));
});
