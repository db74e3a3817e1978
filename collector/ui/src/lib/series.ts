// The histogram's numbers: what the API answered, laid onto an even grid of buckets.
import { bitRate, count, octets, rate, short } from './format';
import type { Measure } from './state';
import type { Span } from './time';
import type { Row, Rows } from './types';

export interface Bucket {
  /** ms since 1970 UTC. */
  from: number;
  forward: number;
  reverse: number;
}

export interface Series {
  buckets: Bucket[];
  /** Width of a bucket in ms. */
  width: number;
  span: Span;
  peak: number;
}

const number = (row: Row, name: string): number => Number(row[name] ?? 0);

/** The metrics asked for; both directions apart, since they are drawn apart. */
export const SERIES_METRICS = 'octets,rev.octets,packets,rev.packets,flows';

/** Lays rows with a `time` onto the grid that covers the span; what the answer leaves out is zero. */
export function series(answer: Rows, measure: Measure, span: Span, width: number): Series {
  const first = Math.floor(span.from / width) * width;
  const size = Math.max(1, Math.min(10_000, Math.ceil((span.to - first) / width)));
  const buckets: Bucket[] = Array.from({ length: size }, (_, index) => ({
    from: first + index * width,
    forward: 0,
    reverse: 0,
  }));
  for (const row of answer.rows) {
    const bucket = buckets[Math.round((Date.parse(String(row['time'])) - first) / width)];
    if (bucket === undefined) continue;
    bucket.forward = number(row, measure);
    bucket.reverse = measure === 'flows' ? 0 : number(row, `rev.${measure}`);
  }
  const peak = buckets.reduce((most, bucket) => Math.max(most, bucket.forward + bucket.reverse), 0);
  return { buckets, width, span: { from: first, to: first + size * width }, peak };
}

/** A sum as read in full. */
export function amount(value: number, measure: Measure): string {
  return measure === 'octets' ? octets(value) : count(value);
}

/** A label of the value axis. */
export function axisLabel(value: number, measure: Measure): string {
  if (value === 0) return '0';
  const text = measure === 'octets' ? octets(value) : short(value);
  // Axis steps are round: "20.0 kB" says no more than "20 kB".
  return text.replace(/\.0+(?=\D|$)/, '').replace(/(\.\d*[1-9])0+(?=\D|$)/, '$1');
}

/** An amount over a time as a rate. */
export function perSecond(value: number, measure: Measure, ms: number): string {
  const seconds = ms / 1_000;
  return measure === 'octets' ? bitRate((value * 8) / seconds) : rate(value / seconds);
}

export const UNIT_WORD: Record<Measure, string> = { octets: '', packets: 'packets', flows: 'flows' };
