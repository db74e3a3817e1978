import { describe, expect, it } from 'vitest';
import { between, fitting, questions } from './related';
import type { Column, Row, Template } from './types';

const flow: Row = {
  _id: '1',
  kind: 1,
  start: '2026-01-01T10:00:00Z',
  end: '2026-01-01T10:00:05Z',
  'src.ip': '192.0.2.1',
  'src.port': 40_000,
  'dst.ip': '203.0.113.9',
  'dst.port': 443,
  proto: 6,
  octets: 40,
  'exporter.ip': '127.0.0.1',
  'exporter.domain': 1,
};

describe('what belongs to a flow', () => {
  it('is the other direction where the record has one', () => {
    const [other] = questions(flow);
    expect(other?.title).toBe('The other direction');
    expect(other?.filter).toBe(
      'kind = 1 and src.ip = 203.0.113.9 and dst.ip = 192.0.2.1 and src.port = 443 and dst.port = 40000 and proto = 6',
    );
    expect(other?.from).toBe('2026-01-01T09:59:50Z');
    expect(questions({ ...flow, 'rev.packets': 3 })).toEqual([]);
  });

  it('is the look-up of its name, quoted whatever it is', () => {
    const [lookup] = questions({ ...flow, 'rev.packets': 3, 'dst.name': 'a" or src.ip = 0.0.0.0/0 or "' });
    expect(lookup?.filter).toBe(
      'kind = 2 and src.ip = 192.0.2.1 and dns.qname = "a\\" or src.ip = 0.0.0.0/0 or \\""',
    );
  });

  it('is the flow of a transaction, and the transactions of a flow', () => {
    expect(questions({ ...flow, kind: 2 }).map((one) => one.title)).toEqual(['Flow of this transaction']);
    expect(questions({ ...flow, 'dst.port': 53, 'rev.packets': 1 })[0]?.filter).toMatch(/^kind = 2 and src/);
  });

  it('needs addresses that are addresses', () => {
    expect(questions({ ...flow, 'src.ip': '1.2.3.4 or 1 = 1' })).toEqual([]);
    expect(between({ 'src.ip': 'x', 'dst.ip': '1.1.1.1' })).toBeNull();
    expect(between(flow)).toContain('src.ip = 203.0.113.9 and dst.ip = 192.0.2.1');
  });
});

describe('the template a record fits', () => {
  const column = (name: string, elements: string[]): [string, Column] => [
    name,
    { name, kind: 'number', unit: '', help: '', indexed: false, elements, codes: null },
  ];
  const columns = new Map([
    column('src.ip', ['sourceIPv4Address', 'sourceIPv6Address']),
    column('dst.ip', ['destinationIPv4Address', 'destinationIPv6Address']),
    column('octets', ['octetDeltaCount']),
    column('proto', ['protocolIdentifier']),
    column('exporter.ip', []),
    column('exporter.domain', []),
  ]);
  const template = (id: number, names: string[], over: Partial<Template> = {}): Template => ({
    exporter: '127.0.0.1',
    port: 1,
    transport: 'udp',
    protocol: 'ipfix',
    domain: 1,
    template: id,
    scope_fields: 0,
    fields: names.map((name) => ({ name, element: '0.0', type: 'x', length: 4 })),
    ...over,
  });
  const row: Row = {
    _id: '1',
    'src.ip': '10.0.0.1',
    'dst.ip': '10.0.0.2',
    octets: 1,
    proto: 6,
    someElement: 7,
    'exporter.ip': '127.0.0.1',
    'exporter.domain': 1,
  };
  const names = [
    'sourceIPv4Address',
    'destinationIPv4Address',
    'octetDeltaCount',
    'protocolIdentifier',
    'someElement',
  ];

  it('has everything the record has, and as little else as may be', () => {
    const found = fitting(
      row,
      [
        template(300, [...names, 'vlanId', 'ipClassOfService']),
        template(301, names),
        template(302, names.slice(0, 2)),
        template(303, names, { domain: 2 }),
        template(304, names, { scope_fields: 1 }),
      ],
      columns,
    );
    expect(found?.template.template).toBe(301);
    expect(found?.unused).toBe(0);
    expect(fitting(row, [template(302, names.slice(0, 2))], columns)).toBeNull();
  });
});
