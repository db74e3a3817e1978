import { describe, expect, it } from 'vitest';
import { resolveSpan } from './asking';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const HOUR = 36e5;

describe('resolveSpan', () => {
  it('takes the last hour when flows are in it or none are anywhere', () => {
    const hour = { from: NOW - HOUR, to: NOW };
    expect(resolveSpan(null, null, null, NOW)).toEqual({ span: hour, note: null });
    const recent = { from: NOW - 90 * HOUR, to: NOW - 60_000 };
    expect(resolveSpan(null, null, recent, NOW)).toEqual({ span: hour, note: null });
  });

  it('goes where the data is and says so', () => {
    const old = { from: NOW - 100 * HOUR, to: NOW - 99 * HOUR };
    expect(resolveSpan(null, null, old, NOW)).toEqual({ span: old, note: 'moved' });
    const long = { from: NOW - 200 * HOUR, to: NOW - 99 * HOUR };
    expect(resolveSpan(null, null, long, NOW)).toEqual({
      span: { from: NOW - 123 * HOUR, to: NOW - 99 * HOUR },
      note: 'moved-newest',
    });
  });

  it('reads words and says which is none', () => {
    expect(resolveSpan('now-2h', 'now-1h', null, NOW)).toEqual({
      span: { from: NOW - 2 * HOUR, to: NOW - HOUR },
      note: null,
    });
    expect(resolveSpan('yesterday', 'now', null, NOW)).toEqual({
      error: expect.stringContaining('“yesterday” is not a time'),
    });
    expect(resolveSpan('now', 'then', null, NOW)).toEqual({ error: expect.stringContaining('“then”') });
    expect(resolveSpan('now', 'now-1h', null, NOW)).toEqual({
      error: expect.stringContaining('ends before'),
    });
  });
});
