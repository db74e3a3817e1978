// What Fleet asks: the accounts of all exporters, and of the one that is open its templates, interfaces and counters.
import { Answer } from './answer.svelte';
import { api } from './api';
import { interfaces, points, type Interface } from './fleet';
import type { Point } from './home';
import { bucketWidth, rfc3339, widthText, type Span } from './time';
import type { Cell, Exporter, Row, Template } from './types';

export interface Sampling {
  rate: Cell;
  flows: number;
}

export interface Details {
  templates: Template[];
  interfaces: Interface[];
  sampling: Sampling[];
  /** Flows over time, a second. */
  flows: { points: Point[]; width: number; span: Span };
  /** How long after its end the newest flow came, ns; negative when it ended after it came. */
  lag: number | null;
}

export interface Counters {
  span: Span;
  width: number;
  charts: CounterChart[];
  interfaces: {
    index: number;
    name: string | null;
    in: number;
    out: number;
    errors: number;
    speed: number;
  }[];
}

export interface CounterChart {
  name: string;
  /** How its numbers are read. */
  kind: 'bits' | 'plain' | 'octets' | 'octetRate' | 'part';
  points: Point[];
}

/** Counters of hosts that are drawn, each with the metric that the collector computes. */
const HOST: readonly { name: string; metric: string; kind: CounterChart['kind']; factor?: number }[] = [
  { name: 'Load, 1 minute', metric: 'avg(loadOne)', kind: 'plain' },
  { name: 'Memory free', metric: 'avg(memFree)', kind: 'octets' },
  { name: 'Disk reads', metric: 'rate(diskBytesRead)', kind: 'octetRate' },
  { name: 'Disk writes', metric: 'rate(diskBytesWritten)', kind: 'octetRate' },
];

const number = (row: Row, name: string): number => Number(row[name] ?? 0);

function grid(wanted: Span): { span: Span; width: number; times: { from: string; to: string } } {
  const width = bucketWidth(wanted, 90, 1_000);
  const span = {
    from: Math.floor(wanted.from / width) * width,
    to: Math.max(Math.floor(wanted.to / width), Math.floor(wanted.from / width) + 1) * width,
  };
  return { span, width, times: { from: rfc3339(span.from), to: rfc3339(span.to) } };
}

/** The filter for one account's rows. */
function of(exporter: Exporter): string {
  return `exporter.ip = ${exporter.address} and exporter.domain = ${exporter.domain}`;
}

export class Fleet {
  readonly exporters = new Answer<Exporter[]>();
  readonly details = new Answer<Details>();
  readonly counters = new Answer<Counters>();

  refresh(): Promise<Exporter[] | null> {
    return this.exporters.ask(async (signal) => (await api.exporters(signal)).exporters);
  }

  async open(exporter: Exporter, wanted: Span): Promise<void> {
    const { span, width, times } = grid(wanted);
    const filter = of(exporter);
    await Promise.all([
      this.details.ask(async (signal) => {
        const ask = (parameters: Record<string, string | number>) =>
          api.aggregate({ filter, ...times, ...parameters }, signal);
        const [templates, into, outof, sampling, flows, newest] = await Promise.all([
          api.templates(signal),
          ask({ group_by: 'in.if,in.if.name', metrics: 'octets', limit: 100 }),
          ask({ group_by: 'out.if,out.if.name', metrics: 'octets', limit: 100 }),
          ask({ group_by: 'sampling', metrics: 'flows', limit: 10 }),
          ask({ metrics: 'flows', interval: widthText(width) }),
          api.flows({ filter, ...times, order: '-received', limit: 1, fields: 'end,received' }, signal),
        ]);
        return {
          templates: templates.templates.filter(
            (template) =>
              template.exporter === exporter.address &&
              template.domain === exporter.domain &&
              template.protocol === exporter.protocol,
          ),
          interfaces: interfaces(into, outof),
          sampling: sampling.rows
            .filter((row) => number(row, 'flows') > 0)
            .map((row) => ({ rate: row['sampling'] ?? null, flows: number(row, 'flows') })),
          flows: { points: points(flows, 'flows', span, width, 1_000 / width), width, span },
          lag: lag(newest.rows[0]),
        };
      }),
      exporter.counter_samples > 0 ? this.#askCounters(filter, wanted) : this.#noCounters(),
    ]);
  }

  cancel(): void {
    for (const answer of [this.exporters, this.details, this.counters]) answer.cancel();
  }

  #noCounters(): void {
    this.counters.cancel();
    this.counters.value = null;
  }

  async #askCounters(of: string, wanted: Span): Promise<void> {
    const { span, width, times } = grid(wanted);
    const filter = `kind = counters and ${of}`;
    await this.counters.ask(async (signal) => {
      const [found, host, traffic] = await Promise.all([
        api.aggregate(
          {
            filter: `${filter} and in.if exists`,
            ...times,
            group_by: 'in.if,in.if.name',
            metrics:
              'rate(ifInOctets),rate(ifOutOctets),increase(ifInErrors),increase(ifOutErrors),max(ifSpeed)',
            limit: 50,
          },
          signal,
        ),
        api.aggregate(
          {
            filter: `${filter} and loadOne exists`,
            ...times,
            metrics: HOST.map((chart) => chart.metric).join(','),
            interval: widthText(width),
          },
          signal,
        ),
        api.aggregate(
          {
            filter: `${filter} and in.if exists`,
            ...times,
            metrics: 'rate(ifInOctets),rate(ifOutOctets)',
            interval: widthText(width),
          },
          signal,
        ),
      ]);
      const charts: CounterChart[] = [
        {
          name: 'In, all interfaces',
          kind: 'bits',
          points: points(traffic, 'rate(ifInOctets)', span, width, 8),
        },
        {
          name: 'Out, all interfaces',
          kind: 'bits',
          points: points(traffic, 'rate(ifOutOctets)', span, width, 8),
        },
      ];
      if (host.rows.some((row) => row['avg(loadOne)'] !== null && row['avg(loadOne)'] !== undefined))
        charts.push(
          ...HOST.map(({ name, metric, kind, factor }) => ({
            name,
            kind,
            points: points(host, metric, span, width, factor, Number.NaN),
          })),
        );
      return {
        span,
        width,
        charts,
        interfaces: found.rows
          .map((row) => ({
            index: number(row, 'in.if'),
            name: typeof row['in.if.name'] === 'string' ? row['in.if.name'] : null,
            in: number(row, 'rate(ifInOctets)') * 8,
            out: number(row, 'rate(ifOutOctets)') * 8,
            errors: number(row, 'increase(ifInErrors)') + number(row, 'increase(ifOutErrors)'),
            speed: number(row, 'max(ifSpeed)'),
          }))
          .sort((a, b) => b.in + b.out - (a.in + a.out)),
      };
    });
  }
}

function lag(row: Row | undefined): number | null {
  const end = Date.parse(String(row?.['end'] ?? ''));
  const received = Date.parse(String(row?.['received'] ?? ''));
  return Number.isNaN(end) || Number.isNaN(received) ? null : (received - end) * 1e6;
}
