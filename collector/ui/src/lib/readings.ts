// The numbers of Home's tiles: how DNS, TCP, collecting and alerts fare, and which of them are worth a look.
import { STATES } from './alerts';
import { count, duration, short } from './format';
import { percent, type DnsHealth, type TcpHealth } from './home';
import { lostRecords } from './losses';
import type { AlertRule, Status } from './types';

export interface Reading {
  name: string;
  text: string;
  title?: string;
  bad?: boolean;
}

/** Beyond these a reading is worth a look: parts of all transactions, of all packets. */
const MANY_UNANSWERED = 0.05;
const MANY_FAILED = 0.02;
const MANY_MISSING = 0.3;
const MANY_RETRANSMITTED = 0.02;
const MOST_ALERTS = 5;

const number = (value: number | undefined): string => (value === undefined ? '–' : short(value));
const both = (...times: (number | null | undefined)[]): string =>
  times.map((ns) => (typeof ns === 'number' ? duration(ns) : '–')).join(' · ');

function part(name: string, value: number | null | undefined, many: number, title?: string): Reading {
  return { name, text: percent(value ?? null), bad: (value ?? 0) > many, ...(title ? { title } : {}) };
}

export function wrong(readings: readonly Reading[]): boolean {
  return readings.some((reading) => reading.bad);
}

export function dnsReadings(dns: DnsHealth | null): Reading[] {
  return [
    {
      name: 'Transactions',
      text: number(dns?.transactions),
      title: dns === null ? '' : count(dns.transactions),
    },
    part('Unanswered', dns?.unanswered, MANY_UNANSWERED),
    part('Server failure', dns?.failed, MANY_FAILED),
    part('No such name', dns?.missing, MANY_MISSING),
    {
      name: 'Latency · 95\u00a0%',
      text: both(dns?.median, dns?.slow),
      title: 'Half of the answers came within the first, 95 % within the second',
    },
  ];
}

export function tcpReadings(tcp: TcpHealth | null): Reading[] {
  return [
    { name: 'Flows measured', text: number(tcp?.flows), title: tcp === null ? '' : count(tcp.flows) },
    part(
      'Sent again',
      tcp?.retransmitted,
      MANY_RETRANSMITTED,
      'Part of the packets that had to be sent again',
    ),
    {
      name: 'Round trip · 95\u00a0%',
      text: both(tcp?.median, tcp?.slow),
      title:
        'From the exporter to servers and back: half of the handshakes were faster than the first, 95 % than the second',
    },
    { name: 'Windows closed', text: number(tcp?.zeroWindows), title: 'Times a receiver was full' },
    {
      name: 'Bufferbloat · black holes',
      text: tcp === null ? '–' : `${short(tcp.bufferbloat)} · ${short(tcp.blackholed)}`,
      bad: (tcp?.blackholed ?? 0) > 0,
      title: 'Flows whose round trips grew with the load; flows whose data went without an answer',
    },
  ];
}

export function ledgerReadings(ledger: Status['ledger'] | undefined): Reading[] {
  const lost = lostRecords(ledger);
  const missing = Object.values(ledger?.missing ?? {}).reduce((sum, n) => sum + n, 0);
  return [
    {
      name: 'Records received',
      text: number(ledger?.received.records),
      title: 'Since the collector started',
    },
    { name: 'Stored', text: number(ledger?.stored) },
    { name: 'Waiting', text: number(ledger?.waiting) },
    { name: 'Lost here', text: ledger === undefined ? '–' : short(lost), bad: lost > 0 },
    {
      name: 'Lost on the way',
      text: ledger === undefined ? '–' : short(missing),
      bad: missing > 0,
      title: 'What sequence numbers and the kernel say never came',
    },
  ];
}

/** Rules that want to be seen, the first few. */
export function alertReadings(rules: readonly AlertRule[]): Reading[] {
  return rules
    .filter((rule) => rule.state === 'firing' || rule.state === 'pending' || rule.state === 'error')
    .slice(0, MOST_ALERTS)
    .map((rule) => ({
      name: rule.name,
      text: STATES[rule.state],
      bad: rule.state === 'firing' || rule.state === 'error',
      title: `${rule.metric} ${rule.op} ${rule.threshold}`,
    }));
}
