// Points in time and spans: the words of the API (`now-1h`, RFC 3339, epoch seconds), this machine's zone for
// reading, UTC for certainty. Everything is ms since 1970 UTC here; the API keeps the nanoseconds.

export interface Span {
  /** ms since 1970 UTC, included. */
  from: number;
  /** ms since 1970 UTC, not included. */
  to: number;
}

const UNIT_MS: Record<string, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };

const two = (value: number): string => String(value).padStart(2, '0');
const three = (value: number): string => String(value).padStart(3, '0');

/** `now`, `now-1h`, `-15m`, RFC 3339, `2026-01-31 10:00` in the local zone, `10:30` today, epoch seconds; null otherwise. */
export function parseTime(text: string, now: number): number | null {
  const word = text.trim();
  const relative = /^(?:now)?(?:\s*([+-])\s*(\d{1,9})\s*(s|m|h|d|w))?$/i.exec(word);
  if (relative !== null && word !== '') {
    const [, sign, amount, unit] = relative;
    if (sign === undefined) return now;
    const ms = Number(amount) * (UNIT_MS[(unit ?? '').toLowerCase()] ?? 0);
    return sign === '-' ? now - ms : now + ms;
  }
  if (/^\d{9,11}(\.\d+)?$/.test(word)) return Math.round(Number(word) * 1000);
  const date =
    /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?)?(Z|[+-]\d\d:\d\d)?$/i.exec(word);
  if (date !== null) {
    const [, year, month, day, hour = '00', minute = '00', second = '00', fraction = '', zone = ''] = date;
    const ms = Date.parse(
      `${year}-${month}-${day}T${hour}:${minute}:${second}.${fraction.slice(0, 3).padEnd(3, '0')}${zone.toUpperCase()}`,
    );
    return Number.isNaN(ms) ? null : ms;
  }
  const clock = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(word);
  if (clock !== null) {
    const [, hour, minute, second = '0'] = clock;
    if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
    return new Date(now).setHours(Number(hour), Number(minute), Number(second), 0);
  }
  return null;
}

/** Does the text move with the clock? */
export function isRelative(text: string): boolean {
  return /^\s*(now|[+-]\s*\d)/i.test(text);
}

/** "2026-01-31" in the local zone. */
export function localDate(ms: number): string {
  const t = new Date(ms);
  return `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
}

/** "10:20:30.400" in the local zone. */
export function localClock(ms: number, parts: 'minutes' | 'seconds' | 'ms' = 'ms'): string {
  const t = new Date(ms);
  const minutes = `${two(t.getHours())}:${two(t.getMinutes())}`;
  if (parts === 'minutes') return minutes;
  const seconds = `${minutes}:${two(t.getSeconds())}`;
  return parts === 'seconds' ? seconds : `${seconds}.${three(t.getMilliseconds())}`;
}

/** A point as short as it can be said without loss to the second (or ms where it has one). */
export function localTime(ms: number): string {
  const parts = ms % 1_000 !== 0 ? 'ms' : ms % 60_000 !== 0 ? 'seconds' : 'minutes';
  return `${localDate(ms)} ${localClock(ms, parts)}`;
}

/** "2026-01-31 10:20 – 11:20", the second date only where it differs. */
export function spanText(span: Span): string {
  // Spans of minutes and more are read to the second; the milliseconds stay in the title.
  const coarse = span.to - span.from >= 60_000;
  const from = coarse ? Math.floor(span.from / 1_000) * 1_000 : span.from;
  const to = coarse ? Math.ceil(span.to / 1_000) * 1_000 : span.to;
  const end = localTime(to);
  const sameDay = localDate(from) === localDate(to);
  return `${localTime(from)} – ${sameDay ? end.slice(11) : end}`;
}

/** The local zone: "Europe/Berlin (UTC+01:00)". */
export function zoneName(ms: number): string {
  const offset = -new Date(ms).getTimezoneOffset();
  const size = Math.abs(offset);
  const shift =
    offset === 0 ? 'UTC' : `UTC${offset < 0 ? '−' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone ?? '';
  return name === '' || name === 'UTC' ? shift : `${name} (${shift})`;
}

/** RFC 3339 in UTC, for the API and the address bar. */
export function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

const S = 1e3;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;
/** Widths a person can name, in ms. */
const WIDTHS = [
  1,
  2,
  5,
  10,
  20,
  50,
  100,
  200,
  500,
  S,
  2 * S,
  5 * S,
  10 * S,
  15 * S,
  30 * S,
  M,
  2 * M,
  5 * M,
  10 * M,
  15 * M,
  30 * M,
  H,
  2 * H,
  3 * H,
  6 * H,
  12 * H,
  D,
  2 * D,
  7 * D,
  14 * D,
  28 * D,
  91 * D,
  364 * D,
];

/** The narrowest named width that cuts the span into at most `most` buckets, in ms, never below `least`. */
export function bucketWidth(span: Span, most: number, least = S): number {
  const size = Math.max(1, span.to - span.from);
  for (const width of WIDTHS) {
    if (width >= least && size / width <= most) return width;
  }
  return Math.ceil(size / most / D) * D;
}

/** A width in the API's words: 90000 -> "90s". */
export function widthText(ms: number): string {
  for (const [unit, size] of [
    ['d', D],
    ['h', H],
    ['m', M],
    ['s', S],
  ] as const) {
    if (ms % size === 0) return `${ms / size}${unit}`;
  }
  return `${ms}ms`;
}

export interface TimeTick {
  at: number;
  label: string;
}

/** At most `most` round points of local time inside the span, each with the shortest label that tells it apart. */
export function timeTicks(span: Span, most: number): TimeTick[] {
  const step = bucketWidth(span, Math.max(1, most), 1);
  const ticks: TimeTick[] = [];
  // Round in local time: shift by the zone, cut, shift back (per tick, since summer time moves the zone).
  const zone = (ms: number): number => new Date(ms).getTimezoneOffset() * M;
  let local = Math.ceil((span.from - zone(span.from)) / step) * step;
  while (ticks.length <= most) {
    const at = local + zone(local + zone(local));
    if (at >= span.to) break;
    if (at >= span.from) ticks.push({ at, label: tickLabel(at, step, ticks.length === 0) });
    local += step;
  }
  return ticks;
}

function tickLabel(at: number, step: number, first: boolean): string {
  const midnight = new Date(at).getHours() === 0 && new Date(at).getMinutes() === 0 && at % M === 0;
  if (step >= D || (midnight && !first) || (midnight && step >= H)) return localDate(at).slice(5);
  if (step >= M) return localClock(at, 'minutes');
  return localClock(at, step >= S ? 'seconds' : 'ms');
}

export interface Preset {
  label: string;
  from: string;
  to: string;
}

/** `from: "all"` is everything stored. */
export const PRESETS: readonly Preset[] = [
  { label: 'Last 15 minutes', from: 'now-15m', to: 'now' },
  { label: 'Last hour', from: 'now-1h', to: 'now' },
  { label: 'Last 6 hours', from: 'now-6h', to: 'now' },
  { label: 'Last 24 hours', from: 'now-24h', to: 'now' },
  { label: 'Last 7 days', from: 'now-7d', to: 'now' },
  { label: 'All data', from: 'all', to: '' },
];
