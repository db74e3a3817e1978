// Colours and sizes of charts, read from the style sheet so that text, legend and canvas agree, in light and in dark.

import { remPixels } from '../scale';

/** How many lines have a colour of their own; those behind begin again, with other dashes and patterns. */
export const COLOURS = 8;

/** How lines of each turn through the colours are dashed, in pixels. */
export const DASHES: readonly (readonly number[])[] = [
  [],
  [8, 4],
  [2, 3],
  [10, 3, 2, 3],
  [12, 3, 2, 3, 2, 3],
];

/** Which turn through the colours a line is of; with five, forty lines differ. */
export function turnOf(index: number): number {
  return Math.floor(index / COLOURS) % DASHES.length;
}

export interface Look {
  /** Changes whenever the others do. */
  version: number;
  series: string[];
  /** Of patterns over each of them. */
  inks: string[];
  other: string;
  text: string;
  muted: string;
  line: string;
  strong: string;
  surface: string;
  heat: string[];
  forward: string;
  reverse: string;
  font: string;
  /** 1 rem in pixels. */
  rem: number;
}

function read(version: number): Look {
  // light-dark() is resolved only where a property that is a colour uses it.
  const probe = document.createElement('span');
  probe.hidden = true;
  document.body.append(probe);
  const colour = (name: string): string => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const look: Look = {
    version,
    series: Array.from({ length: COLOURS }, (_, index) => colour(`chart-${index}`)),
    inks: Array.from({ length: COLOURS }, (_, index) => colour(`chart-ink-${index}`)),
    other: colour('chart-other'),
    text: colour('text'),
    muted: colour('muted'),
    line: colour('line'),
    strong: colour('line-strong'),
    surface: colour('surface'),
    heat: Array.from({ length: 6 }, (_, index) => colour(`heat-${index}`)),
    forward: colour('forward'),
    reverse: colour('reverse'),
    font: getComputedStyle(document.body).fontFamily,
    rem: remPixels(),
  };
  probe.remove();
  return look;
}

class Colours {
  look = $state.raw<Look | null>(null);
  #watched = 0;
  #stop: (() => void) | null = null;

  /** Follows the theme and the size of type while at least one chart is there. */
  watch(): () => void {
    this.#watched += 1;
    if (this.#watched === 1) this.#start();
    return () => {
      this.#watched -= 1;
      if (this.#watched === 0) this.#stop?.();
    };
  }

  #start(): void {
    const again = (): void => {
      this.look = read((this.look?.version ?? 0) + 1);
    };
    const resized = (): void => {
      if (this.look?.rem !== remPixels()) again();
    };
    again();
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const chosen = new MutationObserver(again);
    chosen.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    dark.addEventListener('change', again);
    window.addEventListener('resize', resized);
    this.#stop = () => {
      chosen.disconnect();
      dark.removeEventListener('change', again);
      window.removeEventListener('resize', resized);
    };
  }
}

export const colours = new Colours();

/** The colour of a line by its place; the same in the legend and on the canvas. */
export function colourOf(look: Look, index: number, other: boolean): string {
  return other ? look.other : (look.series[index % look.series.length] ?? look.text);
}

/** The same as classes of charts.css, the pattern included. */
export function colourClass(index: number, other: boolean): string {
  return other ? 'tone-other' : `tone-${index % COLOURS} turn-${turnOf(index)}`;
}
