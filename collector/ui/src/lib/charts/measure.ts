// What a chart measures: which metric the collector is asked for, and how its numbers are written on axes and in tables.
import { bitRate, count, duration, octets, rate, short } from '../format';
import type { Column } from '../types';

/** How numbers of a measure are read. */
export type Unit = 'bits' | 'octets' | 'packets' | 'flows' | 'transactions' | 'ns' | 'part' | 'count';

export interface Measure {
  /** As it stands in the address: `bits`, `unique(dst.ip)`. */
  name: string;
  /** For people: "Bits", "Different dst.ip". */
  title: string;
  unit: Unit;
  /** What the API is asked for: one way or both together, and the way back. */
  metric: string;
  total: string | null;
  back: string | null;
  /** Values of parts add up to that of the whole, so they may be stacked. */
  adds: boolean;
  /** Shown as a rate when there is a width of time to divide by. */
  perSecond: boolean;
}

export const PLAIN: readonly Measure[] = [
  {
    name: 'bits',
    title: 'Bits',
    unit: 'bits',
    metric: 'octets',
    total: 'total.octets',
    back: 'rev.octets',
    adds: true,
    perSecond: true,
  },
  {
    name: 'packets',
    title: 'Packets',
    unit: 'packets',
    metric: 'packets',
    total: 'total.packets',
    back: 'rev.packets',
    adds: true,
    perSecond: true,
  },
  {
    name: 'flows',
    title: 'Flows',
    unit: 'flows',
    metric: 'flows',
    total: null,
    back: null,
    adds: true,
    perSecond: true,
  },
  {
    name: 'octets/packets',
    title: 'Octets per packet',
    unit: 'octets',
    metric: 'octets/packets',
    total: null,
    back: null,
    adds: false,
    perSecond: false,
  },
  {
    name: 'transactions',
    title: 'DNS transactions',
    unit: 'transactions',
    metric: 'transactions',
    total: null,
    back: null,
    adds: true,
    perSecond: true,
  },
];

/** Functions of a column, in the order of the list somebody chooses from. */
export const FUNCTIONS = ['unique', 'p50', 'p90', 'p95', 'p99', 'avg', 'min', 'max', 'sum'] as const;
export type Function = (typeof FUNCTIONS)[number];

/** Said before the name of a column. */
export const FUNCTION_WORDS: Record<Function, string> = {
  unique: 'Different',
  p50: 'Median of',
  p90: '90th percentile of',
  p95: '95th percentile of',
  p99: '99th percentile of',
  avg: 'Mean of',
  min: 'Smallest',
  max: 'Largest',
  sum: 'Sum of',
};

const CALL = /^([a-z]+\d*)\(([\w.]{1,128})\)$/;

/** The function and the column of `p95(dns.latency)`; null when it is none. */
export function call(name: string): { function: Function; column: string } | null {
  const found = CALL.exec(name);
  const known = FUNCTIONS.find((each) => each === found?.[1]);
  return known === undefined || found?.[2] === undefined ? null : { function: known, column: found[2] };
}

/** The measure of a name in the address, whatever it is; null when it can be no metric. */
export function measure(name: string, column?: (name: string) => Column | undefined): Measure | null {
  const plain = PLAIN.find((each) => each.name === name);
  if (plain !== undefined) return plain;
  const of = call(name);
  if (of !== null) {
    const found = column?.(of.column);
    return {
      name,
      title: `${FUNCTION_WORDS[of.function]} ${of.column}`,
      unit: of.function === 'unique' ? 'count' : unitOf(found),
      metric: name,
      total: null,
      back: null,
      adds: of.function === 'sum',
      perSecond: false,
    };
  }
  if (/^share\([\w.()]{1,128}\)$/.test(name)) return other(name, `Part of ${name.slice(6, -1)}`, 'part');
  if (/^[\w.()]{1,128}\/[\w.()]{1,128}$/.test(name)) return other(name, name.replace('/', ' per '), 'count');
  return null;
}

function other(name: string, title: string, unit: Unit): Measure {
  return { name, title, unit, metric: name, total: null, back: null, adds: false, perSecond: false };
}

function unitOf(column: Column | undefined): Unit {
  if (column?.kind === 'duration') return 'ns';
  if (column?.unit === 'octets') return 'octets';
  if (column?.unit === 'packets') return 'packets';
  return 'count';
}

/** A number as read in full. `rated` says that it was divided by time. */
export function reading(value: number | null | undefined, unit: Unit, rated: boolean): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return '–';
  switch (unit) {
    case 'bits':
      return rated ? bitRate(value) : octets(value / 8);
    case 'octets':
      return octets(round(value));
    case 'ns':
      return duration(Math.round(value));
    case 'part':
      return percent(value);
    default:
      return rated ? rate(round(value)) : short(round(value));
  }
}

/** What a measure is called where it was not divided by time: bits are then read as octets. */
export function amountTitle(of: Pick<Measure, 'title' | 'unit'>): string {
  return of.unit === 'bits' ? 'Volume' : of.title;
}

/** Without the digits that only dividing brings in. */
function round(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(6));
}

/** 0.1234 -> "12.3 %". */
export function percent(part: number): string {
  const size = Math.abs(part * 100);
  return `${(part * 100).toFixed(size >= 99.95 || size === 0 ? 0 : size >= 10 ? 1 : 2)}\u00a0%`;
}

/** A label of an axis: a round value needs no digits behind the point, and one below the axis no sign. */
export function tick(value: number, unit: Unit, rated: boolean): string {
  if (value === 0) return '0';
  const text = reading(Math.abs(value), unit, rated);
  return text.replace(/\.0+(?=\D|$)/, '').replace(/(\.\d*[1-9])0+(?=\D|$)/, '$1');
}

/** The exact number, for titles. */
export function exact(value: number, unit: Unit): string {
  if (unit === 'ns') return `${count(value)} ns`;
  return unit === 'bits' || unit === 'octets' ? `${count(value)} ${unit}` : count(value);
}
