// DNS' questions: summaries where there are any and no filter is in the way, otherwise transactions one by one.
import { Answer } from './answer.svelte';
import { api } from './api';
import { Asked, type AskedState } from './asked.svelte';
import {
  DRAWN_RANKS,
  fromRecords,
  fromSummaries,
  RANKS,
  seriesOfRecords,
  seriesOfSummaries,
  type DnsSeries,
  type DnsView,
} from './dns';
import { bucketWidth, rfc3339, widthText, type Span } from './time';
import type { SummaryMetric, SummaryRow } from './types';
import { addressText } from './visualise';

export type Source = 'auto' | 'summaries' | 'records';

export interface DnsState extends AskedState {
  source: Source;
}

/** What answered, with what went into it. */
export interface DnsSeen {
  view: DnsView;
  span: Span;
  /** In words: why this source, or what is missing in it. */
  why: string;
  /** Of the metric that most went into. */
  merged: SummaryMetric | null;
  elapsed_ms: number;
}

const MINUTE = 60_000;
/** Summaries are merged once for each bucket, so there are fewer of them. */
const MOST_BUCKETS = 30;
const RECORD_BUCKETS = 90;
const AT_ONCE = 4;
const ROWS = 12;
/** Longer lists to find both halves of a pair in. */
const SUMMARY_ROWS = 60;

export class Dns extends Asked<DnsState> {
  readonly seen = new Answer<DnsSeen>();
  readonly series = new Answer<DnsSeries>();

  override get answers(): readonly Answer<unknown>[] {
    return [this.seen, this.series];
  }

  protected override parse(search: string): DnsState {
    const query = new URLSearchParams(search);
    const source = query.get('source');
    return {
      filter: query.get('filter') ?? '',
      from: query.get('from'),
      to: query.get('to'),
      source: source === 'summaries' || source === 'records' ? source : 'auto',
    };
  }

  protected override text(state: DnsState): string {
    const query = new URLSearchParams();
    if (state.filter !== '') query.set('filter', state.filter);
    if (state.from !== null) query.set('from', state.from);
    if (state.from !== null && state.from !== 'all' && state.to !== null) query.set('to', state.to);
    if (state.source !== 'auto') query.set('source', state.source);
    return addressText(query);
  }

  protected override async ask(span: Span): Promise<void> {
    const { filter, source } = this.state;
    this.series.cancel();
    const seen = await this.seen.ask(async (signal) => {
      if (source === 'records' || filter.trim() !== '') {
        const why =
          filter.trim() !== '' ? 'Summaries cannot be filtered, so transactions are counted one by one.' : '';
        return this.#records(span, why, signal);
      }
      const summaries = await this.#summaries(span, signal);
      if (summaries.view.queries.value > 0 || summaries.view.answers.value > 0 || source === 'summaries')
        return summaries;
      return this.#records(
        span,
        'No exporter sent summaries of DNS in this time (--summaries on), so transactions are counted one by one.',
        signal,
      );
    });
    if (seen === null) return;
    if (seen.view.queries.value === 0 && seen.view.answers.value === 0) {
      this.series.value = null;
      return;
    }
    await this.series.ask((signal) =>
      seen.view.source === 'summaries' ? this.#summarySeries(span, signal) : this.#recordSeries(span, signal),
    );
  }

  async #summaries(span: Span, signal: AbortSignal): Promise<DnsSeen> {
    const answer = await api.summaries(
      {
        metric: 'dns',
        from: rfc3339(span.from),
        to: rfc3339(span.to),
        limit: SUMMARY_ROWS,
        ranks: RANKS.join(','),
      },
      signal,
    );
    const merged = answer.metrics?.reduce<SummaryMetric | null>(
      (most, each) => (most === null || each.summaries > most.summaries ? each : most),
      null,
    );
    return {
      view: fromSummaries(answer.rows),
      span,
      why: '',
      merged: merged ?? null,
      elapsed_ms: answer.stats.elapsed_ms,
    };
  }

  async #records(span: Span, why: string, signal: AbortSignal): Promise<DnsSeen> {
    let elapsed = 0;
    const rows = async (more: string, group: string, metrics: string, order: string, limit = ROWS) => {
      const answer = await api.aggregate(
        {
          filter: this.#filter(more),
          from: rfc3339(span.from),
          to: rfc3339(span.to),
          group_by: group,
          metrics,
          order_by: group === '' ? null : `-${order}`,
          limit: group === '' ? null : limit,
        },
        signal,
      );
      elapsed += answer.stats.elapsed_ms;
      return answer.rows;
    };
    const count = 'transactions';
    const quantiles = RANKS.map((rank) => `p${Math.round(rank * 100)}(dns.latency)`).join(',');
    const [totals, status, rcodes, qtypes, names, slow, nxNames, clients, servers, answering, suspects] =
      await Promise.all([
        rows('', '', `${count},sum(dnsRetryCount),unique(dns.qname),unique(src.ip),${quantiles}`, ''),
        rows('', 'dns.status', count, count),
        rows('dns.rcode exists', 'dns.rcode', count, count, 30),
        rows('', 'dns.qtype', count, count),
        rows('', 'dns.qname', count, count),
        rows('dns.latency exists', 'dns.qname', `p95(dns.latency),${count}`, 'p95(dns.latency)'),
        rows('dns.rcode = NXDOMAIN', 'dns.qname', count, count),
        rows('', 'src.ip', count, count),
        rows('', 'dst.ip', count, count),
        rows('dns.status = answered', 'dst.ip', count, count, 5 * ROWS),
        rows('dns.rcode = NXDOMAIN', 'src.ip', `unique(dns.qname),${count}`, 'unique(dns.qname)'),
      ]);
    const view = fromRecords({
      totals: totals[0] ?? {},
      status,
      rcodes,
      qtypes,
      names,
      slow,
      nxNames,
      clients,
      servers,
      answering,
      suspects,
    });
    return { view, span, why, merged: null, elapsed_ms: elapsed };
  }

  /** The filter of somebody and that of the page. */
  #filter(more: string): string {
    const own = this.state.filter.trim();
    const parts = ['kind = dns', more, own === '' ? '' : `(${own})`];
    return parts.filter((part) => part !== '').join(' and ');
  }

  /** One merge for each bucket, a few at a time. */
  async #summarySeries(span: Span, signal: AbortSignal): Promise<DnsSeries> {
    const width = bucketWidth(span, MOST_BUCKETS, MINUTE);
    const times = bucketStarts(span, width);
    const buckets: (SummaryRow[] | null)[] = times.map(() => null);
    let next = 0;
    const work = async (): Promise<void> => {
      for (let index = next++; index < times.length; index = next++) {
        const from = times[index] ?? 0;
        const answer = await api.summaries(
          {
            metric: 'dns',
            from: rfc3339(from),
            to: rfc3339(from + width),
            limit: 1,
            ranks: DRAWN_RANKS.join(','),
          },
          signal,
        );
        buckets[index] = answer.rows;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    return seriesOfSummaries(times, width, buckets);
  }

  async #recordSeries(span: Span, signal: AbortSignal): Promise<DnsSeries> {
    const width = bucketWidth(span, RECORD_BUCKETS, 1_000);
    const times = bucketStarts(span, width);
    const rows = async (more: string, metrics: string) => {
      const answer = await api.aggregate(
        {
          filter: this.#filter(more),
          from: rfc3339(times[0] ?? 0),
          to: rfc3339((times[times.length - 1] ?? 0) + width),
          metrics,
          interval: widthText(width),
        },
        signal,
      );
      return answer.rows;
    };
    const quantiles = DRAWN_RANKS.map((rank) => `p${Math.round(rank * 100)}(dns.latency)`).join(',');
    const [totals, answered, nxdomain] = await Promise.all([
      rows('not dns.status = responseWithoutQuery', `transactions,unique(dns.qname),${quantiles}`),
      rows('not dns.status = unanswered', 'transactions'),
      rows('dns.rcode = NXDOMAIN', 'transactions'),
    ]);
    return seriesOfRecords(times, width, totals, answered, nxdomain);
  }
}

/** Starts of the buckets that cover a span. */
export function bucketStarts(span: Span, width: number): number[] {
  const first = Math.floor(span.from / width) * width;
  const size = Math.max(1, Math.min(2_000, Math.ceil((span.to - first) / width)));
  return Array.from({ length: size }, (_, index) => first + index * width);
}
