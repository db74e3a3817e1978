// Drives the page against a running collector and compares what it shows with what the API answers.
//   npm run e2e -- --url http://127.0.0.1:8080 [--filter 'proto = tcp'] [--only WORDS] [--jobs 2] [--screenshots DIR]
// The collector needs flows, and the filter has to match some of them but not all. Exit status 0 when all holds, 1
// when something does not, 2 for wrong arguments.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { launch } from './browser.js';
import { NUMBER_STORIES } from './numbers.js';
import { OVERVIEW_STORIES } from './overview.js';
import { PAGE_STORIES } from './pages.js';
import { QUALITY } from './quality.js';
import { STORIES } from './stories.js';
import { TOOL_STORIES } from './tools.js';

const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    filter: { type: 'string', default: 'proto = tcp' },
    // Known numbers of what the collector was filled with, which the page has to show: JSON.
    truth: { type: 'string' },
    only: { type: 'string' },
    jobs: { type: 'string', default: '2' },
    screenshots: { type: 'string' },
  },
});
if (options.url === undefined) {
  console.error('e2e: --url http://HOST:PORT of a running collector with flows is needed');
  process.exit(2);
}
const base = options.url.replace(/\/$/, '');
const known = options.truth === undefined ? null : JSON.parse(options.truth);
if (options.screenshots !== undefined) mkdirSync(options.screenshots, { recursive: true });

const status = await fetch(`${base}/api/v1/status`).then(
  (answer) => answer.json(),
  (error) => error,
);
if (!(status.store?.rows > 0)) {
  console.error(
    `e2e: ${base} is no collector with flows (${status.message ?? JSON.stringify(status.store)}); start one and export to it`,
  );
  process.exit(2);
}

const browser = await launch();
let failed = 0;

async function play(name, story) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const faults = [];
  // What a story expects to be logged, such as the browser's line about a 400, it says itself.
  const allowed = [];
  page.on('console', (message) => {
    // The browser asks for this one by itself when it meets a document that names no icon, such as an answer in JSON.
    if (message.location().url === `${base}/favicon.ico`) return;
    if (['error', 'warning'].includes(message.type()))
      faults.push(`console: ${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => faults.push(`page: ${error.stack ?? error}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(`${base}/`))
      faults.push(`request leaves the collector: ${request.url().slice(0, 200)}`);
  });
  const started = performance.now();
  try {
    await story({ page, base, filter: options.filter, allowed, known });
    const unexpected = faults.filter((fault) => !allowed.some((pattern) => pattern.test(fault)));
    if (unexpected.length > 0) throw new Error(unexpected.join('\n'));
    console.log(`ok      ${name} (${Math.round(performance.now() - started)} ms)`);
  } catch (error) {
    failed += 1;
    console.error(`FAILED  ${name}\n${error.stack ?? error}`);
  }
  if (options.screenshots !== undefined) {
    const file = join(options.screenshots, `${name.replaceAll(/\W+/g, '-')}.png`);
    await page.screenshot({ path: file }).catch(() => undefined);
  }
  await context.close();
}

const chosen = Object.entries({
  ...STORIES,
  ...TOOL_STORIES,
  ...PAGE_STORIES,
  ...NUMBER_STORIES,
  ...OVERVIEW_STORIES,
  ...QUALITY,
}).filter(([name]) => options.only === undefined || name.includes(options.only));
// Times are measured without others beside them.
const alone = chosen.filter(([, story]) => story.alone);
const waiting = chosen.filter(([, story]) => !story.alone);
for (const [name, story] of alone) await play(name, story);
await Promise.all(
  Array.from({ length: Math.max(1, Number(options.jobs)) }, async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await play(...next);
  }),
);
await browser.close();
console.log(
  failed === 0 ? `all ${chosen.length} stories hold` : `${failed} of ${chosen.length} stories failed`,
);
process.exit(failed === 0 ? 0 : 1);
