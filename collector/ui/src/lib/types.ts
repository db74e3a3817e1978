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

/** What sFlow reads from a device. */
export interface Counter {
  name: string;
  group: string;
  /** Does it grow, so that `increase` and `rate` take it? */
  grows: boolean;
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
  /** Why another tier did not answer, in words. */
  hint?: string | null;
  /** The period that `compare` looked at. */
  compare?: { from: string; to: string } | null;
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
    /** What never came, by how it is known. */
    missing?: Record<string, number>;
    errors?: Record<string, number>;
    sets_waiting?: number;
    balanced: boolean;
  };
  journal?: {
    waiting: number;
    waiting_octets: number;
    octets: number;
    limit_octets: number;
    is_behind: boolean;
    is_full: boolean;
    times_full: number;
  };
  listeners: Listener[];
}

/** What one address was opened for; counters that a kind of listener lacks are missing. */
export interface Listener {
  address: string;
  transport?: string;
  datagrams?: number;
  messages?: number;
  octets?: number;
  kernel_drops?: number;
  queue_drops?: number;
  receive_buffer_octets?: number;
  connections?: number;
  accepted?: number;
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
  /** Which parameter of the address is wrong. */
  parameter?: string;
}

/** A line of merged summaries: an exact sum, or an estimate between two limits. */
export interface SummaryRow {
  metric: string;
  kind: 'counter' | 'cardinality' | 'quantiles' | 'frequent_items';
  value: number;
  lower: number;
  upper: number;
  confidence: number;
  unit: string;
  /** Of a quantile, 0 to 1. */
  rank?: number;
  /** Of a top list. */
  item?: string;
}

/** What went into one metric of the answer. */
export interface SummaryMetric {
  metric: string;
  kind: SummaryRow['kind'];
  unit: string;
  exporters: number;
  windows: number;
  summaries: number;
  without_image: number;
  left_out: number;
  sampled: number;
  from: string;
  to: string;
  /** How many values, or which weight, went in. */
  weight?: number;
  /** The most that an item not listed weighs. */
  error?: number;
}

export interface Summaries {
  rows: SummaryRow[];
  metrics?: SummaryMetric[];
  stats: { elapsed_ms: number; exporters?: number; windows?: number; summaries?: number };
}

/** Who sends: one for each address, domain and transport. */
export interface Exporter {
  address: string;
  name: string | null;
  labels: Record<string, string>;
  /** What it says of itself in option records (RFC 5101 section 4). */
  statistics: { at: string; counters: Record<string, number> } | null;
  counter_samples: number;
  protocol: string;
  domain: number;
  transport: string;
  client_names: string[];
  datagrams: number;
  messages: number;
  octets: number;
  records: number;
  options_records: number;
  /** In force now. */
  templates: number;
  repeated: number;
  rates_unknown: number;
  sequence_lost: number;
  sequence: {
    lost: number;
    gaps: number;
    reordered: number;
    duplicate: number;
    restarts: number;
    unverified: number;
    counts: string;
    habit: string | null;
  };
  sets: { waited: number; replayed: number; overflowed: number; expired: number; abandoned: number };
  errors: Record<string, number>;
  balanced: boolean;
  /** What it says of itself (software, host, clock), where the collector keeps it. */
  identity?: Record<string, Cell> | null;
  first: string;
  last: string;
}

export interface TemplateField {
  name: string;
  /** PEN.ID */
  element: string;
  type: string;
  length: number | 'variable';
}

export interface Template {
  exporter: string;
  port: number;
  transport: string;
  protocol: string;
  domain: number;
  template: number;
  /** The first so many fields are the scope; 0 for data templates. */
  scope_fields: number;
  fields: TemplateField[];
}

export interface Element {
  name: string;
  pen: number;
  id: number;
  type: string;
  semantics: string;
  units: string;
  status: string;
  range: [number, number] | null;
  reversible: boolean;
  column: string | null;
  codes: Record<string, string> | null;
}

export type AlertState = 'ok' | 'pending' | 'firing' | 'no_data' | 'error';

export interface AlertRule {
  name: string;
  description?: string | null;
  filter: string;
  /** The part whose share is judged. */
  where?: string | null;
  /** Of the value: octets, ns, and so on. */
  unit?: string | null;
  clear?: number | null;
  metric: string;
  op: string;
  threshold: number;
  window_s: number;
  for_s: number;
  severity: string;
  state: AlertState;
  value: number | null;
  since: string;
  evaluated: string | null;
  error: string | null;
  labels: Record<string, string>;
  groups: { group: Record<string, Cell>; state: AlertState; value: number | null; since: string }[];
}

export interface Alerts {
  rules: AlertRule[];
  stats: { firing: number; pending: number; evaluations: number };
}

export interface AlertChange {
  time: string;
  name: string;
  group: Record<string, Cell>;
  from: AlertState;
  to: AlertState;
  value: number | null;
}

export interface OpenApi {
  info: { title: string; version: string; description?: string };
  paths: Record<string, Record<string, Operation>>;
}

export interface Operation {
  summary?: string;
  description?: string;
  parameters?: {
    name: string;
    in: string;
    required?: boolean;
    description?: string;
    schema?: { type?: string; enum?: string[] };
  }[];
  responses?: Record<string, { description?: string; content?: Record<string, unknown> }>;
}
