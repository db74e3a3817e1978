import { describe, expect, it } from 'vitest';
import { INITIAL, parseState, stateText, type PageState } from './state';

describe('the address', () => {
  it('is empty for the page as it starts', () => {
    expect(stateText(INITIAL)).toBe('');
    expect(parseState('')).toEqual(INITIAL);
  });

  it('gives back every state', () => {
    const states: PageState[] = [
      { ...INITIAL, filter: 'dns.qname = "a&b=c#d?e %41 + \u202e 😀" and x in (1, 2)' },
      { ...INITIAL, from: 'now-6h', to: 'now' },
      { ...INITIAL, from: 'all', to: '' },
      { ...INITIAL, from: '2026-01-01T00:00:00Z', to: '2026-01-01T00:05:00.250Z', measure: 'packets' },
      { ...INITIAL, order: 'rev.octets', flow: 'p1/2+3=', measure: 'flows' },
      { ...INITIAL, columns: ['start', 'src', 'tls.sni', 'octets'], live: true },
    ];
    for (const state of states) expect(parseState(stateText(state))).toEqual(state);
  });

  it('stays readable', () => {
    expect(stateText({ ...INITIAL, filter: 'src.ip = 2001:db8::/32' })).toBe(
      '?filter=src.ip+%3D+2001:db8::/32',
    );
  });

  it('that somebody mistyped falls back', () => {
    expect(parseState('?by=colour&order=;drop&from=')).toEqual(INITIAL);
    expect(parseState('?from=now-1h').to).toBe('now');
    expect(parseState('?to=now')).toEqual(INITIAL);
    expect(parseState('?columns=%3Cb%3E,,src,src').columns).toEqual(['src']);
  });
});
