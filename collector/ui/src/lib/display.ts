// How a value of a column is shown: text for reading, title with the exact value.
import { count, duration, flagLetters, flagNames, octets } from './format';
import { localTime, zoneName } from './time';
import { inert } from './text';
import type { Cell, Column } from './types';

export interface Shown {
  text: string;
  /** The exact value and what it means, for a title. */
  title: string;
  /** The exact value where the text is rounded or a label. */
  exact?: string;
}

const isNumber = (value: Cell): value is number | bigint =>
  typeof value === 'number' || typeof value === 'bigint';

/** A time with both zones: the local one to read, UTC as the collector sent it. */
export function timeTitle(text: string): string {
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? inert(text) : `${text} (UTC)\n${localTime(ms)} ${zoneName(ms)}`;
}

/** Label of a code: 6 -> "tcp". */
export function label(value: Cell | undefined, column: Column | undefined): string | undefined {
  return value === undefined || value === null ? undefined : column?.codes?.[String(value)];
}

/** A value as text; elements without a column are shown as they came. */
export function show(name: string, value: Cell, column: Column | undefined): Shown {
  if (value === null) return { text: '–', title: 'no value' };
  if (Array.isArray(value) || typeof value === 'object') {
    const text = JSON.stringify(
      value,
      (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part),
      2,
    );
    return { text, title: '' };
  }
  if (column?.kind === 'time' && typeof value === 'string') {
    const ms = Date.parse(value);
    return { text: Number.isNaN(ms) ? value : localTime(ms), title: timeTitle(value) };
  }
  if (isNumber(value)) return showNumber(name, value, column);
  const text = String(value);
  return { text, title: inert(text) };
}

function showNumber(name: string, value: number | bigint, column: Column | undefined): Shown {
  const exact = String(value);
  const known = label(value, column);
  if (known !== undefined) return { text: known, title: `${known} (${exact})`, exact };
  if (column?.kind === 'duration')
    return {
      text: duration(value),
      title: `${count(value)} ns`,
      exact: Number(value) === 0 ? undefined : `${count(value)} ns`,
    };
  if (name.endsWith('tcp.flags')) {
    const names = flagNames(Number(value));
    return { text: flagLetters(Number(value)), title: `${names} (${exact})`, exact: names };
  }
  if (column?.unit === 'octets') {
    return {
      text: octets(value),
      title: `${count(value)} octets`,
      exact: Number(value) < 1000 ? undefined : count(value),
    };
  }
  if (column?.unit === 'packets') return { text: count(value), title: `${count(value)} packets` };
  return { text: exact, title: exact };
}
