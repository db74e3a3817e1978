// What the page shows, as the address bar says it: a copied address opens the same view.

export type Measure = 'octets' | 'packets' | 'flows';
export const MEASURES: readonly Measure[] = ['octets', 'packets', 'flows'];

export interface PageState {
  filter: string;
  /** A time in the API's words or "all"; null when nobody chose, then the page looks where the data is. */
  from: string | null;
  to: string | null;
  /** What histogram and top lists measure by. */
  measure: Measure;
  /** Column that the flows are sorted by, "-" in front for descending. */
  order: string;
  /** Keys of the columns of the table; null for those shown when nobody chose. */
  columns: readonly string[] | null;
  /** New flows are shown as they come. */
  live: boolean;
  /** `_id` of the flow whose details are open. */
  flow: string | null;
}

export const DEFAULT_ORDER = '-start';

export const INITIAL: PageState = {
  filter: '',
  from: null,
  to: null,
  measure: 'octets',
  order: DEFAULT_ORDER,
  columns: null,
  live: false,
  flow: null,
};

const MOST_COLUMNS = 40;

/** Reads an address; what it does not understand is left at its default. */
export function parseState(search: string): PageState {
  const query = new URLSearchParams(search);
  const measure = query.get('by') as Measure;
  const order = query.get('order') ?? '';
  const from = query.get('from');
  return {
    filter: query.get('filter') ?? '',
    from: from === null || from === '' ? null : from,
    to: from === null || from === '' ? null : (query.get('to') ?? (from === 'all' ? '' : 'now')),
    measure: MEASURES.includes(measure) ? measure : INITIAL.measure,
    order: /^-?[\w.]{1,128}$/.test(order) ? order : DEFAULT_ORDER,
    columns: parseColumns(query.get('columns')),
    live: query.get('live') === '1',
    flow: query.get('flow') || null,
  };
}

function parseColumns(text: string | null): readonly string[] | null {
  const keys = [...new Set((text ?? '').split(',').filter((key) => /^[\w.:-]{1,128}$/.test(key)))];
  return keys.length === 0 ? null : keys.slice(0, MOST_COLUMNS);
}

/** Writes an address that `parseState` reads back; defaults are left out so that it stays short. */
export function stateText(state: PageState): string {
  const query = new URLSearchParams();
  if (state.filter !== '') query.set('filter', state.filter);
  if (state.from !== null) {
    query.set('from', state.from);
    if (state.from !== 'all' && state.to !== null) query.set('to', state.to);
  }
  if (state.measure !== INITIAL.measure) query.set('by', state.measure);
  if (state.order !== DEFAULT_ORDER) query.set('order', state.order);
  if (state.columns !== null) query.set('columns', state.columns.join(','));
  if (state.live) query.set('live', '1');
  if (state.flow !== null) query.set('flow', state.flow);
  // Colons, slashes and commas may stand in a query (RFC 3986 section 3.4) and addresses are easier to read with them.
  const text = query.toString().replaceAll('%3A', ':').replaceAll('%2F', '/').replaceAll('%2C', ',');
  return text === '' ? '' : `?${text}`;
}
