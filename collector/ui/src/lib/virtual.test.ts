import { describe, expect, it } from 'vitest';
import { reveal, slice, SPARE_ROWS } from './virtual';

describe('slice', () => {
  it('covers what is in sight, and the whole list keeps its height', () => {
    for (const top of [0, 1, 29, 1_000, 1_449_000, 2_899_500, 9e9]) {
      const { first, end, above, below } = slice(100_000, 29, top, 600);
      expect(above + (end - first) * 29 + below).toBe(100_000 * 29);
      const shownTop = Math.min(top, 100_000 * 29 - 600);
      expect(above).toBeLessThanOrEqual(shownTop);
      expect(100_000 * 29 - below).toBeGreaterThanOrEqual(shownTop + 600);
      expect(end - first).toBeLessThanOrEqual(22 + 2 * SPARE_ROWS);
    }
  });
  it('draws a short list whole', () => {
    expect(slice(3, 29, 0, 600)).toEqual({ first: 0, end: 3, above: 0, below: 0 });
    expect(slice(0, 29, 0, 600)).toEqual({ first: 0, end: 0, above: 0, below: 0 });
  });
  it('draws everything while no height is known', () => {
    expect(slice(40, 0, 100, 600)).toEqual({ first: 0, end: 40, above: 0, below: 0 });
  });
});

describe('reveal', () => {
  it('moves only as far as it must', () => {
    expect(reveal(10, 30, 0, 630, 30)).toBe(0);
    expect(reveal(20, 30, 0, 630, 30)).toBe(30);
    expect(reveal(2, 30, 300, 630, 30)).toBe(60);
  });
});
