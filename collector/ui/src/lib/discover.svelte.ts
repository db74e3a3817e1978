// What the Discover page knows and asks: the address bar's state, the span it means, and the answers.
import { Answer } from './answer.svelte';
import { api, clockAhead, url } from './api';
import { faultOf, resolveSpan, storedSpan, type FilterFault, type SpanNote } from './asking';
import { collector, refreshCollector } from './collector.svelte';
import { FACETS, Facet } from './facets.svelte';
import { Live } from './live.svelte';
import { SERIES_METRICS } from './series';
import { schema } from './schema.svelte';
import { Searches } from './searches.svelte';
import { shellQuoted } from './shell';
import { INITIAL, parseState, stateText, type PageState } from './state';
import { fieldsOf, tableColumns } from './table';
import { bucketWidth, rfc3339, widthText, type Span } from './time';
import type { Row, Rows, Status } from './types';

const PAGE = 100;
/** Rows asked for when the list is scrolled on. */
const NEXT_PAGE = 1_000;
const FACET_ROWS = 8;

export interface Histogram {
  rows: Rows;
  span: Span;
  width: number;
}

export class Discover {
  state = $state.raw<PageState>({ ...INITIAL });
  span = $state.raw<Span | null>(null);
  note = $state<SpanNote>(null);
  spanError = $state<string | null>(null);
  fault = $state.raw<FilterFault | null>(null);
  rows = $state.raw<Row[]>([]);
  cancelled = $state(false);
  /** How many bars the histogram has room for; its component says, and before it is there the window's width does. */
  bars = Math.max(30, Math.min(160, Math.floor((innerWidth - 372) / 8)));

  readonly status = collector;
  readonly flows = new Answer<Rows>();
  readonly more = new Answer<Rows>();
  readonly totals = new Answer<Rows>();
  readonly histogram = new Answer<Histogram>();
  readonly facets: readonly Facet[] = FACETS.map(({ field, title, open }) => new Facet(field, title, open));
  readonly live = new Live();
  readonly searches = new Searches();

  busy = $derived(
    this.flows.busy ||
      this.totals.busy ||
      this.histogram.busy ||
      this.facets.some((facet) => facet.answer.busy),
  );
  /** The store holds nothing at all. */
  empty = $derived(
    this.status.value !== null && this.status.value.store.rows === 0 && this.rows.length === 0,
  );
  /** The first failure that is not about the filter's text. */
  error = $derived(
    [this.status, this.flows, this.histogram, this.totals]
      .map((answer) => answer.error)
      .find((error) => error !== null && !error.inFilter) ?? null,
  );

  /** Reads the address and asks everything. */
  async start(): Promise<void> {
    this.state = parseState(location.search);
    await this.search();
    this.#follow(true);
  }

  /** The address changed under us: Back or Forward. */
  async revisit(): Promise<void> {
    await this.#become(parseState(location.search));
  }

  /** Changes what is shown and writes it into the address; only what depends on the change is asked again. */
  async show(change: Partial<PageState>): Promise<void> {
    const next = { ...this.state, ...change };
    const text = stateText(next);
    if (text !== location.search) {
      // Reading on from one flow to the next is one step of Back, not many.
      const onward =
        this.state.flow !== null &&
        next.flow !== null &&
        stateText({ ...next, flow: null }) === stateText({ ...this.state, flow: null });
      history[onward ? 'replaceState' : 'pushState'](null, '', `${location.pathname}${text}`);
    }
    await this.#become(next);
  }

  async #become(next: PageState): Promise<void> {
    const before = this.state;
    this.state = next;
    if (next.filter !== before.filter || next.from !== before.from || next.to !== before.to)
      await this.search();
    else {
      if (next.measure !== before.measure) this.#askFacets();
      const fields = (state: PageState): string => this.#fields(state).join();
      if (next.order !== before.order || fields(next) !== fields(before)) await this.#askFlows();
    }
    this.#follow(next.live !== before.live);
  }

  /** Opens or closes the list of top values of one column. */
  async toggle(facet: Facet, open: boolean): Promise<void> {
    facet.open = open;
    if (open) await this.#askFacet(facet);
  }

  /** Starts, goes on or ends what the address says about live flows. */
  #follow(changed: boolean): void {
    if (!this.state.live || this.fault !== null) {
      if (changed || this.live.on) this.live.stop();
    } else if (!this.live.on || this.live.filter !== this.state.filter) this.live.start(this.state.filter);
  }

  /** Ends what would go on by itself. */
  leave(): void {
    this.live.stop();
    this.cancel();
  }

  /** Asks everything again for the state as it is. */
  async search(): Promise<void> {
    this.cancelled = false;
    const needsStatus = this.state.from === null || this.state.from === 'all' || this.status.value === null;
    if (needsStatus && (await this.refreshStatus()) === null && this.status.value === null) return;
    if (!this.#resolve()) return;
    await Promise.all([this.#askFlows(), this.#askHistogram(), this.#askTotals(), ...this.#askFacets()]);
    if (this.flows.error === null) this.searches.note(this.state);
  }

  refreshStatus(): Promise<Status | null> {
    return refreshCollector();
  }

  /** Stops every question; what was answered before stays. */
  cancel(): void {
    this.cancelled = true;
    for (const answer of [this.flows, this.more, this.totals, this.histogram]) answer.cancel();
    for (const facet of this.facets) facet.answer.cancel();
  }

  /** The next page of flows behind those shown. */
  async loadMore(): Promise<void> {
    const cursor = (this.more.value ?? this.flows.value)?.next;
    if (cursor === null || cursor === undefined || this.more.busy) return;
    const answer = await this.more.ask((signal) =>
      api.flows({ ...this.#flowParameters(), cursor, limit: NEXT_PAGE }, signal),
    );
    if (answer !== null) this.rows = [...this.rows, ...answer.rows];
  }

  get hasMore(): boolean {
    return ((this.more.value ?? this.flows.value)?.next ?? null) !== null;
  }

  /** The whole time that the store has flows of; null when it has none. */
  get stored(): Span | null {
    return storedSpan(this.status.value);
  }

  /** Works out which span the state means; false when it cannot be read. */
  #resolve(): boolean {
    const found = resolveSpan(this.state.from, this.state.to, this.stored, Date.now() + clockAhead);
    this.spanError = 'error' in found ? found.error : null;
    this.note = 'error' in found ? null : found.note;
    if ('error' in found) return false;
    this.span = found.span;
    return true;
  }

  #times(): { from: string; to: string } {
    const span = this.span ?? { from: 0, to: 1 };
    return { from: rfc3339(span.from), to: rfc3339(span.to) };
  }

  /** What a download of all that is found asks for. */
  downloadUrl(format: string, limit: number): string {
    return url('/api/v1/flows', {
      filter: this.state.filter,
      ...this.#times(),
      order: this.state.order,
      fields: this.state.columns === null ? '' : this.#fields(this.state).join(','),
      limit,
      format,
    });
  }

  /** The same question for a terminal. */
  commandLine(): string {
    const { from, to } = this.#times();
    const words = ['flowgauge-collector', 'query', '--url', location.origin, '--from', from, '--to', to];
    words.push(`--order=${this.state.order}`);
    if (this.state.columns !== null) words.push('--fields', this.#fields(this.state).join(','));
    // Behind --, so that a filter that begins with - is no option.
    if (this.state.filter !== '') words.push('--', this.state.filter);
    return words.map(shellQuoted).join(' ');
  }

  #fields(state: PageState): string[] {
    return fieldsOf(tableColumns(state.columns, schema.columns));
  }

  #flowParameters() {
    return {
      filter: this.state.filter,
      ...this.#times(),
      limit: PAGE,
      order: this.state.order,
      fields: this.#fields(this.state).join(','),
    };
  }

  async #askFlows(): Promise<void> {
    const text = this.state.filter;
    const answer = await this.flows.ask((signal) => api.flows(this.#flowParameters(), signal));
    if (answer !== null) {
      this.more.cancel();
      this.more.value = null;
      this.more.error = null;
      this.rows = answer.rows;
      this.fault = null;
    } else if (this.flows.error?.inFilter) {
      this.fault = faultOf(this.flows.error, text);
    }
  }

  async #askHistogram(): Promise<void> {
    const span = this.span;
    if (span === null) return;
    const width = bucketWidth(span, this.bars, 1);
    await this.histogram.ask(async (signal) => {
      const rows = await api.aggregate(
        { filter: this.state.filter, ...this.#times(), metrics: SERIES_METRICS, interval: widthText(width) },
        signal,
      );
      return { rows, span, width };
    });
  }

  async #askTotals(): Promise<void> {
    await this.totals.ask((signal) =>
      api.aggregate({ filter: this.state.filter, ...this.#times(), metrics: SERIES_METRICS }, signal),
    );
  }

  #askFacets(): Promise<unknown>[] {
    return this.facets.filter((facet) => facet.open).map((facet) => this.#askFacet(facet));
  }

  #askFacet(facet: Facet): Promise<unknown> {
    const metric = this.state.measure === 'flows' ? 'flows' : `total.${this.state.measure}`;
    return facet.answer.ask((signal) =>
      api.aggregate(
        {
          filter: this.state.filter,
          ...this.#times(),
          group_by: facet.field,
          metrics: metric,
          order_by: `-${metric}`,
          limit: FACET_ROWS,
        },
        signal,
      ),
    );
  }
}
