import { describe, expect, it } from 'vitest';
import { amountTitle, call, measure, percent, PLAIN, reading, tick } from './measure';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');
const latency = { name: 'dns.latency', kind: 'duration', unit: 'ns' } as never;

describe('measure', () => {
  it('knows the plain ones and functions of columns', () => {
    expect(measure('bits')).toMatchObject({ metric: 'octets', total: 'total.octets', back: 'rev.octets' });
    expect(measure('p95(dns.latency)', () => latency)).toMatchObject({ unit: 'ns', adds: false });
    expect(measure('unique(dst.ip)')).toMatchObject({ unit: 'count', adds: false });
    expect(measure('sum(octets)', () => ({ unit: 'octets' }) as never)).toMatchObject({
      unit: 'octets',
      adds: true,
    });
    expect(measure('share(octets)')).toMatchObject({ unit: 'part' });
    expect(measure('octets/packets')).toMatchObject({ unit: 'octets', adds: false });
    expect(measure('sum(tcp.retransmits)/packets')).toMatchObject({
      title: 'sum(tcp.retransmits) per packets',
    });
  });

  it('are called by what they are read in where no time divides them', () => {
    expect(plain(reading(8_000, 'bits', false))).toBe('1.00 kB');
    expect(PLAIN.map(amountTitle).slice(0, 2)).toEqual(['Volume', 'Packets']);
  });

  it('takes nothing else', () => {
    for (const name of ['', 'nothing', 'p95', 'p95()', 'p77(octets)', 'p95(a b)', 'a/b/c'])
      expect(measure(name)).toBeNull();
    expect(call('unique(src.ip)')).toEqual({ function: 'unique', column: 'src.ip' });
    expect(call('rate(src.ip)')).toBeNull();
  });
});

describe('numbers', () => {
  it('are written with their units', () => {
    expect(plain(reading(1_234_000, 'bits', true))).toBe('1.23 Mbit/s');
    expect(plain(reading(8_000, 'bits', false))).toBe('1.00 kB');
    expect(plain(reading(12.3456789, 'packets', true))).toBe('12.3 /s');
    expect(plain(reading(4_560_000, 'ns', false))).toBe('4.56 ms');
    expect(plain(reading(0.1234, 'part', false))).toBe('12.3 %');
    expect(reading(null, 'bits', true)).toBe('–');
    expect(reading(NaN, 'count', false)).toBe('–');
  });

  it('are short on axes, and have no sign below the axis', () => {
    expect(plain(tick(-200_000, 'bits', true))).toBe('200 kbit/s');
    expect(plain(tick(20_000_000, 'ns', false))).toBe('20 ms');
    expect(tick(0, 'bits', true)).toBe('0');
  });

  it('are parts of a hundred', () => {
    expect(['0', '0.05', '0.5', '0.9996', '1'].map((part) => plain(percent(Number(part))))).toEqual([
      '0 %',
      '5.00 %',
      '50.0 %',
      '100 %',
      '100 %',
    ]);
  });
});
