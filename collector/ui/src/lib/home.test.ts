import { describe, expect, it } from 'vitest';
import { dnsHealth, mean, percent, rates, senders, tcpHealth } from './home';
import type { Exporter, Row, Rows } from './types';

const answer = (...rows: Row[]): Rows => ({ rows, stats: { rows_read: 0, elapsed_ms: 0 } });
const AT = Date.parse('2026-01-01T00:00:00Z');
const MINUTE = 60_000;

describe('rates', () => {
  it('adds both directions up and divides by the bucket', () => {
    const rows = answer(
      {
        time: '2026-01-01T00:00:00Z',
        octets: 600,
        'rev.octets': 900,
        packets: 60,
        'rev.packets': 30,
        flows: 6,
      },
      {
        time: '2026-01-01T00:02:00Z',
        octets: 1200,
        'rev.octets': 0,
        packets: 120,
        'rev.packets': 0,
        flows: 12,
      },
    );
    const found = rates(rows, { from: AT, to: AT + 3 * MINUTE }, MINUTE);
    // (600 + 900) octets * 8 bits / 60 s
    expect(found.bits.map((point) => point.value)).toEqual([200, 0, 160]);
    expect(found.packets.map((point) => point.value)).toEqual([1.5, 0, 2]);
    expect(found.flows.map((point) => point.value)).toEqual([0.1, 0, 0.2]);
    expect(mean(found.bits, MINUTE, AT, AT + 3 * MINUTE)).toBe(120);
    expect(mean(found.bits, MINUTE, AT + MINUTE, AT + 2 * MINUTE + 1)).toBe(0);
    expect(mean(found.bits, MINUTE, AT + 10, AT + MINUTE)).toBeNull();
  });
});

describe('dnsHealth', () => {
  it('gives parts of all transactions', () => {
    const found = dnsHealth(
      answer({ 'dns.status': 1, transactions: 75 }, { 'dns.status': 2, transactions: 25 }),
      answer(
        { 'dns.rcode': 0, transactions: 55 },
        { 'dns.rcode': 3, transactions: 15 },
        { 'dns.rcode': 2, transactions: 5 },
        { transactions: 25 },
      ),
      answer({ 'p50(dns.latency)': 8_000_000, 'p95(dns.latency)': null }),
    );
    expect(found).toEqual({
      transactions: 100,
      unanswered: 0.25,
      failed: 0.05,
      missing: 0.15,
      median: 8_000_000,
      slow: null,
    });
  });

  it('is nothing without transactions', () => {
    expect(dnsHealth(answer({ transactions: 0 }), answer(), answer({}))).toBeNull();
  });
});

describe('tcpHealth', () => {
  it('counts what was sent again against what was sent', () => {
    const found = tcpHealth(
      answer({
        flows: 4,
        'total.packets': 200,
        'sum(tcp.retransmits)': 1,
        'sum(reverseTcpRetransmittedPacketDeltaCount)': 2,
        'sum(reverseTcpZeroWindowDeltaCount)': 1,
        'p50(tcp.rtt.server)': 9,
      }),
      answer({ flows: 2 }),
      answer({ flows: 1 }),
    );
    expect(found).toEqual({
      flows: 4,
      retransmitted: 0.015,
      zeroWindows: 1,
      median: 9,
      slow: null,
      bufferbloat: 2,
      blackholed: 1,
    });
    expect(tcpHealth(answer({ flows: 0 }), answer(), answer())).toBeNull();
  });
});

describe('senders', () => {
  it('puts the domains of an address together, the busiest first', () => {
    const one = (address: string, records: number, lost: number, last: string): Exporter =>
      ({
        address,
        name: null,
        records,
        sequence_lost: lost,
        sequence: { counts: 'records' },
        errors: lost > 0 ? { set_length: 2 } : {},
        last,
      }) as unknown as Exporter;
    const found = senders([
      one('192.0.2.1', 10, 0, '2026-01-01T00:00:00Z'),
      one('192.0.2.2', 100, 0, '2026-01-01T00:00:00Z'),
      one('192.0.2.1', 20, 3, '2026-01-01T00:01:00Z'),
    ]);
    expect(found.map((sender) => [sender.address, sender.records, sender.lost, sender.faults])).toEqual([
      ['192.0.2.2', 100, 0, 0],
      ['192.0.2.1', 30, 3, 2],
    ]);
    expect(found[1]?.last).toBe(AT + MINUTE);
  });
});

describe('percent', () => {
  it('says little exactly and much roughly', () => {
    expect([0, 0.00001, 0.0034, 0.034, 0.5, 0.9999, 1].map(percent)).toEqual([
      '0\u00a0%',
      '<\u00a00.01\u00a0%',
      '0.34\u00a0%',
      '3.4\u00a0%',
      '50.0\u00a0%',
      '100\u00a0%',
      '100\u00a0%',
    ]);
    expect(percent(null)).toBe('–');
  });
});
