// Rows of an answer turned into lines over time: one for each group, each with a value for every bucket.
import type { Cell, Row, Rows } from '../types';

export interface Line {
  /** Stable as long as the group is the same. */
  key: string;
  /** Values of the columns grouped by, in their order; empty for the whole. */
  group: Cell[];
  /** Everything outside the groups shown. */
  other: boolean;
  values: (number | null)[];
  /** The way back, drawn below the axis. */
  back: (number | null)[] | null;
  /** The same of the period before. */
  previous: (number | null)[] | null;
}

export interface Pivot {
  /** Starts of buckets, ms since 1970 UTC. */
  times: number[];
  /** Width of a bucket in ms. */
  width: number;
  lines: Line[];
}

export interface Shape {
  groups: readonly string[];
  metric: string;
  back: string | null;
  /** Metrics come as amounts in a bucket; each is multiplied by this (8 / seconds: bits a second). */
  factor: number;
}

/** At most so many buckets are laid out, whatever an answer says. */
const MOST_BUCKETS = 5_000;

/** A number out of a cell; null where nothing was measured. */
export function numeric(cell: Cell | undefined): number | null {
  if (typeof cell === 'number') return Number.isFinite(cell) ? cell : null;
  return typeof cell === 'bigint' ? Number(cell) : null;
}

function scaled(cell: Cell | undefined, factor: number): number | null {
  const value = numeric(cell);
  return value === null ? null : value * factor;
}

/** Which group a row is of; what cannot be told apart by JSON (a bigint) is told apart by its digits. */
export function groupKey(row: Row, groups: readonly string[]): string {
  if (row['_other'] === true) return 'other';
  return JSON.stringify(
    groups.map((name) => row[name] ?? null),
    (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value),
  );
}

/** Lays the rows of a series out; `width` in ms. Lines keep the order in which the answer has them, the other last. */
export function pivot(answer: Rows, shape: Shape, width: number): Pivot {
  const at = new Map<string, number>();
  for (const row of answer.rows) at.set(String(row['time']), Date.parse(String(row['time'])));
  const stamps = [...new Set([...at.values()].filter((ms) => !Number.isNaN(ms)))].sort((a, b) => a - b);
  const times = evenly(stamps, width);
  const index = new Map(times.map((ms, place) => [ms, place]));
  const lines = new Map<string, Line>();
  const empty = (): (number | null)[] => new Array<number | null>(times.length).fill(null);
  for (const row of answer.rows) {
    const place = index.get(at.get(String(row['time'])) ?? NaN);
    if (place === undefined) continue;
    const key = groupKey(row, shape.groups);
    let line = lines.get(key);
    if (line === undefined) {
      const other = row['_other'] === true;
      const group = shape.groups.map((name) => row[name] ?? null);
      line = {
        key,
        group,
        other,
        values: empty(),
        back: shape.back === null ? null : empty(),
        previous: null,
      };
      lines.set(key, line);
    }
    line.values[place] = scaled(row[shape.metric], shape.factor);
    if (shape.back !== null && line.back !== null) line.back[place] = scaled(row[shape.back], shape.factor);
    const before = row['previous'];
    if (typeof before === 'object' && before !== null && !Array.isArray(before)) {
      line.previous ??= empty();
      line.previous[place] = scaled(before[shape.metric], shape.factor);
    }
  }
  const all = [...lines.values()];
  return { times, width, lines: [...all.filter((line) => !line.other), ...all.filter((line) => line.other)] };
}

/** Every bucket between the first and the last, so that a gap is drawn as wide as it is. */
function evenly(stamps: number[], width: number): number[] {
  const first = stamps[0];
  const last = stamps[stamps.length - 1];
  if (first === undefined || last === undefined) return [];
  const size = Math.round((last - first) / width) + 1;
  if (!(width > 0) || size > MOST_BUCKETS || size < stamps.length) return stamps;
  const times = Array.from({ length: size }, (_, index) => first + index * width);
  // Rows off the grid (a first bucket cut short) would be lost on it.
  const grid = new Set(times);
  return stamps.every((ms) => grid.has(ms)) ? times : stamps;
}

/** Sums over lines at each bucket; null where no line has a value. */
export function totals(lines: readonly (readonly (number | null)[])[], size: number): (number | null)[] {
  return Array.from({ length: size }, (_, index) => {
    let sum: number | null = null;
    for (const line of lines) {
      const value = line[index] ?? null;
      if (value !== null) sum = (sum ?? 0) + value;
    }
    return sum;
  });
}

/** Each line's part of the sum at each bucket, 0 to 1; null where there is nothing to divide. */
export function parts(lines: readonly (readonly (number | null)[])[], size: number): (number | null)[][] {
  const whole = totals(lines, size);
  return lines.map((line) =>
    whole.map((sum, index) => {
      const value = line[index] ?? null;
      return value === null || sum === null || sum === 0 ? null : value / sum;
    }),
  );
}

export interface Figures {
  min: number | null;
  max: number | null;
  average: number | null;
  p95: number | null;
  last: number | null;
}

/** What a line comes to over its buckets. Buckets without a value count for nothing, not for 0. */
export function figures(values: readonly (number | null)[]): Figures {
  const there = values.filter((value): value is number => value !== null).sort((a, b) => a - b);
  if (there.length === 0) return { min: null, max: null, average: null, p95: null, last: null };
  return {
    min: there[0] ?? null,
    max: there[there.length - 1] ?? null,
    average: there.reduce((sum, value) => sum + value, 0) / there.length,
    p95: quantile(there, 0.95),
    last: values.filter((value) => value !== null).pop() ?? null,
  };
}

/** Nearest rank: the smallest value that at least a part `rank` of all does not exceed. Values are in order. */
export function quantile(ordered: readonly number[], rank: number): number | null {
  if (ordered.length === 0) return null;
  const place = Math.ceil(rank * ordered.length - 1e-9) - 1;
  return ordered[Math.min(ordered.length - 1, Math.max(0, place))] ?? null;
}

export interface Link {
  source: string;
  target: string;
  value: number;
}

export interface Node {
  /** Unique: the same value may stand in two columns. */
  name: string;
  level: number;
  cell: Cell;
  other: boolean;
  value: number;
}

/** Rows of groups by two or more columns as nodes and links from each column to the next. */
export function links(
  rows: readonly Row[],
  groups: readonly string[],
  metric: string,
): { nodes: Node[]; links: Link[] } {
  const nodes = new Map<string, Node>();
  const found = new Map<string, Link>();
  for (const row of rows) {
    const value = numeric(row[metric]) ?? 0;
    if (value <= 0) continue;
    const names = groups.map((name, level) => {
      const other = row['_other'] === true;
      const cell = row[name] ?? null;
      const id = other ? `${level}:other` : `${level}:${groupKey(row, [name])}`;
      const node = nodes.get(id) ?? { name: id, level, cell, other, value: 0 };
      node.value += value;
      nodes.set(id, node);
      return id;
    });
    for (let level = 0; level + 1 < names.length; level += 1) {
      const [source = '', target = ''] = names.slice(level, level + 2);
      const key = `${source}\n${target}`;
      const link = found.get(key) ?? { source, target, value: 0 };
      link.value += value;
      found.set(key, link);
    }
  }
  return { nodes: [...nodes.values()], links: [...found.values()] };
}
