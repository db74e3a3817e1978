import { describe, expect, it } from 'vitest';
import {
  ago,
  bitRate,
  count,
  duration,
  endpoint,
  flagLetters,
  flagNames,
  octets,
  rate,
  short,
  width,
} from './format';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

describe('sizes', () => {
  it('have three significant digits and a decimal unit', () => {
    const cases: [number | bigint, string][] = [
      [0, '0 B'],
      [999, '999 B'],
      [1000, '1.00 kB'],
      [1500, '1.50 kB'],
      [12_345, '12.3 kB'],
      [123_456, '123 kB'],
      [999_499, '999 kB'],
      [999_500, '1.00 MB'],
      [18_446_744_073_709_551_615n, '18.4 EB'],
    ];
    for (const [value, text] of cases) expect(plain(octets(value)), String(value)).toBe(text);
  });

  it('group thousands exactly, also beyond 2^53', () => {
    expect(count(1_234_567)).toBe('1,234,567');
    expect(count(18_446_744_073_709_551_615n)).toBe('18,446,744,073,709,551,615');
    expect(plain(short(9_999))).toBe('9,999');
    expect(plain(short(12_345))).toBe('12.3 k');
  });

  it('become rates', () => {
    expect(plain(bitRate(0))).toBe('0 bit/s');
    expect(plain(bitRate(1_500_000))).toBe('1.50 Mbit/s');
    expect(plain(rate(12_345))).toBe('12.3 k/s');
    expect(plain(rate(0.25))).toBe('0.25 /s');
  });
});

describe('durations', () => {
  it('read in the unit that fits', () => {
    const cases: [number | bigint, string][] = [
      [0, '0 s'],
      [350, '350 ns'],
      [12_300, '12.3 µs'],
      [4_560_000, '4.56 ms'],
      [999_700_000, '1.00 s'],
      [59_940_000_000, '59.9 s'],
      [60_000_000_000, '1 min 00 s'],
      [125_000_000_000, '2 min 05 s'],
      [10_920_000_000_000n, '3 h 02 min'],
      [183_600_000_000_000, '2 d 03 h'],
      [-1_500_000, '−1.50 ms'],
    ];
    for (const [ns, text] of cases) expect(plain(duration(ns)), String(ns)).toBe(text);
  });

  it('never say 60 seconds', () => {
    for (let ms = 59_900; ms < 3_600_000; ms += 397)
      expect(duration(ms * 1e6)).not.toMatch(/\b60(\.0)?\u00a0s/);
  });

  it('name the width of a bucket', () => {
    expect(plain(width(30e9))).toBe('30 s');
    expect(plain(width(60e9))).toBe('1 min');
    expect(plain(width(86_400e9))).toBe('1 d');
    expect(plain(width(200e6))).toBe('200 ms');
  });

  it('count back from now', () => {
    expect(plain(ago(500))).toBe('just now');
    expect(plain(ago(125_000))).toBe('2 min ago');
  });
});

describe('flags and endpoints', () => {
  it('keep letters in their places', () => {
    expect(flagLetters(0x1b)).toBe('·AP·SF');
    expect(flagLetters(0)).toBe('······');
    expect(flagLetters(0xff)).toBe('CEUAPRSF');
    expect(flagNames(0x12)).toBe('SYN, ACK');
    expect(flagNames(0)).toBe('none');
  });

  it('put IPv6 in brackets', () => {
    expect(endpoint('10.0.0.1', 53)).toBe('10.0.0.1:53');
    expect(endpoint('2001:db8::1', 53)).toBe('[2001:db8::1]:53');
    expect(endpoint('2001:db8::1', undefined)).toBe('2001:db8::1');
  });
});
