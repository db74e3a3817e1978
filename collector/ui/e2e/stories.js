// What somebody does with the page, each with what has to be seen then. Expectations come from the API, asked apart.
import assert from 'node:assert/strict';
import { HOSTILE } from '../dev/flows.js';
import {
  addressBar,
  altered,
  ask,
  filterBox,
  filterText,
  grouped,
  HISTOGRAM,
  open,
  PLACES,
  rows,
  settled,
  writeFilter,
} from './support.js';

/** The ids of the flows that the page asked for last, and what it shows of them. */
async function shown(page) {
  return page.evaluate(() => ({
    flows: Number(document.querySelector('[data-figure=flows] b').textContent.replaceAll(',', '')),
    bars: [...document.querySelectorAll('svg rect.forward')]
      .map((bar) => `${bar.dataset.bucket}:${bar.getAttribute('height')}`)
      .join(' '),
    cells: [...document.querySelectorAll('tbody tr[tabindex]')].map((row) => row.innerText).join('\n'),
    // Only rows in sight are drawn; the table says how many there are.
    rows: Number(document.querySelector('table').getAttribute('aria-rowcount')) - 1,
  }));
}

/** What the API says for the same filter over everything. */
async function truth(base, filter) {
  const metrics = 'flows,octets,rev.octets,packets,rev.packets';
  const [total, list] = await Promise.all([
    ask(base, 'aggregate', { filter, metrics }),
    ask(base, 'flows', { filter, limit: 100, order: '-start' }),
  ]);
  return { total: total.rows[0], rows: list.rows };
}

async function agrees(page, base, filter) {
  const expected = await truth(base, filter);
  const seen = await shown(page);
  assert.equal(seen.flows, expected.total.flows, 'flows in the summary');
  assert.ok(
    seen.rows >= expected.rows.length && seen.rows <= expected.total.flows,
    `${seen.rows} rows of the table`,
  );
  const octets = expected.total.octets + expected.total['rev.octets'];
  const title = await page.locator('[data-figure=octets]').getAttribute('title');
  assert.equal(title, `${grouped(octets)} octets, both directions`);
  const packets = expected.total.packets + expected.total['rev.packets'];
  assert.equal(await page.locator('[data-figure=packets] b').innerText(), grouped(packets));
  // Each row shows the addresses of the flow at its place.
  const sources = await page.locator('tbody td[data-column=src]').allInnerTexts();
  assert.ok(sources.length >= Math.min(10, expected.rows.length), `${sources.length} rows are drawn`);
  expected.rows
    .slice(0, sources.length)
    .forEach((row, index) =>
      assert.ok(
        sources[index].includes(row['src.ip']),
        `row ${index}: ${sources[index]} has ${row['src.ip']}`,
      ),
    );
  return seen;
}

export const STORIES = {
  async 'every page is reached by the navigation, by keys and by its address'({ page, base }) {
    await page.goto(`${base}/`);
    for (const [name, path] of Object.entries(PLACES)) {
      // In the navigation only where there are rules.
      if (name === 'Alerts') continue;
      await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name, exact: true }).click();
      await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
      assert.equal(new URL(page.url()).pathname, path);
      assert.equal(await page.title(), `${name} · Flowgauge`);
      assert.equal(await page.locator('[aria-current=page]').innerText(), name);
    }
    await page.keyboard.press('g');
    await page.keyboard.press('f');
    await page.getByRole('heading', { level: 1, name: 'Fleet' }).waitFor();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
    await page.keyboard.press('Escape');
    await page.goBack();
    await page.getByRole('heading', { level: 1, name: 'Help' }).waitFor();
    await page.goto(`${base}/tcp`);
    await page.getByRole('heading', { level: 1, name: 'TCP' }).waitFor();
    await page.goto(`${base}/nowhere`);
    await page.getByText('Nothing is at this address').waitFor();
  },

  async 'an old address of Discover still leads there, and the span goes along'({ page, base, filter }) {
    await page.goto(`${base}/?filter=${encodeURIComponent(filter)}&from=now-6h&to=now`);
    await page.getByRole('heading', { level: 1, name: 'Discover' }).waitFor();
    assert.equal(new URL(page.url()).pathname, '/discover');
    assert.equal(await filterText(page), filter);
    await settled(page);
    const pages = page.getByRole('navigation', { name: 'Pages' });
    await pages.getByRole('link', { name: 'DNS' }).click();
    await page.getByRole('heading', { level: 1, name: 'DNS' }).waitFor();
    assert.equal((await addressBar(page)).get('from'), 'now-6h');
    await pages.getByRole('link', { name: 'Home' }).click();
    await page.getByRole('heading', { level: 1, name: 'Home' }).waitFor();
    assert.equal(new URL(page.url()).search, '');
    await pages.getByRole('link', { name: 'TCP' }).click();
    await page.getByRole('heading', { level: 1, name: 'TCP' }).waitFor();
    assert.equal((await addressBar(page)).get('from'), 'now-6h');
  },

  async 'a typed filter changes histogram and rows to what the API answers'({
    page,
    base,
    filter,
    known,
    allowed,
  }) {
    // What is half written is no filter yet.
    allowed.push(/status of 400/);
    await open(page, base);
    const before = await agrees(page, base, '');
    if (known !== null) {
      const octets = await page.locator('[data-figure=octets]').getAttribute('title');
      const packets = await page.locator('[data-figure=packets] b').innerText();
      assert.deepEqual(
        [before.flows, packets, octets],
        [known.biflows, grouped(known.packets), `${grouped(known.octets)} octets, both directions`],
        'what the capture holds',
      );
    }
    await filterBox(page).pressSequentially(filter);
    await filterBox(page).press('Enter');
    await settled(page);
    const after = await agrees(page, base, filter);
    assert.ok(
      after.flows > 0 && after.flows < before.flows,
      `${filter} matches ${after.flows} of ${before.flows} flows`,
    );
    assert.notEqual(after.bars, before.bars, 'the histogram changed');
    assert.notEqual(after.rows, before.rows, 'the rows changed');
    assert.equal((await addressBar(page)).get('filter'), filter);
    await page.goBack();
    // The page may not have begun to ask yet, so that being quiet says nothing.
    await page.waitForFunction(
      (flows) => document.querySelector('[data-figure=flows] b').textContent === flows,
      grouped(before.flows),
    );
    assert.equal(await filterText(page), '');
  },

  async 'the histogram adds up to the totals'({ page, base }) {
    const answer = page.waitForResponse((response) => /aggregate\?.*interval=/.test(response.url()));
    await open(page, base);
    const { rows: buckets, stats } = await (await answer).json();
    const { total } = await truth(base, '');
    for (const metric of ['flows', 'octets', 'rev.octets', 'packets', 'rev.packets']) {
      const sum = buckets.reduce((all, bucket) => all + (bucket[metric] ?? 0), 0);
      assert.equal(sum, total[metric], metric);
    }
    const drawn = await page.locator(`${HISTOGRAM} rect.forward`).count();
    assert.equal(
      drawn,
      buckets.filter((bucket) => bucket.octets > 0).length,
      'a bar for each bucket with octets',
    );
    assert.ok(stats.interval_ns > 0);
    const tallest = buckets.reduce((most, bucket) => Math.max(most, bucket.flows), 0);
    await page.getByRole('group', { name: 'Measure by' }).getByRole('button', { name: 'Flows' }).click();
    await settled(page);
    assert.equal((await addressBar(page)).get('by'), 'flows');
    const label = await page.locator(HISTOGRAM).getAttribute('aria-label');
    assert.ok(label.includes(`: ${grouped(tallest)}`), `${label} says ${tallest}`);
  },

  async 'a drag over the histogram zooms, the pointer and the keys read'({ page, base }) {
    await open(page, base);
    const bars = page.locator(`${HISTOGRAM} rect.forward`);
    const bar = await bars.nth(Math.floor((await bars.count()) / 2)).boundingBox();
    const plot = await page.locator(HISTOGRAM).boundingBox();
    const middle = plot.y + plot.height / 2;
    await page.mouse.move(bar.x + bar.width / 2, middle);
    await page.waitForSelector('.reading');
    assert.match(await page.locator('.reading').innerText(), /\d+(\.\d+)?\s[kMGT]?B[\s\S]*bit\/s/);
    const before = await shown(page);
    await page.mouse.move(bar.x - 20, middle);
    await page.mouse.down();
    await page.mouse.move(bar.x + bar.width + 20, middle, { steps: 5 });
    assert.equal(await page.locator('rect.brush').count(), 1);
    await page.mouse.up();
    await settled(page);
    const address = await addressBar(page);
    assert.match(address.get('from'), /^\d{4}-.*Z$/);
    assert.ok(Date.parse(address.get('from')) < Date.parse(address.get('to')));
    const {
      rows: [total],
    } = await ask(base, 'aggregate', { from: address.get('from'), to: address.get('to'), metrics: 'flows' });
    const after = await shown(page);
    assert.equal(after.flows, total.flows);
    assert.ok(after.flows < before.flows, 'fewer flows in a shorter span');
    await page.locator(HISTOGRAM).focus();
    await page.keyboard.press('Home');
    await page.keyboard.press('ArrowRight');
    await page.waitForSelector('.reading');
    await page.getByRole('button', { name: 'Zoom out' }).click();
    await settled(page);
    assert.ok((await shown(page)).flows >= after.flows, 'zooming out loses no flow');
  },

  async 'the details of a flow have every element the API has'({ page, base }) {
    await open(page, base);
    await rows(page).first().focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.drawer dl');
    await settled(page);
    const id = (await addressBar(page)).get('flow');
    const { row } = await ask(base, `flows/${encodeURIComponent(id)}`);
    const names = await page
      .locator('.drawer [data-name]')
      .evaluateAll((lines) => lines.map((line) => line.dataset.name));
    assert.deepEqual(
      names.toSorted(),
      Object.keys(row)
        .filter((name) => name !== '_id')
        .toSorted(),
    );
    assert.ok((await page.locator('.drawer h2').innerText()).includes(row['src.ip']));
    await page.keyboard.press('ArrowDown');
    await settled(page);
    assert.notEqual((await addressBar(page)).get('flow'), id, 'the arrow keys go to the next flow');
    await page.keyboard.press('Escape');
    await page.waitForSelector('.drawer', { state: 'detached' });
    assert.equal((await addressBar(page)).get('flow'), null);
    await page.goBack();
    await page.waitForSelector('.drawer dl');
  },

  async 'a click on a value filters by it, with Alt it filters it out'({ page, base }) {
    await open(page, base);
    const before = await shown(page);
    const cell = page.locator('tbody td[data-column=proto] button').first();
    const proto = (await cell.innerText()).trim();
    await cell.click();
    await settled(page);
    const inside = await filterText(page);
    assert.ok(inside.startsWith('proto = '), inside);
    const one = await agrees(page, base, inside);
    assert.ok(
      (await page.locator('tbody td[data-column=proto]').allInnerTexts()).every(
        (text) => text.trim() === proto,
      ),
    );
    await page
      .locator('tbody td[data-column=proto] button')
      .first()
      .click({ modifiers: ['Alt'] });
    await settled(page);
    const outside = await filterText(page);
    assert.equal(outside, `not ${inside}`, 'the term gives way to its opposite');
    assert.equal((await shown(page)).flows, before.flows - one.flows);
  },

  async 'the top lists are the API’s and filter'({ page, base }) {
    await open(page, base);
    for (const field of ['src.ip', 'dst.ip', 'dst.port', 'proto']) {
      const answer = await ask(base, 'aggregate', {
        group_by: field,
        metrics: 'total.octets',
        order_by: '-total.octets',
        limit: 8,
      });
      const titles = await page
        .locator(`[data-facet="${field}"] .item`)
        .evaluateAll((items) => items.map((item) => item.title));
      assert.equal(titles.length, answer.rows.length, field);
      assert.ok(answer.rows[0]['total.octets'] > 0, `${field} has octets`);
      answer.rows.forEach((row, index) =>
        assert.ok(
          titles[index].includes(`: ${grouped(row['total.octets'])} octets`),
          `${titles[index]} has ${row['total.octets']}`,
        ),
      );
    }
    await page.locator('[data-facet="dst.ip"] .item').first().click();
    await settled(page);
    await agrees(page, base, await filterText(page));
  },

  async 'a head sorts, scrolling reads on to the last flow'({ page, base }) {
    await open(page, base);
    await page.locator('th button', { hasText: 'Octets' }).first().click();
    await settled(page);
    assert.equal((await addressBar(page)).get('order'), '-octets');
    assert.equal(await page.locator('th[aria-sort=descending]').count(), 1);
    const list = await ask(base, 'flows', { order: '-octets', limit: 100_000, fields: 'octets' });
    const expected = list.rows.map((row) => row.octets ?? 0);
    const drawn = () =>
      page.locator('tbody tr[tabindex]').evaluateAll((rows) =>
        rows.map((row) => [
          Number(row.getAttribute('aria-rowindex')) - 2,
          Number(
            row
              .querySelector('[data-column=octets] [title]')
              ?.title.replace(/ octets[\s\S]*/, '')
              .replaceAll(',', '') ?? 0,
          ),
        ]),
      );
    const agree = async () => {
      const seen = await drawn();
      assert.ok(seen.length > 0);
      for (const [index, octets] of seen) assert.equal(octets, expected[index], `octets of row ${index}`);
      return seen;
    };
    assert.equal((await agree())[0][0], 0);
    await rows(page).first().focus();
    for (let step = 0; step < 400; step += 1) {
      await page.keyboard.press('End');
      await settled(page);
      const all = await page.locator('table').getAttribute('aria-rowcount');
      if (Number(all) - 1 === expected.length) break;
    }
    await page.keyboard.press('End');
    const seen = await agree();
    assert.equal(seen.at(-1)[0], expected.length - 1, 'the last flow is reached');
    assert.ok(seen.length < 120, `${seen.length} rows drawn of ${expected.length}`);
  },

  async 'a wrong filter is said at its place with the nearest name'({ page, base, allowed }) {
    allowed.push(/status of 400/);
    await open(page, base);
    const before = await shown(page);
    const text = 'proto = tcp and dst.prot = 53';
    await writeFilter(page, text);
    await filterBox(page).press('Enter');
    const fault = page.locator('#filter-fault');
    await fault.waitFor();
    assert.equal(await page.locator('.cm-content .wrong').innerText(), 'dst.prot');
    assert.equal(await fault.locator('mark').innerText(), 'dst.prot');
    assert.equal(await filterBox(page).getAttribute('aria-invalid'), 'true');
    assert.equal((await shown(page)).rows, before.rows, 'the rows before stay');
    await fault.getByRole('button', { name: 'dst.port' }).click();
    await settled(page);
    assert.equal(await filterText(page), 'proto = tcp and dst.port = 53');
    assert.equal(await fault.count(), 0);
    // Places are counted in octets by the API and in UTF-16 units by the page.
    await writeFilter(page, 'dns.qname = "é😀" and srcip = 1');
    await filterBox(page).press('Enter');
    await fault.waitFor();
    assert.equal(await page.locator('.cm-content .wrong').innerText(), 'srcip');
    // While typing, too, without Enter.
    await writeFilter(page, 'src.port = 53 and src.porrt = 2');
    await filterBox(page).blur();
    await page.locator('.cm-content .wrong', { hasText: /^src\.porrt$/ }).waitFor();
  },

  async 'completion offers columns and is taken by Tab'({ page, base, allowed }) {
    // A filter that is half written is no filter yet, which the check while typing finds out.
    allowed.push(/status of 400/);
    await open(page, base);
    await page.locator('body').press('/');
    assert.ok(
      await filterBox(page).evaluate((input) => input === input.getRootNode().activeElement),
      '/ goes to the filter',
    );
    await filterBox(page).pressSequentially('proto = tcp and dst.po');
    // Some list is open; Tab takes of the list for what has been typed by now.
    await page.locator('.cm-tooltip-autocomplete [role=option]').first().waitFor();
    await page.keyboard.press('Tab');
    await page.locator('.cm-line', { hasText: /^proto = tcp and dst\.port\s*$/ }).waitFor();
    await page.keyboard.press('Escape');
    await filterBox(page).press('Escape');
    assert.ok(
      await filterBox(page).evaluate((input) => input !== input.getRootNode().activeElement),
      'Esc leaves the filter',
    );
  },

  async 'hostile strings are inert'({ page, base }) {
    const dress = (row, index) => ({
      ...row,
      'tls.sni': HOSTILE[index % HOSTILE.length],
      'src.name': HOSTILE[(index + 1) % HOSTILE.length],
      'exporter.name': HOSTILE[(index + 2) % HOSTILE.length],
      [HOSTILE[0]]: HOSTILE[1],
    });
    await altered(page, /\/api\/v1\/flows/, (body) => {
      if (body.rows) body.rows = body.rows.map(dress);
      if (body.row) body.row = dress(body.row, 2);
    });
    await altered(page, /\/api\/v1\/aggregate\?.*group_by=src\.ip/, (body) => {
      body.rows.forEach((row, index) => (row['src.ip'] = HOSTILE[index % HOSTILE.length]));
    });
    const before = page.viewportSize().width;
    await open(page, base);
    await rows(page).nth(1).press('Enter');
    await page.waitForSelector('.drawer dl');
    await settled(page);
    assert.equal(await page.evaluate(() => window.hostile), undefined, 'nothing ran');
    assert.equal(
      await page.locator('main img, main script, .drawer img, .drawer script').count(),
      0,
      'nothing became an element',
    );
    assert.ok(
      (await page.locator('bdi .code', { hasText: 'U+202E' }).count()) > 0,
      'marks that turn the text are shown',
    );
    assert.equal(
      await page
        .locator('main, .drawer')
        .evaluateAll((parts) => parts.some((part) => part.innerText.includes('\u202e'))),
      false,
    );
    assert.ok(
      (await page.evaluate(() => document.documentElement.scrollWidth)) <= before,
      'long values do not widen the page',
    );
    const tallest = await rows(page).evaluateAll((list) => Math.max(...list.map((row) => row.offsetHeight)));
    assert.ok(tallest < 60, `rows stay one line high: ${tallest} px`);
    // The quotes in a value do not get out of the filter's quotes.
    const titles = await page.locator('tbody td[data-column=name]').allInnerTexts();
    const at = titles.findIndex((text) => text.includes('0.0.0.0/0'));
    await page.keyboard.press('Escape');
    await page.locator('tbody td[data-column=name]').nth(at).locator('button').click();
    await settled(page);
    assert.equal(await filterText(page), 'tls.sni = "\\" or src.ip = 0.0.0.0/0 or dns.qname = \\""');
    assert.equal(await page.locator('#filter-fault').count(), 0, 'and the collector reads it');
  },

  async 'an answer that fails is said in words, and tried again'({ page, base, allowed }) {
    allowed.push(/status of 500/, /Failed to load resource/);
    await page.route(/\/api\/v1\/(flows|aggregate)/, (route) =>
      route.fulfill({
        status: 500,
        contentType: 'application/problem+json',
        body: '{"title":"The collector failed","detail":"the store cannot be read","status":500}',
      }),
    );
    await page.goto(`${base}/discover?from=all`);
    await page.getByRole('alert').waitFor();
    assert.match(await page.getByRole('alert').innerText(), /The store cannot be read\.[\s\S]*log/);
    await page.unroute(/\/api\/v1\/(flows|aggregate)/);
    await page.getByRole('button', { name: 'Try again' }).click();
    await rows(page).first().waitFor();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await page.route(/\/api\/v1\/flows/, (route) => route.abort());
    await page.getByRole('button', { name: 'Search again' }).click();
    await page.getByText('The collector does not answer.').first().waitFor();
  },

  async 'what the collector says about its answers is shown once'({ page, base }) {
    await page.route(/\/api\/v1\/(flows|aggregate)/, async (route) => {
      const answer = await route.fetch();
      const json = await answer.json();
      await route.fulfill({ json: { ...json, stats: { ...json.stats, hint: '1 segment was left out' } } });
    });
    await page.goto(`${base}/discover?from=all`);
    await rows(page).first().waitFor();
    await page.getByText('1 segment was left out.', { exact: true }).waitFor();
    assert.equal(await page.getByText('1 segment was left out.').count(), 1);
    await page.goto(`${base}/visualise?from=all`);
    await page.getByText('1 segment was left out.', { exact: true }).waitFor();
    await page.unroute(/\/api\/v1\/(flows|aggregate)/, { behavior: 'ignoreErrors' });
  },

  async 'a slow answer can be cancelled'({ page, base }) {
    await open(page, base);
    let held = 0;
    await page.route(/\/api\/v1\/aggregate/, async (route) => {
      held += 1;
      await new Promise((resolve) => setTimeout(resolve, 20_000));
      await route.abort().catch(() => undefined);
    });
    const before = await shown(page);
    await page.getByRole('button', { name: 'Search again' }).click();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Cancelled').waitFor();
    assert.ok(held > 0);
    assert.equal((await shown(page)).flows, before.flows, 'what was there stays');
    await page.unroute(/\/api\/v1\/aggregate/, { behavior: 'ignoreErrors' });
  },

  async 'without flows in the last hour the page goes where the data is'({ page, base }) {
    const { store } = await ask(base, 'status');
    await page.goto(`${base}/discover`);
    await settled(page);
    const seen = await shown(page);
    assert.ok(seen.flows > 0, 'something is shown without a word from anybody');
    const notice = page.getByText('Nothing was seen in the last hour');
    assert.equal(await notice.count(), Date.parse(store.newest) < Date.now() - 36e5 ? 1 : 0);
  },

  async 'an empty store says how to send data and finds the first flows'({ page, base }) {
    let filled = false;
    await altered(
      page,
      /\/api\/v1\/(status|flows|aggregate)/,
      (body) => {
        if (body.store) {
          Object.assign(body.store, { rows: 0, oldest: null, newest: null });
          Object.assign(body.ledger.received, { datagrams: 0, messages: 0, records: 0 });
        }
        if (body.rows) Object.assign(body, { rows: [], next: null });
      },
      () => filled,
    );
    await page.goto(`${base}/discover`);
    await page.getByText('No flows yet').first().waitFor();
    assert.match(
      await page.locator('code').first().innerText(),
      /^flowgauge-exporter run .*--to udp:\/\/127\.0\.0\.1:\d+$/,
    );
    filled = true;
    await rows(page).first().waitFor({ timeout: 10_000 });
  },

  async 'on a phone nothing is wider than the screen'({ page, base }) {
    await page.setViewportSize({ width: 375, height: 812 });
    await open(page, base);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 375);
    await rows(page).first().click();
    await page.waitForSelector('.drawer dl');
    assert.ok((await page.evaluate(() => document.querySelector('.drawer').scrollWidth)) <= 375);
  },

  async 'the theme is chosen and kept'({ page, base }) {
    await open(page, base);
    const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const button = page.getByRole('button', { name: /^Colours/ });
    await button.click();
    const light = await ground();
    await button.click();
    const dark = await ground();
    assert.notEqual(light, dark);
    await page.reload();
    await settled(page);
    assert.equal(await ground(), dark);
  },
};
