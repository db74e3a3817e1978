import { describe, expect, it } from 'vitest';
import { parseWords } from './words';

/** A Wednesday, in whatever zone this runs. */
const now = new Date(2026, 0, 28, 15, 30).getTime();
const at = (month: number, day: number, hour = 0, minute = 0): string =>
  new Date(2026, month - 1, day, hour, minute).toISOString().replace('.000Z', 'Z');

describe('spans in words', () => {
  it('that move with the clock stay so', () => {
    for (const [text, from] of [
      ['last hour', 'now-1h'],
      ['Last 2 hours', 'now-2h'],
      ['past 45 min', 'now-45m'],
      ['30s', 'now-30s'],
      ['last week', null],
      ['the last 3 weeks', 'now-3w'],
      ['last 24h', 'now-24h'],
      ['an hour', 'now-1h'],
    ] as const)
      if (from !== null) expect(parseWords(text, now)).toEqual({ from, to: 'now' });
    expect(parseWords('all data', now)).toEqual({ from: 'all', to: '' });
  });

  it('that name days are whole local days', () => {
    expect(parseWords('today', now)).toEqual({ from: at(1, 28), to: 'now' });
    expect(parseWords('yesterday', now)).toEqual({ from: at(1, 27), to: at(1, 28) });
    expect(parseWords('monday', now)).toEqual({ from: at(1, 26), to: at(1, 27) });
    expect(parseWords('thu', now)).toEqual({ from: at(1, 22), to: at(1, 23) });
    expect(parseWords('this week', now)).toEqual({ from: at(1, 26), to: 'now' });
  });

  it('that name two points', () => {
    expect(parseWords('10:00 - 12:30', now)).toEqual({ from: at(1, 28, 10), to: at(1, 28, 12, 30) });
    expect(parseWords('yesterday 22:00 to 23:00', now)).toEqual({
      from: at(1, 27, 22),
      to: at(1, 27, 23),
    });
    expect(parseWords('2026-01-05 10:00 to 2026-01-06', now)).toEqual({
      from: at(1, 5, 10),
      to: at(1, 6),
    });
    expect(parseWords('09:00 until now', now)).toEqual({ from: at(1, 28, 9), to: 'now' });
  });

  it('that are none are none', () => {
    for (const text of [
      '',
      'soon',
      'last',
      'last 0 hours',
      '12:00 - 10:00',
      'to',
      'hours',
      '<b>',
      'last 2 cows',
    ])
      expect(parseWords(text, now)).toBeNull();
  });
});
