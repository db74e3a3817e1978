// Spans of time in words: "last 2 hours", "yesterday", "friday 10:00 - 12:00". Local time, as everything one reads here.
import { parseTime, rfc3339 } from './time';

export interface Words {
  from: string;
  to: string;
}

const UNITS: Readonly<Record<string, string>> = {
  s: 's',
  sec: 's',
  second: 's',
  m: 'm',
  min: 'm',
  minute: 'm',
  h: 'h',
  hr: 'h',
  hour: 'h',
  d: 'd',
  day: 'd',
  w: 'w',
  week: 'w',
};
const DAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

function unit(word: string): string | null {
  return UNITS[word] ?? UNITS[word.replace(/s$/, '')] ?? null;
}

/** Midnight, `days` away from the day of `now`; a day is not always 24 hours. */
function midnight(now: number, days: number): number {
  const date = new Date(now);
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + days).getTime();
}

function days(now: number, first: number, count: number): Words {
  return { from: rfc3339(midnight(now, first)), to: rfc3339(midnight(now, first + count)) };
}

/** The day a word means, as days from today: never in the future. */
function dayOf(word: string, now: number): number | null {
  if (word === 'today') return 0;
  if (word === 'yesterday') return -1;
  const day = DAYS.findIndex((name) => name === word || (word.length >= 3 && name.startsWith(word)));
  return day < 0 ? null : -((new Date(now).getDay() - day + 7) % 7);
}

/** A span in words; null when it is none. What moves with the clock stays so. */
export function parseWords(text: string, now: number): Words | null {
  const words = text.trim().toLowerCase().replace(/\s+/g, ' ');
  if (words === 'all' || words === 'all data' || words === 'everything') return { from: 'all', to: '' };
  const last = /^(?:the )?(?:last|past|previous)? ?(\d{1,6}|an?)? ?([a-z]+)$/.exec(words);
  const named = last === null ? null : unit(last[2] ?? '');
  if (last !== null && named !== null && (last[1] !== undefined || /last|past|previous/.test(words))) {
    const amount = last[1] === undefined || last[1].startsWith('a') ? 1 : Number(last[1]);
    return amount === 0 ? null : { from: `now-${amount}${named}`, to: 'now' };
  }
  if (words === 'this week' || words === 'last week') {
    const monday = -((new Date(now).getDay() + 6) % 7);
    return words === 'this week'
      ? { from: rfc3339(midnight(now, monday)), to: 'now' }
      : days(now, monday - 7, 7);
  }
  const day = dayOf(words, now);
  if (day === 0) return { from: rfc3339(midnight(now, 0)), to: 'now' };
  if (day !== null) return days(now, day, 1);
  return between(words, now);
}

/** "10:00 - 12:00", "friday 10:00 to 12:00", "2026-01-31 10:00 - 2026-02-01": two points, the second on the same day. */
function between(words: string, now: number): Words | null {
  const parts = words.split(/ (?:-|–|to|until) /);
  const [first, second] = parts;
  if (parts.length !== 2 || first === undefined || second === undefined) return null;
  const named = /^([a-z]+) (.+)$/.exec(first);
  const day = named === null ? null : dayOf(named[1] ?? '', now);
  const base = day === null ? now : midnight(now, day) + 12 * 3_600_000;
  const from = parseTime(day === null ? first : (named?.[2] ?? ''), base);
  if (from === null) return null;
  const to = parseTime(second, /^\d{1,2}:/.test(second) ? from : now);
  if (to === null || to <= from) return null;
  return { from: rfc3339(from), to: second === 'now' ? 'now' : rfc3339(to) };
}
