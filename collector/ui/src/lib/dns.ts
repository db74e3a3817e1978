// DNS in figures and lists, from merged summaries or from single transactions: one shape for both, each number with the
// limits between which the truth is.
import { numeric } from './charts/pivot';
import type { Cell, Row, SummaryRow } from './types';

export interface Estimate {
  value: number;
  lower: number;
  upper: number;
}

export interface Entry {
  /** As it came, for filters. */
  item: Cell;
  estimate: Estimate;
  /** Beside it: answers beside queries, queries beside names. */
  beside?: Estimate;
}

export const RANKS = [0.5, 0.9, 0.95, 0.99] as const;

export interface DnsView {
  source: 'summaries' | 'records';
  queries: Estimate;
  answers: Estimate;
  unanswered: Estimate;
  nxdomain: Estimate;
  servfail: Estimate;
  retries: Estimate;
  names: Estimate | null;
  clients: Estimate | null;
  /** ns, by rank; empty when nothing was answered. */
  latency: { rank: number; estimate: Estimate }[];
  topNames: Entry[];
  /** ns: in summaries the waiting for each name added up, in records the 95th percentile of it. */
  slowNames: Entry[];
  nxNames: Entry[];
  topClients: Entry[];
  rcodes: Entry[];
  qtypes: Entry[];
  /** Queries, beside them answers. */
  servers: Entry[];
  /** The same; null where the source knows no zones. */
  zones: Entry[] | null;
  /** Zones (or clients) whose names are hardly ever asked for twice: names, beside them queries. */
  suspects: Entry[];
}

export const exactly = (value: number): Estimate => ({ value, lower: value, upper: value });

/** 0 is what a counter that is not there comes to: counters of nothing are not sent. */
const NOTHING = exactly(0);

/** Below so many names a zone is not worth a suspicion. */
const FEWEST_NAMES = 20;
/** Names asked for once only, or nearly so. */
const SUSPICIOUS = 0.8;
const MOST_SUSPECTS = 12;

const US = 1_000;

export function fromSummaries(rows: readonly SummaryRow[]): DnsView {
  const byMetric = new Map<string, SummaryRow[]>();
  for (const row of rows) {
    const known = byMetric.get(row.metric);
    if (known === undefined) byMetric.set(row.metric, [row]);
    else known.push(row);
  }
  const estimate = ({ value, lower, upper }: SummaryRow, factor = 1): Estimate => ({
    value: value * factor,
    lower: lower * factor,
    upper: upper * factor,
  });
  const one = (metric: string): Estimate | null => {
    const row = byMetric.get(metric)?.[0];
    return row === undefined ? null : estimate(row);
  };
  const list = (metric: string, factor = 1): Entry[] =>
    (byMetric.get(metric) ?? []).map((row) => ({ item: row.item ?? '', estimate: estimate(row, factor) }));
  const numbers = (metric: string): Entry[] =>
    list(metric).map((entry) => ({ ...entry, item: Number(entry.item) }));
  const queries = list('dns.zone.queries');
  return {
    source: 'summaries',
    queries: one('dns.queries') ?? NOTHING,
    answers: one('dns.responses') ?? NOTHING,
    unanswered: one('dns.unanswered') ?? NOTHING,
    nxdomain: one('dns.nxdomain') ?? NOTHING,
    servfail: one('dns.servfail') ?? NOTHING,
    retries: one('dns.retries') ?? NOTHING,
    names: one('dns.qname'),
    clients: one('dns.client'),
    latency: (byMetric.get('dns.latency') ?? []).map((row) => ({
      rank: row.rank ?? 0,
      estimate: estimate(row, US),
    })),
    topNames: list('dns.qname.top'),
    slowNames: list('dns.slow.top', US),
    nxNames: list('dns.nxdomain.top'),
    topClients: list('dns.client.top'),
    rcodes: numbers('dns.rcode'),
    qtypes: numbers('dns.qtype'),
    servers: beside(list('dns.server.queries'), list('dns.server.responses')),
    zones: beside(queries, list('dns.zone.responses')),
    suspects: suspects(list('dns.zone.names'), queries),
  };
}

/** Puts what is known of an item in another list beside it; an item that is not listed there has at most what the
 * last one has, so nothing is said of it. */
export function beside(entries: readonly Entry[], others: readonly Entry[]): Entry[] {
  const known = new Map(others.map((entry) => [String(entry.item), entry.estimate]));
  return entries.map((entry) => ({ ...entry, beside: known.get(String(entry.item)) }));
}

/** Those with many names, nearly each asked for once: how names made up at random look. */
export function suspects(names: readonly Entry[], queries: readonly Entry[]): Entry[] {
  return beside(names, queries)
    .filter(
      ({ estimate, beside: asked }) =>
        estimate.value >= FEWEST_NAMES &&
        asked !== undefined &&
        asked.value > 0 &&
        estimate.value / asked.value >= SUSPICIOUS,
    )
    .slice(0, MOST_SUSPECTS);
}

/** Rows of `group_by=COLUMN` as entries. */
export function entries(rows: readonly Row[], column: string, metric: string, other?: string): Entry[] {
  return rows
    .filter((row) => row['_other'] !== true)
    .flatMap((row) => {
      const value = numeric(row[metric]);
      if (value === null) return [];
      const beside = other === undefined ? null : numeric(row[other]);
      return [
        {
          item: row[column] ?? null,
          estimate: exactly(value),
          ...(beside === null ? {} : { beside: exactly(beside) }),
        },
      ];
    });
}

/** What the questions to /aggregate answered. */
export interface Records {
  totals: Row;
  /** By `dns.status`. */
  status: readonly Row[];
  rcodes: readonly Row[];
  qtypes: readonly Row[];
  names: readonly Row[];
  slow: readonly Row[];
  nxNames: readonly Row[];
  clients: readonly Row[];
  servers: readonly Row[];
  /** The same, of answered queries. */
  answering: readonly Row[];
  /** Clients with different names that do not exist. */
  suspects: readonly Row[];
}

const ANSWERED = 1;
const WITHOUT_QUERY = 3;

export function fromRecords(records: Records): DnsView {
  const of = (rows: readonly Row[], column: string, code: number): number =>
    rows.reduce(
      (sum, row) => (Number(row[column]) === code ? sum + (numeric(row['transactions']) ?? 0) : sum),
      0,
    );
  const all = numeric(records.totals['transactions']) ?? 0;
  const answered = of(records.status, 'dns.status', ANSWERED);
  const strays = of(records.status, 'dns.status', WITHOUT_QUERY);
  const retries = numeric(records.totals['sum(dnsRetryCount)']) ?? 0;
  const unique = (name: string): Estimate | null => {
    const value = numeric(records.totals[name]);
    return value === null
      ? null
      : {
          value,
          lower: numeric(records.totals[`${name}.lower`]) ?? value,
          upper: numeric(records.totals[`${name}.upper`]) ?? value,
        };
  };
  const answering = entries(records.answering, 'dst.ip', 'transactions');
  return {
    source: 'records',
    queries: exactly(all - strays + retries),
    answers: exactly(answered + strays),
    unanswered: exactly(all - answered - strays),
    nxdomain: exactly(of(records.rcodes, 'dns.rcode', 3)),
    servfail: exactly(of(records.rcodes, 'dns.rcode', 2)),
    retries: exactly(retries),
    names: unique('unique(dns.qname)'),
    clients: unique('unique(src.ip)'),
    latency: RANKS.flatMap((rank) => {
      const value = numeric(records.totals[`p${Math.round(rank * 100)}(dns.latency)`]);
      return value === null ? [] : [{ rank, estimate: exactly(value) }];
    }),
    topNames: entries(records.names, 'dns.qname', 'transactions'),
    slowNames: entries(records.slow, 'dns.qname', 'p95(dns.latency)'),
    nxNames: entries(records.nxNames, 'dns.qname', 'transactions'),
    topClients: entries(records.clients, 'src.ip', 'transactions'),
    rcodes: entries(records.rcodes, 'dns.rcode', 'transactions'),
    qtypes: entries(records.qtypes, 'dns.qtype', 'transactions'),
    servers: beside(entries(records.servers, 'dst.ip', 'transactions'), answering),
    zones: null,
    suspects: entries(records.suspects, 'src.ip', 'unique(dns.qname)', 'transactions')
      .filter(
        ({ estimate, beside: asked }) =>
          estimate.value >= FEWEST_NAMES && asked !== undefined && estimate.value / asked.value >= SUSPICIOUS,
      )
      .slice(0, MOST_SUSPECTS),
  };
}

/** A series of one number with limits. */
export interface Course {
  values: (number | null)[];
  lower: (number | null)[];
  upper: (number | null)[];
}

export interface DnsSeries {
  times: number[];
  /** ms */
  width: number;
  queries: Course;
  answers: Course;
  nxdomain: Course;
  names: Course;
  /** In the order of `RANKS`, without the 90th. */
  latency: Course[];
}

export const DRAWN_RANKS = [0.5, 0.95, 0.99] as const;

/** Buckets of merged summaries; `null` for one that has not been answered. */
export function seriesOfSummaries(
  times: number[],
  width: number,
  buckets: readonly (readonly SummaryRow[] | null)[],
): DnsSeries {
  const course = (metric: string, factor: number, rank: number | null, absent: number | null): Course => {
    const found = times.map((_, index) => {
      const rows = buckets[index];
      if (rows == null || rows.length === 0) return null;
      const row = rows.find(
        (each) => each.metric === metric && (rank === null || Math.abs((each.rank ?? -1) - rank) < 1e-9),
      );
      return row === undefined
        ? absent === null
          ? null
          : exactly(absent)
        : { value: row.value * factor, lower: row.lower * factor, upper: row.upper * factor };
    });
    return {
      values: found.map((each) => each?.value ?? null),
      lower: found.map((each) => each?.lower ?? null),
      upper: found.map((each) => each?.upper ?? null),
    };
  };
  const perSecond = 1_000 / width;
  return {
    times,
    width,
    queries: course('dns.queries', perSecond, null, 0),
    answers: course('dns.responses', perSecond, null, 0),
    nxdomain: course('dns.nxdomain', perSecond, null, 0),
    names: course('dns.qname', 1, null, 0),
    latency: DRAWN_RANKS.map((rank) => course('dns.latency', US, rank, null)),
  };
}

/** Rows of an answer with `interval`, laid onto their times. */
export function seriesOfRecords(
  times: number[],
  width: number,
  totals: readonly Row[],
  answered: readonly Row[],
  nxdomain: readonly Row[],
): DnsSeries {
  const course = (rows: readonly Row[], metric: string, factor: number): Course => {
    const at = new Map(rows.map((row) => [Date.parse(String(row['time'])), numeric(row[metric])]));
    const values = times.map((ms) => {
      const value = at.get(ms) ?? null;
      return value === null ? null : value * factor;
    });
    return { values, lower: values, upper: values };
  };
  const perSecond = 1_000 / width;
  return {
    times,
    width,
    queries: course(totals, 'transactions', perSecond),
    answers: course(answered, 'transactions', perSecond),
    nxdomain: course(nxdomain, 'transactions', perSecond),
    names: course(totals, 'unique(dns.qname)', 1),
    latency: DRAWN_RANKS.map((rank) => course(totals, `p${Math.round(rank * 100)}(dns.latency)`, 1)),
  };
}
