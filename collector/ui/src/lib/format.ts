// Values as people read them: three significant digits, a unit, and never a guess at the locale's separators.
import type { Cell } from './types';

const NO_BREAK = '\u00a0';
const grouped = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });

/** 1234567 -> "1,234,567". */
export function count(value: number | bigint): string {
  return grouped.format(value);
}

/** Three significant digits without an exponent: 1.23, 12.3, 123. */
function significant(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

function scaled(value: number, units: readonly string[], step: number): string {
  let size = value;
  let index = 0;
  // 999.5 would be shown as 1000, so it already belongs to the next unit.
  while (Math.abs(size) >= step - 0.5 && index < units.length - 1) {
    size /= step;
    index += 1;
  }
  const text = index === 0 && Number.isInteger(size) ? String(size) : significant(size);
  const unit = units[index] ?? '';
  return unit === '' ? text : `${text}${NO_BREAK}${unit}`;
}

/** Octets in decimal units: 1500 -> "1.50 kB". */
export function octets(value: number | bigint): string {
  return scaled(Number(value), ['B', 'kB', 'MB', 'GB', 'TB', 'PB', 'EB'], 1000);
}

/** Short count: 12345 -> "12.3 k"; in full below 10000. */
export function short(value: number | bigint): string {
  if (Number.isInteger(Number(value)) && Math.abs(Number(value)) < 10_000) return count(value);
  return scaled(Number(value), ['', 'k', 'M', 'G', 'T', 'P', 'E'], 1000);
}

/** Bits per second in decimal units. */
export function bitRate(bitsPerSecond: number): string {
  const units = ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s'];
  return scaled(bitsPerSecond < 100 ? Math.round(bitsPerSecond * 10) / 10 : bitsPerSecond, units, 1000);
}

/** Events per second: "12.3 k/s". */
export function rate(perSecond: number): string {
  const text = short(perSecond);
  return text.includes(NO_BREAK) ? `${text}/s` : `${text}${NO_BREAK}/s`;
}

const SECOND = 1e9;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A duration in ns: "0 s", "350 ns", "12.3 µs", "4.56 s", "2 min 05 s", "3 h 02 min", "2 d 03 h". */
export function duration(ns: number | bigint): string {
  const value = Number(ns);
  const size = Math.abs(value);
  const sign = value < 0 ? '−' : '';
  const two = (whole: number): string => String(whole).padStart(2, '0');
  if (size === 0) return `0${NO_BREAK}s`;
  if (size < 59.95 * SECOND) return sign + scaled(size, ['ns', 'µs', 'ms', 's'], 1000);
  if (size < HOUR) {
    const s = Math.round(size / SECOND);
    return `${sign}${Math.floor(s / 60)}${NO_BREAK}min${NO_BREAK}${two(s % 60)}${NO_BREAK}s`;
  }
  if (size < DAY) {
    const min = Math.floor(size / MINUTE);
    return `${sign}${Math.floor(min / 60)}${NO_BREAK}h${NO_BREAK}${two(min % 60)}${NO_BREAK}min`;
  }
  const h = Math.floor(size / HOUR);
  return `${sign}${Math.floor(h / 24)}${NO_BREAK}d${NO_BREAK}${two(h % 24)}${NO_BREAK}h`;
}

/** A round width such as a histogram's bucket: "10 s", "1 min", "1 h", "1 day". */
export function width(ns: number): string {
  const units: [number, string][] = [
    [DAY, 'd'],
    [HOUR, 'h'],
    [MINUTE, 'min'],
    [SECOND, 's'],
    [1e6, 'ms'],
  ];
  for (const [size, unit] of units) {
    if (ns >= size && ns % size === 0) return `${ns / size}${NO_BREAK}${unit}`;
  }
  return duration(ns);
}

const LETTERS = [
  [128, 'C', 'CWR'],
  [64, 'E', 'ECE'],
  [32, 'U', 'URG'],
  [16, 'A', 'ACK'],
  [8, 'P', 'PSH'],
  [4, 'R', 'RST'],
  [2, 'S', 'SYN'],
  [1, 'F', 'FIN'],
] as const;

/** TCP flags as letters in fixed places, "·" where one is not set: "·AP·SF"; E and C only where they are set. */
export function flagLetters(flags: number): string {
  return LETTERS.map(([bit, letter]) => (flags & bit ? letter : bit > 32 ? '' : '·')).join('');
}

/** TCP flags by name: "SYN, ACK". */
export function flagNames(flags: number): string {
  const names = LETTERS.filter(([bit]) => flags & bit).map(([, , name]) => name);
  return names.length === 0 ? 'none' : names.reverse().join(', ');
}

/** An address and port as one text; IPv6 in brackets (RFC 3986). */
export function endpoint(address: string, port: Cell | undefined): string {
  if (port === undefined || port === null) return address;
  return address.includes(':') ? `[${address}]:${String(port)}` : `${address}:${String(port)}`;
}

/** How long ago, in one unit: "12 s ago". */
export function ago(ms: number): string {
  if (ms < 1_000) return 'just now';
  if (ms < 60_000) return `${Math.floor(ms / 1_000)}${NO_BREAK}s ago`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)}${NO_BREAK}min ago`;
  if (ms < 86_400_000) return `${Math.floor(ms / 3_600_000)}${NO_BREAK}h ago`;
  return `${Math.floor(ms / 86_400_000)}${NO_BREAK}d ago`;
}
