// The span of time that pages share: in the address, kept while one goes from page to page.
import { untrack } from 'svelte';
import { clockAhead } from './api';
import { resolveSpan, storedSpan, type SpanNote, type Timed } from './asking';
import { collector, refreshCollector } from './collector.svelte';
import { router } from './router.svelte';
import type { Span } from './time';

/**
 * One for each page that shows a span (`new Times()` in its script). Words are worked out once, so that all charts of a
 * page show the same; `refresh` works them out again, for “now” moves.
 */
export class Times implements Timed {
  span = $state.raw<Span | null>(null);
  note = $state<SpanNote>(null);
  error = $state<string | null>(null);

  get state(): { from: string | null; to: string | null } {
    const query = new URLSearchParams(router.search);
    const from = query.get('from');
    if (from === null || from === '') return { from: null, to: null };
    return { from, to: query.get('to') ?? (from === 'all' ? '' : 'now') };
  }

  /**
   * Works out the span that the address means; the collector is asked where it depends on what is stored. An effect that
   * calls this depends on nothing by it: read `router.search` there to follow the address.
   */
  refresh(): Promise<Span | null> {
    return untrack(() => this.#refresh());
  }

  async #refresh(): Promise<Span | null> {
    const { from, to } = this.state;
    if ((from === null || from === 'all') && collector.value === null) await refreshCollector();
    const resolved = resolveSpan(from, to, storedSpan(collector.value), Date.now() + clockAhead);
    if ('error' in resolved) {
      this.error = resolved.error;
      this.note = null;
      this.span = null;
    } else {
      this.error = null;
      this.note = resolved.note;
      this.span = resolved.span;
    }
    return this.span;
  }

  /** Another span: written into the address beside what else the page keeps there, then worked out. */
  async show(change: { from: string; to: string }): Promise<void> {
    const query = new URLSearchParams(location.search);
    query.set('from', change.from);
    if (change.from === 'all' || change.to === '') query.delete('to');
    else query.set('to', change.to);
    router.query(`?${query.toString().replaceAll('%3A', ':').replaceAll('%2F', '/')}`, 'push');
    await this.refresh();
  }
}
