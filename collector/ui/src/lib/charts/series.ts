// Options of charts over time: stacked, as parts of the whole, lines, bars and heat; with the way back below the axis,
// the period before as dashes, and limits as whiskers.
import type { CustomSeriesRenderItemAPI, CustomSeriesRenderItemParams } from 'echarts';
import type { EChartsCoreOption } from 'echarts/core';
import { valueTicks } from '../scale';
import { timeTicks } from '../time';
import { colourOf, DASHES, turnOf, type Look } from './colours.svelte';
import { percent, tick, type Unit } from './measure';
import { patternOf } from './patterns';
import { parts } from './pivot';

export type Kind = 'stacked' | 'percent' | 'lines' | 'bars' | 'heat';

export type Values = readonly (number | null)[];

export interface Drawn {
  label: string;
  /** Place of its colour; the same for lines of one group in all charts. */
  tone: number;
  other?: boolean;
  values: Values;
  back?: Values | null;
  previous?: Values | null;
  /** Limits of each value. */
  lower?: Values;
  upper?: Values;
}

export interface Plot {
  kind: Kind;
  times: readonly number[];
  /** ms */
  width: number;
  unit: Unit;
  rated: boolean;
  lines: readonly Drawn[];
  /** Of all lines together, of the period before; drawn where lines are stacked. */
  previousTotal?: Values | null;
  /** Same end of the axis for charts that stand side by side. */
  most?: number;
  /** A scale on which twice as much is as far anywhere: for latencies, which differ by powers of ten. */
  log?: boolean;
  /** Less room for words. */
  small?: boolean;
}

type Point = [number, number | null];

/** Where something of a bucket is drawn: in its middle. */
function points(plot: Plot, values: Values, sign = 1): Point[] {
  return plot.times.map((ms, index) => {
    const value = values[index] ?? null;
    return [ms + plot.width / 2, value === null ? null : value * sign];
  });
}

export function seriesOption(plot: Plot, look: Look, pixels: number): EChartsCoreOption {
  const small = plot.small ?? false;
  const first = plot.times[0] ?? 0;
  const end = (plot.times[plot.times.length - 1] ?? 0) + plot.width;
  const size = look.rem * (small ? 0.8 : 0.86);
  const ticks = timeTicks(
    { from: first, to: end },
    Math.max(2, Math.floor(pixels / (look.rem * (small ? 4.6 : 6.2)))),
  );
  const labels = new Map(ticks.map((each) => [each.at, each.label]));
  const at = ticks.map((each) => each.at);
  const text = { color: look.muted, fontFamily: look.font, fontSize: size };
  const heat = plot.kind === 'heat';
  return {
    textStyle: { fontFamily: look.font },
    grid: {
      left: look.rem * 0.2,
      right: look.rem * 0.9,
      top: look.rem * 0.7,
      bottom: look.rem * 0.2,
      containLabel: true,
    },
    xAxis: {
      type: 'time',
      min: first,
      max: end,
      axisLine: { lineStyle: { color: look.strong }, onZero: true },
      axisTick: { show: !heat, customValues: at, lineStyle: { color: look.strong } },
      axisLabel: {
        ...text,
        customValues: at,
        hideOverlap: true,
        // Centred, the first would reach into the labels of the other axis.
        alignMinLabel: 'left',
        formatter: (ms: number) => labels.get(ms) ?? '',
      },
      splitLine: { show: false },
    },
    yAxis: heat ? heatAxis(plot, look, text, pixels) : valueAxis(plot, look, text),
    series: heat ? heatSeries(plot, look) : lineSeries(plot, look),
  };
}

/** Nothing of it is more than zero. */
export function isEmpty(plot: Plot): boolean {
  const some = (values: Values | null | undefined): boolean =>
    values?.some((value) => value !== null && value !== 0) ?? false;
  return !plot.lines.some((line) => some(line.values) || some(line.back) || some(line.previous));
}

function valueAxis(plot: Plot, look: Look, text: object) {
  // The numbers of an axis without values would be made up.
  const empty = isEmpty(plot);
  const whole = plot.kind === 'percent';
  const both = plot.lines.some((line) => line.back != null);
  return {
    type: plot.log === true ? 'log' : 'value',
    min: plot.log === true ? logFloor(plot.lines) : whole ? (both ? -1 : 0) : undefined,
    max:
      plot.log === true
        ? logCeiling(plot.lines)
        : whole
          ? 1
          : plot.most === undefined
            ? undefined
            : valueTicks(plot.most, 3).pop(),
    splitNumber: plot.small ? 3 : 5,
    // Halves of what is counted whole say nothing.
    minInterval: plot.unit === 'count' && !plot.rated ? 1 : undefined,
    axisLabel: {
      ...text,
      formatter: (value: number) =>
        empty && value !== 0
          ? ''
          : whole
            ? percent(Math.abs(value)).replace(/\.\d+/, '')
            : tick(value, plot.unit, plot.rated),
    },
    splitLine: { lineStyle: { color: look.line } },
    axisLine: { show: false },
  };
}

/** The power of ten below the smallest value, so that the axis begins with a label and no line lies on it. */
export function logFloor(lines: readonly Drawn[]): number {
  let least = Infinity;
  for (const line of lines)
    for (const value of [...line.values, ...(line.lower ?? [])])
      if (value !== null && value > 0) least = Math.min(least, value);
  return Number.isFinite(least) ? 10 ** (Math.ceil(Math.log10(least) - 1e-9) - 1) : 1;
}

/** The power of ten above the largest value. */
export function logCeiling(lines: readonly Drawn[]): number {
  let most = 0;
  for (const line of lines)
    for (const value of [...line.values, ...(line.upper ?? [])]) most = Math.max(most, value ?? 0);
  return most > 0 ? 10 ** (Math.floor(Math.log10(most) + 1e-9) + 1) : 10 * logFloor(lines);
}

function lineSeries(plot: Plot, look: Look): object[] {
  const stacked = plot.kind === 'stacked' || plot.kind === 'percent';
  const size = plot.times.length;
  const values =
    plot.kind === 'percent'
      ? parts(
          plot.lines.map((line) => line.values),
          size,
        )
      : null;
  const back =
    plot.kind === 'percent'
      ? parts(
          plot.lines.map((line) => line.back ?? []),
          size,
        )
      : null;
  const dense = size > 80;
  const series: object[] = plot.lines.map((line, index) =>
    oneSeries(plot, look, line, points(plot, values?.[index] ?? line.values), 'up', dense),
  );
  for (const [index, line] of plot.lines.entries()) {
    if (line.back == null) continue;
    series.push(oneSeries(plot, look, line, points(plot, back?.[index] ?? line.back, -1), 'down', dense));
  }
  const dashes = (values: Values, colour: string, opacity: number): object => ({
    type: 'line',
    name: 'previous',
    data: points(plot, values),
    showSymbol: false,
    silent: true,
    z: 4,
    lineStyle: { color: colour, width: look.rem * 0.11, type: [5, 4], opacity },
    itemStyle: { color: colour },
  });
  if (plot.kind === 'lines')
    for (const line of plot.lines)
      if (line.previous != null)
        // Fainter than the lines themselves, which are dashed, too, when they are many.
        series.push(dashes(line.previous, colourOf(look, line.tone, line.other ?? false), 0.55));
  if ((stacked || plot.kind === 'bars') && plot.kind !== 'percent' && plot.previousTotal != null)
    series.push(dashes(plot.previousTotal, look.text, 1));
  for (const line of plot.lines)
    if (line.lower !== undefined && line.upper !== undefined) series.push(whiskers(plot, look, line));
  return series;
}

function oneSeries(
  plot: Plot,
  look: Look,
  line: Drawn,
  data: Point[],
  way: 'up' | 'down',
  dense: boolean,
): object {
  const colour = colourOf(look, line.tone, line.other ?? false);
  const stacked = plot.kind === 'stacked' || plot.kind === 'percent';
  const turn = turnOf(line.tone);
  const common = {
    name: line.label,
    data,
    itemStyle: { color: colour, decal: patternOf(look, line.tone, line.other ?? false) },
    emphasis: { focus: 'series' },
    blur: { itemStyle: { opacity: 0.22 }, lineStyle: { opacity: 0.18 }, areaStyle: { opacity: 0.12 } },
  };
  if (plot.kind === 'bars')
    return {
      ...common,
      type: 'bar',
      // Values of one sign are stacked on each other; both directions stand in one place.
      stack: 'bars',
      barCategoryGap: '18%',
      barMaxWidth: look.rem * 3,
      cursor: 'crosshair',
    };
  // A point between two gaps has no line to be seen by.
  const lonely = data.some(
    ([, value], index) =>
      value !== null && (data[index - 1]?.[1] ?? null) === null && (data[index + 1]?.[1] ?? null) === null,
  );
  return {
    ...common,
    type: 'line',
    stack: stacked ? way : undefined,
    // Nothing of what was measured may be smoothed away or made up between two points.
    smooth: false,
    showSymbol: !stacked && (!dense || lonely),
    symbol: 'circle',
    symbolSize: look.rem * 0.28,
    connectNulls: false,
    lineStyle: {
      width: look.rem * (stacked ? 0.04 : 0.125),
      color: colour,
      type: stacked || line.other === true || turn === 0 ? 'solid' : [...(DASHES[turn] ?? [])],
    },
    areaStyle: stacked ? { color: colour, opacity: 0.88 } : undefined,
    cursor: 'crosshair',
  };
}

/** Upright bars from the lower to the upper limit, with a foot at each end. */
function whiskers(plot: Plot, look: Look, line: Drawn): object {
  const colour = colourOf(look, line.tone, line.other ?? false);
  const data = plot.times.flatMap((ms, index) => {
    const low = line.lower?.[index] ?? null;
    const high = line.upper?.[index] ?? null;
    return low === null || high === null || low === high ? [] : [[ms + plot.width / 2, low, high]];
  });
  return {
    type: 'custom',
    name: `${line.label} limits`,
    data,
    silent: true,
    z: 5,
    encode: { x: 0, y: [1, 2] },
    renderItem: (_: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI) => {
      const [x = 0, low = 0] = api.coord([api.value(0), api.value(1)]);
      const [, high = 0] = api.coord([api.value(0), api.value(2)]);
      const foot = look.rem * 0.22;
      const stroke = (x1: number, y1: number, x2: number, y2: number) => ({
        type: 'line',
        shape: { x1, y1, x2, y2 },
        style: { stroke: colour, lineWidth: 1.2, opacity: 0.9 },
      });
      return {
        type: 'group',
        children: [
          stroke(x, low, x, high),
          stroke(x - foot, low, x + foot, low),
          stroke(x - foot, high, x + foot, high),
        ],
      };
    },
  };
}

function heatAxis(plot: Plot, look: Look, text: object, pixels: number) {
  return {
    type: 'category',
    inverse: true,
    data: plot.lines.map((line) => line.label),
    axisTick: { show: false },
    axisLine: { show: false },
    axisLabel: {
      ...text,
      color: look.text,
      interval: 0,
      width: Math.min(look.rem * 14, pixels * 0.3),
      overflow: 'truncate',
    },
  };
}

/** The colour of a value: the root, so that small ones are told from nothing. */
export function heatColour(value: number, most: number, colours: readonly string[]): string {
  const part = most > 0 ? Math.sqrt(Math.min(1, value / most)) : 0;
  return colours[Math.min(colours.length - 1, Math.floor(part * colours.length))] ?? '';
}

export function heatMost(lines: readonly Drawn[]): number {
  let most = 0;
  for (const line of lines) for (const value of line.values) most = Math.max(most, value ?? 0);
  return most;
}

function heatSeries(plot: Plot, look: Look): object[] {
  const most = heatMost(plot.lines);
  const data = plot.lines.flatMap((line, row) =>
    line.values.flatMap((value, index) =>
      value === null || value === 0 ? [] : [[plot.times[index] ?? 0, row, value]],
    ),
  );
  return [
    {
      type: 'custom',
      name: 'heat',
      data,
      encode: { x: 0, y: 1 },
      cursor: 'crosshair',
      // Thousands of rectangles are one picture, not thousands of things.
      progressive: 0,
      renderItem: (_: CustomSeriesRenderItemParams, api: CustomSeriesRenderItemAPI) => {
        const from = Number(api.value(0));
        const [x = 0, y = 0] = api.coord([from, api.value(1)]);
        const [right = 0] = api.coord([from + plot.width, api.value(1)]);
        const band = (api.size?.([0, 1]) as number[] | undefined)?.[1] ?? look.rem;
        return {
          type: 'rect',
          shape: {
            x,
            y: y - band / 2 + 1,
            width: Math.max(1, right - x - (right - x > 5 ? 1 : 0)),
            height: Math.max(1, band - 2),
          },
          style: { fill: heatColour(Number(api.value(2)), most, look.heat) },
        };
      },
    },
  ];
}

/** Which line is at a value of the axis at a bucket; null when there is none. */
export function lineAt(plot: Plot, bucket: number, value: number): number | null {
  if (plot.kind === 'heat') return plot.lines[Math.round(value)] === undefined ? null : Math.round(value);
  const size = plot.times.length;
  const down = value < 0;
  const way = (line: Drawn): Values => (down ? (line.back ?? []) : line.values);
  const all = plot.kind === 'percent' ? parts(plot.lines.map(way), size) : plot.lines.map(way);
  const wanted = Math.abs(value);
  if (plot.kind === 'lines') {
    let nearest: number | null = null;
    let distance = Infinity;
    for (const [index, line] of all.entries()) {
      const there = line[bucket] ?? null;
      if (there === null || Math.abs(there - wanted) >= distance) continue;
      distance = Math.abs(there - wanted);
      nearest = index;
    }
    return nearest;
  }
  let sum = 0;
  for (const [index, line] of all.entries()) {
    sum += line[bucket] ?? 0;
    if (wanted <= sum && (line[bucket] ?? 0) > 0) return index;
  }
  return null;
}
