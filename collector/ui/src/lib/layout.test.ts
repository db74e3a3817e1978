import { describe, expect, it } from 'vitest';
import { Layout } from './layout';
import { DEFAULT_KEYS, fieldsOf, tableColumn, tableColumns } from './table';
import type { Row } from './types';

const none = new Map();
const row = (over: Row = {}): Row => ({
  _id: '1',
  start: '2026-01-01T10:00:00.000Z',
  'src.ip': '10.0.0.1',
  'src.port': 53,
  'dst.ip': '2001:db8::1',
  'dst.port': 443,
  proto: 6,
  octets: 1500,
  ...over,
});

describe('layout', () => {
  it('fits the widest value and never shrinks', () => {
    const src = tableColumn('src', none);
    const dst = tableColumn('dst', none);
    const layout = new Layout([src, dst], none);
    layout.add([row()]);
    expect(layout.characters(src)).toBe('10.0.0.1:53'.length);
    expect(layout.characters(dst)).toBe('[2001:db8::1]:443'.length);
    layout.add([row({ 'src.ip': '192.168.100.200', 'src.port': 65535 })]);
    expect(layout.characters(src)).toBe('192.168.100.200:65535'.length);
    layout.add([row()]);
    expect(layout.characters(src)).toBe('192.168.100.200:65535'.length);
  });

  it('makes room for the day only when there are several', () => {
    const start = tableColumn('start', none);
    const layout = new Layout([start], none);
    layout.add([row()]);
    const one = layout.characters(start);
    expect(layout.day).toBe('2026-01-01');
    layout.add([row({ start: '2026-03-01T10:00:00Z' })]);
    expect(layout.day).toBeNull();
    expect(layout.characters(start)).toBe(one + 11);
  });

  it('leaves out optional columns that nothing fills, and bounds hostile ones', () => {
    const layout = new Layout(tableColumns(null, none), none);
    layout.add([row()]);
    expect(layout.shown.some((column) => column.key === 'name')).toBe(false);
    layout.add([row({ 'tls.sni': 'a'.repeat(65_536) })]);
    const name = layout.shown.find((column) => column.key === 'name');
    expect(name).toBeDefined();
    expect(layout.characters(name ?? tableColumn('name', none))).toBeLessThan(60);
  });
});

describe('columns of the table', () => {
  it('asks for what they show, and for the start always', () => {
    expect(fieldsOf(tableColumns(['octets', 'tls.sni'], none))).toEqual(['start', 'octets', 'tls.sni']);
    expect(fieldsOf(tableColumns(null, none))).toContain('rev.tcp.flags');
    expect(tableColumns(null, none).map((column) => column.key)).toEqual([...DEFAULT_KEYS]);
  });

  it('shows any column by its name', () => {
    const column = tableColumn('tcp.retransmits', none);
    expect(column.parts({ 'tcp.retransmits': 7 }, none).map((part) => part.text)).toEqual(['7']);
    expect(column.parts({}, none)).toEqual([]);
  });
});
