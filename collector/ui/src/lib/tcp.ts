// The evidence of single connections: which way data went bad, and by which measurements one can tell.
import { numeric } from './charts/pivot';
import { bitRate, count, duration, octets } from './format';
import type { Cell, Row } from './types';

/** Why a path is taken for a black hole, by the code of `tcpBlackholeKind`. */
export const BLACKHOLES: Readonly<Record<number, { name: string; about: string }>> = {
  1: { name: 'SYN unanswered', about: 'Three SYNs or more without any answer.' },
  2: { name: 'dead path', about: 'Nothing came from the other side any more.' },
  3: {
    name: 'path MTU, suspected',
    about: 'Only packets larger than any that arrived were lost, and no ICMP said why.',
  },
  4: { name: 'path MTU, confirmed', about: 'The same data arrived once it was sent in smaller packets.' },
};

export type Way = 'forward' | 'back';

/** A measurement of one direction: `tcpX` from source to destination, `reverseTcpX` back. */
export function measured(row: Row, element: string, way: Way): number | null {
  const name = way === 'forward' ? element : `reverse${element.charAt(0).toUpperCase()}${element.slice(1)}`;
  return numeric(row[name]);
}

/** Microseconds or milliseconds as the page writes durations. */
function time(value: number | null, nanoseconds: number): string {
  return value === null ? '–' : duration(value * nanoseconds);
}
const us = (value: number | null): string => time(value, 1e3);
const ms = (value: number | null): string => time(value, 1e6);

export interface Fact {
  name: string;
  text: string;
}

export interface Evidence {
  /** `_id` of the flow. */
  id: string;
  way: Way;
  /** What was found, in a word or two. */
  finding: string;
  about: string;
  /** Larger is worse; what lists are ordered by. */
  weight: number;
  facts: Fact[];
  row: Row;
}

/** Elements asked for with a connection, of both directions. */
const ELEMENTS = [
  'tcpBufferbloat',
  'tcpBufferbloatMilliseconds',
  'tcpRttBaseMicroseconds',
  'tcpLoadedRttP90Microseconds',
  'tcpLoadedRttSampleCount',
  'tcpLargestFlightOctets',
  'tcpBlackholeKind',
  'tcpBlackholeRetransmissionCount',
  'tcpBlackholeMilliseconds',
  'tcpBlackholeRecoveryMilliseconds',
  'tcpPathMtuLowOctets',
  'tcpPathMtuHighOctets',
  'tcpNonIdleThroughputBitsPerSecond',
  'tcpRetransmittedPacketDeltaCount',
  'tcpSynPacketDeltaCount',
];
const COLUMNS = [
  'start',
  'duration',
  'src.ip',
  'src.port',
  'dst.ip',
  'dst.port',
  'dst.name',
  'app.name',
  'octets',
  'rev.octets',
  'packets',
  'rev.packets',
  'tcp.retransmits',
  'tcp.non_idle_bps',
  'tcp.bufferbloat',
  'tcp.blackholed',
];

export const EVIDENCE_FIELDS: readonly string[] = [
  ...COLUMNS,
  ...ELEMENTS,
  ...ELEMENTS.map((name) => `reverse${name.charAt(0).toUpperCase()}${name.slice(1)}`),
];

function fact(name: string, text: string): Fact[] {
  return text === '–' ? [] : [{ name, text }];
}

function amount(value: number | null, text: (value: number) => string): string {
  return value === null ? '–' : text(value);
}

/** Round trips that grew with the load, one for each direction in which they did. */
export function bufferbloat(row: Row): Evidence[] {
  return (['forward', 'back'] as const).flatMap((way) => {
    const of = (element: string): number | null => measured(row, element, way);
    // A column has taken the element of the way there.
    const is = way === 'forward' ? row['tcp.bufferbloat'] === true : of('tcpBufferbloat') === 1;
    if (!is) return [];
    const grown = of('tcpBufferbloatMilliseconds');
    const rate =
      way === 'forward' ? numeric(row['tcp.non_idle_bps']) : of('tcpNonIdleThroughputBitsPerSecond');
    const samples = of('tcpLoadedRttSampleCount');
    return [
      {
        id: String(row['_id']),
        way,
        finding: `+${ms(grown)}`,
        about: 'The 90th percentile of round trips under load, less that of the empty path.',
        weight: grown ?? 0,
        facts: [
          ...fact('empty path', us(of('tcpRttBaseMicroseconds'))),
          ...fact('under load', us(of('tcpLoadedRttP90Microseconds'))),
          ...fact('samples', amount(samples, count)),
          ...fact('most in flight', amount(of('tcpLargestFlightOctets'), octets)),
          ...fact('while busy', amount(rate, bitRate)),
        ],
        row,
      },
    ];
  });
}

/** Data that vanished, one for each direction in which it did. */
export function blackholes(row: Row): Evidence[] {
  return (['forward', 'back'] as const).flatMap((way) => {
    const of = (element: string): number | null => measured(row, element, way);
    const kind = of('tcpBlackholeKind');
    if (kind === null || kind === 0) return [];
    const known = BLACKHOLES[kind];
    const silent = of('tcpBlackholeMilliseconds');
    const low = of('tcpPathMtuLowOctets');
    const high = of('tcpPathMtuHighOctets');
    const mtu =
      low === null && high === null
        ? '–'
        : `${low === null ? 'at most' : `${count(low)} –`} ${high === null ? '?' : count(high)} octets`;
    return [
      {
        id: String(row['_id']),
        way,
        finding: known?.name ?? `kind ${kind}`,
        about: known?.about ?? '',
        weight: kind * 1e9 + (silent ?? 0),
        facts: [
          ...fact(
            'sent again',
            amount(of('tcpBlackholeRetransmissionCount'), (n) => `${count(n)} times`),
          ),
          ...fact('silent for', ms(silent)),
          ...fact('recovered after', ms(of('tcpBlackholeRecoveryMilliseconds'))),
          ...fact('path MTU', mtu),
          ...fact('SYNs', kind === 1 ? amount(of('tcpSynPacketDeltaCount'), count) : '–'),
        ],
        row,
      },
    ];
  });
}

/** Sums of both directions; null where neither was measured. */
export function sum(row: Row, ...names: string[]): number | null {
  return names.reduce<number | null>((all, name) => {
    const value = numeric(row[name]);
    return value === null ? all : (all ?? 0) + value;
  }, null);
}

/** A cell as text for an address or a port. */
export function text(cell: Cell | undefined): string {
  return cell === null || cell === undefined ? '' : String(cell);
}
