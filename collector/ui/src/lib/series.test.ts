import { describe, expect, it } from 'vitest';
import { valueTicks } from './scale';
import { axisLabel, perSecond, series } from './series';

const stats = { rows_read: 0, elapsed_ms: 0 };

describe('the series', () => {
  const span = { from: 5_000, to: 35_000 };
  const rows = [
    { time: '1970-01-01T00:00:10Z', octets: 100, 'rev.octets': 50, packets: 2, 'rev.packets': 1, flows: 1 },
    { time: '1970-01-01T00:00:30Z', octets: 7, 'rev.octets': 0, packets: 1, 'rev.packets': 0, flows: 3 },
    { time: '1970-01-01T01:00:00Z', octets: 999, 'rev.octets': 0, packets: 1, 'rev.packets': 0, flows: 1 },
  ];

  it('lies on an even grid around the span and leaves out what is outside', () => {
    const { buckets, peak, span: covered } = series({ rows, stats }, 'octets', span, 10_000);
    expect(buckets).toEqual([
      { from: 0, forward: 0, reverse: 0 },
      { from: 10_000, forward: 100, reverse: 50 },
      { from: 20_000, forward: 0, reverse: 0 },
      { from: 30_000, forward: 7, reverse: 0 },
    ]);
    expect(peak).toBe(150);
    expect(covered).toEqual({ from: 0, to: 40_000 });
  });

  it('counts flows once', () => {
    expect(
      series({ rows, stats }, 'flows', span, 10_000).buckets.map((bucket) => bucket.forward + bucket.reverse),
    ).toEqual([0, 1, 0, 3]);
  });

  it('never makes more buckets than can be drawn', () => {
    expect(series({ rows: [], stats }, 'octets', { from: 0, to: 1e15 }, 1).buckets).toHaveLength(10_000);
  });
});

describe('the axis', () => {
  it('ends at or above the peak in round steps', () => {
    for (const peak of [1, 3, 7.5, 99, 1234, 5e9]) {
      const ticks = valueTicks(peak, 3);
      expect(ticks[0]).toBe(0);
      expect(ticks.at(-1)).toBeGreaterThanOrEqual(peak);
      expect(ticks.length).toBeLessThanOrEqual(5);
    }
    expect(valueTicks(0, 3)).toEqual([0, 1]);
    expect(valueTicks(10, 3)).toEqual([0, 5, 10]);
  });

  it('has short labels', () => {
    expect(axisLabel(0, 'octets')).toBe('0');
    expect(axisLabel(20_000, 'octets')).toBe('20\u00a0kB');
    expect(axisLabel(2_500_000, 'octets')).toBe('2.5\u00a0MB');
    expect(axisLabel(500, 'flows')).toBe('500');
    expect(axisLabel(100_000, 'packets')).toBe('100\u00a0k');
  });

  it('turns a bucket into a rate', () => {
    expect(perSecond(1_000_000, 'octets', 8_000)).toBe('1.00\u00a0Mbit/s');
    expect(perSecond(500, 'packets', 10_000)).toBe('50\u00a0/s');
  });
});
