import { describe, expect, it } from 'vitest';
import { blackholes, bufferbloat, measured, sum } from './tcp';

const plain = (text: string): string => text.replaceAll('\u00a0', ' ');

describe('evidence', () => {
  it('of bufferbloat is of the direction in which round trips grew', () => {
    const there = bufferbloat({
      _id: 'a',
      'tcp.bufferbloat': true,
      'tcp.non_idle_bps': 4_820_000,
      tcpBufferbloatMilliseconds: 323,
      tcpRttBaseMicroseconds: 10,
      tcpLoadedRttP90Microseconds: 323_584,
      tcpLoadedRttSampleCount: 176,
    });
    expect(there).toHaveLength(1);
    expect(there[0]).toMatchObject({ id: 'a', way: 'forward', weight: 323 });
    expect(there[0]?.facts.map((each) => `${each.name} ${plain(each.text)}`)).toEqual([
      'empty path 10.0 µs',
      'under load 324 ms',
      'samples 176',
      'while busy 4.82 Mbit/s',
    ]);
    const back = bufferbloat({ _id: 'b', 'tcp.bufferbloat': false, reverseTcpBufferbloat: 1 });
    expect(back.map((each) => [each.way, each.facts])).toEqual([['back', []]]);
    expect(bufferbloat({ _id: 'c', 'tcp.bufferbloat': false, reverseTcpBufferbloat: 0 })).toEqual([]);
    expect(bufferbloat({ _id: 'd' })).toEqual([]);
  });

  it('of black holes says which kind, for how long, and what fits through', () => {
    const found = blackholes({
      _id: 'a',
      tcpBlackholeKind: 4,
      tcpBlackholeMilliseconds: 6427,
      tcpBlackholeRecoveryMilliseconds: 6427,
      tcpBlackholeRetransmissionCount: 5,
      tcpPathMtuLowOctets: 1300,
      tcpPathMtuHighOctets: 1500,
    });
    expect(found[0]?.finding).toBe('path MTU, confirmed');
    expect(found[0]?.facts.map((each) => plain(each.text))).toEqual([
      '5 times',
      '6.43 s',
      '6.43 s',
      '1,300 – 1,500 octets',
    ]);
    expect(
      blackholes({ _id: 'b', reverseTcpBlackholeKind: 3, reverseTcpPathMtuHighOctets: 1500 })[0],
    ).toMatchObject({
      way: 'back',
      facts: [{ name: 'path MTU', text: 'at most 1,500 octets' }],
    });
    expect(blackholes({ _id: 'c', tcpBlackholeKind: 0 })).toEqual([]);
    expect(blackholes({ _id: 'd', tcpBlackholeKind: 9 })[0]?.finding).toBe('kind 9');
  });
});

it('what nobody measured is not 0', () => {
  expect(measured({ reverseTcpBufferbloat: 1 }, 'tcpBufferbloat', 'back')).toBe(1);
  expect(measured({}, 'tcpBufferbloat', 'back')).toBeNull();
  expect(sum({ a: 1, b: null }, 'a', 'b')).toBe(1);
  expect(sum({ b: null }, 'a', 'b')).toBeNull();
});
