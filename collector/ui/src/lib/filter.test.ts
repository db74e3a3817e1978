import { describe, expect, it } from 'vitest';
import { conjuncts, hasTerm, literal, quote, term, tokens, withTerm } from './filter';
import type { Column } from './types';

const column = (kind: Column['kind'], codes: Record<string, string> | null = null) => ({ kind, codes });

/** Reads quoted text as the collector's lexer does, to see that what was quoted comes back. */
function unquote(text: string): string {
  let read = '';
  for (let at = 1; at < text.length; at += 1) {
    const c = text[at];
    if (c === '"') {
      expect(at).toBe(text.length - 1);
      return read;
    }
    const next = text[at + 1];
    if (c === '\\' && (next === '"' || next === '\\')) {
      read += next;
      at += 1;
    } else read += c;
  }
  throw new Error(`not closed: ${text}`);
}

const HOSTILE = [
  '',
  '"',
  '\\',
  '\\"',
  '" or src.ip = 0.0.0.0/0 or dns.qname = "',
  'a\\',
  "it's",
  'and',
  '<script>alert(1)</script>',
  'x\u202ey\u0000z\n',
  '😀"\\😀',
];

describe('values', () => {
  it('that are text always end up inside their quotes', () => {
    for (const text of HOSTILE) {
      const written = literal(text, column('text')) ?? '';
      expect(unquote(written)).toBe(text);
      expect(tokens(written)).toHaveLength(1);
      expect(conjuncts(`dns.qname = ${written}`)).toEqual([`dns.qname = ${written}`]);
    }
  });

  it('that only look like addresses are quoted', () => {
    expect(literal('10.0.0.1', column('ip'))).toBe('10.0.0.1');
    expect(literal('2001:db8::1', column('ip'))).toBe('2001:db8::1');
    expect(literal('10.0.0.1 or proto = 6', column('ip'))).toBe('"10.0.0.1 or proto = 6"');
    expect(literal('02:00:5e:00:53:01', column('mac'))).toBe('02:00:5e:00:53:01');
    expect(literal('02:00', column('mac'))).toBe('"02:00"');
    expect(literal('10.0.0.1', undefined)).toBe('"10.0.0.1"');
  });

  it('that are numbers keep every digit and get labels and units', () => {
    expect(literal(443, column('number'))).toBe('443');
    expect(literal(18_446_744_073_709_551_615n, undefined)).toBe('18446744073709551615');
    expect(literal(6, column('number', { 6: 'tcp' }))).toBe('tcp');
    expect(literal(7, column('number', { 7: 'end' }))).toBe('7');
    expect(literal(8, column('number', { 8: 'two words' }))).toBe('8');
    expect(literal(1500, column('duration'))).toBe('1500ns');
    expect(literal(true, column('bool'))).toBe('true');
  });

  it('that cannot be searched for give no term', () => {
    expect(term('start', '2026-01-01T00:00:00Z', column('time'))).toBeNull();
    expect(term('basicList', [1, 2], undefined)).toBeNull();
    expect(term('x', null, undefined)).toBeNull();
    expect(term('x', Number.NaN, undefined)).toBeNull();
    expect(term('dns.qname', 'a'.repeat(65_536), column('text'))).toBeNull();
  });

  it('stand behind names that are words, numbers or quoted', () => {
    expect(term('dst.port', 53, column('number'))).toBe('dst.port = 53');
    expect(term('32473.77', '00ff', undefined)).toBe('32473.77 = "00ff"');
    expect(term('odd name" or x', 1, undefined)).toBe('"odd name\\" or x" = 1');
  });
});

describe('joining', () => {
  it('adds with and', () => {
    expect(withTerm('', 'a = 1')).toBe('a = 1');
    expect(withTerm('  ', 'a = 1', true)).toBe('not a = 1');
    expect(withTerm('b = 2', 'a = 1')).toBe('b = 2 and a = 1');
    expect(withTerm('b = 2 && c = 3', 'a = 1')).toBe('b = 2 and c = 3 and a = 1');
  });

  it('puts what has an or into parentheses', () => {
    expect(withTerm('b = 2 or c = 3', 'a = 1')).toBe('(b = 2 or c = 3) and a = 1');
    expect(withTerm('b = 2 || c = 3', 'a = 1', true)).toBe('(b = 2 || c = 3) and not a = 1');
    expect(withTerm('(b = 2 or c = 3) and d = 4', 'a = 1')).toBe('(b = 2 or c = 3) and d = 4 and a = 1');
  });

  it('is not misled by words within quotes', () => {
    expect(conjuncts('a = "x or y" and b = "(" ')).toEqual(['a = "x or y"', 'b = "("']);
    expect(withTerm('a = "x or y"', 'b = 1')).toBe('a = "x or y" and b = 1');
  });

  it('neither repeats a term nor keeps its opposite', () => {
    expect(withTerm('a = 1 and b = 2', 'a = 1')).toBe('a = 1 and b = 2');
    expect(withTerm('a = 1 and b = 2', 'a = 1', true)).toBe('b = 2 and not a = 1');
    expect(withTerm('not a = 1', 'a = 1')).toBe('a = 1');
    expect(hasTerm('a = 1 and b = 2', 'b = 2')).toBe(true);
    expect(hasTerm('a = 1 or b = 2', 'b = 2')).toBe(false);
  });

  it('leaves what is not closed alone', () => {
    expect(conjuncts('(a = 1')).toBeNull();
    expect(conjuncts('a = 1)')).toBeNull();
  });
});

describe('tokens', () => {
  it('joined are the text again', () => {
    const texts = [
      'src.ip in 10.0.0.0/8 and dst.port in (53, 853) and not dns.rcode = NOERROR',
      'dns.qname ~ /a b\\/c/ or x != "y',
      "a = 'q' && !b <> c | d & e",
      ...HOSTILE.map((text) => `a = ${quote(text)}`),
      ...HOSTILE,
    ];
    for (const text of texts)
      expect(
        tokens(text)
          .map((token) => token.text)
          .join(''),
      ).toBe(text);
  });

  it('know a pattern from a prefix length', () => {
    expect(tokens('a ~ /x y/').at(-1)).toEqual({ kind: 'string', text: '/x y/', at: 4 });
    expect(tokens('src.ip = 10.0.0.0/8').at(-1)).toEqual({ kind: 'word', text: '10.0.0.0/8', at: 9 });
  });
});
