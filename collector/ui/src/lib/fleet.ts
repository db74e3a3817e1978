// What Fleet says about exporters and the collector: their state, the sums of the ledger, and what to fix.
import { ago, count, octets } from './format';
import type { Point } from './home';
import { isAgain, words } from './losses';
import { series } from './series';
import type { Span } from './time';
import type { Exporter, Row, Rows, Status } from './types';

const MINUTE = 6e4;
/** Without a word for so long an exporter is quiet, and for so long silent. */
const QUIET_MS = 2 * MINUTE;
const SILENT_MS = 15 * MINUTE;

export type ExporterState = 'active' | 'quiet' | 'silent';

export function exporterState(exporter: Exporter, now: number): ExporterState {
  const since = now - Date.parse(exporter.last);
  return since < QUIET_MS ? 'active' : since < SILENT_MS ? 'quiet' : 'silent';
}

/** Tells one account from the others: an address may send in several domains and protocols. */
export function accountKey(exporter: Exporter): string {
  return `${exporter.address}/${exporter.protocol}/${exporter.domain}`;
}

const PROTOCOLS: Record<string, string> = {
  ipfix: 'IPFIX',
  netflow9: 'NetFlow 9',
  netflow7: 'NetFlow 7',
  netflow5: 'NetFlow 5',
  sflow5: 'sFlow 5',
};

export function protocolName(protocol: string): string {
  return PROTOCOLS[protocol] ?? protocol;
}

export interface Part {
  name: string;
  value: number;
  kind: 'stored' | 'waiting' | 'lost' | 'again';
}

export interface Balance {
  received: number;
  parts: Part[];
  /** What the parts come to; the ledger balances when it is what was received. */
  sum: number;
}

/** Records: received = stored + waiting + lost by reason. */
export function balance(ledger: Status['ledger']): Balance {
  const parts: Part[] = [
    { name: 'stored', value: ledger.stored, kind: 'stored' },
    { name: 'waiting to be stored', value: ledger.waiting, kind: 'waiting' },
    ...Object.entries(ledger.lost).map(([name, value]): Part => ({
      name: words(name),
      value,
      kind: isAgain(name) ? 'again' : 'lost',
    })),
  ];
  return { received: ledger.received.records, parts, sum: parts.reduce((all, part) => all + part.value, 0) };
}

export interface Fix {
  /** A fault loses data; a note may be as it should be. */
  tone: 'fault' | 'note';
  /** What is the matter. */
  what: string;
  /** What to do about it. */
  todo: string;
  /** Account it is about. */
  key: string | null;
}

/** Reasons of the ledger with what to do about them. */
const REMEDIES: Record<string, string> = {
  datagrams_dropped_by_kernel:
    'The receive buffer was full: run sysctl -w net.core.rmem_max=536870912 and start the collector with --receive-buffer 512MiB.',
  datagrams_dropped_by_queue:
    'The journal was full or not writable: raise journal.size, or look at the disk.',
  journal_entries_damaged: 'The disk gave back something else than was written: check it.',
  datagrams_given_up_at_the_end:
    'The journal could not be written when the collector ended: look at the disk.',
  datagrams_of_unsupported_version:
    'Something that is no flow export, or another version, is sent to these ports: find who sends it in the log.',
  datagrams_not_decodable: 'Messages were broken: decode a capture of them to see where.',
  datagrams_beyond_session_limit:
    'Too many exporters at once: raise the limit of sessions, or name who may send.',
  datagrams_not_allowed: 'Senders that exporters.allow leaves out: add them there if they should be heard.',
  datagrams_beyond_rate_limit:
    'An exporter sent more than exporters.datagrams_per_second: raise it if that is right.',
  sets_without_template:
    'Templates did not come in time: let the exporter send them more often, or raise templates.pending_age.',
  sets_beyond_waiting_limit:
    'Too many records waited for templates: let the exporter send templates more often.',
  store_error: 'The store could not be written: look at the disk and at the collector’s log.',
  internal_fault: 'This is a fault of the collector: please report it with its log.',
  summary_repeated: 'Nothing is missing: what they say was stored before.',
  summary_malformed: 'Capture what the exporter sends and let flowgauge-collector decode show the place.',
  summary_incomplete: 'Parts of summaries did not come: use TCP, or find where datagrams are lost.',
  summary_not_written: 'The disk took no more: make room.',
};

/** Said of single exporters, so not again for all of them. */
const OF_EXPORTERS = new Set(['records_lost_before_arrival', 'datagrams_lost_before_arrival']);

/** Everything that is wrong, in words with what to do; nothing when all is well. */
export function fixes(status: Status | null, exporters: readonly Exporter[], now: number): Fix[] {
  const found: Fix[] = [];
  const add = (tone: Fix['tone'], key: string | null, what: string, todo: string): void => {
    found.push({ tone, key, what, todo });
  };
  if (status !== null) ofCollector(status, add, now);
  for (const exporter of exporters) ofExporter(exporter, add, now);
  return found.sort((a, b) => Number(a.tone === 'note') - Number(b.tone === 'note'));
}

type Add = (tone: Fix['tone'], key: string | null, what: string, todo: string) => void;

function ofCollector(status: Status, add: Add, now: number): void {
  if (status.trouble) add('fault', null, `${status.trouble}.`, 'Until this is mended nothing is stored.');
  const { ledger, journal } = status;
  if (!ledger.balanced)
    add('fault', null, 'The ledger does not balance.', 'This is a fault of the collector: please report it.');
  for (const [reason, n] of Object.entries({ ...ledger.lost, ...ledger.missing })) {
    if (n === 0 || OF_EXPORTERS.has(reason)) continue;
    add(
      isAgain(reason) ? 'note' : 'fault',
      null,
      `${count(n)} ${words(reason)}.`,
      REMEDIES[reason] ?? 'The collector’s log says more.',
    );
  }
  if (journal?.is_full)
    add(
      'fault',
      null,
      `The journal is full: ${octets(journal.waiting_octets)} wait to be stored.`,
      'The collector stores more slowly than records come: give it a faster disk or more cores, or raise journal.size.',
    );
  else if (journal?.is_behind)
    add(
      'note',
      null,
      `${octets(journal.waiting_octets)} wait in the journal to be stored.`,
      'A burst is worked off; if this grows, the collector is too slow for what comes.',
    );
  const newest = Date.parse(status.store.newest ?? '');
  if (newest > now + 2 * MINUTE)
    add(
      'note',
      null,
      `The newest flow ended ${ago(newest - now).replace(' ago', '')} from now.`,
      'The clock of an exporter is ahead: let it follow NTP.',
    );
}

function ofExporter(exporter: Exporter, add: Add, now: number): void {
  const key = accountKey(exporter);
  const who = exporter.name ?? exporter.address;
  const name = `${who} (${protocolName(exporter.protocol)}, domain ${exporter.domain})`;
  const { sequence, sets, statistics } = exporter;
  if (sequence.lost > 0)
    add(
      'fault',
      key,
      `${count(sequence.lost)} ${sequence.counts} of ${name} never came, in ${count(sequence.gaps)} gaps.`,
      exporter.transport === 'udp'
        ? 'They were lost on the way: use TCP where the exporter can, or look at the network between and at the receive buffer.'
        : 'The exporter left them out: look at its log, or raise its queue.',
    );
  const given = sets.expired + sets.overflowed;
  if (given > 0)
    add(
      'fault',
      key,
      `${count(given)} Sets of ${name} were given up, their templates did not come.`,
      'Let it send templates more often: every minute, or every 20 packets.',
    );
  const errors = Object.entries(exporter.errors).filter(([, n]) => n > 0);
  if (errors.length > 0)
    add(
      'fault',
      key,
      `Not all of ${name} could be read: ${errors.map(([reason, n]) => `${count(n)} ${words(reason)}`).join(', ')}.`,
      'Capture what it sends and let flowgauge-collector decode show the place.',
    );
  if (exporter.rates_unknown > 0)
    add(
      'fault',
      key,
      `${count(exporter.rates_unknown)} records of ${name} were sampled by a rate that it does not tell; they are not scaled.`,
      `Name the rate: sampling = ["${exporter.address}=1000"] below [exporters].`,
    );
  if (!exporter.balanced)
    add(
      'fault',
      key,
      `The account of ${name} does not balance.`,
      'This is a fault of the collector: please report it.',
    );
  const unsent = statistics?.counters['notSentFlowTotalCount'] ?? 0;
  if (unsent > 0)
    add(
      'fault',
      key,
      `${who} says that it could not send ${count(unsent)} flows.`,
      'Its queue was full or its collector did not answer: look at its log.',
    );
  const state = exporterState(exporter, now);
  if (state === 'silent' && exporter.transport === 'udp')
    add(
      'note',
      key,
      `${name} has sent nothing for ${ago(now - Date.parse(exporter.last)).replace(' ago', '')}.`,
      'If it should, check that it runs and that nothing between drops its datagrams.',
    );
  if (
    exporter.messages > 0 &&
    exporter.records === 0 &&
    exporter.options_records === 0 &&
    exporter.counter_samples === 0
  )
    add(
      'note',
      key,
      `${name} has sent ${count(exporter.messages)} Messages without one record.`,
      'Its templates may not have come yet: wait for it to send them, or start it again.',
    );
}

export interface Interface {
  index: number;
  name: string | null;
  in: number;
  out: number;
}

const number = (row: Row, name: string): number => Number(row[name] ?? 0);

/** Octets by interface from both lists; those without a number are left out. */
export function interfaces(into: Rows, outof: Rows): Interface[] {
  const found = new Map<number, Interface>();
  const take = (rows: readonly Row[], side: 'in' | 'out'): void => {
    for (const row of rows) {
      const index = row[`${side}.if`];
      if (typeof index !== 'number') continue;
      const known = found.get(index) ?? { index, name: null, in: 0, out: 0 };
      const name = row[`${side}.if.name`];
      if (typeof name === 'string') known.name = name;
      known[side] += number(row, 'octets');
      found.set(index, known);
    }
  };
  take(into.rows, 'in');
  take(outof.rows, 'out');
  return [...found.values()].sort((a, b) => b.in + b.out - (a.in + a.out) || a.index - b.index);
}

/** One metric of a series laid onto the grid that covers the span; what the answer leaves out is zero, or a gap (NaN). */
export function points(
  rows: Rows,
  metric: string,
  span: Span,
  width: number,
  factor = 1,
  absent = 0,
): Point[] {
  const empty: Rows = { rows: [], stats: rows.stats };
  const grid = series(empty, 'octets', span, width).buckets.map((bucket) => ({
    at: bucket.from,
    value: absent,
  }));
  for (const row of rows.rows) {
    const index = Math.round((Date.parse(String(row['time'])) - (grid[0]?.at ?? 0)) / width);
    const point = grid[index];
    const value = Number(row[metric] ?? absent);
    if (point !== undefined && Number.isFinite(value)) point.value = value * factor;
  }
  return grid;
}
