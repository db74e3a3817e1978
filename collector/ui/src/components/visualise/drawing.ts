// From an answer to what charts draw: names and colours for the lines.
import { groupLabel, type Columns } from '../../lib/charts/labels';
import type { Plot, Drawn, Kind } from '../../lib/charts/series';
import { totals, type Line } from '../../lib/charts/pivot';
import type { Seen } from '../../lib/visualise.svelte';
import { percent, reading } from '../../lib/charts/measure';
import { localTime } from '../../lib/time';
import type { Reading, ReadingItem } from '../charts/Chart.svelte';
import type { Key } from '../charts/Swatch.svelte';

export interface Labelled extends Drawn {
  key: string;
  line: Line;
}

export function labelled(seen: Seen, columns: Columns): Labelled[] {
  return (seen.pivot?.lines ?? []).map((line, index) => ({
    key: line.key,
    line,
    label: groupLabel(line, seen.state.by, columns),
    tone: index,
    other: line.other,
    values: line.values,
    back: line.back,
    previous: line.previous,
  }));
}

export function plotOf(seen: Seen, lines: readonly Labelled[], kind: Kind): Plot {
  const times = seen.pivot?.times ?? [];
  const before = lines.map((line) => line.previous).filter((values) => values != null);
  return {
    kind,
    times,
    width: seen.step,
    unit: seen.measure.unit,
    rated: seen.measure.perSecond,
    lines,
    previousTotal:
      before.length > 0 && seen.measure.adds ? totals(before as (number | null)[][], times.length) : null,
  };
}

/** How a line is told from the others, in the form in which the chart draws it. */
export function keyOf(plot: Pick<Plot, 'kind'>, line: Drawn): Key {
  return { tone: line.tone, other: line.other ?? false, stroke: plot.kind === 'lines' };
}

/** What is at a bucket: every line with its value, and the sum where there is one. */
export function readingOf(plot: Plot, adds: boolean, bucket: number): Reading {
  const from = plot.times[bucket] ?? 0;
  const text = (value: number | null | undefined): string => reading(value, plot.unit, plot.rated);
  const whole = totals(
    plot.lines.map((line) => line.values),
    plot.times.length,
  )[bucket];
  const both = plot.lines.some((line) => line.back != null);
  const items = plot.lines.map((line): ReadingItem => {
    const value = line.values[bucket] ?? null;
    const back = line.back?.[bucket] ?? null;
    const low = line.lower?.[bucket] ?? null;
    const high = line.upper?.[bucket] ?? null;
    const part =
      plot.kind === 'percent' && value !== null && whole != null && whole > 0
        ? ` (${percent(value / whole)})`
        : '';
    const limits = low !== null && high !== null && low !== high ? ` (${text(low)} – ${text(high)})` : '';
    return {
      label: line.label,
      value: both && line.back != null ? `${text(value)} ↑  ${text(back)} ↓` : text(value) + part + limits,
      key: keyOf(plot, line),
    };
  });
  if (adds && plot.lines.length > 1) items.push({ label: 'Together', value: text(whole), key: null });
  if (plot.previousTotal != null)
    items.push({ label: 'Period before', value: text(plot.previousTotal[bucket]), key: null });
  return { title: `${localTime(from)} – ${localTime(from + plot.width).slice(11)}`, items };
}
