import { describe, expect, it } from 'vitest';
import { measure } from './charts/measure';
import {
  commandText,
  curlText,
  effectiveView,
  INITIAL,
  metricsOf,
  parseVisualise,
  question,
  questionUrl,
  shellWord,
  stepOf,
  viewFault,
  visualiseText,
  type VisualiseState,
} from './visualise';

const known = { compare: true, other: true };
const bits = measure('bits')!;
const span = { from: Date.parse('2026-01-31T10:00:10Z'), to: Date.parse('2026-01-31T11:00:00Z') };

describe('the address', () => {
  it('says everything and is read back', () => {
    const state: VisualiseState = {
      filter: 'dst.port = 443 and app.name = "a&b"',
      from: 'now-1h',
      to: 'now',
      by: ['src.ip/24', '32473.77'],
      metric: 'p95(dns.latency)',
      view: 'lines',
      way: 'both',
      limit: 20,
      compare: '1d',
      other: false,
      interval: '5m',
    };
    expect(parseVisualise(visualiseText(state))).toEqual(state);
    expect(visualiseText(INITIAL)).toBe('');
    expect(parseVisualise('')).toEqual(INITIAL);
    expect(parseVisualise(visualiseText({ ...INITIAL, by: [] })).by).toEqual([]);
  });

  it('is not believed where it makes no sense', () => {
    const wrong = '?by=a b,src.ip,"x",src.ip&metric=<b>&view=pie&way=up&limit=1e9&compare=soon&interval=0x1';
    expect(parseVisualise(wrong)).toEqual({ ...INITIAL, by: ['src.ip'] });
  });
});

describe('the question', () => {
  it('asks for whole buckets, the largest groups, and both ways as they are drawn', () => {
    const state = { ...INITIAL, by: ['src.ip/24'], way: 'both' as const, compare: 'previous' };
    expect(question(state, bits, span, 60_000, known)).toEqual({
      filter: '',
      from: '2026-01-31T10:00:00Z',
      to: '2026-01-31T11:00:00Z',
      group_by: 'src.ip/24',
      metrics: 'octets,rev.octets',
      order_by: '-total.octets',
      limit: 8,
      interval: '1m',
      compare: 'previous',
      other: 'true',
    });
  });

  it('leaves out what the collector does not know, and what makes no sense', () => {
    const state = { ...INITIAL, compare: 'previous' };
    const asked = question(state, bits, span, 60_000, { compare: false, other: false });
    expect(asked).toMatchObject({ compare: null, other: null, metrics: 'total.octets' });
    const whole = question({ ...state, by: [] }, bits, span, 0, known);
    expect(whole).toMatchObject({ group_by: '', order_by: null, limit: null, other: null, compare: null });
    expect(metricsOf({ ...INITIAL, way: 'forward' }, bits)).toEqual(['octets']);
    expect(metricsOf({ ...INITIAL, way: 'both' }, measure('flows')!)).toEqual(['flows']);
  });

  it('has buckets that fit the room, unless somebody chose them', () => {
    expect(stepOf(INITIAL, span, 120)).toBe(30_000);
    expect(stepOf({ ...INITIAL, interval: '5m' }, span, 120)).toBe(300_000);
    // A thousandth of a second for an hour would be millions of buckets.
    expect(stepOf({ ...INITIAL, interval: '1ms' }, span, 120)).toBe(30_000);
  });
});

it('what does not add up is not stacked', () => {
  const latency = measure('p95(dns.latency)')!;
  expect(viewFault({ ...INITIAL, view: 'percent' }, latency)).toContain('does not add up');
  expect(effectiveView({ ...INITIAL, view: 'stacked' }, latency)).toBe('lines');
  expect(effectiveView({ ...INITIAL, view: 'heat' }, latency)).toBe('heat');
  expect(effectiveView({ ...INITIAL, view: 'sankey' }, bits)).toBe('lines');
  expect(effectiveView({ ...INITIAL, view: 'sankey', by: ['src.ip', 'dst.ip'] }, bits)).toBe('sankey');
});

describe('the question elsewhere', () => {
  const asked = { filter: `app.name = "it's $HOME"`, metrics: 'octets', interval: null, limit: 8 };
  it('is an address', () => {
    const text = questionUrl('http://127.0.0.1:8080', asked);
    expect(new URL(text).searchParams.get('filter')).toBe(asked.filter);
    expect(text).not.toContain('interval');
  });

  it('is a command that a shell takes as it is meant', () => {
    expect(shellWord('now-1h')).toBe('now-1h');
    expect(shellWord(`it's`)).toBe(`'it'\\''s'`);
    expect(curlText('http://h:1', asked)).toContain(`--data-urlencode 'filter=app.name = "it'\\''s $HOME"'`);
    expect(
      commandText('http://h:1', {
        ...asked,
        group_by: 'src.ip/24',
        metrics: 'octets,rev.octets',
        compare: '1d',
        other: 'true',
      }),
    ).toBe(
      [
        'flowgauge-collector query',
        '--url http://h:1',
        `'app.name = "it'\\''s $HOME"'`,
        '--top src.ip/24',
        '--by octets',
        '--limit 8',
        '--compare 1d',
        '--other',
      ].join(' \\\n  '),
    );
  });
});
