import { describe, expect, it } from 'vitest';
import type { Row, Rows } from '../types';
import { figures, groupKey, links, parts, pivot, quantile, totals } from './pivot';

const answer = (rows: Rows['rows']): Rows => ({ rows, stats: { rows_read: 0, elapsed_ms: 0 } });
const T = (minute: number): string => `2026-01-31T10:${String(minute).padStart(2, '0')}:00Z`;
const MINUTE = 60_000;

describe('pivot', () => {
  it('makes one line for each group, in the order of the answer, the other last', () => {
    const found = pivot(
      answer([
        { time: T(0), _other: true, app: null, octets: 1 },
        { time: T(0), app: 'dns', octets: 75 },
        { time: T(1), app: 'dns', octets: 150 },
        { time: T(0), app: 'tls', octets: 15 },
        { time: T(0), app: null, octets: 30 },
      ]),
      { groups: ['app'], metric: 'octets', back: null, factor: 8 / 60 },
      MINUTE,
    );
    expect(found.lines.map((line) => [line.group[0], line.other])).toEqual([
      ['dns', false],
      ['tls', false],
      [null, false],
      [null, true],
    ]);
    expect(found.lines[0]?.values).toEqual([10, 20]);
    expect(found.lines[1]?.values).toEqual([2, null]);
  });

  it('leaves a gap as wide as it is', () => {
    const rows = [
      { time: T(0), octets: 1 },
      { time: T(3), octets: 2 },
    ];
    const found = pivot(answer(rows), { groups: [], metric: 'octets', back: null, factor: 1 }, MINUTE);
    expect(found.times.map((ms) => (ms - Date.parse(T(0))) / MINUTE)).toEqual([0, 1, 2, 3]);
    expect(found.lines[0]?.values).toEqual([1, null, null, 2]);
  });

  it('keeps rows that are off the grid', () => {
    const rows = [
      { time: T(0), octets: 1 },
      { time: '2026-01-31T10:01:30Z', octets: 2 },
      { time: T(3), octets: 3 },
    ];
    const found = pivot(answer(rows), { groups: [], metric: 'octets', back: null, factor: 1 }, MINUTE);
    expect(found.lines[0]?.values).toEqual([1, 2, 3]);
  });

  it('takes the way back and the period before along', () => {
    const rows = [{ time: T(0), octets: 4, 'rev.octets': 8, previous: { octets: 2, 'rev.octets': null } }];
    const found = pivot(
      answer(rows),
      { groups: [], metric: 'octets', back: 'rev.octets', factor: 2 },
      MINUTE,
    );
    expect(found.lines[0]).toMatchObject({ values: [8], back: [16], previous: [4] });
  });

  it('takes what is no number and no time for nothing', () => {
    const rows = [
      { time: T(0), octets: null },
      { time: 'yesterday', octets: 5 },
    ];
    const found = pivot(answer(rows), { groups: [], metric: 'octets', back: null, factor: 1 }, MINUTE);
    expect(found.lines[0]?.values).toEqual([null]);
    expect(pivot(answer([]), { groups: [], metric: 'octets', back: null, factor: 1 }, MINUTE).lines).toEqual(
      [],
    );
  });

  it('tells groups apart that look alike', () => {
    const rows: Row[] = [{ a: 1 }, { a: '1' }, { a: 1n }, { a: null }, { a: 'other' }, { _other: true }];
    const keys = rows.map((row) => groupKey(row, ['a']));
    expect(new Set(keys).size).toBe(6);
  });
});

describe('figures', () => {
  it('are those of the buckets that have a value', () => {
    expect(figures([3, null, 1, 2])).toEqual({ min: 1, max: 3, average: 2, p95: 3, last: 2 });
    expect(figures([null])).toEqual({ min: null, max: null, average: null, p95: null, last: null });
  });

  it('take the 95th percentile by nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);
    expect(quantile(hundred, 0.95)).toBe(95);
    expect(quantile(hundred.slice(0, 20), 0.95)).toBe(19);
    expect(quantile(hundred, 0)).toBe(1);
    expect(quantile(hundred, 1)).toBe(100);
    expect(quantile([], 0.5)).toBeNull();
  });

  it('add up and divide bucket by bucket', () => {
    const lines = [
      [1, null, 0],
      [3, null, 0],
    ];
    expect(totals(lines, 3)).toEqual([4, null, 0]);
    expect(parts(lines, 3)).toEqual([
      [0.25, null, null],
      [0.75, null, null],
    ]);
  });
});

describe('links', () => {
  it('join what goes the same way, column by column', () => {
    const rows = [
      { a: '1', b: 'x', c: 'p', octets: 5 },
      { a: '1', b: 'x', c: 'q', octets: 2 },
      { a: 'x', b: 'x', c: 'p', octets: 1 },
      { a: '1', b: 'y', c: 'p', octets: 0 },
    ];
    const found = links(rows, ['a', 'b', 'c'], 'octets');
    expect(found.nodes.map((node) => [node.level, node.cell, node.value])).toEqual([
      [0, '1', 7],
      [1, 'x', 8],
      [2, 'p', 6],
      [2, 'q', 2],
      [0, 'x', 1],
    ]);
    expect(found.links.map((link) => link.value)).toEqual([7, 6, 2, 1]);
    expect(new Set(found.nodes.map((node) => node.name)).size).toBe(5);
  });
});
