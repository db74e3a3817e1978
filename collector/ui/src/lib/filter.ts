// Filters made by clicking: quoting values so that no value can become syntax, and joining terms to what is typed.
import type { Cell, Column, ColumnKind } from './types';

const NAME = /^[A-Za-z_][\w.]*$|^\d+\.\d+$/;
const WORD = /^[A-Za-z][A-Za-z0-9_]*$/;
/** Labels that are column names too would compare column with column. */
const RESERVED = new Set([
  'start',
  'end',
  'duration',
  'received',
  'proto',
  'tos',
  'octets',
  'packets',
  'vlan',
  'sampling',
]);
/** A longer value makes a filter that no address can carry. */
const MOST_TEXT = 1024;

/** Text between double quotes, with the quotes and backslashes in it escaped. */
export function quote(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`;
}

/** What a term is compared with; null when the value cannot be searched for. */
export function literal(value: Cell | undefined, column?: Pick<Column, 'kind' | 'codes'>): string | null {
  if (value === undefined || value === null) return null;
  switch (typeof value) {
    case 'bigint':
    case 'number': {
      if (typeof value === 'number' && !Number.isFinite(value)) return null;
      const label = column?.codes?.[String(value)];
      if (label !== undefined && WORD.test(label) && !RESERVED.has(label.toLowerCase())) return label;
      return column?.kind === 'duration' ? `${value}ns` : String(value);
    }
    case 'boolean':
      return String(value);
    case 'string':
      if (value.length > MOST_TEXT) return null;
      return bare(value, column?.kind) ? value : quote(value);
    default:
      return null;
  }
}

/** Addresses need no quotes; everything else that came from outside gets them. */
function bare(text: string, kind: ColumnKind | undefined): boolean {
  if (kind === 'ip') return /^[0-9a-fA-F:.]+(\/\d{1,3})?$/.test(text);
  if (kind === 'mac') return /^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$/.test(text);
  return false;
}

/** `dst.port = 53`; null when the value cannot be searched for. A name that is no plain word is quoted. */
export function term(
  name: string,
  value: Cell | undefined,
  column?: Pick<Column, 'kind' | 'codes'>,
): string | null {
  if (column?.kind === 'time' || name.length > MOST_TEXT) return null;
  const text = literal(value, column);
  return text === null ? null : `${NAME.test(name) ? name : quote(name)} = ${text}`;
}

export type TokenKind = 'space' | 'string' | 'operator' | 'keyword' | 'parenthesis' | 'word';

export interface Token {
  kind: TokenKind;
  text: string;
  /** UTF-16 units before it. */
  at: number;
}

// A pattern between slashes only behind `~`, since a slash elsewhere is a prefix length.
const TOKEN =
  /(\s+)|("(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|(?<=~\s*)\/(?:\\.|[^/\\])*\/?)|(&&|\|\||!=|<=|>=|[=<>~!])|([(),])|([^\s"'()=<>~!,&|]+|[&|])/gsu;
const KEYWORD = /^(and|or|not|in|exists|&&|\|\||!)$/i;

/** Cuts a filter into tokens that, joined, are the text again. Only for colour and joining: the collector parses. */
export function tokens(text: string): Token[] {
  const found: Token[] = [];
  for (const match of text.matchAll(TOKEN)) {
    const [all, space, string, operator, parenthesis] = match;
    let kind: TokenKind = 'word';
    if (space !== undefined) kind = 'space';
    else if (string !== undefined) kind = 'string';
    else if (operator !== undefined) kind = KEYWORD.test(all) ? 'keyword' : 'operator';
    else if (parenthesis !== undefined) kind = 'parenthesis';
    else if (KEYWORD.test(all)) kind = 'keyword';
    found.push({ kind, text: all, at: match.index });
  }
  return found;
}

/** The parts that `and` joins at the top level; null when `or` is there or a parenthesis does not close. */
export function conjuncts(text: string): string[] | null {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (const token of tokens(text)) {
    if (token.text === '(') depth += 1;
    else if (token.text === ')') depth -= 1;
    if (depth < 0) return null;
    if (depth > 0 || token.kind !== 'keyword') continue;
    const word = token.text.toLowerCase();
    if (word === 'or' || word === '||') return null;
    if (word === 'and' || word === '&&') {
      parts.push(text.slice(start, token.at).trim());
      start = token.at + token.text.length;
    }
  }
  if (depth !== 0) return null;
  parts.push(text.slice(start).trim());
  return parts.filter((part) => part !== '');
}

/** The filter with one more term, or its opposite; a term already there is not repeated, its opposite goes. */
export function withTerm(filter: string, added: string, negated = false): string {
  const wanted = negated ? `not ${added}` : added;
  const opposite = negated ? added : `not ${added}`;
  if (filter.trim() === '') return wanted;
  const parts = conjuncts(filter);
  if (parts === null) return `(${filter.trim()}) and ${wanted}`;
  const kept = parts.filter((part) => part !== opposite);
  if (!kept.includes(wanted)) kept.push(wanted);
  return kept.join(' and ');
}

/** Is the term one of the parts of the filter already? */
export function hasTerm(filter: string, wanted: string): boolean {
  return conjuncts(filter)?.includes(wanted) ?? false;
}
