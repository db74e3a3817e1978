import { describe, expect, it } from 'vitest';
import { heatColour, isEmpty, lineAt, logCeiling, logFloor, type Plot } from './series';

const plot = (kind: Plot['kind']): Plot => ({
  kind,
  times: [0, 1],
  width: 1,
  unit: 'bits',
  rated: true,
  lines: [
    { label: 'a', tone: 0, values: [10, null], back: [1, null] },
    { label: 'b', tone: 1, values: [0, 5], back: [4, null] },
    { label: 'c', tone: 2, values: [20, 1], back: null },
  ],
});

describe('the line at a place', () => {
  it('is the band in a stack, on the side of the axis that was meant', () => {
    expect(lineAt(plot('stacked'), 0, 5)).toBe(0);
    expect(lineAt(plot('stacked'), 0, 25)).toBe(2);
    expect(lineAt(plot('stacked'), 0, 31)).toBeNull();
    expect(lineAt(plot('bars'), 0, -3)).toBe(1);
    expect(lineAt(plot('percent'), 0, 0.2)).toBe(0);
    expect(lineAt(plot('percent'), 0, 0.5)).toBe(2);
  });

  it('is the nearest of lines, and the row of a heat map', () => {
    expect(lineAt(plot('lines'), 0, 14)).toBe(0);
    expect(lineAt(plot('lines'), 0, 16)).toBe(2);
    expect(lineAt(plot('lines'), 1, 9)).toBe(1);
    expect(lineAt(plot('heat'), 0, 1)).toBe(1);
    expect(lineAt(plot('heat'), 0, 7)).toBeNull();
  });
});

it('the colour of heat goes from the first to the last', () => {
  expect([0, 1, 25, 100, 400].map((value) => heatColour(value, 100, ['a', 'b', 'c', 'd']))).toEqual([
    'a',
    'a',
    'c',
    'd',
    'd',
  ]);
  expect(heatColour(1, 0, ['a', 'b'])).toBe('a');
});

describe('a scale of powers of ten', () => {
  const of = (...values: (number | null)[]) => [{ label: 'a', tone: 0, values }];

  it('reaches from the one below to the one above what is drawn', () => {
    expect([logFloor(of(3, 42)), logCeiling(of(3, 42))]).toEqual([1, 100]);
    expect([logFloor(of(null, 20)), logCeiling(of(null, 20))]).toEqual([10, 100]);
    // Values that are a power of ten themselves, all the same.
    expect([logFloor(of(1e6, 1e6)), logCeiling(of(1e6, 1e6))]).toEqual([1e5, 1e7]);
    expect(logCeiling(of(null))).toBeGreaterThan(logFloor(of(null)));
  });
});

it('a chart is empty when nothing of it is more than zero', () => {
  const empty = { ...plot('bars'), lines: [{ label: 'a', tone: 0, values: [0, null], back: [null, 0] }] };
  expect(isEmpty(empty)).toBe(true);
  expect(isEmpty({ ...empty, lines: [{ label: 'a', tone: 0, values: [0, 0], back: [0, 1] }] })).toBe(false);
  expect(isEmpty(plot('lines'))).toBe(false);
});
