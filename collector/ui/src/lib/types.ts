// The shapes the collector's HTTP API answers with, so that one file changes when the API does.

/** One value of a row. Integers beyond 2^53 arrive as bigint, lists (RFC 6313) as arrays of objects. */
export type Cell = string | number | bigint | boolean | null | Cell[] | { [name: string]: Cell };

/** A flow: column or element name to value; `_id` names the record. */
export type Row = Record<string, Cell>;

export type ColumnKind = 'time' | 'duration' | 'ip' | 'number' | 'float' | 'text' | 'mac' | 'bool';

export interface Column {
  name: string;
  kind: ColumnKind;
  unit: string;
  help: string;
  indexed: boolean;
  elements: string[];
  /** Code to label, for columns whose numbers have names. */
  codes: Record<string, string> | null;
}

export interface Stats {
  rows_read: number;
  rows_matched?: number;
  elapsed_ms: number;
  partitions?: number;
  tier?: string;
  error_bound?: number;
  from?: string;
  to?: string;
  interval_ns?: number;
}

export interface Rows {
  rows: Row[];
  stats: Stats;
  next?: string | null;
}

export interface CompletionItem {
  text: string;
  kind: 'column' | 'operator' | 'value' | 'keyword';
  help: string;
}

export interface Completion {
  from: number;
  to: number;
  items: CompletionItem[];
}

export interface Status {
  version: string;
  uptime_s: number;
  ready: boolean;
  /** What keeps the collector from storing, in words. */
  trouble?: string | null;
  store: {
    rows: number;
    octets: number;
    partitions: number;
    segments: number;
    oldest: string | null;
    newest: string | null;
    committed: string | null;
  };
  ledger: {
    received: { datagrams: number; messages: number; records: number; octets: number };
    stored: number;
    waiting: number;
    lost: Record<string, number>;
    balanced: boolean;
  };
  listeners: unknown[];
}

/** RFC 9457 problem document, with the place in the filter when there is one. */
export interface Problem {
  type?: string;
  title?: string;
  status?: number;
  detail?: string;
  /** Octets of UTF-8 before the fault. */
  offset?: number;
  length?: number;
  expected?: string[];
  nearest?: string | null;
}
