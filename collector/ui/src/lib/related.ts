// What belongs to a flow: the template its record fits, the DNS transaction that led to it, the other direction.
import { quote } from './filter';
import type { Columns } from './table';
import { rfc3339 } from './time';
import type { Cell, Row, Template } from './types';

const FLOW = 1;
const TRANSACTION = 2;
/** A name is looked up before it is used, and kept for a while. */
const LOOKED_UP_BEFORE_MS = 3_600_000;
const SLACK_MS = 10_000;

export interface Question {
  title: string;
  filter: string;
  from: string;
  to: string;
  order: string;
  limit: number;
  /** Said when nothing is found. */
  none: string;
}

const text = (value: Cell | undefined): string | null =>
  typeof value === 'string' && value !== '' ? value : null;

function times(row: Row): { from: number; to: number } | null {
  const from = Date.parse(String(row['start']));
  const end = Date.parse(String(row['end'] ?? row['start']));
  return Number.isNaN(from) ? null : { from, to: Number.isNaN(end) ? from : end };
}

/** `src.ip = A and src.port = P and dst.ip = ..`, or the same the other way round; null without both addresses. */
function ends(row: Row, turned: boolean): string | null {
  const [one, other] = turned ? ['dst', 'src'] : ['src', 'dst'];
  const source = text(row[`${one}.ip`]);
  const destination = text(row[`${other}.ip`]);
  if (source === null || destination === null || !/^[\da-f:.]+$/i.test(source + destination)) return null;
  const terms = [`src.ip = ${source}`, `dst.ip = ${destination}`];
  for (const [side, from] of [
    ['src', one],
    ['dst', other],
  ] as const) {
    const port = row[`${from}.port`];
    if (typeof port === 'number') terms.push(`${side}.port = ${port}`);
  }
  if (typeof row['proto'] === 'number') terms.push(`proto = ${row['proto']}`);
  return terms.join(' and ');
}

/** What to ask the collector so that a flow is seen with what belongs to it. */
export function questions(row: Row): Question[] {
  const when = times(row);
  if (when === null) return [];
  const near = { from: rfc3339(when.from - SLACK_MS), to: rfc3339(when.to + SLACK_MS) };
  const found: Question[] = [];
  const same = ends(row, false);
  const turned = ends(row, true);
  const isDns = row['src.port'] === 53 || row['dst.port'] === 53;
  if (row['kind'] === TRANSACTION) {
    if (same !== null)
      found.push({
        title: 'Flow of this transaction',
        filter: `kind = ${FLOW} and ${same}`,
        ...near,
        order: '-start',
        limit: 3,
        none: 'No flow with these addresses and ports was seen at this time.',
      });
    return found;
  }
  const name = text(row['dst.name']) ?? text(row['tls.sni']) ?? text(row['http.host']);
  const client = text(row['src.ip']);
  if (isDns && same !== null)
    found.push({
      title: 'DNS transactions in it',
      filter: `kind = ${TRANSACTION} and ${same}`,
      ...near,
      order: 'start',
      limit: 10,
      none: 'None was sent: exporters pair queries with answers when they are told to (--dns on).',
    });
  else if (name !== null && client !== null && name.length < 256)
    found.push({
      title: 'DNS look-ups of its name before it',
      filter: `kind = ${TRANSACTION} and src.ip = ${client} and dns.qname = ${quote(name)}`,
      from: rfc3339(when.from - LOOKED_UP_BEFORE_MS),
      to: rfc3339(when.from + SLACK_MS),
      order: '-start',
      limit: 3,
      none: 'The source was not seen to look its name up in the hour before.',
    });
  // A biflow (RFC 5103) has both directions in one record.
  const bothWays = row['rev.packets'] !== undefined || row['rev.octets'] !== undefined;
  if (!bothWays && turned !== null)
    found.push({
      title: 'The other direction',
      filter: `kind = ${FLOW} and ${turned}`,
      ...near,
      order: '-start',
      limit: 3,
      none: 'No flow the other way was seen at this time: nobody answered, or the answer took another path.',
    });
  return found;
}

/** All flows between the two ends of a flow, whoever began. */
export function between(row: Row): string | null {
  const one = text(row['src.ip']);
  const other = text(row['dst.ip']);
  if (one === null || other === null || !/^[\da-f:.]+$/i.test(one + other)) return null;
  return `((src.ip = ${one} and dst.ip = ${other}) or (src.ip = ${other} and dst.ip = ${one}))`;
}

export interface Fit {
  template: Template;
  /** Elements of the template that the record has no value of: a length of 0, or one that no column shows. */
  unused: number;
}

/** The template in force that a record fits best: of its exporter and domain, with an element for everything it has. */
export function fitting(row: Row, templates: readonly Template[], columns: Columns): Fit | null {
  // What a row has, each as the elements it can come from. What the collector adds comes from none.
  const wanted = Object.keys(row)
    .map((name) => columns.get(name)?.elements ?? (columns.has(name) || name === '_id' ? [] : [name]))
    .filter((elements) => elements.length > 0);
  let best: Fit | null = null;
  for (const template of templates) {
    if (template.scope_fields > 0) continue;
    if (template.exporter !== row['exporter.ip'] || template.domain !== row['exporter.domain']) continue;
    const names = new Set(template.fields.flatMap((field) => [field.name, field.element]));
    // A start in milliseconds and a duration are told by other elements than the columns prefer: most have to fit.
    const fits = wanted.filter((elements) => elements.some((element) => names.has(element))).length;
    if (fits < wanted.length - 1) continue;
    const unused = template.fields.length - fits;
    if (best === null || unused < best.unused) best = { template, unused };
  }
  return best;
}
