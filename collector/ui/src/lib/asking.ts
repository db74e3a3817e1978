// What every page that asks about flows has in common: a filter with its fault, and a span of time with what it means.
import { ApiError, api, isAbort } from './api';
import { unitAt } from './text';
import { bucketWidth, parseTime, type Span } from './time';
import type { Status } from './types';

const HOUR = 36e5;

/** Why a filter is wrong, and where, in UTF-16 units. */
export interface FilterFault {
  text: string;
  from: number;
  to: number;
  words: string;
  expected: string[];
  nearest: string | null;
}

/** Why the span shown is not the one asked for. */
export type SpanNote = 'moved' | 'moved-newest' | null;

/** A page with a filter box. */
export interface Filtered {
  readonly state: { readonly filter: string };
  readonly fault: FilterFault | null;
  show(change: { filter: string; flow: null }): Promise<void>;
  search(): Promise<void>;
}

/** A page with a time picker. */
export interface Timed {
  readonly state: { readonly from: string | null; readonly to: string | null };
  readonly span: Span | null;
  readonly note: SpanNote;
  show(change: { from: string; to: string }): Promise<void>;
}

export function faultOf(error: ApiError, text: string): FilterFault {
  const { offset = 0, length = 0, expected = [], nearest = null } = error.problem ?? {};
  return {
    text,
    from: unitAt(text, offset),
    to: unitAt(text, offset + length),
    words: error.message,
    expected,
    nearest: nearest === '' ? null : nearest,
  };
}

/** Is this text a filter? Asked over a span without any flow, so that only the parser works. */
export async function checkFilter(text: string, signal: AbortSignal): Promise<FilterFault | null> {
  try {
    const never = { from: '1970-01-01T00:00:00Z', to: '1970-01-01T00:00:00.001Z' };
    await api.flows({ filter: text, ...never, limit: 1 }, signal);
    return null;
  } catch (error) {
    if (!isAbort(error) && error instanceof ApiError && error.inFilter) return faultOf(error, text);
    return null;
  }
}

/** The whole time that the store has flows of; null when it has none. */
export function storedSpan(status: Status | null): Span | null {
  const from = Date.parse(status?.store.oldest ?? '');
  const to = Date.parse(status?.store.newest ?? '');
  return Number.isNaN(from) || Number.isNaN(to) ? null : { from, to: to + 1 };
}

export type Resolved = { span: Span; note: SpanNote } | { error: string };

/** Works out which span an address means: words of time, "all", or nothing at all. */
export function resolveSpan(
  from: string | null,
  to: string | null,
  stored: Span | null,
  now: number,
): Resolved {
  if (from === null) return naturalSpan(stored, now);
  if (from === 'all') return { span: rounded(stored ?? { from: now - HOUR, to: now }), note: null };
  const start = parseTime(from, now);
  const end = parseTime(to ?? 'now', now);
  if (start !== null && end !== null && end > start) return { span: { from: start, to: end }, note: null };
  return {
    error:
      start !== null && end !== null
        ? 'The time span ends before it begins. Choose another one.'
        : `“${start === null ? from : to}” is not a time. Use now-1h, 2026-01-31 10:00 or 2026-01-31T10:00:00Z.`,
  };
}

/** Nobody chose a span: the last hour if anything is there, otherwise where the data is. */
function naturalSpan(stored: Span | null, now: number): { span: Span; note: SpanNote } {
  const hour = { from: now - HOUR, to: now };
  if (stored === null || (stored.to > hour.from && stored.from < hour.to)) return { span: hour, note: null };
  if (stored.to - stored.from <= 24 * HOUR) return { span: rounded(stored), note: 'moved' };
  return { span: rounded({ from: stored.to - 24 * HOUR, to: stored.to }), note: 'moved-newest' };
}

/** Widened to whole buckets, so that a series' ends are not cut. */
function rounded(span: Span): Span {
  const width = bucketWidth(span, 100, 1);
  return { from: Math.floor(span.from / width) * width, to: Math.ceil(span.to / width) * width };
}
