// What all stories share: asking the API apart from the page, and reading what the page shows.
import assert from 'node:assert/strict';

export const HISTOGRAM = 'svg[aria-roledescription=histogram]';

/** The filter's editor; a plain field stands there until it has come. */
export const filterBox = (page) => page.locator('.cm-content[role=textbox]');
export const rows = (page) => page.locator('tbody tr[tabindex]');
export const grouped = (number) => new Intl.NumberFormat('en-US').format(number);

export async function ask(base, path, parameters = {}) {
  const query = new URLSearchParams(parameters);
  const answer = await fetch(`${base}/api/v1/${path}?${query}`);
  const body = await answer.json();
  assert.equal(answer.status, 200, `${path}?${query}: ${JSON.stringify(body)}`);
  return body;
}

/** Changes what the API answers before the page has it; `isOver` leaves it as it is from then on. */
export async function altered(page, pattern, change, isOver = () => false) {
  await page.route(pattern, async (route) => {
    if (isOver()) return route.continue();
    // The story may be over before its last answers are in.
    const answer = await route.fetch().catch(() => null);
    const body = (await answer?.json().catch(() => null)) ?? null;
    if (body === null) return route.abort().catch(() => undefined);
    change(body);
    return route.fulfill({ response: answer, json: body }).catch(() => undefined);
  });
}

/** Waits until the page has its answers: nothing is busy for a few frames on end. */
export async function settled(page) {
  await page.waitForFunction(
    () => {
      const figure = document.querySelector('[data-figure=flows] b');
      const busy = document.querySelector('[aria-busy=true]') !== null;
      window.quiet = figure === null || figure.textContent === '–' || busy ? 0 : (window.quiet ?? 0) + 1;
      return window.quiet > 3;
    },
    undefined,
    { polling: 'raf' },
  );
  await page.evaluate(() => (window.quiet = 0));
}

export async function open(page, base, path = '/discover?from=all') {
  await page.goto(base + path);
  await settled(page);
}

/** Opens one of the pages without a list of flows, and waits until it has answers. */
export async function visit(page, base, path, name) {
  await page.goto(base + path);
  await page.getByRole('heading', { level: 1, name, exact: true }).waitFor();
  await page.waitForSelector('main:not([aria-busy=true])');
}

/** Types over what stands in the filter. */
export async function writeFilter(page, text) {
  await filterBox(page).focus();
  await page.keyboard.press('ControlOrMeta+a');
  await page.keyboard.insertText(text);
}

/** What stands in the filter. */
export async function filterText(page) {
  return filterBox(page).evaluate((content) =>
    [...content.querySelectorAll('.cm-line')]
      .map((line) => {
        const copy = line.cloneNode(true);
        copy.querySelector('.cm-placeholder')?.remove();
        return copy.textContent;
      })
      .join('\n'),
  );
}

export async function addressBar(page) {
  return new URL(page.url()).searchParams;
}

/** Where each page is, and the title it has. */
export const PLACES = {
  Home: '/',
  Discover: '/discover',
  Visualise: '/visualise',
  DNS: '/dns',
  TCP: '/tcp',
  Fleet: '/fleet',
  Alerts: '/alerts',
  Help: '/help',
};
