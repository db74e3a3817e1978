import { describe, expect, it } from 'vitest';
import { parseJson } from './json';
import { clip, inert, octetAt, segments, unitAt } from './text';

describe('unseen characters', () => {
  it('are told apart with their code', () => {
    expect(segments('a\u202eb')).toEqual([
      { text: 'a', code: null },
      { text: '\u202e', code: 'U+202E' },
      { text: 'b', code: null },
    ]);
    const unseen = [
      '\u0000',
      '\n',
      '\u001b',
      '\u007f',
      '\u0085',
      '\u00ad',
      '\u200b',
      '\u200f',
      '\u2028',
      '\u2066',
      '\ufeff',
      '\u{e0041}',
      '\ud800',
    ];
    for (const character of unseen)
      expect(segments(character)[0]?.code, character.codePointAt(0)?.toString(16)).not.toBeNull();
  });

  it('are not seen in what people write', () => {
    for (const text of ['', 'plain', 'naïve Ünïcödé', '日本語', '😀👍🏽', 'שלום']) {
      expect(segments(text)).toEqual([{ text, code: null }]);
    }
  });

  it('do not get into titles', () => {
    expect(inert('a\u202eb\u0000')).toBe('a<U+202E>b<U+0000>');
    expect(inert('x'.repeat(65_536), 10)).toBe(`${'x'.repeat(10)}… (65536 characters)`);
  });
});

describe('places', () => {
  it('change between octets and units', () => {
    const text = 'é😀x';
    expect([0, 2, 6, 7].map((octet) => unitAt(text, octet))).toEqual([0, 1, 3, 4]);
    expect([0, 1, 3, 4].map((unit) => octetAt(text, unit))).toEqual([0, 2, 6, 7]);
    expect(unitAt(text, 99)).toBe(4);
  });

  it('of a cut never split a pair', () => {
    expect(clip('a😀', 2)).toBe('a');
    expect(clip('a😀', 3)).toBe('a😀');
  });
});

describe('JSON', () => {
  it('reads small answers as ever', () => {
    expect(parseJson('{"a": [1, 2.5, "x", null, true]}')).toEqual({ a: [1, 2.5, 'x', null, true] });
  });

  it('keeps integers that do not fit a number where the engine can', () => {
    const canTell = JSON.parse('1', (_k, _v, context?: { source?: string }) => context?.source) === '1';
    const value = parseJson('{"id": 18446744073709551615, "text": "18446744073709551615"}') as Record<
      string,
      unknown
    >;
    expect(value['text']).toBe('18446744073709551615');
    expect(value['id']).toBe(canTell ? 18_446_744_073_709_551_615n : 18_446_744_073_709_551_615);
  });
});
