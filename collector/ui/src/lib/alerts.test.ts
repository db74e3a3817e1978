import { describe, expect, it } from 'vitest';
import { condition, groupText, inUnit, unitOf } from './alerts';
import type { AlertRule } from './types';

const RULE: AlertRule = {
  name: 'DNS without answers',
  filter: 'kind = dns',
  metric: 'transactions',
  op: '>',
  threshold: 20,
  window_s: 60,
  for_s: 120,
  severity: 'critical',
  state: 'ok',
  value: null,
  since: '2026-03-01T12:00:00Z',
  evaluated: null,
  error: null,
  labels: {},
  groups: [],
};

describe('condition', () => {
  it('says what is asked for', () => {
    expect(condition(RULE)).toBe(
      'transactions above 20 over 1\u00a0min\u00a000\u00a0s, for 2\u00a0min\u00a000\u00a0s',
    );
    expect(condition({ ...RULE, op: '<=', unit: 'octets', threshold: 1500, window_s: 30, for_s: 0 })).toBe(
      'transactions at most 1.50\u00a0kB over 30.0\u00a0s',
    );
  });
});

describe('inUnit', () => {
  it('reads values in their unit', () => {
    expect(inUnit(null, 'ns')).toBe('–');
    expect(inUnit(5e6, 'ns')).toBe('5.00\u00a0ms');
    expect(inUnit(0.1, 'share')).toBe('10.0\u00a0%');
    expect(inUnit(12_345, '')).toBe('12.3\u00a0k');
    expect(inUnit(1 / 3, undefined)).toBe('0.3333');
    expect(inUnit(7, 'packets')).toBe('7\u00a0packets');
  });
});

describe('groupText', () => {
  it('names columns and values', () => {
    expect(groupText({ 'dst.ip': '192.0.2.1', proto: 6 })).toBe('dst.ip 192.0.2.1, proto 6');
    expect(groupText({})).toBe('');
  });
});

describe('unitOf', () => {
  it('knows parts of a whole', () => {
    expect(unitOf({ ...RULE, where: 'dns.status = unanswered', unit: '' })).toBe('share');
    expect(unitOf({ ...RULE, metric: 'share(octets)' })).toBe('share');
    expect(unitOf({ ...RULE, metric: 'avg(dns.latency)', unit: 'ns' })).toBe('ns');
    expect(unitOf(RULE)).toBeNull();
  });
});
