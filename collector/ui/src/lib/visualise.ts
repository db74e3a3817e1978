// What Visualise shows, as the address says it, and the question that it comes to: for the collector, as an address, as
// curl and as a command line.
import { url, type Parameters } from './api';
import type { Measure } from './charts/measure';
import { bucketWidth, rfc3339, widthText, type Span } from './time';

export const VIEWS = ['stacked', 'percent', 'lines', 'bars', 'heat', 'sankey', 'grid', 'table'] as const;
export type View = (typeof VIEWS)[number];

export const WAYS = ['total', 'both', 'forward'] as const;
/** Both ways added up, both ways apart (one below the axis), or from source to destination only. */
export type Way = (typeof WAYS)[number];

export const LIMITS = [5, 8, 12, 20, 40] as const;

export interface VisualiseState {
  filter: string;
  from: string | null;
  to: string | null;
  /** Columns grouped by, addresses perhaps with a prefix length; none is the whole as one line. */
  by: string[];
  metric: string;
  view: View;
  way: Way;
  limit: number;
  /** "", `previous`, or a duration such as `1d`. */
  compare: string;
  other: boolean;
  /** Width of buckets in the API's words; null is chosen from the width of the chart. */
  interval: string | null;
}

export const INITIAL: VisualiseState = {
  filter: '',
  from: null,
  to: null,
  by: ['app.name'],
  metric: 'bits',
  view: 'stacked',
  way: 'total',
  limit: 8,
  compare: '',
  other: true,
  interval: null,
};

const DIMENSION = /^(?:[A-Za-z_][\w.]{0,127}|\d+\.\d+)(?:\/\d{1,3})?$/;
export const MOST_DIMENSIONS = 6;

function oneOf<T extends string>(text: string | null, known: readonly T[], otherwise: T): T {
  return known.find((each) => each === text) ?? otherwise;
}

export function isDimension(text: string): boolean {
  return DIMENSION.test(text);
}

/** Reads an address; what it does not understand is left at its default. */
export function parseVisualise(search: string): VisualiseState {
  const query = new URLSearchParams(search);
  const from = query.get('from') || null;
  const by = query.get('by');
  const metric = query.get('metric') ?? '';
  const limit = Number(query.get('limit'));
  const compare = query.get('compare') ?? '';
  const interval = query.get('interval') ?? '';
  return {
    filter: query.get('filter') ?? '',
    from,
    to: from === null ? null : (query.get('to') ?? (from === 'all' ? '' : 'now')),
    by: by === null ? INITIAL.by : [...new Set(by.split(',').filter(isDimension))].slice(0, MOST_DIMENSIONS),
    metric: /^[\w.()/]{1,200}$/.test(metric) ? metric : INITIAL.metric,
    view: oneOf(query.get('view'), VIEWS, INITIAL.view),
    way: oneOf(query.get('way'), WAYS, INITIAL.way),
    limit: Number.isInteger(limit) && limit >= 1 && limit <= 200 ? limit : INITIAL.limit,
    compare: /^(previous|\d{1,6}(s|m|h|d|w))$/.test(compare) ? compare : '',
    other: query.get('other') !== 'no',
    interval: /^\d{1,9}(ms|s|m|h|d)$/.test(interval) ? interval : null,
  };
}

/** Writes an address that `parseVisualise` reads back; defaults are left out so that it stays short. */
export function visualiseText(state: VisualiseState): string {
  const query = new URLSearchParams();
  if (state.filter !== '') query.set('filter', state.filter);
  if (state.from !== null) {
    query.set('from', state.from);
    if (state.from !== 'all' && state.to !== null) query.set('to', state.to);
  }
  const by = state.by.join(',');
  if (by !== INITIAL.by.join(',')) query.set('by', by);
  if (state.metric !== INITIAL.metric) query.set('metric', state.metric);
  if (state.view !== INITIAL.view) query.set('view', state.view);
  if (state.way !== INITIAL.way) query.set('way', state.way);
  if (state.limit !== INITIAL.limit) query.set('limit', String(state.limit));
  if (state.compare !== '') query.set('compare', state.compare);
  if (!state.other) query.set('other', 'no');
  if (state.interval !== null) query.set('interval', state.interval);
  return addressText(query);
}

/** Colons, slashes and commas may stand in a query (RFC 3986 section 3.4) and addresses are easier to read with them. */
export function addressText(query: URLSearchParams): string {
  const text = query
    .toString()
    .replaceAll('%3A', ':')
    .replaceAll('%2F', '/')
    .replaceAll('%2C', ',')
    .replaceAll('%28', '(')
    .replaceAll('%29', ')');
  return text === '' ? '' : `?${text}`;
}

/** Why a view cannot show a state; null when it can. */
export function viewFault(state: VisualiseState, measure: Measure): string | null {
  const sum = state.view === 'stacked' || state.view === 'percent' || state.view === 'sankey';
  if (sum && !measure.adds)
    return `${measure.title} of parts does not add up to that of the whole, so it cannot be ${
      state.view === 'sankey' ? 'divided into ribbons' : 'stacked'
    }. Lines are shown.`;
  if (state.view === 'sankey' && state.by.length < 2)
    return 'A Sankey diagram needs two columns or more: add one. Lines are shown.';
  return null;
}

/** What is drawn: the view asked for, or lines where it makes no sense. */
export function effectiveView(state: VisualiseState, measure: Measure): View {
  return viewFault(state, measure) === null ? state.view : 'lines';
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 };

/** Width of buckets in ms: the one asked for unless it makes too many, otherwise a round one for the room there is. */
export function stepOf(state: VisualiseState, span: Span, room: number): number {
  const asked = /^(\d+)(ms|s|m|h|d)$/.exec(state.interval ?? '');
  const width = Number(asked?.[1] ?? 0) * (UNIT_MS[asked?.[2] ?? ''] ?? 0);
  if (width > 0 && (span.to - span.from) / width <= 2_000) return width;
  return bucketWidth(span, room, 1_000);
}

/** What an answer may lack, because the collector that answers does not know it. */
export interface Known {
  compare: boolean;
  other: boolean;
}

/** The question of a state. `step` is in ms, 0 where no series is wanted. */
export function question(
  state: VisualiseState,
  measure: Measure,
  span: Span,
  step: number,
  known: Known,
): Parameters {
  const aligned = step > 0 ? alignedSpan(span, step) : span;
  return {
    filter: state.filter,
    from: rfc3339(aligned.from),
    to: rfc3339(aligned.to),
    group_by: state.by.join(','),
    metrics: metricsOf(state, measure).join(','),
    order_by: state.by.length === 0 ? null : `-${orderOf(state, measure)}`,
    limit: state.by.length === 0 ? null : state.limit,
    interval: step > 0 ? widthText(step) : null,
    compare: known.compare && state.compare !== '' && step > 0 ? state.compare : null,
    other: known.other && state.other && state.by.length > 0 ? 'true' : null,
  };
}

/** Whole buckets, so that the first and the last are not cut short. */
export function alignedSpan(span: Span, step: number): Span {
  return { from: Math.floor(span.from / step) * step, to: Math.ceil(span.to / step) * step };
}

/** The metrics asked for: the one above the axis, then the one below it. */
export function metricsOf(state: VisualiseState, measure: Measure): string[] {
  if (measure.total === null || measure.back === null) return [measure.metric];
  if (state.way === 'total') return [measure.total];
  return state.way === 'both' ? [measure.metric, measure.back] : [measure.metric];
}

function orderOf(state: VisualiseState, measure: Measure): string {
  return state.way === 'both' && measure.total !== null
    ? measure.total
    : (metricsOf(state, measure)[0] ?? measure.metric);
}

/** A word for a shell: as it is where nothing in it means anything to one. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The question as an address that can be opened. */
export function questionUrl(origin: string, parameters: Parameters): string {
  return origin + url('/api/v1/aggregate', parameters);
}

export function curlText(origin: string, parameters: Parameters): string {
  const lines = [`curl -sG ${shellWord(`${origin}/api/v1/aggregate`)}`];
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null || value === undefined || value === '') continue;
    lines.push(`--data-urlencode ${shellWord(`${name}=${String(value)}`)}`);
  }
  return lines.join(' \\\n  ');
}

/** The question for `flowgauge-collector query`, as far as its flags say it: it takes one metric. */
export function commandText(origin: string, parameters: Parameters): string {
  const words = ['flowgauge-collector query'];
  const flag = (name: string, value: Parameters[string]): void => {
    if (value !== null && value !== undefined && value !== '')
      words.push(`${name} ${shellWord(String(value))}`);
  };
  flag('--url', origin);
  if (typeof parameters['filter'] === 'string' && parameters['filter'] !== '')
    words.push(shellWord(parameters['filter']));
  flag('--from', parameters['from']);
  flag('--to', parameters['to']);
  flag('--top', parameters['group_by']);
  flag('--by', String(parameters['metrics']).split(',')[0]);
  flag('--interval', parameters['interval']);
  flag('--limit', parameters['limit']);
  flag('--compare', parameters['compare']);
  if (parameters['other'] === 'true') words.push('--other');
  return words.join(' \\\n  ');
}
