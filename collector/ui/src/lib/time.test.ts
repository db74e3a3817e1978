import { describe, expect, it } from 'vitest';
import { bucketWidth, parseTime, PRESETS, rfc3339, spanText, timeTicks, widthText } from './time';

const NOW = Date.parse('2026-01-31T12:00:00Z');
const HOUR = 36e5;

describe('times', () => {
  it('are read in every form', () => {
    expect(parseTime('now', NOW)).toBe(NOW);
    expect(parseTime('now-1h', NOW)).toBe(NOW - HOUR);
    expect(parseTime(' -15m ', NOW)).toBe(NOW - 9e5);
    expect(parseTime('now + 30s', NOW)).toBe(NOW + 3e4);
    expect(parseTime('2026-01-31T12:00:00Z', NOW)).toBe(NOW);
    expect(parseTime('2026-01-31T12:00:00.123456789Z', NOW)).toBe(NOW + 123);
    expect(parseTime('2026-01-31 13:00+01:00', NOW)).toBe(NOW);
    expect(parseTime('2026-01-31 10:00', NOW)).toBe(new Date(2026, 0, 31, 10, 0).getTime());
    expect(parseTime('10:30', NOW)).toBe(new Date(2026, 0, 31, 10, 30).getTime());
    expect(parseTime('1767225600', NOW)).toBe(1_767_225_600_000);
  });

  it('that are none are refused', () => {
    for (const text of ['', 'yesterday', 'now-', 'now-5', '-', '25:00', '2026-13-01', '12', '1h']) {
      expect(parseTime(text, NOW), text).toBeNull();
    }
  });

  it('of the presets are all read', () => {
    for (const { from, to } of PRESETS.filter((preset) => preset.from !== 'all')) {
      expect(parseTime(from, NOW)).toBeLessThan(parseTime(to, NOW) ?? 0);
    }
  });

  it('are written as short as RFC 3339 allows', () => {
    expect(rfc3339(NOW)).toBe('2026-01-31T12:00:00Z');
    expect(rfc3339(NOW + 250)).toBe('2026-01-31T12:00:00.250Z');
  });

  it('of a span repeat the day only when it changes', () => {
    const noon = new Date(2026, 0, 31, 12).getTime();
    expect(spanText({ from: noon, to: noon + HOUR })).toBe('2026-01-31 12:00 – 13:00');
    expect(spanText({ from: noon, to: noon + 24 * HOUR })).toBe('2026-01-31 12:00 – 2026-02-01 12:00');
  });
});

describe('buckets', () => {
  it('are as narrow as the room allows', () => {
    expect(bucketWidth({ from: 0, to: HOUR }, 120)).toBe(30_000);
    expect(bucketWidth({ from: 0, to: 24 * HOUR }, 100)).toBe(15 * 60_000);
    expect(bucketWidth({ from: 0, to: 400 }, 100, 1)).toBe(5);
    for (let size = 1; size < 1e13; size *= 3) {
      const width = bucketWidth({ from: 0, to: size }, 100, 1);
      expect(size / width).toBeLessThanOrEqual(100);
    }
  });

  it('are said in the words of the API', () => {
    expect(widthText(90_000)).toBe('90s');
    expect(widthText(60_000)).toBe('1m');
    expect(widthText(250)).toBe('250ms');
    expect(widthText(864e5)).toBe('1d');
  });
});

describe('ticks', () => {
  it('are round, inside the span, and few', () => {
    for (const size of [2_000, 300_000, HOUR, 30 * HOUR, 4e9]) {
      const span = { from: NOW + 1234, to: NOW + 1234 + size };
      const ticks = timeTicks(span, 8);
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks.length).toBeLessThanOrEqual(9);
      for (const { at } of ticks) {
        expect(at).toBeGreaterThanOrEqual(span.from);
        expect(at).toBeLessThan(span.to);
      }
      // The same hour may come again on the next day, with a date between.
      ticks.forEach((tick, index) => expect(tick.label).not.toBe(ticks[index + 1]?.label));
    }
  });
});
