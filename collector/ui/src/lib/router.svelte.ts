// Where the reader is: the address bar as state, links followed without loading the page anew.
import { currentAddress, routeOf, spanQuery, type Route } from './routes';

class Router {
  path = $state(location.pathname);
  /** The query, as it was when the page was entered or `replace` was called last. */
  search = $state.raw(location.search);
  route = $derived<Route | undefined>(routeOf(this.path));
  /** Grows with each step to another page. */
  visits = $state(0);
  /** The span chosen last, for pages that share it. */
  #span = spanQuery(location.search);

  constructor() {
    this.#modernize();
  }

  /** Goes to an address of this page; one that shares the span takes it along unless it says its own. */
  go(address: string): void {
    this.remember();
    const target = new URL(address, location.origin);
    if (target.search === '' && routeOf(target.pathname)?.timed) target.search = this.#span;
    const next = target.pathname + target.search + target.hash;
    if (next !== location.pathname + location.search + location.hash) history.pushState(null, '', next);
    this.#enter();
  }

  /** Back or Forward. */
  revisit(): void {
    this.#enter();
  }

  /** Writes a new query for the page one is on: a step of its own for Back, or in place of the one before. */
  query(search: string, step: 'push' | 'replace'): void {
    if (search !== location.search)
      history[step === 'push' ? 'pushState' : 'replaceState'](null, '', location.pathname + search);
    this.search = location.search;
    this.remember();
  }

  remember(): void {
    const span = spanQuery(location.search);
    if (span !== '') this.#span = span;
  }

  #enter(): void {
    this.#modernize();
    const moved = this.path !== location.pathname;
    this.path = location.pathname;
    this.search = location.search;
    if (moved) this.visits += 1;
  }

  #modernize(): void {
    const current = currentAddress(location.pathname, location.search);
    if (current === null) return;
    history.replaceState(null, '', current);
    this.path = location.pathname;
    this.search = location.search;
  }
}

export const router = new Router();

/** Follows links within the page; those with a modifier, a target or to the API stay the browser's. */
export function followLink(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (link === null || link.target !== '' || link.hasAttribute('download')) return;
  const target = new URL(link.href, location.href);
  if (target.origin !== location.origin || routeOf(target.pathname) === undefined) return;
  // A place on this very page is the browser's to scroll to.
  if (target.pathname === location.pathname && target.hash !== '' && target.search === location.search)
    return;
  event.preventDefault();
  router.go(target.pathname + target.search + target.hash);
}
