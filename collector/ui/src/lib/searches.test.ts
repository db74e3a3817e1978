import { describe, expect, it } from 'vitest';
import { MOST_RECENT, readSearches, Searches, stateOf, type Storage } from './searches.svelte';
import { INITIAL } from './state';

function memory(held: Record<string, string> = {}): Storage & { held: Record<string, string> } {
  return {
    held,
    getItem: (key) => held[key] ?? null,
    setItem: (key, value) => {
      held[key] = value;
    },
  };
}

describe('searches', () => {
  it('come back after a reload, the open flow left out', () => {
    const storage = memory();
    const before = new Searches(storage);
    before.save(' DNS ', { ...INITIAL, filter: 'dst.port = 53', flow: '12', live: true, columns: ['src'] });
    before.note({ ...INITIAL, filter: 'proto = tcp' });
    before.note({ ...INITIAL, filter: '' });
    const after = new Searches(storage);
    expect(after.saved.map((search) => search.name)).toEqual(['DNS']);
    const [saved] = after.saved;
    expect(saved && stateOf(saved)).toEqual({ ...INITIAL, filter: 'dst.port = 53', columns: ['src'] });
    expect(after.recent.map((search) => search.name)).toEqual(['proto = tcp']);
  });

  it('the same search again moves to the front, and the list is bounded', () => {
    const searches = new Searches(memory());
    for (let port = 0; port < MOST_RECENT + 5; port += 1)
      searches.note({ ...INITIAL, filter: `dst.port = ${port}` });
    searches.note({ ...INITIAL, filter: 'dst.port = 10' });
    expect(searches.recent).toHaveLength(MOST_RECENT);
    expect(searches.recent[0]?.name).toBe('dst.port = 10');
    expect(searches.recent.filter((search) => search.name === 'dst.port = 10')).toHaveLength(1);
  });

  it('survive storage that is denied, full or holds something else', () => {
    const denied: Storage = {
      getItem: () => {
        throw new Error('denied');
      },
      setItem: () => {
        throw new Error('full');
      },
    };
    const searches = new Searches(denied);
    searches.save('kept while the page is', { ...INITIAL, filter: 'proto = udp' });
    expect(searches.saved).toHaveLength(1);
    for (const text of ['{', '"x"', '[1,null,{"name":1}]', '{"length":3}'])
      expect(readSearches(memory({ k: text }), 'k', 5)).toEqual([]);
  });
});
