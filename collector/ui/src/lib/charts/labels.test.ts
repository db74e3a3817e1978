import { describe, expect, it } from 'vitest';
import type { Column } from '../types';
import { cellLabel, columnOf, groupLabel, groupTerms } from './labels';

const table: Record<string, Partial<Column>> = {
  proto: { kind: 'number', codes: { '6': 'tcp' } },
  'src.ip': { kind: 'ip', codes: null },
  'app.name': { kind: 'text', codes: null },
};
const columns = (name: string): Column | undefined => table[name] as Column | undefined;
const group = (...cells: (string | number | null)[]) => ({ group: cells, other: false });

describe('groups', () => {
  it('have names', () => {
    expect(groupLabel(group('10.0.0.0/24', 6), ['src.ip/24', 'proto'], columns)).toBe('10.0.0.0/24  ·  tcp');
    expect(groupLabel({ group: [null], other: true }, ['proto'], columns)).toBe('Other');
    expect(groupLabel(group(), [], columns)).toBe('All');
    expect(cellLabel(null, 'app.name', columns)).toBe('no app.name');
    expect(cellLabel('a\u202eb', 'app.name', columns)).toBe('a<U+202E>b');
  });

  it('can be searched for', () => {
    expect(columnOf('src.ip/24')).toBe('src.ip');
    expect(groupTerms(group('10.0.0.0/24', 6), ['src.ip/24', 'proto'], columns)).toEqual([
      'src.ip = 10.0.0.0/24',
      'proto = tcp',
    ]);
    expect(groupTerms(group(null), ['app.name'], columns)).toEqual(['not app.name exists']);
    expect(groupTerms(group('x" or 1 = "1'), ['app.name'], columns)).toEqual([
      'app.name = "x\\" or 1 = \\"1"',
    ]);
    expect(groupTerms({ group: [], other: true }, ['app.name'], columns)).toBeNull();
    expect(groupTerms(group('x'.repeat(5000)), ['app.name'], columns)).toBeNull();
  });
});
