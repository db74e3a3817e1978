// Addresses of other pages that ask the same: a filter and the span one is looking at.
import { rfc3339, type Span } from './time';
import { addressText } from './visualise';

export interface Where {
  state: { from: string | null; to: string | null };
  span: Span | null;
}

/** Discover with a filter, and perhaps one flow open. Words of time stay words, so that "now" keeps moving. */
export function discoverHref(filter: string, { state, span }: Where, flow: string | null = null): string {
  const query = new URLSearchParams();
  if (filter !== '') query.set('filter', filter);
  if (state.from !== null) {
    query.set('from', state.from);
    if (state.from !== 'all') query.set('to', state.to ?? 'now');
  } else if (span !== null) {
    query.set('from', rfc3339(span.from));
    query.set('to', rfc3339(span.to));
  }
  if (flow !== null) query.set('flow', flow);
  return `/discover${addressText(query)}`;
}

/** Terms joined by `and`, those that are filters of their own in parentheses; empty ones left out. */
export function both(...filters: string[]): string {
  const parts = filters.map((filter) => filter.trim()).filter((filter) => filter !== '');
  return parts.length < 2
    ? (parts[0] ?? '')
    : parts.map((part) => (/(?:^|\s)or(?:\s|$)|\|\|/i.test(part) ? `(${part})` : part)).join(' and ');
}
