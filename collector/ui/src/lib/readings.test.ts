import { describe, expect, it } from 'vitest';
import { alertReadings, dnsReadings, ledgerReadings, tcpReadings, wrong, type Reading } from './readings';

const text = (readings: readonly Reading[], name: string): string =>
  (readings.find((reading) => reading.name.startsWith(name))?.text ?? '').replaceAll('\u00a0', ' ');
const bad = (readings: readonly Reading[]): string[] =>
  readings.filter((reading) => reading.bad).map((reading) => reading.name);

describe('readings of the tiles', () => {
  it('say nothing of what was not asked yet', () => {
    for (const readings of [dnsReadings(null), tcpReadings(null), ledgerReadings(undefined)]) {
      expect(wrong(readings)).toBe(false);
      expect(readings.every((reading) => /^[–\s·]+$/.test(reading.text))).toBe(true);
    }
  });

  it('point at what is more than usual', () => {
    const dns = {
      transactions: 12_345,
      unanswered: 0.05,
      failed: 0.021,
      missing: 0.3,
      median: 8e6,
      slow: 2e9,
    };
    expect(bad(dnsReadings(dns))).toEqual(['Server failure']);
    expect(bad(dnsReadings({ ...dns, unanswered: 0.051 }))).toEqual(['Unanswered', 'Server failure']);
    expect(text(dnsReadings(dns), 'Latency')).toBe('8.00 ms · 2.00 s');
    const tcp = {
      flows: 3,
      retransmitted: 0.02,
      zeroWindows: 1,
      median: null,
      slow: null,
      bufferbloat: 7,
      blackholed: 0,
    };
    expect(bad(tcpReadings(tcp))).toEqual([]);
    expect(bad(tcpReadings({ ...tcp, blackholed: 1 }))).toEqual(['Bufferbloat · black holes']);
    expect(text(tcpReadings(tcp), 'Round trip')).toBe('– · –');
  });

  it('count as lost what is missing, here and on the way', () => {
    const ledger = {
      received: { datagrams: 1, messages: 1, records: 10, octets: 1 },
      stored: 5,
      waiting: 0,
      lost: { summary_repeated: 3, store_error: 2 },
      missing: { records_lost_before_arrival: 4 },
      balanced: true,
    };
    const readings = ledgerReadings(ledger);
    expect([text(readings, 'Lost here'), text(readings, 'Lost on')]).toEqual(['2', '4']);
    expect(bad(readings)).toEqual(['Lost here', 'Lost on the way']);
  });

  it('name rules that fire or cannot be judged, and not those that are well', () => {
    const rule = (name: string, state: string) => ({ name, state, metric: 'flows', op: '>', threshold: 1 });
    const rules = [rule('a', 'ok'), rule('b', 'pending'), rule('c', 'error'), rule('d', 'firing')] as never;
    const readings = alertReadings(rules);
    expect(readings.map((reading) => `${reading.name} ${reading.text}`)).toEqual([
      'b pending',
      'c cannot be judged',
      'd firing',
    ]);
    expect(bad(readings)).toEqual(['c', 'd']);
  });
});
