// What the Discover page knows and asks: the address bar's state, the span it means, and the answers.
import { Answer } from './answer.svelte';
import { ApiError, api, clockAhead, isAbort } from './api';
import { SERIES_METRICS } from './series';
import { INITIAL, parseState, stateText, type PageState } from './state';
import { FIELDS } from './table';
import { unitAt } from './text';
import { bucketWidth, parseTime, rfc3339, widthText, type Span } from './time';
import type { Row, Rows, Status } from './types';

const HOUR = 36e5;
const PAGE = 100;
const FACET_ROWS = 8;

export interface Facet {
  field: string;
  title: string;
  answer: Answer<Rows>;
}

/** Why a filter is wrong, and where, in UTF-16 units. */
export interface FilterFault {
  text: string;
  from: number;
  to: number;
  words: string;
  expected: string[];
  nearest: string | null;
}

export interface Histogram {
  rows: Rows;
  span: Span;
  width: number;
}

/** Why the span shown is not the one asked for. */
export type SpanNote = 'moved' | 'moved-newest' | null;

export class Discover {
  state = $state.raw<PageState>({ ...INITIAL });
  span = $state.raw<Span | null>(null);
  note = $state<SpanNote>(null);
  spanError = $state<string | null>(null);
  fault = $state.raw<FilterFault | null>(null);
  rows = $state.raw<Row[]>([]);
  cancelled = $state(false);
  /** How many bars the histogram has room for; its component says. */
  bars = 100;

  readonly status = new Answer<Status>();
  readonly flows = new Answer<Rows>();
  readonly more = new Answer<Rows>();
  readonly totals = new Answer<Rows>();
  readonly histogram = new Answer<Histogram>();
  readonly facets: readonly Facet[] = [
    { field: 'src.ip', title: 'Sources', answer: new Answer() },
    { field: 'dst.ip', title: 'Destinations', answer: new Answer() },
    { field: 'dst.port', title: 'Destination ports', answer: new Answer() },
    { field: 'proto', title: 'Protocols', answer: new Answer() },
  ];

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
      if (next.order !== before.order) await this.#askFlows();
    }
  }

  /** Asks everything again for the state as it is. */
  async search(): Promise<void> {
    this.cancelled = false;
    const needsStatus = this.state.from === null || this.state.from === 'all' || this.status.value === null;
    if (needsStatus && (await this.refreshStatus()) === null && this.status.value === null) return;
    if (!this.#resolve()) return;
    await Promise.all([this.#askFlows(), this.#askHistogram(), this.#askTotals(), ...this.#askFacets()]);
  }

  refreshStatus(): Promise<Status | null> {
    return this.status.ask((signal) => api.status(signal));
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
    const answer = await this.more.ask((signal) => api.flows({ ...this.#flowParameters(), cursor }, signal));
    if (answer !== null) this.rows = [...this.rows, ...answer.rows];
  }

  get hasMore(): boolean {
    return ((this.more.value ?? this.flows.value)?.next ?? null) !== null;
  }

  /** The whole time that the store has flows of; null when it has none. */
  get stored(): Span | null {
    const store = this.status.value?.store;
    const from = Date.parse(store?.oldest ?? '');
    const to = Date.parse(store?.newest ?? '');
    return Number.isNaN(from) || Number.isNaN(to) ? null : { from, to: to + 1 };
  }

  /** Works out which span the state means; false when it cannot be read. */
  #resolve(): boolean {
    const now = Date.now() + clockAhead;
    const { from, to } = this.state;
    this.note = null;
    this.spanError = null;
    if (from === null) {
      this.span = this.#natural(now);
      return true;
    }
    if (from === 'all') {
      this.span = rounded(this.stored ?? { from: now - HOUR, to: now });
      return true;
    }
    const start = parseTime(from, now);
    const end = parseTime(to ?? 'now', now);
    if (start === null || end === null || end <= start) {
      this.spanError =
        start !== null && end !== null
          ? 'The time span ends before it begins. Choose another one.'
          : `“${start === null ? from : to}” is not a time. Use now-1h, 2026-01-31 10:00 or 2026-01-31T10:00:00Z.`;
      return false;
    }
    this.span = { from: start, to: end };
    return true;
  }

  /** Nobody chose a span: the last hour if anything is there, otherwise where the data is. */
  #natural(now: number): Span {
    const hour = { from: now - HOUR, to: now };
    const stored = this.stored;
    if (stored === null || (stored.to > hour.from && stored.from < hour.to)) return hour;
    if (stored.to - stored.from <= 24 * HOUR) {
      this.note = 'moved';
      return rounded(stored);
    }
    this.note = 'moved-newest';
    return rounded({ from: stored.to - 24 * HOUR, to: stored.to });
  }

  #times(): { from: string; to: string } {
    const span = this.span ?? { from: 0, to: 1 };
    return { from: rfc3339(span.from), to: rfc3339(span.to) };
  }

  #flowParameters() {
    return {
      filter: this.state.filter,
      ...this.#times(),
      limit: PAGE,
      order: this.state.order,
      fields: FIELDS.join(','),
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
    const metric = this.state.measure === 'flows' ? 'flows' : `total.${this.state.measure}`;
    return this.facets.map((facet) =>
      facet.answer.ask((signal) =>
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
      ),
    );
  }

  /** Is this text a filter? Asked over a span without any flow, so that only the parser works. */
  async check(text: string, signal: AbortSignal): Promise<FilterFault | null> {
    try {
      const never = { from: '1970-01-01T00:00:00Z', to: '1970-01-01T00:00:00.001Z' };
      await api.flows({ filter: text, ...never, limit: 1 }, signal);
      return null;
    } catch (error) {
      if (!isAbort(error) && error instanceof ApiError && error.inFilter) return faultOf(error, text);
      return null;
    }
  }
}

function faultOf(error: ApiError, text: string): FilterFault {
  const { offset = 0, length = 0, expected = [], nearest = null } = error.problem ?? {};
  return {
    text,
    from: unitAt(text, offset),
    to: unitAt(text, offset + length),
    words: error.message,
    expected,
    nearest: nearest === '' ? null : nearest,
  };
}

/** Widened to whole buckets, so that the histogram's ends are not cut. */
function rounded(span: Span): Span {
  const width = bucketWidth(span, 100, 1);
  return { from: Math.floor(span.from / width) * width, to: Math.ceil(span.to / width) * width };
}
