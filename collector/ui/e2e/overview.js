// What somebody does on Home, Fleet and Help, and what has to be seen then. Expectations come from the API.
import assert from 'node:assert/strict';
import { altered, ask, grouped, visit } from './support.js';

export const OVERVIEW_STORIES = {
  async 'Home says without a word what the API says'({ page, base }) {
    await visit(page, base, '/', 'Home');
    await page.waitForSelector('[data-part=day] svg');
    const { store, ledger } = await ask(base, 'status');
    const total = (await ask(base, 'aggregate', { metrics: 'total.octets,flows' })).rows[0];
    // Everything stored lies in the day that Home shows, or else the story says nothing.
    if (Date.parse(store.newest) - Date.parse(store.oldest) < 20 * 36e5) {
      const day = page.locator('[data-part=day]');
      assert.equal(
        await day.locator('[data-figure=Volume]').getAttribute('title'),
        `${grouped(total['total.octets'])} octets`,
      );
    }
    const lists = page.locator('[data-top]');
    assert.deepEqual(await lists.evaluateAll((found) => found.map((list) => list.dataset.top)), [
      'Sources',
      'Destinations',
      'Applications',
      'Names',
      'Exporters',
    ]);
    if (Date.parse(store.newest) < Date.now() - 36e5) {
      const sources = await ask(base, 'aggregate', {
        group_by: 'src.ip',
        metrics: 'total.octets',
        order_by: '-total.octets',
        limit: 8,
      });
      const titles = await page
        .locator('[data-top=Sources] a.item')
        .evaluateAll((items) => items.map((item) => item.title));
      assert.deepEqual(
        titles,
        sources.rows.map(
          (row) => `${row['src.ip']}: ${grouped(row['total.octets'])} octets, both directions`,
        ),
      );
      assert.equal(await page.getByText('Nothing was seen in the last hour').count(), 1);
    }
    const received = page.locator('[data-health=Collecting] dd').first();
    if (ledger.received.records < 10_000)
      assert.equal((await received.innerText()).trim(), grouped(ledger.received.records));
    await page.locator('[data-top=Sources] a.item').first().click();
    await page.getByRole('heading', { level: 1, name: 'Discover' }).waitFor();
    assert.match(new URL(page.url()).searchParams.get('filter'), /^src\.ip = /);
  },

  async 'Home follows without jumps and can be held'({ page, base }) {
    await visit(page, base, '/', 'Home');
    await page.waitForSelector('[data-part=day] svg');
    const places = () =>
      page
        .locator('main section')
        .evaluateAll((found) => found.map((section) => section.getBoundingClientRect().top));
    const before = await places();
    const asked = page.waitForResponse(/aggregate\?.*interval=/);
    await page.getByRole('button', { name: 'Ask again' }).click();
    await asked;
    await page.waitForTimeout(300);
    assert.deepEqual(await places(), before);
    await page.getByRole('button', { name: 'Live' }).click();
    await page.getByRole('button', { name: 'Paused' }).waitFor();
  },

  async 'Fleet shows the ledger, the exporters and their templates as the API has them'({ page, base }) {
    await visit(page, base, '/fleet', 'Fleet');
    await page.waitForSelector('[data-exporter]');
    const { ledger } = await ask(base, 'status');
    const { exporters } = await ask(base, 'exporters');
    assert.equal(await page.locator('[data-figure=received]').innerText(), grouped(ledger.received.records));
    assert.equal(
      await page.locator('[data-part-value="stored"]').innerText(),
      grouped(ledger.stored),
      'what is stored',
    );
    assert.equal((await page.getByText('balances', { exact: true }).count()) > 0, ledger.balanced);
    const keys = await page
      .locator('[data-exporter]')
      .evaluateAll((rows) => rows.map((row) => row.dataset.exporter));
    assert.deepEqual(
      keys.toSorted(),
      exporters.map((one) => `${one.address}/${one.protocol}/${one.domain}`).toSorted(),
    );
    const busiest = exporters.toSorted((a, b) => b.records - a.records)[0];
    await page.locator('[data-exporter] button').first().click();
    const detail = page.locator('[data-part=exporter]');
    await detail.locator('svg[aria-roledescription=chart]').waitFor();
    assert.ok((await detail.innerText()).includes(grouped(busiest.records)));
    assert.equal(
      new URL(page.url()).searchParams.get('exporter'),
      `${busiest.address}/${busiest.protocol}/${busiest.domain}`,
    );
    await page.reload();
    await detail.waitFor();
    await detail.getByRole('button', { name: 'Close' }).click();
    await detail.waitFor({ state: 'detached' });
    // As flows link to it.
    await visit(page, base, `/fleet?exporter=${encodeURIComponent(busiest.address)}`, 'Fleet');
    await detail.waitFor();
    assert.ok((await detail.innerText()).includes(grouped(busiest.records)));
  },

  async 'Fleet says what to fix when records are lost'({ page, base }) {
    await altered(page, /\/api\/v1\/exporters/, (body) => {
      const [first] = body.exporters;
      Object.assign(first, { sequence_lost: 22, name: '\u202e<img src=x onerror=alert(1)>' });
      Object.assign(first.sequence, { lost: 22, gaps: 2 });
    });
    await visit(page, base, '/fleet', 'Fleet');
    const fixes = page.locator('[data-part=fixes]');
    await fixes.getByText(/22 records of .* never came, in 2 gaps/).waitFor();
    assert.equal(await page.locator('main img').count(), 0, 'names stay text');
    await fixes.getByRole('button', { name: 'Show' }).first().click();
    await page.locator('[data-part=exporter]').waitFor();
  },

  async 'Help knows every column, path and metric that the collector has'({ page, base }) {
    await visit(page, base, '/help', 'Help');
    const { columns } = await ask(base, 'columns');
    const parts = page.getByRole('navigation', { name: 'Parts of the help' });
    await page.locator('#column-src\\.ip').waitFor();
    assert.equal(await page.locator('[id^=column-]').count(), columns.length);
    await page.keyboard.press('/');
    await page.keyboard.type('tcpControlBits');
    await page.getByText('0.6, unsigned16').waitFor();
    assert.equal(new URL(page.url()).searchParams.get('q'), 'tcpControlBits');
    await page.getByRole('searchbox').fill('');
    await parts.getByRole('link', { name: 'API' }).click();
    const description = await fetch(`${base}/api/openapi.json`).then((answer) => answer.json());
    await page.locator('[data-operation]').first().waitFor();
    assert.deepEqual(
      await page
        .locator('[data-operation]')
        .evaluateAll((found) => found.map((one) => one.dataset.operation)),
      Object.keys(description.paths),
    );
    await parts.getByRole('link', { name: 'Metrics' }).click();
    const text = await fetch(`${base}/metrics`).then((answer) => answer.text());
    const names = [...text.matchAll(/^# HELP (\S+)/gm)].map((match) => match[1]);
    await page.locator('[data-metric]').first().waitFor();
    const shown = await page
      .locator('[data-metric]')
      .evaluateAll((found) => found.map((one) => one.dataset.metric));
    assert.deepEqual(
      names.filter((name) => !shown.includes(name)),
      [],
    );
  },

  async 'every example of the help is a filter, and runs'({ page, base }) {
    await visit(page, base, '/help?part=filter', 'Help');
    const examples = page.locator('[data-example]');
    const filters = await examples.evaluateAll((found) => found.map((one) => one.dataset.example));
    assert.ok(filters.length > 30);
    for (const filter of filters) await ask(base, 'flows', { filter, limit: 1 });
    await page.locator('[data-example="port 53 or port 22"]').click();
    await page.getByRole('heading', { level: 1, name: 'Discover' }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('filter'), 'port 53 or port 22');
  },

  async 'a rule that fires is seen from everywhere'({ page, base }) {
    const time = new Date(Date.now() - 90_000).toISOString();
    const rule = {
      name: '<script>alert(1)</script>',
      description: 'A resolver that does not answer',
      filter: 'kind = dns',
      where: 'dns.status = unanswered',
      metric: 'transactions',
      unit: '',
      op: '>',
      threshold: 0.1,
      clear: 0.05,
      window_s: 60,
      for_s: 0,
      severity: 'critical',
      state: 'firing',
      value: 0.4,
      since: time,
      evaluated: time,
      error: null,
      labels: {},
      groups: [{ group: { 'dst.ip': '192.0.2.53' }, state: 'firing', value: 0.4, since: time }],
    };
    const quiet = { ...rule, name: 'quiet', state: 'ok', value: 0, groups: [] };
    const change = {
      time,
      name: rule.name,
      group: { 'dst.ip': '192.0.2.53' },
      from: 'ok',
      to: 'firing',
      value: 0.4,
    };
    await page.route(/\/api\/v1\/alerts$/, (route) =>
      route.fulfill({ json: { rules: [quiet, rule], stats: { firing: 1, pending: 0, evaluations: 9 } } }),
    );
    await page.route(/\/api\/v1\/alerts\/history/, (route) => route.fulfill({ json: { rows: [change] } }));
    await visit(page, base, '/', 'Home');
    const tile = page.locator('[data-health=Alerts]');
    await tile.getByText('1 firing').waitFor();
    await page
      .getByRole('navigation', { name: 'Pages' })
      .getByRole('link', { name: /^Alerts/ })
      .click();
    await page.getByRole('heading', { level: 1, name: 'Alerts' }).waitFor();
    const rules = page.locator('[data-rule]');
    await rules.nth(1).waitFor();
    assert.equal(await rules.count(), 2);
    const first = await rules.first().innerText();
    assert.match(first, /<script>alert\(1\)<\/script>/);
    assert.match(first, /transactions above 10\.0\s% over 1\smin/);
    assert.match(first, /40\.0\s%[\s\S]*dst\.ip 192\.0\.2\.53/);
    await page
      .getByRole('region', { name: 'What changed' })
      .getByText(/192\.0\.2\.53/)
      .first()
      .waitFor();
    await rules.first().getByRole('link').click();
    await page.getByRole('heading', { level: 1, name: 'Discover' }).waitFor();
    assert.equal(
      new URL(page.url()).searchParams.get('filter'),
      '(kind = dns) and (dns.status = unanswered)',
    );
  },

  async 'Home says what failed, and what to type into an empty store'({ page, base, allowed }) {
    allowed.push(/status of 500/);
    const broken = /\/api\/v1\/(aggregate|exporters)/;
    await page.route(broken, (route) =>
      route.fulfill({
        status: 500,
        contentType: 'application/problem+json',
        body: '{"title":"The collector failed","detail":"the store cannot be read","status":500}',
      }),
    );
    await page.goto(`${base}/`);
    await page.getByRole('alert').getByText('The store cannot be read.').waitFor();
    await page.locator('[data-health=DNS]').getByText('Could not be asked.').waitFor();
    await page.unroute(broken);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await page.waitForSelector('[data-part=day] svg');
    await altered(page, /\/api\/v1\/status/, (body) => {
      Object.assign(body.store, { rows: 0, oldest: null, newest: null });
    });
    await page.reload();
    await page.getByRole('region', { name: 'No flows yet' }).waitFor();
    assert.match(await page.locator('code').first().innerText(), /^flowgauge-exporter run /);
  },

  async 'Home, Fleet, Alerts and Help fit a phone'({ page, base }) {
    await page.setViewportSize({ width: 375, height: 812 });
    for (const [path, name] of [
      ['/', 'Home'],
      ['/fleet', 'Fleet'],
      ['/alerts', 'Alerts'],
      ['/help', 'Help'],
      ['/help?part=filter', 'Help'],
      ['/help?part=api', 'Help'],
      ['/help?part=metrics', 'Help'],
    ]) {
      await visit(page, base, path, name);
      await page.waitForTimeout(300);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 375, path);
    }
  },
};
