// A stand-in for the collector's HTTP side, for work on the page without one: a made-up network, the API's shapes,
// enough of the filter language, the page from dist/ under the collector's content security policy.
//   node dev/mock.js [--port 10808] [--scenario recent|old|empty|hostile|slow|broken]
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { COLUMNS } from './columns.js';
import { serveFile } from './dist.js';
import { parseFilter } from './filter.js';
import { makeFlows } from './flows.js';

const { values: options } = parseArgs({
  options: { port: { type: 'string', default: '10808' }, scenario: { type: 'string', default: 'recent' } },
});
const started = Date.now();

const scenario = options.scenario;
const newest = scenario === 'old' ? Date.parse('2026-01-01T00:05:00Z') : started;
const flows = scenario === 'empty' ? [] : makeFlows(4000, newest, scenario === 'hostile');

class Problem extends Error {
  constructor(status, detail, place = {}) {
    super(detail);
    this.document = {
      type: 'about:blank',
      title: status === 400 ? 'Bad request' : 'Failed',
      status,
      detail,
      ...place,
    };
  }
}

function time(text, fallback) {
  if (!text) return fallback;
  const relative = /^(?:now)?-(\d+)(s|m|h|d)$/.exec(text);
  if (relative) return Date.now() - relative[1] * { s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[relative[2]];
  if (text === 'now') return Date.now();
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new Problem(400, `'${text}' is no time`);
  return ms;
}

function select(query) {
  const from = time(query.get('from'), -Infinity);
  const to = time(query.get('to'), Infinity);
  const matches = parseFilter(query.get('filter') ?? '', (detail, place) => new Problem(400, detail, place));
  return {
    from,
    to,
    rows: flows.filter((flow) => flow.end_ms >= from && flow.start_ms < to && matches(flow.row)),
  };
}

const stats = (rows, more) => ({
  rows_read: flows.length,
  rows_matched: rows.length,
  elapsed_ms: 3.2,
  partitions: 2,
  tier: 'flows',
  error_bound: 0,
  ...more,
});

function compare(a, b) {
  if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
  return a < b ? -1 : a > b ? 1 : 0;
}

function flowsAnswer(query) {
  const { rows } = select(query);
  const order = query.get('order') ?? '-start';
  const name = order.replace(/^-/, '');
  const sign = order.startsWith('-') ? -1 : 1;
  rows.sort((a, b) => sign * compare(a.row[name], b.row[name]) || compare(a.row._id, b.row._id));
  const at = Number(query.get('cursor') ?? 0);
  const limit = Number(query.get('limit') ?? 100);
  const fields = query.get('fields')?.split(',');
  const page = rows
    .slice(at, at + limit)
    .map(({ row }) =>
      fields === undefined
        ? row
        : Object.fromEntries(
            ['_id', ...fields].filter((field) => field in row).map((field) => [field, row[field]]),
          ),
    );
  return { rows: page, stats: stats(rows), next: at + limit < rows.length ? String(at + limit) : null };
}

const METRICS = {
  flows: () => 1,
  octets: (row) => row.octets,
  packets: (row) => row.packets,
  'rev.octets': (row) => row['rev.octets'],
  'rev.packets': (row) => row['rev.packets'],
  'total.octets': (row) => row.octets + row['rev.octets'],
  'total.packets': (row) => row.packets + row['rev.packets'],
};

function sums(rows, names) {
  return Object.fromEntries(
    names.map((name) => [name, rows.reduce((sum, { row }) => sum + (METRICS[name]?.(row) ?? 0), 0)]),
  );
}

function aggregateAnswer(query) {
  const { rows, from, to } = select(query);
  const names = (query.get('metrics') ?? 'octets,packets,flows').split(',');
  const interval = query.get('interval');
  if (interval !== null) {
    const [, amount, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(interval) ?? [];
    const width = amount * { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5 }[unit];
    const buckets = new Map();
    for (let at = Math.floor(from / width) * width; at < to; at += width) buckets.set(at, []);
    for (const flow of rows) buckets.get(Math.floor(flow.start_ms / width) * width)?.push(flow);
    const answer = [...buckets].map(([at, held]) => ({
      time: new Date(at).toISOString(),
      ...sums(held, names),
    }));
    return { rows: answer, stats: stats(rows, { interval_ns: width * 1e6 }) };
  }
  const by = query.get('group_by');
  if (by === null) return { rows: [sums(rows, names)], stats: stats(rows) };
  const groups = new Map();
  for (const flow of rows) {
    const key = flow.row[by] ?? null;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(flow);
  }
  const order = (query.get('order_by') ?? `-${names[0]}`).replace(/^-/, '');
  const answer = [...groups].map(([key, held]) => ({ [by]: key, ...sums(held, names) }));
  answer.sort((a, b) => b[order] - a[order]);
  return { rows: answer.slice(0, Number(query.get('limit') ?? 10)), stats: stats(rows) };
}

function completeAnswer(query) {
  const text = query.get('text') ?? '';
  const head = Buffer.from(text)
    .subarray(0, Number(query.get('at') ?? 0))
    .toString();
  const word = /[\w.]*$/.exec(head)[0];
  const from = Buffer.byteLength(head) - Buffer.byteLength(word);
  const before = head.slice(0, head.length - word.length).trim();
  const starts = (item) => item.text.toLowerCase().startsWith(word.toLowerCase());
  let items = [
    ...COLUMNS.map((column) => ({ text: column.name, kind: 'column', help: column.help })),
    { text: 'not', kind: 'keyword', help: 'the opposite' },
  ];
  if (/[\w.]+$/.test(before) && COLUMNS.some((column) => before.endsWith(column.name))) {
    items = ['=', '!=', '<', '<=', '>', '>=', 'in', '~', 'exists'].map((text) => ({
      text,
      kind: 'operator',
      help: '',
    }));
  } else if (/proto\s*!?=$/.test(before)) {
    items = ['tcp', 'udp', 'icmp'].map((text) => ({ text, kind: 'value', help: 'IP protocol' }));
  } else if (/[=<>~]$/.test(before)) items = [];
  else if (before !== '' && !/(and|or|not|\()$/.test(before)) {
    items = ['and', 'or'].map((text) => ({ text, kind: 'keyword', help: '' }));
  }
  return { from, to: from + Buffer.byteLength(word), items: items.filter(starts).slice(0, 20) };
}

function statusAnswer() {
  const times = flows.map((flow) => flow.start_ms);
  const ends = flows.map((flow) => flow.end_ms);
  const iso = (ms) => (Number.isFinite(ms) ? new Date(ms).toISOString() : null);
  return {
    version: '0.1.0',
    uptime_s: Math.round((Date.now() - started) / 1000),
    ready: true,
    store: {
      rows: flows.length,
      octets: flows.length * 70,
      partitions: 2,
      segments: 4,
      oldest: iso(times.reduce((a, b) => Math.min(a, b), Infinity)),
      newest: iso(ends.reduce((a, b) => Math.max(a, b), -Infinity)),
      committed: new Date().toISOString(),
    },
    ledger: {
      received: {
        datagrams: flows.length >> 3,
        messages: flows.length >> 3,
        records: flows.length,
        octets: flows.length * 80,
      },
      stored: flows.length,
      waiting: 0,
      lost: { decode_error: 0, queue_full: 0 },
      balanced: true,
    },
    listeners: [{ transport: 'udp', address: '0.0.0.0:4739' }],
  };
}

function answer(path, query) {
  if (path === '/api/v1/status') return statusAnswer();
  if (path === '/api/v1/columns') return { columns: COLUMNS };
  if (scenario === 'broken') throw new Problem(500, 'the store cannot be read: no space left on device');
  if (path === '/api/v1/flows') return flowsAnswer(query);
  if (path === '/api/v1/aggregate') return aggregateAnswer(query);
  if (path === '/api/v1/complete') return completeAnswer(query);
  if (path.startsWith('/api/v1/flows/')) {
    const id = decodeURIComponent(path.slice('/api/v1/flows/'.length));
    const flow = flows.find((found) => found.row._id === id);
    if (flow === undefined) throw new Problem(404, 'no flow has this id');
    return { row: flow.row };
  }
  throw new Problem(404, 'no such path');
}

createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://mock');
  if (!pathname.startsWith('/api/')) return serveFile(pathname, response);
  const send = () => {
    try {
      const body = JSON.stringify(answer(pathname, searchParams));
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    } catch (error) {
      const document = error.document ?? { title: 'Failed', status: 500, detail: String(error) };
      response
        .writeHead(document.status, { 'content-type': 'application/problem+json' })
        .end(JSON.stringify(document));
    }
  };
  const slow = scenario === 'slow' && /flows|aggregate/.test(pathname);
  setTimeout(send, slow ? 4000 : 0);
}).listen(Number(options.port), '127.0.0.1', () =>
  console.log(`mock collector at http://127.0.0.1:${options.port} (${scenario})`),
);
