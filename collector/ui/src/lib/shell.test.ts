import { describe, expect, it } from 'vitest';
import { exporterCommand } from './shell';

describe('the command of an exporter', () => {
  it('has the brackets of an IPv6 address once, whether the browser writes them or not', () => {
    const over = (hostname: string): string => exporterCommand('--dns on', 'tcp', hostname);
    expect(over('collector.example')).toBe(
      'flowgauge-exporter run --dns on --to tcp://collector.example:4739',
    );
    expect(over('[2001:db8::1]')).toBe('flowgauge-exporter run --dns on --to tcp://[2001:db8::1]:4739');
    expect(over('2001:db8::1')).toBe(over('[2001:db8::1]'));
    expect(exporterCommand('--read a.pcap', 'udp', '192.0.2.1')).toMatch(/ --to udp:\/\/192\.0\.2\.1:4739$/);
  });
});
