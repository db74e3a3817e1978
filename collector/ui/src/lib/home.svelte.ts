// What Home asks and when: rates every few seconds, top lists and the day less often, nothing while nobody looks.
import { Answer } from './answer.svelte';
import { ApiError, api, clockAhead } from './api';
import { resolveSpan, storedSpan, type SpanNote } from './asking';
import { collector, refreshCollector } from './collector.svelte';
import { dnsHealth, rates, TCP_METRICS, tcpHealth, type DnsHealth, type Rates, type TcpHealth } from './home';
import { BLOATED, HOLES } from './measured';
import { SERIES_METRICS } from './series';
import { bucketWidth, rfc3339, widthText, type Span } from './time';
import type { Exporter, Row, Rows } from './types';

const DAY = 864e5;
const PLACES = 8;
const FAST_MS = 10_000;
const SLOW_MS = 60_000;

export interface Drawn {
  rates: Rates;
  totals: Row;
  span: Span;
  stats: Rows['stats'];
}

export interface TopList {
  field: string;
  title: string;
  /** Which rows count at all. */
  filter: string;
  answer: Answer<Rows>;
}

export class Home {
  /** The last hour, or where the data is. */
  span = $state.raw<Span | null>(null);
  note = $state<SpanNote>(null);
  paused = $state(false);
  /** When the page was brought up to date last, in ms; 0 before that. */
  updated = $state(0);

  readonly recent = new Answer<Drawn>();
  readonly day = new Answer<Drawn>();
  readonly dns = new Answer<DnsHealth | null>();
  readonly tcp = new Answer<TcpHealth | null>();
  readonly exporters = new Answer<Exporter[]>();
  readonly lists: readonly TopList[] = [
    { field: 'src.ip', title: 'Sources', filter: '', answer: new Answer() },
    { field: 'dst.ip', title: 'Destinations', filter: '', answer: new Answer() },
    { field: 'app.name', title: 'Applications', filter: '', answer: new Answer() },
    { field: 'dst.name', title: 'Names', filter: 'dst.name exists', answer: new Answer() },
  ];

  busy = $derived(
    this.recent.busy ||
      this.day.busy ||
      this.dns.busy ||
      this.tcp.busy ||
      this.lists.some((list) => list.answer.busy),
  );
  error = $derived<ApiError | null>(this.recent.error ?? this.day.error ?? collector.error);
  empty = $derived(collector.value !== null && collector.value.store.rows === 0);

  /** The page was left: what comes in late changes nothing and asks nothing. */
  #left = false;

  /** Asks until stopped. */
  watch(): () => void {
    this.#left = false;
    let timer: ReturnType<typeof setTimeout>;
    let slow = 0;
    const poll = async (): Promise<void> => {
      if (!document.hidden && !this.paused) {
        const due = performance.now() - slow > SLOW_MS || slow === 0 || this.error !== null;
        await this.refresh(due);
        if (this.#left) return;
        // With nothing stored nothing was asked, and the first flows should not wait.
        if (due && !this.empty && this.error === null) slow = performance.now();
      }
      timer = setTimeout(() => void poll(), this.empty ? 2_000 : FAST_MS);
    };
    void poll();
    return () => {
      this.#left = true;
      clearTimeout(timer);
      this.cancel();
    };
  }

  async refresh(all: boolean): Promise<void> {
    if ((await refreshCollector()) === null && collector.value === null) return;
    if (this.#left || this.empty) return;
    const resolved = resolveSpan(null, null, storedSpan(collector.value), Date.now() + clockAhead);
    if ('error' in resolved) return;
    this.span = resolved.span;
    this.note = resolved.note;
    const { span } = resolved;
    // What one looks at first is asked first, so that it does not wait behind the rest.
    await Promise.all([
      this.#draw(this.recent, span, 60),
      this.exporters.ask(async (signal) => (await api.exporters(signal)).exporters),
    ]);
    if (all) {
      await Promise.all(this.lists.map((list) => this.#askList(list, span)));
      await Promise.all([
        this.#askDns(span),
        this.#askTcp(span),
        this.#draw(this.day, { from: span.to - DAY, to: span.to }, 96),
      ]);
    }
    this.updated = Date.now();
  }

  cancel(): void {
    for (const answer of [this.recent, this.day, this.dns, this.tcp, this.exporters]) answer.cancel();
    for (const list of this.lists) list.answer.cancel();
  }

  async #draw(answer: Answer<Drawn>, wanted: Span, buckets: number): Promise<void> {
    const width = bucketWidth(wanted, buckets, 1);
    // Whole buckets, so that neither end is lower than it was; what is going on now shows when its bucket is full.
    const end = this.note === null ? Math.floor(wanted.to / width) : Math.ceil(wanted.to / width);
    const span = { from: Math.floor(wanted.from / width) * width, to: end * width };
    await answer.ask(async (signal) => {
      const asked = { ...times(span), metrics: SERIES_METRICS };
      const [rows, totals] = await Promise.all([
        api.aggregate({ ...asked, interval: widthText(width) }, signal),
        api.aggregate(asked, signal),
      ]);
      return { rates: rates(rows, span, width), totals: totals.rows[0] ?? {}, span, stats: rows.stats };
    });
  }

  async #askList(list: TopList, span: Span): Promise<void> {
    await list.answer.ask((signal) =>
      api.aggregate(
        {
          filter: list.filter,
          ...times(span),
          group_by: list.field,
          metrics: 'total.octets',
          order_by: '-total.octets',
          limit: PLACES,
        },
        signal,
      ),
    );
  }

  async #askDns(span: Span): Promise<void> {
    const filter = 'kind = dns';
    const count = (column: string, signal: AbortSignal): Promise<Rows> =>
      api.aggregate({ filter, ...times(span), group_by: column, metrics: 'transactions', limit: 20 }, signal);
    await this.dns.ask(async (signal) => {
      const [status, code, latency] = await Promise.all([
        count('dns.status', signal),
        count('dns.rcode', signal),
        api.aggregate({ filter, ...times(span), metrics: 'p50(dns.latency),p95(dns.latency)' }, signal),
      ]);
      return dnsHealth(status, code, latency);
    });
  }

  async #askTcp(span: Span): Promise<void> {
    const flows = (filter: string, signal: AbortSignal): Promise<Rows> =>
      api.aggregate({ filter, ...times(span), metrics: 'flows' }, signal);
    await this.tcp.ask(async (signal) => {
      const [measured, bloated, vanished] = await Promise.all([
        api.aggregate(
          {
            filter: 'tcp.retransmits exists',
            ...times(span),
            metrics: TCP_METRICS.join(','),
          },
          signal,
        ),
        flows(BLOATED, signal),
        flows(HOLES, signal),
      ]);
      return tcpHealth(measured, bloated, vanished);
    });
  }
}

function times(span: Span): { from: string; to: string } {
  return { from: rfc3339(span.from), to: rfc3339(span.to) };
}
