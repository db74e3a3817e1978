// The places of the page: what each is called, where it is, and which key leads there.

export interface Route {
  path: string;
  /** In the navigation. */
  name: string;
  /** What one finds there, for titles of links and the list of shortcuts. */
  about: string;
  /** Behind `g`. */
  key: string;
  /** Does the page show a span of time that the others share? */
  timed: boolean;
}

export const ROUTES: readonly Route[] = [
  { path: '/', name: 'Home', about: 'What goes on now', key: 'h', timed: false },
  { path: '/discover', name: 'Discover', about: 'Search the flows', key: 'd', timed: true },
  { path: '/visualise', name: 'Visualise', about: 'Draw any question as a chart', key: 'v', timed: true },
  { path: '/dns', name: 'DNS', about: 'Queries, answers and names', key: 'n', timed: true },
  { path: '/tcp', name: 'TCP', about: 'How connections fare', key: 't', timed: true },
  { path: '/fleet', name: 'Fleet', about: 'Who sends, and what becomes of it', key: 'f', timed: true },
  { path: '/alerts', name: 'Alerts', about: 'Rules and what they found', key: 'a', timed: false },
  { path: '/help', name: 'Help', about: 'Columns, filters, API, metrics', key: 'p', timed: false },
];

/** The route of a path; a slash at the end is forgiven. */
export function routeOf(path: string): Route | undefined {
  const plain = path.length > 1 ? path.replace(/\/+$/, '') : path;
  return ROUTES.find((route) => route.path === plain);
}

const DISCOVER_PARAMETERS = ['filter', 'from', 'flow', 'order', 'by'];

/** Where an address leads today: Discover was at `/` once, and its copied addresses still count. */
export function currentAddress(path: string, search: string): string | null {
  if (path !== '/') return null;
  const query = new URLSearchParams(search);
  return DISCOVER_PARAMETERS.some((name) => query.has(name)) ? `/discover${search}` : null;
}

/** The span that an address says, as a query to carry to another page; empty when it says none. */
export function spanQuery(search: string): string {
  const query = new URLSearchParams(search);
  const carried = new URLSearchParams();
  for (const name of ['from', 'to']) {
    const value = query.get(name);
    if (value !== null && value !== '') carried.set(name, value);
  }
  const text = carried.toString().replaceAll('%3A', ':');
  return text === '' ? '' : `?${text}`;
}
