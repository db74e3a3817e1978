// Patterns over areas and bars whose colour another line has already: one for each turn through the colours.
import { COLOURS, turnOf, type Look } from './colours.svelte';

/** As ECharts' decals: rows of symbols, in pixels, of which the arrays give what is drawn and what is left free. */
const SHAPES: readonly object[] = [
  { symbol: 'rect', dashArrayX: [1, 0], dashArrayY: [1.5, 4.5], rotation: -Math.PI / 4 },
  {
    symbol: 'circle',
    dashArrayX: [
      [4, 4],
      [0, 4, 4, 0],
    ],
    dashArrayY: [4, 0],
    symbolSize: 0.75,
  },
  { symbol: 'rect', dashArrayX: [1, 0], dashArrayY: [1.5, 4.5], rotation: Math.PI / 4 },
  {
    symbol: 'rect',
    dashArrayX: [
      [1, 0],
      [1, 6],
    ],
    dashArrayY: [1, 0, 6, 0],
    rotation: Math.PI / 4,
  },
];

/** Undefined for the first turn, whose colours say enough, and for the rest of all lines. */
export function patternOf(look: Look, index: number, other: boolean): object | undefined {
  const shape = SHAPES[turnOf(index) - 1];
  return other || shape === undefined ? undefined : { ...shape, color: look.inks[index % COLOURS] };
}
