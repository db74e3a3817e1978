import { describe, expect, it } from 'vitest';
import {
  beside,
  exactly,
  fromRecords,
  fromSummaries,
  seriesOfRecords,
  seriesOfSummaries,
  suspects,
} from './dns';
import type { SummaryRow } from './types';

const row = (metric: string, value: number, more: Partial<SummaryRow> = {}): SummaryRow => ({
  metric,
  kind: 'counter',
  value,
  lower: value,
  upper: value,
  confidence: 1,
  unit: '',
  ...more,
});
const entry = (item: string, value: number) => ({ item, estimate: exactly(value) });

describe('from summaries', () => {
  const view = fromSummaries([
    row('dns.queries', 100),
    row('dns.responses', 80),
    row('dns.qname', 40, { lower: 38, upper: 43 }),
    row('dns.latency', 1500, { rank: 0.5, lower: 1400, upper: 1600, unit: 'us' }),
    row('dns.rcode', 70, { item: '0' }),
    row('dns.server.queries', 60, { item: '192.0.2.1', upper: 61 }),
    row('dns.server.queries', 40, { item: '192.0.2.2' }),
    row('dns.server.responses', 55, { item: '192.0.2.1' }),
    row('dns.slow.top', 9, { item: 'slow.example', unit: 'us' }),
  ]);

  it('limits come along, latencies in nanoseconds', () => {
    expect(view.names).toEqual({ value: 40, lower: 38, upper: 43 });
    expect(view.latency).toEqual([
      { rank: 0.5, estimate: { value: 1_500_000, lower: 1_400_000, upper: 1_600_000 } },
    ]);
    expect(view.slowNames[0]?.estimate.value).toBe(9_000);
  });

  it('a counter of nothing is not sent, and is 0; a number of different values that is not there is unknown', () => {
    expect(view.servfail).toEqual(exactly(0));
    expect(view.clients).toBeNull();
  });

  it('answers stand beside the queries of the same server, and nowhere else', () => {
    expect(view.servers.map((each) => [each.item, each.estimate.upper, each.beside?.value])).toEqual([
      ['192.0.2.1', 61, 55],
      ['192.0.2.2', 40, undefined],
    ]);
    expect(view.rcodes[0]?.item).toBe(0);
  });
});

describe('suspects', () => {
  it('are zones of many names that are asked for about once', () => {
    const names = [entry('random.example', 400), entry('busy.example', 90), entry('small.example', 5)];
    const queries = [entry('random.example', 420), entry('busy.example', 900), entry('small.example', 5)];
    expect(suspects(names, queries).map((each) => each.item)).toEqual(['random.example']);
    expect(suspects([entry('unknown.example', 400)], queries)).toEqual([]);
  });

  it('are found beside each other by what they are', () => {
    expect(beside([entry('a', 1)], [entry('b', 2)])[0]?.beside).toBeUndefined();
  });
});

describe('from records', () => {
  const view = fromRecords({
    totals: {
      transactions: 100,
      'sum(dnsRetryCount)': 7,
      'unique(dns.qname)': 30,
      'p50(dns.latency)': 5,
      'p99(dns.latency)': null,
    },
    status: [
      { 'dns.status': 1, transactions: 80 },
      { 'dns.status': 2, transactions: 15 },
      { 'dns.status': 3, transactions: 5 },
    ],
    rcodes: [
      { 'dns.rcode': 0, transactions: 60 },
      { 'dns.rcode': 3, transactions: 20 },
    ],
    qtypes: [],
    names: [{ 'dns.qname': 'a.example', transactions: 9 }],
    slow: [],
    nxNames: [],
    clients: [],
    servers: [{ 'dst.ip': '192.0.2.1', transactions: 95 }],
    answering: [{ 'dst.ip': '192.0.2.1', transactions: 80 }],
    suspects: [
      { 'src.ip': '10.0.0.1', 'unique(dns.qname)': 99, transactions: 100 },
      { 'src.ip': '10.0.0.2', 'unique(dns.qname)': 30, transactions: 100 },
    ],
  });

  it('queries are those of transactions and those repeated; an answer nobody asked for is no query', () => {
    expect(view.queries.value).toBe(102);
    expect(view.answers.value).toBe(85);
    expect(view.unanswered.value).toBe(15);
    expect(view.nxdomain.value).toBe(20);
  });

  it('what was not measured is not 0', () => {
    expect(view.latency.map((each) => each.rank)).toEqual([0.5]);
    expect(view.clients).toBeNull();
    expect(view.zones).toBeNull();
  });

  it('clients are suspected by what does not exist', () => {
    expect(view.suspects.map((each) => each.item)).toEqual(['10.0.0.1']);
    expect(view.servers[0]?.beside?.value).toBe(80);
  });
});

describe('series', () => {
  it('of summaries are rates with limits; a bucket without summaries is a gap, one without answers is 0', () => {
    const latency = { rank: 0.5, lower: 900, upper: 1100 };
    const found = seriesOfSummaries([0, 60_000, 120_000], 60_000, [
      [row('dns.queries', 120), row('dns.latency', 1000, latency)],
      [row('dns.queries', 60)],
      [],
    ]);
    expect(found.queries.values).toEqual([2, 1, null]);
    expect(found.answers.values).toEqual([0, 0, null]);
    expect(found.latency[0]).toEqual({
      values: [1_000_000, null, null],
      lower: [900_000, null, null],
      upper: [1_100_000, null, null],
    });
  });

  it('of records are at their times', () => {
    const at = (second: number) => new Date(second * 1000).toISOString();
    const found = seriesOfRecords(
      [0, 10_000],
      10_000,
      [{ time: at(10), transactions: 20, 'unique(dns.qname)': 4, 'p50(dns.latency)': 7 }],
      [{ time: at(10), transactions: 10 }],
      [],
    );
    expect(found.queries.values).toEqual([null, 2]);
    expect(found.answers.values).toEqual([null, 1]);
    expect(found.latency[0]?.values).toEqual([null, 7]);
  });
});
