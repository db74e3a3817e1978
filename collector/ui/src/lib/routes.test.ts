import { describe, expect, it } from 'vitest';
import { ROUTES, currentAddress, routeOf, spanQuery } from './routes';

describe('routes', () => {
  it('knows a path with and without a slash at its end', () => {
    expect(routeOf('/')?.name).toBe('Home');
    expect(routeOf('/discover')?.name).toBe('Discover');
    expect(routeOf('/dns/')?.name).toBe('DNS');
    expect(routeOf('/nowhere')).toBeUndefined();
  });

  it('has a key of its own for each place', () => {
    expect(new Set(ROUTES.map((route) => route.key)).size).toBe(ROUTES.length);
  });

  it('leads old addresses of Discover to where it is now', () => {
    expect(currentAddress('/', '?filter=proto+%3D+tcp&from=all')).toBe(
      '/discover?filter=proto+%3D+tcp&from=all',
    );
    expect(currentAddress('/', '?flow=59')).toBe('/discover?flow=59');
    expect(currentAddress('/', '')).toBeNull();
    expect(currentAddress('/', '?utm=1')).toBeNull();
    expect(currentAddress('/dns', '?filter=x')).toBeNull();
  });

  it('carries the span and nothing else', () => {
    expect(spanQuery('?filter=x&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&flow=3')).toBe(
      '?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z',
    );
    expect(spanQuery('?from=all')).toBe('?from=all');
    expect(spanQuery('?filter=x')).toBe('');
  });
});
