// What Home computes from answers: rates, the health of DNS and TCP, and who sends with what loss.
import type { Span } from './time';
import { BACK_RETRANSMITS, BACK_ZERO_WINDOWS, RETRANSMITS, ZERO_WINDOWS } from './measured';
import { series } from './series';
import type { Cell, Exporter, Row, Rows } from './types';

const number = (row: Row | undefined, name: string): number => Number(row?.[name] ?? 0);

export interface Point {
  /** ms since 1970 UTC. */
  at: number;
  value: number;
}

export interface Rates {
  bits: Point[];
  packets: Point[];
  flows: Point[];
  /** Width of a bucket in ms. */
  width: number;
}

/** Both directions of a series as rates a second. */
export function rates(answer: Rows, span: Span, width: number): Rates {
  const seconds = width / 1_000;
  const per = (measure: 'octets' | 'packets' | 'flows', factor: number): Point[] =>
    series(answer, measure, span, width).buckets.map((bucket) => ({
      at: bucket.from,
      value: ((bucket.forward + bucket.reverse) * factor) / seconds,
    }));
  return { bits: per('octets', 8), packets: per('packets', 1), flows: per('flows', 1), width };
}

/** The mean of the buckets that lie whole between two times; null when none does. */
export function mean(points: readonly Point[], width: number, from: number, to: number): number | null {
  const inside = points.filter((point) => point.at >= from && point.at + width <= to);
  if (inside.length === 0) return null;
  return inside.reduce((sum, point) => sum + point.value, 0) / inside.length;
}

export interface DnsHealth {
  transactions: number;
  /** Parts of all transactions, 0 to 1. */
  unanswered: number;
  failed: number;
  missing: number;
  /** ns; null where nothing was answered. */
  median: number | null;
  slow: number | null;
}

const NXDOMAIN = 3;
const SERVFAIL = 2;
const UNANSWERED = 2;

/** From the transactions by status and by response code, and the latencies of all. */
export function dnsHealth(byStatus: Rows, byCode: Rows, latency: Rows): DnsHealth | null {
  const sum = (rows: readonly Row[], wanted: (row: Row) => boolean): number =>
    rows.filter(wanted).reduce((all, row) => all + number(row, 'transactions'), 0);
  const transactions = sum(byStatus.rows, () => true);
  if (transactions === 0) return null;
  const code = (wanted: number) => sum(byCode.rows, (row) => row['dns.rcode'] === wanted);
  const quantile = (name: string): number | null => {
    const value = latency.rows[0]?.[name];
    return value === null || value === undefined ? null : Number(value);
  };
  return {
    transactions,
    unanswered: sum(byStatus.rows, (row) => row['dns.status'] === UNANSWERED) / transactions,
    failed: code(SERVFAIL) / transactions,
    missing: code(NXDOMAIN) / transactions,
    median: quantile('p50(dns.latency)'),
    slow: quantile('p95(dns.latency)'),
  };
}

export interface TcpHealth {
  /** Flows whose retransmissions were counted. */
  flows: number;
  /** Part of the packets that were sent again, 0 to 1. */
  retransmitted: number;
  zeroWindows: number;
  /** ns; null where no handshake was seen. */
  median: number | null;
  slow: number | null;
  bufferbloat: number;
  blackholed: number;
}

export const TCP_METRICS = [
  'flows',
  'total.packets',
  RETRANSMITS,
  BACK_RETRANSMITS,
  ZERO_WINDOWS,
  BACK_ZERO_WINDOWS,
  'p50(tcp.rtt.server)',
  'p95(tcp.rtt.server)',
];

export function tcpHealth(measured: Rows, bloated: Rows, vanished: Rows): TcpHealth | null {
  const row = measured.rows[0];
  const flows = number(row, 'flows');
  if (flows === 0) return null;
  const quantile = (name: string): number | null =>
    row?.[name] === null || row?.[name] === undefined ? null : Number(row[name]);
  const packets = number(row, 'total.packets');
  const again = number(row, RETRANSMITS) + number(row, BACK_RETRANSMITS);
  return {
    flows,
    retransmitted: packets > 0 ? again / packets : 0,
    zeroWindows: number(row, ZERO_WINDOWS) + number(row, BACK_ZERO_WINDOWS),
    median: quantile('p50(tcp.rtt.server)'),
    slow: quantile('p95(tcp.rtt.server)'),
    bufferbloat: number(bloated.rows[0], 'flows'),
    blackholed: number(vanished.rows[0], 'flows'),
  };
}

export interface Sender {
  address: string;
  name: string | null;
  records: number;
  /** What its sequence numbers say is missing, in the unit they count. */
  lost: number;
  unit: string;
  /** Records and parts of Messages that could not be read. */
  faults: number;
  last: number;
}

/** One line for each address, the busiest first. */
export function senders(exporters: readonly Exporter[]): Sender[] {
  const found = new Map<string, Sender>();
  for (const exporter of exporters) {
    const known = found.get(exporter.address) ?? {
      address: exporter.address,
      name: null,
      records: 0,
      lost: 0,
      unit: exporter.sequence.counts,
      faults: 0,
      last: 0,
    };
    known.name ??= exporter.name;
    known.records += exporter.records;
    known.lost += exporter.sequence_lost;
    if (exporter.sequence_lost > 0) known.unit = exporter.sequence.counts;
    known.faults += Object.values(exporter.errors).reduce((sum, n) => sum + n, 0);
    known.last = Math.max(known.last, Date.parse(exporter.last) || 0);
    found.set(exporter.address, known);
  }
  return [...found.values()].sort((a, b) => b.records - a.records || a.address.localeCompare(b.address));
}

/** "3.2 %", "< 0.01 %"; null gives a dash. */
export function percent(part: number | null): string {
  if (part === null) return '–';
  const value = part * 100;
  if (value === 0) return '0\u00a0%';
  if (value < 0.01) return '<\u00a00.01\u00a0%';
  return `${value >= 99.95 ? '100' : value.toFixed(value < 1 ? 2 : 1)}\u00a0%`;
}

/** The value of a group, with null where the row has none. */
export function groupOf(row: Row, name: string): Cell {
  return row[name] ?? null;
}
