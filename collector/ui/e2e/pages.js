// Every page when things are not as they should be: nothing stored, an API that fails, one that is slow, and names
// that somebody chose to do harm. The answers are the collector's own, changed on their way to the page.
import assert from 'node:assert/strict';
import { HOSTILE } from '../dev/flows.js';
import { PLACES } from './support.js';

const API = /\/api\/(v1\/|openapi)/;
const LIVE = /\/api\/v1\/live/;

/** Waits until the page has come to rest, whatever it shows. */
export async function rest(page) {
  await page.waitForFunction(
    () => {
      const main = document.querySelector('main');
      const busy = document.querySelector('[aria-busy=true]') !== null;
      const written = (main?.innerText.trim().length ?? 0) > 0;
      window.resting = busy || !written ? 0 : (window.resting ?? 0) + 1;
      return window.resting > 12;
    },
    undefined,
    { polling: 'raf' },
  );
  await page.evaluate(() => (window.resting = 0));
}

/** Nothing of a program's inside may come out as text. */
async function isSaidInWords(page, name) {
  await page.waitForFunction(() => document.querySelector('main').innerText.trim().length > 20);
  const text = await page.locator('main').innerText();
  assert.doesNotMatch(
    text,
    /\bNaN\b|\bundefined\b|\[object|\bInfinity\b|Invalid Date/,
    `${name} shows words`,
  );
  return text;
}

/** An answer as a collector without any flow would give it. */
function emptied(path, body) {
  if (body.store) {
    Object.assign(body.store, { rows: 0, octets: 0, partitions: 0, segments: 0, oldest: null, newest: null });
    Object.assign(body.ledger.received, { datagrams: 0, messages: 0, records: 0, octets: 0 });
    Object.assign(body.ledger, { stored: 0, waiting: 0 });
  }
  if (path.endsWith('/aggregate')) {
    // A question without groups and buckets has one row, of zeros.
    const grouped = new URLSearchParams(path.split('?')[1]).has('group_by');
    body.rows = grouped ? [] : body.rows.slice(0, 0);
  } else if (Array.isArray(body.rows)) body.rows = [];
  for (const list of ['exporters', 'templates', 'metrics', 'rules', 'items', 'values'])
    if (Array.isArray(body[list])) body[list] = [];
  if ('next' in body) body.next = null;
  return body;
}

/** Puts a hostile string in place of every text that comes from the network, keeping what the page computes with. */
function poisoned(body) {
  let turn = 0;
  const COMPUTED =
    /^(_id|start|end|received|time|first|last|from|to|at|next|evaluated|since|oldest|newest|committed|state|severity|op|kind|type|unit|version|transport|protocol|counts|tier|severity|metric)$/;
  const walk = (value, key) => {
    if (typeof value === 'string') {
      if (COMPUTED.test(key) || /^\d{4}-\d\d-\d\dT/.test(value)) return value;
      turn += 1;
      return HOSTILE[turn % HOSTILE.length];
    }
    if (Array.isArray(value)) return value.map((item) => walk(item, key));
    if (typeof value === 'object' && value !== null)
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, walk(item, name)]));
    return value;
  };
  if (Array.isArray(body.rows)) {
    body.rows = walk(body.rows, 'rows');
    const [first] = body.rows;
    // So that lists by name have names even where this collector saw none.
    if (first) first['dns.qname'] ??= HOSTILE[2];
  }
  for (const list of ['exporters', 'templates', 'rules', 'summaries', 'metrics'])
    if (Array.isArray(body[list]) && typeof body[list][0] === 'object') body[list] = walk(body[list], list);
  return body;
}

/** Changes what the API answers before the page has it. */
async function changed(page, change) {
  await page.route(API, async (route) => {
    if (LIVE.test(route.request().url())) return route.abort();
    const answer = await route.fetch().catch(() => null);
    if (answer === null) return route.abort().catch(() => undefined);
    const json = (answer.headers()['content-type'] ?? '').includes('json');
    if (!json || answer.status() !== 200) return route.fulfill({ response: answer }).catch(() => undefined);
    const url = new URL(route.request().url());
    // The story may be over before its last answers are in.
    const body = await answer.json().catch(() => null);
    if (body === null) return undefined;
    return route
      .fulfill({ response: answer, json: change(url.pathname + url.search, body) })
      .catch(() => undefined);
  });
}

export const PAGE_STORIES = {};

for (const [name, path] of Object.entries(PLACES)) {
  const here = path === '/' || path === '/help' || path === '/alerts' ? path : `${path}?from=all`;

  PAGE_STORIES[`${name}: stands without data`] = async ({ page, base, allowed }) => {
    allowed.push(/status of 404/);
    await changed(page, emptied);
    await page.goto(base + here);
    await page.getByRole('heading', { level: 1, name }).waitFor({ state: 'attached' });
    await rest(page);
    await isSaidInWords(page, name);
  };

  PAGE_STORIES[`${name}: says in words that the API fails`] = async ({ page, base, allowed }) => {
    allowed.push(/status of 500/, /Failed to load resource/, /live/);
    await page.route(API, (route) =>
      route.fulfill({
        status: 500,
        contentType: 'application/problem+json',
        body: '{"title":"The collector failed","detail":"the store cannot be read","status":500}',
      }),
    );
    await page.goto(base + here);
    await page
      .getByText(/store cannot be read/i)
      .first()
      .waitFor();
    await isSaidInWords(page, name);
    const pages = page.getByRole('navigation', { name: 'Pages' });
    assert.ok(await pages.isVisible(), 'the way to the other pages stays');
  };

  PAGE_STORIES[`${name}: can be left while answers are slow, and shows them when they come`] = async ({
    page,
    base,
    allowed,
  }) => {
    allowed.push(/status of 404/);
    const SLOW_MS = 900;
    await page.route(API, async (route) => {
      await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
      await route.continue().catch(() => undefined);
    });
    await page.goto(base + here);
    // The page is there long before its answers.
    await page.getByRole('heading', { level: 1, name }).waitFor({ state: 'attached' });
    const next = name === 'Help' ? 'Discover' : 'Help';
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: next }).click();
    await page.getByRole('heading', { level: 1, name: next }).waitFor({ state: 'attached' });
    await page.goBack();
    await page.getByRole('heading', { level: 1, name }).waitFor({ state: 'attached' });
    await page.unroute(API, { behavior: 'ignoreErrors' });
    await rest(page);
    await isSaidInWords(page, name);
  };

  PAGE_STORIES[`${name}: hostile names are inert`] = async ({ page, base, allowed }) => {
    // A filter made of a hostile value is refused by the collector, which is its right.
    allowed.push(/status of 40[04]/);
    await changed(page, (_path, body) => poisoned(body));
    const { width } = page.viewportSize();
    await page.goto(base + here);
    await page.getByRole('heading', { level: 1, name }).waitFor({ state: 'attached' });
    await rest(page);
    const seen = await page.evaluate(() => ({
      ran: window.hostile,
      made: document.querySelectorAll('main img, main script, main iframe').length,
      turned: document.querySelector('main').innerText.includes('\u202e'),
      width: document.documentElement.scrollWidth,
      longest: Math.max(0, ...[...document.querySelectorAll('main *')].map((node) => node.clientHeight)),
    }));
    assert.equal(seen.ran, undefined, 'nothing ran');
    assert.equal(seen.made, 0, 'nothing became an element');
    assert.equal(seen.turned, false, 'no mark turns the text');
    assert.ok(seen.width <= width, `long values do not widen the page: ${seen.width}`);
    assert.ok(seen.longest < 60_000, `nor make it endless: ${seen.longest}`);
  };
}
