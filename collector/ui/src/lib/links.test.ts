import { expect, it } from 'vitest';
import { both, discoverHref } from './links';

it('filters are joined so that none changes another', () => {
  expect(both('', ' proto = tcp ', '')).toBe('proto = tcp');
  expect(both('a = 1 or b = 2', 'proto = tcp')).toBe('(a = 1 or b = 2) and proto = tcp');
  expect(both('a = 1 || b = 2', 'c = 3')).toBe('(a = 1 || b = 2) and c = 3');
  expect(both('', '')).toBe('');
});

it('an address of Discover says filter, span and flow', () => {
  const moving = { state: { from: 'now-1h', to: 'now' }, span: { from: 0, to: 1000 } };
  expect(discoverHref('dst.port = 53', moving)).toBe('/discover?filter=dst.port+%3D+53&from=now-1h&to=now');
  const natural = { state: { from: null, to: null }, span: { from: 0, to: 1000 } };
  expect(discoverHref('', natural, 'a1')).toBe(
    '/discover?from=1970-01-01T00:00:00Z&to=1970-01-01T00:00:01Z&flow=a1',
  );
  expect(discoverHref('', { state: { from: 'all', to: '' }, span: null })).toBe('/discover?from=all');
});
