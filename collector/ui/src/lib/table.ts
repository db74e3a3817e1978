// The columns of the table of flows: what stands in each, how it sorts, what a click on it filters by.
import { label, show, timeTitle } from './display';
import { count, duration, flagLetters, flagNames, octets } from './format';
import { inert } from './text';
import { localClock, localDate } from './time';
import type { Cell, Column, Row } from './types';

/** A value in a cell. */
export interface Part {
  /** Column it filters by. */
  name: string;
  value: Cell;
  text: string;
  title: string;
  /** Set between this and what stands before it. */
  lead?: string;
  tail?: string;
  quiet?: boolean;
  /** The day of a time, left out where all rows are of the same day. */
  day?: string;
}

export type Columns = ReadonlyMap<string, Column>;

export interface TableColumn {
  key: string;
  label: string;
  help: string;
  /** Column of the API it sorts by. */
  order: string;
  /** What it asks of the API. */
  fields: readonly string[];
  numeric?: boolean;
  fixed?: boolean;
  direction?: 'forward' | 'reverse';
  parts: (row: Row, columns: Columns) => Part[];
  /** Shown only when a row has something for it. */
  optional?: boolean;
}

function part(row: Row, name: string, text: (value: Cell) => string, title: (value: Cell) => string): Part[] {
  const value = row[name];
  return value === undefined || value === null
    ? []
    : [{ name, value, text: text(value), title: title(value) }];
}

function time(row: Row): Part[] {
  const value = row['start'];
  if (typeof value !== 'string') return [];
  const ms = Date.parse(value);
  if (Number.isNaN(ms)) return [{ name: 'start', value, text: inert(value, 40), title: inert(value) }];
  const title = timeTitle(value);
  return [
    { name: 'start', value, text: localDate(ms), title, quiet: true, day: localDate(ms) },
    { name: 'start', value, text: localClock(ms), title, lead: ' ' },
  ];
}

function host(side: 'src' | 'dst') {
  return (row: Row): Part[] => {
    const address = row[`${side}.ip`];
    if (address === undefined || address === null) return [];
    const text = String(address);
    const port = row[`${side}.port`];
    // Brackets as in RFC 3986, so that the last group of an IPv6 address is not taken for the port.
    const brackets = text.includes(':') && port !== undefined && port !== null;
    const name = row[`${side}.name`];
    const parts: Part[] = [
      {
        name: `${side}.ip`,
        value: address,
        text,
        title: typeof name === 'string' ? `${text}\n${inert(name)}` : text,
        ...(brackets ? { lead: '[', tail: ']' } : {}),
      },
    ];
    if (port !== undefined && port !== null) {
      parts.push({
        name: `${side}.port`,
        value: port,
        text: String(port),
        title: `port ${String(port)}`,
        lead: ':',
      });
    }
    return parts;
  };
}

function counter(name: string, format: (value: number | bigint) => string, unit: string) {
  return (row: Row): Part[] =>
    part(
      row,
      name,
      (value) => (value === 0 ? '0' : format(value as number)),
      (value) => `${count(value as number)} ${unit}`,
    ).map((found) => ({ ...found, quiet: found.value === 0 }));
}

function coded(name: string) {
  return (row: Row, columns: Columns): Part[] =>
    part(
      row,
      name,
      (value) => label(value, columns.get(name)) ?? String(value),
      (value) => show(name, value, columns.get(name)).title,
    );
}

function flags(row: Row): Part[] {
  return (['tcp.flags', 'rev.tcp.flags'] as const).flatMap((name, index) =>
    part(
      row,
      name,
      (value) => flagLetters(Number(value)),
      (value) => `${index === 0 ? 'from the source' : 'from the destination'}: ${flagNames(Number(value))}`,
    ).map((found) => ({ ...found, lead: index === 0 ? '' : ' ' })),
  );
}

const NAMES = ['tls.sni', 'http.host', 'dns.qname', 'app.name', 'dst.name'];

function named(row: Row): Part[] {
  for (const name of NAMES) {
    const value = row[name];
    if (typeof value === 'string' && value !== '') {
      return [{ name, value, text: value, title: `${name}: ${inert(value)}` }];
    }
  }
  return [];
}

export const TABLE: readonly TableColumn[] = [
  {
    key: 'start',
    label: 'Start',
    help: 'when the first packet was seen, local time',
    order: 'start',
    fields: ['start'],
    fixed: true,
    parts: time,
  },
  {
    key: 'src',
    label: 'Source',
    help: 'address and port that sent the first packet',
    order: 'src.ip',
    fields: ['src.ip', 'src.port', 'src.name'],
    fixed: true,
    parts: host('src'),
  },
  {
    key: 'dst',
    label: 'Destination',
    help: 'address and port it was sent to',
    order: 'dst.ip',
    fields: ['dst.ip', 'dst.port', 'dst.name'],
    fixed: true,
    parts: host('dst'),
  },
  {
    key: 'proto',
    label: 'Proto',
    help: 'IP protocol',
    order: 'proto',
    fields: ['proto'],
    parts: coded('proto'),
  },
  {
    key: 'name',
    label: 'Name',
    help: 'server name, host, DNS name or application',
    order: 'app.name',
    fields: NAMES,
    optional: true,
    parts: named,
  },
  {
    key: 'octets',
    label: 'Octets',
    help: 'octets from source to destination',
    order: 'octets',
    fields: ['octets'],
    numeric: true,
    direction: 'forward',
    parts: counter('octets', octets, 'octets'),
  },
  {
    key: 'rev.octets',
    label: 'Octets',
    help: 'octets from destination to source',
    order: 'rev.octets',
    fields: ['rev.octets'],
    numeric: true,
    direction: 'reverse',
    parts: counter('rev.octets', octets, 'octets'),
  },
  {
    key: 'packets',
    label: 'Packets',
    help: 'packets from source to destination',
    order: 'packets',
    fields: ['packets'],
    numeric: true,
    direction: 'forward',
    parts: counter('packets', count, 'packets'),
  },
  {
    key: 'rev.packets',
    label: 'Packets',
    help: 'packets from destination to source',
    order: 'rev.packets',
    fields: ['rev.packets'],
    numeric: true,
    direction: 'reverse',
    parts: counter('rev.packets', count, 'packets'),
  },
  {
    key: 'duration',
    label: 'Duration',
    help: 'end minus start',
    order: 'duration',
    fields: ['duration'],
    numeric: true,
    parts: (row) =>
      part(
        row,
        'duration',
        (value) => duration(value as number),
        (value) => `${count(value as number)} ns`,
      ),
  },
  {
    key: 'flags',
    label: 'TCP flags',
    help: 'flags seen from the source, then from the destination',
    order: 'tcp.flags',
    fields: ['tcp.flags', 'rev.tcp.flags'],
    fixed: true,
    optional: true,
    parts: flags,
  },
  {
    key: 'end',
    label: 'End',
    help: 'why the flow record ended',
    order: 'end_reason',
    fields: ['end_reason'],
    parts: coded('end_reason'),
  },
  {
    key: 'exporter',
    label: 'Exporter',
    help: 'who sent the record',
    order: 'exporter.ip',
    fields: ['exporter.ip', 'exporter.name', 'exporter.domain'],
    parts: (row) => {
      const name = row['exporter.name'] === undefined ? 'exporter.ip' : 'exporter.name';
      return part(
        row,
        name,
        (value) => inert(String(value), 60),
        (value) => `${inert(String(value))}, domain ${String(row['exporter.domain'] ?? '–')}`,
      );
    },
  },
];

/** The columns shown when nobody chose. */
export const DEFAULT_KEYS: readonly string[] = [
  'start',
  'src',
  'dst',
  'proto',
  'name',
  'octets',
  'rev.octets',
  'packets',
  'rev.packets',
  'duration',
  'flags',
  'end',
  'exporter',
];

/** The same, the most useful first: where there is no room for all, the last ones are left out. */
export const BY_WORTH: readonly string[] = [
  'start',
  'src',
  'dst',
  'proto',
  'octets',
  'rev.octets',
  'name',
  'duration',
  'packets',
  'rev.packets',
  'flags',
  'exporter',
  'end',
];
/** So many of them are always shown; a list without them is none. */
export const NEEDED = 6;

const OWN = new Map(TABLE.map((column) => [column.key, column]));

/** One column by its key: one of the table's own, or any column or element by its name. */
export function tableColumn(key: string, columns: Columns): TableColumn {
  const own = OWN.get(key);
  if (own !== undefined) return own;
  const column = columns.get(key);
  const kind = column?.kind;
  const numeric =
    (kind === 'number' || kind === 'float' || kind === 'duration') && (column?.codes ?? null) === null;
  return {
    key,
    label: key,
    help: column?.help ?? 'an element without a column',
    order: key,
    fields: [key],
    ...(numeric ? { numeric: true } : {}),
    parts: (row, known) => {
      const value = row[key];
      if (value === undefined || value === null) return [];
      const shown = show(key, value, known.get(key));
      return [{ name: key, value, text: shown.text, title: shown.title }];
    },
  };
}

/** The columns of these keys, or those shown when nobody chose. */
export function tableColumns(keys: readonly string[] | null, columns: Columns): TableColumn[] {
  return (keys ?? DEFAULT_KEYS).map((key) => tableColumn(key, columns));
}

/** What a column is called where its colour does not say which way it counts. */
export function columnName(column: Pick<TableColumn, 'key' | 'label'>): string {
  return column.key.startsWith('rev.') ? `${column.label}, back` : column.label;
}

/** What a table of these columns asks the API for; the start always, since days are told apart by it. */
export function fieldsOf(shown: readonly TableColumn[]): string[] {
  return [...new Set(['start', ...shown.flatMap((column) => column.fields)])];
}
