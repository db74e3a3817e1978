// The numbers of Visualise, DNS and TCP: those of the API, and where the capture is known, those of the capture.
import assert from 'node:assert/strict';
import { rest } from './pages.js';
import { ask, grouped } from './support.js';

/** The figures in a row at the top of a page, by name. */
async function figures(page) {
  const pairs = await page
    .locator('main dl .item')
    .evaluateAll((items) =>
      items.map((item) => [
        item.querySelector('dt').textContent.trim(),
        item.querySelector('dd').firstChild.textContent.trim(),
      ]),
    );
  return Object.fromEntries(pairs);
}

/** What a measure as the page writes it comes to: `1.61 Mbit/s` are 1 610 000. */
function measured(text) {
  const [, number, prefix] = /^([\d.,]+)\s*([kMGT]?)/.exec(text) ?? assert.fail(`no number: ${text}`);
  return Number(number.replaceAll(',', '')) * { '': 1, k: 1e3, M: 1e6, G: 1e9, T: 1e12 }[prefix];
}

function isNear(shown, right, what) {
  // Three digits are shown.
  assert.ok(
    Math.abs(measured(shown) - right) <= Math.max(0.006 * right, 1e-9),
    `${what}: ${shown}, ${right}`,
  );
}

export const NUMBER_STORIES = {
  async 'Visualise draws the series that the API answers'({ page, base }) {
    const { store } = await ask(base, 'status');
    const minute = 60_000;
    const from = Math.floor(Date.parse(store.oldest) / minute) * minute;
    const to = Math.ceil((Date.parse(store.newest) + 1) / minute) * minute;
    const times = { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
    const top = { ...times, group_by: 'dst.port', metrics: 'total.octets', limit: '4' };
    const series = await ask(base, 'aggregate', { ...top, interval: '10s' });
    const groups = [...new Set(series.rows.map((row) => row['dst.port']))];
    assert.equal(groups.length, 4);
    await page.goto(
      `${base}/visualise?${new URLSearchParams({ ...times, by: 'dst.port', limit: '4', interval: '10s', view: 'lines' })}`,
    );
    const lines = page.getByRole('region', { name: 'Lines of the chart' }).locator('tbody tr');
    await lines.first().waitFor();
    await rest(page);
    const shown = await lines.evaluateAll((rows) =>
      rows.map((row) => ({
        name: row.querySelector('th').textContent.trim(),
        max: row.querySelectorAll('td')[1].textContent.trim(),
      })),
    );
    for (const group of groups) {
      const largest = Math.max(
        ...series.rows.filter((row) => row['dst.port'] === group).map((row) => row['total.octets']),
      );
      const named = group === null ? 'no dst.port' : String(group);
      const line = shown.find(({ name }) => name === named || name.startsWith(`${named} `));
      assert.ok(line, `${group} is among ${JSON.stringify(shown)}`);
      isNear(line.max, (largest * 8) / 10, `bits a second of ${group} in its largest bucket`);
    }
  },

  async 'the keys of twenty lines all differ, in light and in dark'({ page, base }) {
    for (const [view, look] of [
      ['lines', (key) => [key.color, key.dashes]],
      ['stacked', (key) => [key.color, key.pattern]],
    ])
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await page.goto(`${base}/visualise?from=all&by=dst.port&limit=20&view=${view}`);
        const lines = page.getByRole('region', { name: 'Lines of the chart' }).locator('tbody tr');
        await lines.first().waitFor();
        await rest(page);
        const keys = await lines.evaluateAll((rows) =>
          rows.map((row) => {
            const stroke = row.querySelector('th svg line');
            const area = row.querySelector('th .swatch');
            const style = getComputedStyle(stroke ?? area);
            return {
              color: stroke === null ? style.backgroundColor : style.stroke,
              dashes: stroke?.getAttribute('stroke-dasharray'),
              pattern: style.backgroundImage,
            };
          }),
        );
        // And all the others.
        assert.equal(keys.length, 21);
        assert.equal(new Set(keys.map((key) => look(key).join(' '))).size, 21, `${view}, ${colorScheme}`);
      }
  },

  async 'the ribbons of a Sankey diagram are gone through by keys'({ page, base }) {
    const by = { group_by: 'src.ip,dst.port', metrics: 'total.octets', order_by: '-total.octets' };
    const { rows } = await ask(base, 'aggregate', { ...by, limit: 2 });
    await page.goto(`${base}/visualise?from=all&view=sankey&by=src.ip,dst.port`);
    const chart = page.getByRole('group', { name: /as ribbons\. Arrow keys go/ });
    await chart.locator('canvas').waitFor();
    await rest(page);
    const said = chart.locator('[aria-live]');
    const ends = (row) => `${row['src.ip']}  →  ${row['dst.port']}`;
    // The rest of all may be the largest; it is no pair.
    const first = async () => (await said.textContent()).startsWith('Other');
    await chart.focus();
    await page.keyboard.press('ArrowRight');
    if (await first()) await page.keyboard.press('ArrowRight');
    assert.ok((await said.textContent()).startsWith(`${ends(rows[0])}: Volume `), await said.textContent());
    await page.keyboard.press('ArrowDown');
    if (await first()) await page.keyboard.press('ArrowDown');
    assert.ok((await said.textContent()).startsWith(`${ends(rows[1])}: Volume `), await said.textContent());
    await page.keyboard.press('Enter');
    await page.getByRole('menuitem', { name: 'Only this' }).waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('ArrowLeft');
    if (await first()) await page.keyboard.press('ArrowLeft');
    assert.ok((await said.textContent()).startsWith(ends(rows[0])), 'goes on where the menu was opened');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await rest(page);
    assert.equal(
      new URL(page.url()).searchParams.get('filter'),
      `src.ip = ${rows[0]['src.ip']} and dst.port = ${rows[0]['dst.port']}`,
    );
  },

  async 'TCP shows the numbers of the API'({ page, base, known }) {
    const metrics = [
      'flows',
      'total.packets',
      'sum(tcp.retransmits)',
      'sum(reverseTcpRetransmittedPacketDeltaCount)',
      'p50(tcp.rtt.server)',
    ];
    const { rows } = await ask(base, 'aggregate', { filter: 'proto = tcp', metrics: metrics.join(',') });
    await page.goto(`${base}/tcp?from=all`);
    await page.getByText('Connections', { exact: true }).waitFor();
    await rest(page);
    const shown = await figures(page);
    if (known !== null) assert.equal(rows[0].flows, known.tcp);
    isNear(shown['Connections'], rows[0].flows, 'connections');
    const again = (rows[0][metrics[2]] ?? 0) + (rows[0][metrics[3]] ?? 0);
    isNear(shown['Sent again'], again, 'packets sent again');
    const trip = rows[0]['p50(tcp.rtt.server)'];
    if (trip !== null) {
      const [, number, unit] =
        /^([\d.]+)\s*(µs|ms|s)$/.exec(shown['Round trip to servers']) ?? assert.fail(JSON.stringify(shown));
      const ns = Number(number) * { µs: 1e3, ms: 1e6, s: 1e9 }[unit];
      assert.ok(Math.abs(ns - trip) <= 0.006 * trip, `${shown['Round trip to servers']}: ${trip} ns`);
    }
  },

  async 'DNS shows the numbers of the API'({ page, base, known }) {
    const count = async (filter) =>
      (await ask(base, 'aggregate', { filter, metrics: 'transactions' })).rows[0].transactions;
    const all = await count('kind = dns');
    if (known !== null) assert.equal(all, known.dns.queries);
    if (all === 0) return;
    const unanswered = await count('dns.status = unanswered');
    await page.goto(`${base}/dns?from=all`);
    await page.getByText('Queries', { exact: true }).first().waitFor();
    await rest(page);
    const shown = await figures(page);
    if (known !== null) {
      assert.equal(shown['Queries'], grouped(known.dns.queries));
      assert.equal(shown['Answers'], grouped(known.dns.answers));
      assert.equal(unanswered, known.dns.queries - known.dns.answers);
    }
    isNear(shown['Queries'], all, 'queries');
    isNear(shown['Unanswered'], unanswered, 'unanswered');
    isNear(shown['No such name'], await count('dns.rcode = NXDOMAIN'), 'NXDOMAIN');
  },
};
