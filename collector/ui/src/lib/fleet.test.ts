import { describe, expect, it } from 'vitest';
import { accountKey, balance, exporterState, fixes, interfaces, points } from './fleet';
import { lostRecords } from './losses';
import type { Exporter, Row, Rows, Status } from './types';

const NOW = Date.parse('2026-03-01T12:00:00Z');

const exporter = (change: Partial<Exporter> = {}): Exporter => ({
  address: '192.0.2.1',
  name: null,
  labels: {},
  statistics: null,
  counter_samples: 0,
  protocol: 'ipfix',
  domain: 7,
  transport: 'udp',
  client_names: [],
  datagrams: 10,
  messages: 10,
  octets: 10_000,
  records: 100,
  options_records: 5,
  templates: 3,
  repeated: 0,
  rates_unknown: 0,
  sequence_lost: 0,
  sequence: {
    lost: 0,
    gaps: 0,
    reordered: 0,
    duplicate: 0,
    restarts: 0,
    unverified: 0,
    counts: 'records',
    habit: null,
  },
  sets: { waited: 0, replayed: 0, overflowed: 0, expired: 0, abandoned: 0 },
  errors: {},
  balanced: true,
  first: '2026-03-01T10:00:00Z',
  last: '2026-03-01T11:59:50Z',
  ...change,
});

const status = (ledger: Partial<Status['ledger']> = {}, newest = '2026-03-01T11:59:00Z'): Status => ({
  version: '0.1.0',
  uptime_s: 10,
  ready: true,
  trouble: null,
  store: { rows: 1, octets: 1, partitions: 1, segments: 1, oldest: newest, newest, committed: newest },
  ledger: {
    received: { datagrams: 79, messages: 60, records: 1200, octets: 126_120 },
    stored: 1100,
    waiting: 60,
    lost: {},
    missing: {},
    balanced: true,
    ...ledger,
  },
  listeners: [],
});

describe('exporterState', () => {
  it('goes from active to quiet to silent', () => {
    expect(exporterState(exporter(), NOW)).toBe('active');
    expect(exporterState(exporter({ last: '2026-03-01T11:55:00Z' }), NOW)).toBe('quiet');
    expect(exporterState(exporter({ last: '2026-03-01T11:00:00Z' }), NOW)).toBe('silent');
  });
});

describe('balance', () => {
  it('adds stored, waiting and every loss up', () => {
    const found = balance(status({ lost: { store_error: 30, internal_fault: 10 } }).ledger);
    expect(found.sum).toBe(1200);
    expect(found.received).toBe(1200);
    expect(found.parts.map((part) => `${part.name} ${part.value} ${part.kind}`)).toEqual([
      'stored 1100 stored',
      'waiting to be stored 60 waiting',
      'store error 30 lost',
      'internal fault 10 lost',
    ]);
  });
});

describe('fixes', () => {
  it('has nothing to say when all is well', () => {
    expect(fixes(status(), [exporter()], NOW)).toEqual([]);
    expect(fixes(null, [], NOW)).toEqual([]);
  });

  it('says what was lost on the way, and where', () => {
    const lossy = exporter({
      name: 'core-1',
      sequence_lost: 22,
      sequence: { ...exporter().sequence, lost: 22, gaps: 2 },
    });
    const [fix, ...rest] = fixes(status({ missing: { records_lost_before_arrival: 22 } }), [lossy], NOW);
    expect(rest).toEqual([]);
    expect(fix?.what).toBe('22 records of core-1 (IPFIX, domain 7) never came, in 2 gaps.');
    expect(fix?.todo).toMatch(/TCP/);
    expect(fix?.key).toBe(accountKey(lossy));
  });

  it('names each reason of the ledger once with what to do', () => {
    const found = fixes(
      status({ lost: { store_error: 3 }, missing: { sets_without_template: 4, odd: 5 } }),
      [],
      NOW,
    );
    expect(found.map((fix) => fix.what)).toEqual(['3 store error.', '4 sets without template.', '5 odd.']);
    expect(found.every((fix) => fix.todo !== '')).toBe(true);
  });

  it('takes what came a second time for no loss', () => {
    const ledger = status({ lost: { summary_repeated: 4, store_error: 2 } }).ledger;
    expect(lostRecords(ledger)).toBe(2);
    expect(balance(ledger).parts.map((part) => part.kind)).toEqual(['stored', 'waiting', 'again', 'lost']);
    const [fault, note] = fixes(status({ lost: { summary_repeated: 4, store_error: 2 } }), [], NOW);
    expect(fault).toMatchObject({ tone: 'fault', what: '2 store error.' });
    expect(note).toMatchObject({ tone: 'note', what: '4 summary records that came again.' });
  });

  it('puts faults before notes', () => {
    const found = fixes(
      status({}, '2026-03-01T13:00:00Z'),
      [exporter({ last: '2026-03-01T11:00:00Z' }), exporter({ rates_unknown: 9, balanced: false })],
      NOW,
    );
    expect(found.map((fix) => fix.tone)).toEqual(['fault', 'fault', 'note', 'note']);
    expect(found[2]?.what).toMatch(/1\u00a0h from now/);
    expect(found[3]?.what).toMatch(/has sent nothing for 1\u00a0h\./);
  });

  it('knows flows that an exporter could not send', () => {
    const found = fixes(
      status(),
      [
        exporter({
          statistics: { at: '', counters: { notSentFlowTotalCount: 12 } },
          errors: { set_length: 2 },
        }),
      ],
      NOW,
    );
    expect(found.map((fix) => fix.what)).toEqual([
      'Not all of 192.0.2.1 (IPFIX, domain 7) could be read: 2 set length.',
      '192.0.2.1 says that it could not send 12 flows.',
    ]);
  });
});

const answer = (...rows: Row[]): Rows => ({ rows, stats: { rows_read: 0, elapsed_ms: 0 } });

describe('interfaces', () => {
  it('adds what came in and went out by number, named or not', () => {
    const found = interfaces(
      answer(
        { 'in.if': 1, octets: 100 },
        { 'in.if': 1, 'in.if.name': 'lo', octets: 50 },
        { 'in.if': 4, 'in.if.name': 'eth0', octets: 7 },
        { octets: 9 },
      ),
      answer({ 'out.if': 4, octets: 200 }),
    );
    expect(found).toEqual([
      { index: 4, name: 'eth0', in: 7, out: 200 },
      { index: 1, name: 'lo', in: 150, out: 0 },
    ]);
  });
});

describe('points', () => {
  it('lays a metric onto the grid', () => {
    const rows = answer({ time: '2026-03-01T12:00:10Z', 'rate(ifInOctets)': 5 });
    expect(points(rows, 'rate(ifInOctets)', { from: NOW, to: NOW + 30_000 }, 10_000, 8)).toEqual([
      { at: NOW, value: 0 },
      { at: NOW + 10_000, value: 40 },
      { at: NOW + 20_000, value: 0 },
    ]);
    const gauge = points(rows, 'avg(loadOne)', { from: NOW, to: NOW + 10_000 }, 10_000, 1, Number.NaN);
    expect(gauge[0]?.value).toBeNaN();
  });
});
