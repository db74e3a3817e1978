// The order in which one flow's columns and elements are read: who, how much, how it went, who said so.
import type { Columns } from './table';
import type { Row } from './types';

export interface Group {
  title: string;
  names: string[];
}

const GROUPS: readonly [string, RegExp][] = [
  ['Time', /^(start|end|duration|received|end_reason)$/],
  ['Source', /^src\./],
  ['Destination', /^dst\./],
  ['Traffic', /^((rev\.)?(octets|packets)|proto|ip\.version|tos|sampling|vlan)$/],
  ['TCP', /^(rev\.)?tcp\./],
  ['ICMP', /^icmp\./],
  ['Application', /^(app|dns|tls|http|quic)\./],
  ['Tunnel', /^tunnel\./],
  ['Exporter', /^(exporter\.|in\.|out\.)/],
];

/** Every name of the row but `_id`, in groups; elements without a column come last. */
export function groups(row: Row, columns: Columns): Group[] {
  const titles = [...GROUPS.map(([title]) => title), 'Other columns', 'Other elements'];
  const found = new Map<string, string[]>(titles.map((title) => [title, []]));
  for (const name of Object.keys(row)) {
    if (name === '_id') continue;
    const group = GROUPS.find(([, pattern]) => pattern.test(name))?.[0];
    const title = columns.has(name) || columns.size === 0 ? (group ?? 'Other columns') : 'Other elements';
    found.get(title)?.push(name);
  }
  const place = new Map([...columns.keys()].map((name, index) => [name, index]));
  const rank = (name: string): number => place.get(name) ?? columns.size;
  return titles
    .map((title) => ({
      title,
      names: (found.get(title) ?? []).sort((a, b) => rank(a) - rank(b) || a.localeCompare(b)),
    }))
    .filter((group) => group.names.length > 0);
}
