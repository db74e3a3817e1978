// TCP's questions: how connections fared, from the flows that an exporter measured.
import { Answer } from './answer.svelte';
import { api, type Parameters } from './api';
import { Asked, type AskedState } from './asked.svelte';
import { bucketStarts } from './dns.svelte';
import { entries, type Entry } from './dns';
import { numeric } from './charts/pivot';
import { both } from './links';
import {
  BACK_RETRANSMITS,
  BACK_ZERO_WINDOWS,
  BLOATED,
  HOLES,
  RETRANSMITS,
  UNANSWERED,
  ZERO_WINDOWS,
} from './measured';
import { EVIDENCE_FIELDS, blackholes, bufferbloat, type Evidence } from './tcp';
import { bucketWidth, rfc3339, widthText, type Span } from './time';
import type { Row, Stats } from './types';
import { addressText } from './visualise';

export const SIDES = ['client', 'server'] as const;
export type Side = (typeof SIDES)[number];
export const QUANTILES = ['p50', 'p90', 'p99'] as const;

const ROUND_TRIPS = SIDES.flatMap((side) => QUANTILES.map((rank) => `${rank}(tcp.rtt.${side})`));
const METRICS = [
  'flows',
  'total.packets',
  ...ROUND_TRIPS,
  RETRANSMITS,
  BACK_RETRANSMITS,
  'sum(tcp.out_of_order)',
  'sum(reverseTcpOutOfOrderPacketDeltaCount)',
  ZERO_WINDOWS,
  BACK_ZERO_WINDOWS,
];
const BUCKETS = 90;
const ROWS = 10;
const EVIDENCE = 50;

export interface TcpSeen {
  span: Span;
  totals: Row;
  /** Connections, by what was found. */
  bloated: number;
  holes: number;
  unanswered: number;
  /** Connections of which anything was measured. */
  measured: number;
  stats: Stats;
}

export interface TcpSeries {
  times: number[];
  /** ms */
  width: number;
  of: (metric: string, factor?: number) => (number | null)[];
}

export interface TcpLists {
  servers: Entry[];
  clients: Entry[];
  lossy: Entry[];
  losing: Entry[];
  stalled: Entry[];
  unanswered: Entry[];
}

export interface TcpEvidence {
  bloat: Evidence[];
  holes: Evidence[];
  bloatMore: boolean;
  holesMore: boolean;
}

export class Tcp extends Asked<AskedState> {
  readonly seen = new Answer<TcpSeen>();
  readonly series = new Answer<TcpSeries>();
  readonly lists = new Answer<TcpLists>();
  readonly evidence = new Answer<TcpEvidence>();

  override get answers(): readonly Answer<unknown>[] {
    return [this.seen, this.series, this.lists, this.evidence];
  }

  protected override parse(search: string): AskedState {
    const query = new URLSearchParams(search);
    return { filter: query.get('filter') ?? '', from: query.get('from'), to: query.get('to') };
  }

  protected override text(state: AskedState): string {
    const query = new URLSearchParams();
    if (state.filter !== '') query.set('filter', state.filter);
    if (state.from !== null) query.set('from', state.from);
    if (state.from !== null && state.from !== 'all' && state.to !== null) query.set('to', state.to);
    return addressText(query);
  }

  protected override async ask(span: Span): Promise<void> {
    const own = this.state.filter;
    const asked = (more: string): Parameters => ({
      filter: both('proto = tcp', more, own),
      from: rfc3339(span.from),
      to: rfc3339(span.to),
    });
    await Promise.all([
      this.#askTotals(span, asked),
      this.#askSeries(span, own),
      this.#askLists(asked),
      this.#askEvidence(asked),
    ]);
  }

  async #askTotals(span: Span, asked: (more: string) => Parameters): Promise<void> {
    await this.seen.ask(async (signal) => {
      const count = async (more: string): Promise<number> => {
        const answer = await api.aggregate({ ...asked(more), metrics: 'flows' }, signal);
        return numeric(answer.rows[0]?.['flows']) ?? 0;
      };
      const [totals, bloated, holes, unanswered, measured] = await Promise.all([
        api.aggregate({ ...asked(''), metrics: METRICS.join(',') }, signal),
        count(BLOATED),
        count(HOLES),
        count(UNANSWERED),
        count('(tcp.retransmits exists or tcp.rtt.server exists or tcp.rtt.client exists)'),
      ]);
      return {
        span,
        totals: totals.rows[0] ?? {},
        bloated,
        holes,
        unanswered,
        measured,
        stats: totals.stats,
      };
    });
  }

  async #askSeries(span: Span, own: string): Promise<void> {
    const width = bucketWidth(span, BUCKETS, 1_000);
    const times = bucketStarts(span, width);
    await this.series.ask(async (signal) => {
      const answer = await api.aggregate(
        {
          filter: both('proto = tcp', own),
          from: rfc3339(times[0] ?? 0),
          to: rfc3339((times[times.length - 1] ?? 0) + width),
          metrics: METRICS.join(','),
          interval: widthText(width),
        },
        signal,
      );
      // eslint-disable-next-line svelte/prefer-svelte-reactivity -- made once, never changed
      const at = new Map(answer.rows.map((row) => [Date.parse(String(row['time'])), row]));
      return {
        times,
        width,
        of: (metric, factor = 1) =>
          times.map((ms) => {
            const value = numeric(at.get(ms)?.[metric]);
            return value === null ? null : value * factor;
          }),
      };
    });
  }

  async #askLists(asked: (more: string) => Parameters): Promise<void> {
    await this.lists.ask(async (signal) => {
      const top = async (more: string, group: string, metric: string): Promise<Entry[]> => {
        const metrics = metric === 'flows' ? 'flows' : `${metric},flows`;
        const answer = await api.aggregate(
          { ...asked(more), group_by: group, metrics, order_by: `-${metric}`, limit: ROWS },
          signal,
        );
        return entries(answer.rows, group, metric, metric === 'flows' ? undefined : 'flows').filter(
          (entry) => entry.estimate.value > 0,
        );
      };
      const [servers, clients, lossy, losing, stalled, unanswered] = await Promise.all([
        top('tcp.rtt.server exists', 'dst.ip', 'p95(tcp.rtt.server)'),
        top('tcp.rtt.client exists', 'src.ip', 'p95(tcp.rtt.client)'),
        top('', 'dst.ip', BACK_RETRANSMITS),
        top('', 'src.ip', RETRANSMITS),
        top('tcp.zero_window > 0', 'src.ip', ZERO_WINDOWS),
        top(UNANSWERED, 'dst.ip', 'flows'),
      ]);
      return { servers, clients, lossy, losing, stalled, unanswered };
    });
  }

  async #askEvidence(asked: (more: string) => Parameters): Promise<void> {
    await this.evidence.ask(async (signal) => {
      const flows = (more: string) =>
        api.flows({ ...asked(more), limit: EVIDENCE, fields: EVIDENCE_FIELDS.join(',') }, signal);
      const [bloat, holes] = await Promise.all([flows(BLOATED), flows(HOLES)]);
      const worst = (found: Evidence[]): Evidence[] => found.sort((a, b) => b.weight - a.weight);
      return {
        bloat: worst(bloat.rows.flatMap(bufferbloat)),
        holes: worst(holes.rows.flatMap(blackholes)),
        bloatMore: bloat.next != null,
        holesMore: holes.next != null,
      };
    });
  }
}
