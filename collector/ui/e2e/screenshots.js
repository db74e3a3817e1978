// Pictures of the page as it is with a running collector: light and dark, desktop, 4k and phone.
//   npm run screenshots -- --url http://127.0.0.1:8080 --out DIR
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch } from './browser.js';

const { values: options } = parseArgs({ options: { url: { type: 'string' }, out: { type: 'string' } } });
if (options.url === undefined || options.out === undefined) {
  console.error('screenshots: --url http://HOST:PORT of a running collector and --out DIR are needed');
  process.exit(2);
}
const SIZES = { desktop: { width: 1440, height: 900 }, phone: { width: 375, height: 812 } };

mkdirSync(options.out, { recursive: true });
const browser = await launch();

async function settled(page) {
  await page.waitForSelector('[data-figure="flows"] b, [aria-label="No flows yet"]');
  await page.waitForLoadState('networkidle');
}

async function picture(name, size, colorScheme, path, work = async () => {}) {
  const phone = size.width < 600;
  const context = await browser.newContext({
    viewport: size,
    colorScheme,
    hasTouch: phone,
    deviceScaleFactor: phone ? 2 : 1,
  });
  const page = await context.newPage();
  await page.goto(options.url + path);
  await settled(page);
  await work(page);
  await page.waitForTimeout(250);
  const file = join(options.out, `${name}.png`);
  await page.screenshot({ path: file });
  console.log(file);
  await context.close();
}

const openFirst = async (page) => {
  await page.locator('tbody tr').nth(2).focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('.drawer dl');
  await settled(page);
};
const wrongFilter = async (page) => {
  await page.locator('.cm-content').fill('src.ip = 10.0.0.0/8 and dst.prot = 53');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#filter-fault');
};
const completion = async (page) => {
  await page.locator('.cm-content').pressSequentially('proto = 6 and d');
  await page.waitForSelector('.cm-tooltip-autocomplete [role=option]');
};
const reading = async (page) => {
  const box = await page.locator('svg[aria-roledescription=histogram]').boundingBox();
  await page.mouse.move(box.x + box.width * 0.55, box.y + box.height * 0.5);
};
const times = async (page) => page.locator('button[aria-haspopup=dialog]').click();

for (const scheme of ['light', 'dark']) {
  for (const [size, viewport] of Object.entries(SIZES))
    await picture(
      `discover-${size}-${scheme}`,
      viewport,
      scheme,
      '/discover',
      size === 'desktop' ? reading : undefined,
    );
  await picture(`detail-desktop-${scheme}`, SIZES.desktop, scheme, '/discover', openFirst);
}
await picture('detail-phone-light', SIZES.phone, 'light', '/discover', openFirst);
await picture('fault-desktop-light', SIZES.desktop, 'light', '/discover', wrongFilter);
await picture('fault-phone-dark', SIZES.phone, 'dark', '/discover', wrongFilter);
await picture('completion-desktop-dark', SIZES.desktop, 'dark', '/discover', completion);
await picture('times-desktop-light', SIZES.desktop, 'light', '/discover', times);
await picture('times-phone-light', SIZES.phone, 'light', '/discover', times);
await picture(
  'none-desktop-light',
  SIZES.desktop,
  'light',
  '/discover?filter=dst.port+%3D+1+and+dst.port+%3D+2',
);
await picture('discover-4k-light', { width: 3840, height: 2160 }, 'light', '/discover');
await browser.close();
