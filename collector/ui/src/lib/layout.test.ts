import { describe, expect, it } from 'vitest';
import { Layout } from './layout';
import { BY_WORTH, DEFAULT_KEYS, fieldsOf, tableColumn, tableColumns } from './table';
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
    expect(layout.isOneYear).toBe(true);
    expect(layout.characters(start)).toBe(one + '03-01 '.length);
    layout.add([row({ start: '2025-03-01T10:00:00Z' })]);
    expect(layout.isOneYear).toBe(false);
    expect(layout.characters(start)).toBe(one + '2025-03-01 '.length);
  });

  it('gives room to the most useful columns first, and takes it from names before it leaves any out', () => {
    const layout = new Layout(tableColumns(null, none), none);
    layout.add([
      row({ 'tls.sni': 'files.office.example', duration: 1e9, packets: 10, 'rev.packets': 12 }),
      row({ 'src.ip': '198.51.100.200', 'dst.ip': '198.51.100.201', 'rev.octets': 1, 'tcp.flags': 2 }),
    ]);
    const keys = (columns: readonly { key: string }[]): string[] => columns.map((column) => column.key);
    const all = layout.fit(null);
    expect(keys(all.columns)).toEqual([...DEFAULT_KEYS]);
    const whole = all.widths.reduce((sum, width) => sum + width, 0);
    expect(layout.fit(whole + 0.01).without).toEqual([]);
    // Some rem less: the name is cut shorter, nothing is left out.
    const less = layout.fit(whole - 2);
    expect(less.without).toEqual([]);
    expect(less.widths.reduce((sum, width) => sum + width, 0)).toBeCloseTo(whole - 2);
    // Less again: the reason of the end goes first, and its neighbours stay in their order.
    expect(keys(layout.fit(whole - 6).without)).toEqual(['end']);
    const narrow = layout.fit(1);
    expect(keys(narrow.columns)).toEqual(['start', 'src', 'dst', 'proto', 'octets', 'rev.octets']);
    // The longest addresses with the longest ports find room as long as there is some.
    layout.add([
      row({
        'src.ip': '2001:db8:1234:5678:9abc:def0:1234:5678',
        'dst.ip': '2001:0db8:1234:5678:9abc:def0:1234:5678',
        'src.port': 55555,
        'dst.port': 55555,
      }),
    ]);
    expect(layout.characters(tableColumn('dst', none))).toBe(47);
    for (const room of [70, 75, 80, 100]) {
      const { widths } = layout.fit(room);
      expect(widths.reduce((sum, width) => sum + width, 0)).toBeLessThan(room + 1e-6);
    }
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
    expect([...BY_WORTH].sort()).toEqual([...DEFAULT_KEYS].sort());
  });

  it('shows any column by its name', () => {
    const column = tableColumn('tcp.retransmits', none);
    expect(column.parts({ 'tcp.retransmits': 7 }, none).map((part) => part.text)).toEqual(['7']);
    expect(column.parts({}, none)).toEqual([]);
  });
});
