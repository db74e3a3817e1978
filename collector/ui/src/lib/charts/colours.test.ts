import { describe, expect, it } from 'vitest';
import page from '../../app.css?raw';
import css from '../../components/charts/charts.css?raw';
import { COLOURS, DASHES, type Look } from './colours.svelte';
import { seriesOption, type Plot } from './series';

const ground = /--surface: light-dark\((#\w{6}), (#\w{6})\)/.exec(page);

/** A colour of the style sheet in light and in dark. */
function both(name: string): [string, string] {
  const [, light = '', dark = ''] =
    new RegExp(`--${name}: light-dark\\((#\\w{6}), (#\\w{6})\\)`).exec(css) ?? [];
  return [light, dark];
}

/** Contrast as WCAG 2.2 defines it. */
function contrast(one: string, other: string): number {
  const [more = 0, less = 0] = [one, other]
    .map((colour) => {
      const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
        const part = parseInt(colour.slice(at, at + 2), 16) / 255;
        return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    })
    .sort((a, b) => b - a);
  return (more + 0.05) / (less + 0.05);
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
const look: Look = {
  version: 1,
  series: numbers(COLOURS).map((index) => `colour ${index}`),
  inks: numbers(COLOURS).map((index) => `ink ${index}`),
  other: 'other',
  text: 'text',
  muted: 'muted',
  line: 'line',
  strong: 'strong',
  surface: 'surface',
  heat: [],
  forward: 'forward',
  reverse: 'reverse',
  font: 'font',
  rem: 14,
};

interface Series {
  lineStyle?: { color: string; type: unknown };
  itemStyle: { color: string; decal?: unknown };
}

function drawn(kind: Plot['kind'], count: number): Series[] {
  const lines = numbers(count).map((tone) => ({ label: String(tone), tone, values: [1, 2] }));
  const plot: Plot = { kind, times: [0, 1000], width: 1000, unit: 'bits', rated: true, lines };
  return (seriesOption(plot, look, 800) as { series: Series[] }).series;
}

describe('lines beyond the colours', () => {
  const ALL = COLOURS * DASHES.length;

  it('have dashes of their own, so that forty differ', () => {
    const seen = drawn('lines', ALL).map(({ lineStyle }) =>
      JSON.stringify([lineStyle?.color, lineStyle?.type]),
    );
    expect(ALL).toBe(40);
    expect(new Set(seen).size).toBe(ALL);
    expect(drawn('lines', COLOURS).every(({ lineStyle }) => lineStyle?.type === 'solid')).toBe(true);
  });

  it.each(['stacked', 'percent', 'bars'] as const)(
    'have patterns over their areas where they are %s',
    (kind) => {
      const seen = drawn(kind, ALL).map(({ itemStyle }) =>
        JSON.stringify([itemStyle.color, itemStyle.decal]),
      );
      expect(new Set(seen).size).toBe(ALL);
      expect(drawn(kind, COLOURS).every(({ itemStyle }) => itemStyle.decal === undefined)).toBe(true);
    },
  );
});

describe('the colours', () => {
  it('are told apart from the ground, and patterns over them from the colours, in light and in dark', () => {
    expect(ground).not.toBeNull();
    for (const index of numbers(COLOURS))
      for (const scheme of [0, 1] as const) {
        const colour = both(`chart-${index}`)[scheme];
        // Of light grounds the hues that people without a sense for red or green tell apart leave no more.
        expect(contrast(colour, ground?.[scheme + 1] ?? ''), `chart-${index}`).toBeGreaterThan(2.3);
        // Non-text contrast, WCAG 1.4.11.
        expect(contrast(colour, both(`chart-ink-${index}`)[scheme]), `ink ${index}`).toBeGreaterThan(3);
      }
  });
});
