// Pictures of every page as it is with a running collector, light and dark, as the documents show them; with --all also
// a phone's, a wide screen's, and Discover with its panels open.
//   npm run screenshots -- --url http://127.0.0.1:8080 --out ../../docs/screenshots [--all]
// pngquant, where it is installed, makes them a third as large.
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch } from './browser.js';
import { rest } from './pages.js';
import { PLACES, writeFilter } from './support.js';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    out: { type: 'string' },
    // What stands behind the paths, as a span: from=now-1h&to=now
    query: { type: 'string', default: '' },
    only: { type: 'string' },
    all: { type: 'boolean', default: false },
  },
});
if (options.url === undefined || options.out === undefined) {
  console.error('screenshots: --url http://HOST:PORT of a running collector and --out DIR are needed');
  process.exit(2);
}
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 375, height: 812 };
const WALL = { width: 3840, height: 2160 };

mkdirSync(options.out, { recursive: true });
const browser = await launch();

async function picture(name, size, colorScheme, path, work = async () => {}) {
  if (options.only !== undefined && !name.includes(options.only)) return;
  const phone = size.width < 600;
  const context = await browser.newContext({
    viewport: size,
    colorScheme,
    reducedMotion: 'reduce',
    hasTouch: phone,
    deviceScaleFactor: phone ? 2 : 1,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(options.url + path);
  await rest(page);
  await work(page);
  // Charts draw themselves in.
  await page.waitForTimeout(1_200);
  const file = join(options.out, `${name}.png`);
  await page.screenshot({ path: file });
  spawnSync('pngquant', ['--force', '--skip-if-larger', '--strip', '--output', file, '128', file]);
  console.log(file);
  await context.close();
}

/** The address of a page with the span that was asked for, where it has one. */
function address(path, more = '') {
  const timed = path !== '/' && path !== '/help' && path !== '/alerts';
  const query = [timed ? options.query : '', more].filter((part) => part !== '').join('&');
  return query === '' ? path : `${path}?${query}`;
}

const openFirst = async (page) => {
  await page.locator('tbody tr[tabindex]').nth(2).focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('.drawer [data-related=record]');
};
const wrongFilter = async (page) => {
  await writeFilter(page, 'src.ip = 10.0.0.0/8 and dst.prot = 53');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#filter-fault');
};
const completion = async (page) => {
  await writeFilter(page, 'proto = 6 and ');
  await page.keyboard.type('d');
  await page.waitForSelector('.cm-tooltip-autocomplete [role=option]');
};
const press = (name) => (page) => page.getByRole('button', { name }).first().click();

for (const scheme of ['light', 'dark']) {
  for (const [name, path] of Object.entries(PLACES))
    await picture(
      `${name.toLowerCase()}-${scheme}`,
      DESKTOP,
      scheme,
      address(path, name === 'Visualise' ? 'interval=1m' : ''),
    );
  await picture(`flow-${scheme}`, DESKTOP, scheme, address('/discover', 'filter=dst.port=443'), openFirst);
  if (!options.all) continue;
  for (const [name, path] of Object.entries(PLACES)) {
    await picture(`${name.toLowerCase()}-phone-${scheme}`, PHONE, scheme, address(path));
    await picture(`${name.toLowerCase()}-wall-${scheme}`, WALL, scheme, address(path));
  }
  await picture(`fault-${scheme}`, DESKTOP, scheme, address('/discover'), wrongFilter);
  await picture(`completion-${scheme}`, DESKTOP, scheme, address('/discover'), completion);
  await picture(`times-${scheme}`, DESKTOP, scheme, address('/discover'), press(/^Time span/));
  await picture(`columns-${scheme}`, DESKTOP, scheme, address('/discover'), press('Columns'));
  await picture(`searches-${scheme}`, DESKTOP, scheme, address('/discover'), press(/searches/));
}
await browser.close();
