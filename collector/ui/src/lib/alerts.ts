// Alerts in words: what a rule asks for, and its values in their units.
import { count, duration, octets, short } from './format';
import { percent } from './home';
import type { AlertRule, AlertState, Cell } from './types';

export const STATES: Record<AlertState, string> = {
  firing: 'firing',
  pending: 'pending',
  error: 'cannot be judged',
  no_data: 'no data',
  ok: 'ok',
};

/** The most pressing first. */
export const ORDER: readonly AlertState[] = ['firing', 'error', 'pending', 'no_data', 'ok'];

/** A value in the unit of its rule. */
export function inUnit(value: number | null, unit: string | null | undefined): string {
  if (value === null) return '–';
  switch (unit) {
    case 'share':
    case 'ratio':
    case 'part':
      return percent(value);
    case 'octets':
      return octets(value);
    case 'ns':
      return duration(value);
    case 's':
      return duration(value * 1e9);
    default: {
      const text = Number.isInteger(value)
        ? Math.abs(value) < 10_000
          ? count(value)
          : short(value)
        : precise(value);
      return unit === null || unit === undefined || unit === '' ? text : `${text}\u00a0${unit}`;
    }
  }
}

/** The unit of a rule's values: those of a rule with `where` are parts of a whole. */
export function unitOf(rule: AlertRule): string | null {
  if ((rule.where ?? '') !== '' || /^(share\(.*\)|exporter\.loss)$/.test(rule.metric)) return 'share';
  return rule.unit ?? null;
}

function precise(value: number): string {
  return Math.abs(value) >= 1_000 ? short(value) : String(Number(value.toPrecision(4)));
}

const SIGNS: Record<string, string> = { '>': 'above', '>=': 'at least', '<': 'below', '<=': 'at most' };

/** "transactions above 10 over 1 min, for 2 min". */
export function condition(rule: AlertRule): string {
  const seconds = (value: number): string => duration(value * 1e9);
  const sign = SIGNS[rule.op] ?? rule.op;
  const lasting = rule.for_s > 0 ? `, for ${seconds(rule.for_s)}` : '';
  return `${rule.metric} ${sign} ${inUnit(rule.threshold, unitOf(rule))} over ${seconds(rule.window_s)}${lasting}`;
}

/** "dst.ip 192.0.2.1, proto 6"; empty for the whole rule. */
export function groupText(group: Record<string, Cell>): string {
  return Object.entries(group)
    .map(([name, value]) => `${name} ${String(value)}`)
    .join(', ');
}
