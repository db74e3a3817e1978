// What somebody does with the list of flows: other columns, searches kept, flows as they come, files to take away.
import assert from 'node:assert/strict';
import { addressBar, ask, filterText, open, rows, settled, writeFilter } from './support.js';

export const TOOL_STORIES = {
  async 'the list fits a screen of 1280 pixels, and says what it leaves out'({ page, base }) {
    const sideways = () =>
      page.locator('table').evaluate((table) => {
        const box = table.parentElement;
        return box.scrollWidth - box.clientWidth;
      });
    const heads = async () => (await page.locator('th .label').allInnerTexts()).map((text) => text.trim());
    await page.setViewportSize({ width: 1280, height: 800 });
    await open(page, base);
    assert.equal(await sideways(), 0);
    const some = await heads();
    for (const name of ['Start', 'Source', 'Destination', 'Proto', 'Name', 'Octets', 'Packets', 'Duration'])
      assert.ok(some.includes(name), `${name} of ${some}`);
    const cut = await page
      .locator('tbody td:not([data-column=name])')
      .evaluateAll((cells) => cells.filter((cell) => cell.scrollWidth > cell.clientWidth + 1).length);
    assert.equal(cut, 0, 'no value but a name is cut off');
    const more = page.getByRole('button', { name: /^\d more/ });
    assert.match(await more.innerText(), /End, Exporter$/);
    await more.click();
    await settled(page);
    assert.ok((await heads()).length > some.length);
    assert.ok((await sideways()) > 0, 'what somebody chose is shown, whatever the room');
    await page.setViewportSize({ width: 1920, height: 1080 });
    await open(page, base);
    assert.ok((await heads()).includes('Exporter'), 'with more room, more columns');
    assert.equal(await more.count(), 0);
  },

  async 'columns are chosen, and the address keeps them'({ page, base }) {
    await open(page, base);
    await page.getByRole('button', { name: 'Columns' }).click();
    const panel = page.getByRole('dialog', { name: 'Columns' });
    await panel.getByRole('searchbox').fill('ttl.min');
    await panel.locator('.offer', { hasText: /^\s*ttl\.min/ }).click();
    await settled(page);
    await panel.getByRole('button', { name: 'Duration: leave out' }).click();
    await settled(page);
    const keys = (await addressBar(page)).get('columns').split(',');
    assert.ok(keys.includes('ttl.min') && !keys.includes('duration'), keys.join());
    await page.keyboard.press('Escape');
    const { rows: expected } = await ask(base, 'flows', { limit: 5, fields: 'ttl.min' });
    const shown = await page.locator('tbody td[data-column="ttl.min"]').allInnerTexts();
    assert.deepEqual(
      shown.slice(0, 5).map((text) => text.trim()),
      expected.map((row) => String(row['ttl.min'] ?? '')),
    );
    await page.reload();
    await settled(page);
    assert.equal(
      await page.locator('th', { hasText: 'ttl.min' }).count(),
      1,
      'a copied address shows them, too',
    );
    assert.equal(await page.locator('td[data-column=duration]').count(), 0);
  },

  async 'columns that were chosen are shown on a phone, too'({ page, base }) {
    await page.setViewportSize({ width: 390, height: 844 });
    await open(page, base);
    const flags = page.locator('td[data-column="tcp.flags"]').first();
    assert.equal(await flags.count(), 0);
    await open(page, base, '/discover?from=all&columns=start,src,dst,proto,octets,tcp.flags,exporter');
    await flags.waitFor();
    const named = await flags.evaluate((cell) => getComputedStyle(cell, '::before').content);
    assert.equal(named, '"tcp.flags"');
    const heights = await rows(page).evaluateAll((list) => list.map((row) => row.offsetHeight));
    assert.equal(new Set(heights).size, 1, 'cards are of one height');
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  },

  async 'a search is kept, found again, and forgotten'({ page, base, filter, allowed }) {
    allowed.push(/status of 400/);
    await open(page, base);
    await writeFilter(page, filter);
    await page.keyboard.press('Enter');
    await settled(page);
    const star = page.getByRole('button', { name: 'Saved and recent searches' });
    const panel = page.getByRole('dialog', { name: 'Saved and recent searches' });
    await star.click();
    await panel.getByRole('textbox', { name: 'Name for this search' }).fill('<b>mine</b>');
    await panel.getByRole('button', { name: 'Save' }).click();
    await open(page, base);
    await star.click();
    assert.equal(await panel.locator('.entry', { hasText: filter }).count(), 1, 'the recent one');
    await panel.locator('.entry', { hasText: '<b>mine</b>' }).click();
    await settled(page);
    assert.equal(await filterText(page), filter);
    await star.click();
    await panel.getByRole('button', { name: /^Forget <b>mine/ }).click();
    assert.equal(await panel.locator('.entry', { hasText: 'mine' }).count(), 0);
  },

  async 'flows are followed as they come, and the list can be held'({ page, base }) {
    const { rows: some } = await ask(base, 'flows', { limit: 3 });
    const events = some.map((row, index) => {
      const flow = { ...row, _id: `live${index}`, 'src.ip': `192.0.2.${200 + index}` };
      return `event: flow\nid: ${index}\ndata: ${JSON.stringify(flow)}\n\n`;
    });
    await page.route(/\/api\/v1\/live/, (route) =>
      route.fulfill({ contentType: 'text/event-stream', body: `retry: 600000\n\n${events.join('')}` }),
    );
    await open(page, base);
    await page.getByRole('button', { name: 'Live' }).click();
    await page.getByText('3 flows came').waitFor();
    assert.equal((await addressBar(page)).get('live'), '1');
    const sources = await page.locator('tbody td[data-column=src]').allInnerTexts();
    assert.equal(sources.length, 3);
    assert.ok(sources[0].includes('192.0.2.202'), 'the newest is first');
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('the list stands still').waitFor();
    await page.getByRole('button', { name: 'Live' }).click();
    await settled(page);
    assert.ok((await rows(page).count()) > 3, 'the flows found are back');
  },

  async 'what is found is taken away as a file'({ page, base, filter }) {
    await open(page, base, `/discover?from=all&filter=${encodeURIComponent(filter)}`);
    const { flows } = (await ask(base, 'aggregate', { filter, metrics: 'flows' })).rows[0];
    await page.getByRole('button', { name: 'Download' }).click();
    const panel = page.getByRole('dialog', { name: 'Download' });
    const { paths } = await (await fetch(`${base}/api/openapi.json`)).json();
    const taken = JSON.stringify(paths['/api/v1/flows']).includes('"format"');
    if (!taken) return console.log('        skipped: this collector has no format= yet');
    const files = {};
    for (const name of ['CSV', 'NDJSON', 'JSON', 'Parquet']) {
      const link = await panel.getByRole('link', { name: new RegExp(`^${name} `) }).getAttribute('href');
      const answer = await fetch(base + link);
      assert.equal(answer.status, 200, `${name}: ${answer.statusText}`);
      files[name] = Buffer.from(await answer.arrayBuffer());
    }
    const lines = (text) => text.toString().trim().split('\n');
    assert.equal(lines(files.CSV).length, flows + 1, 'lines of the CSV, with its head');
    assert.equal(lines(files.NDJSON).length, flows);
    assert.equal(JSON.parse(files.JSON).rows.length, flows);
    assert.equal(files.Parquet.subarray(0, 4).toString(), 'PAR1');
    assert.equal(files.Parquet.subarray(-4).toString(), 'PAR1');
    // The same question for a terminal holds the filter as one word.
    const words = await panel.getByRole('button', { name: /^Command line/ }).getAttribute('title');
    assert.ok(words.endsWith(` -- '${filter}'`), words);
  },
};
