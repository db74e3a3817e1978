// Searches somebody kept or made lately, in this browser only: an address without the flow that was open.
import { parseState, stateText, type PageState } from './state';

export interface Search {
  /** Given by somebody; for a recent one the filter itself. */
  name: string;
  /** What stands behind the path in the address. */
  address: string;
}

export const MOST_SAVED = 100;
export const MOST_RECENT = 20;
const MOST_ADDRESS = 8_192;
const MOST_NAME = 120;

/** The part of the browser's storage that is used; it may be denied, full, or hold anything. */
export type Storage = Pick<globalThis.Storage, 'getItem' | 'setItem'>;

/** What storage holds under the key, without what is no search. */
export function readSearches(storage: Storage | null, key: string, most: number): Search[] {
  try {
    const found: unknown = JSON.parse(storage?.getItem(key) ?? '[]');
    if (!Array.isArray(found)) return [];
    return found
      .filter(
        (item): item is Search =>
          typeof item === 'object' &&
          item !== null &&
          typeof (item as Search).name === 'string' &&
          typeof (item as Search).address === 'string' &&
          (item as Search).address.length <= MOST_ADDRESS,
      )
      .slice(0, most)
      .map(({ name, address }) => ({ name: name.slice(0, MOST_NAME), address }));
  } catch {
    return [];
  }
}

/** The list with this search first, and no other of the same address. */
export function withSearch(list: readonly Search[], added: Search, most: number): Search[] {
  return [added, ...list.filter((item) => item.address !== added.address)].slice(0, most);
}

/** What of a state is a search: not which flow is open, nor that it is followed live. */
export function addressOf(state: PageState): string {
  return stateText({ ...state, flow: null, live: false });
}

/** The state of a search found in storage. */
export function stateOf(search: Search): PageState {
  return parseState(search.address);
}

function browserStorage(): Storage | null {
  try {
    return typeof localStorage === 'undefined' ? null : localStorage;
  } catch {
    return null;
  }
}

export class Searches {
  saved = $state.raw<Search[]>([]);
  recent = $state.raw<Search[]>([]);
  readonly #storage: Storage | null;

  constructor(storage: Storage | null = browserStorage()) {
    this.#storage = storage;
    this.saved = readSearches(storage, 'flowgauge.saved', MOST_SAVED);
    this.recent = readSearches(storage, 'flowgauge.recent', MOST_RECENT);
  }

  /** A search was made. Without a filter it says nothing to come back to. */
  note(state: PageState): void {
    const address = addressOf(state);
    if (state.filter === '' || address.length > MOST_ADDRESS) return;
    this.recent = withSearch(this.recent, { name: state.filter.slice(0, MOST_NAME), address }, MOST_RECENT);
    this.#write('flowgauge.recent', this.recent);
  }

  save(name: string, state: PageState): void {
    const address = addressOf(state);
    if (name.trim() === '' || address.length > MOST_ADDRESS) return;
    this.saved = withSearch(this.saved, { name: name.trim().slice(0, MOST_NAME), address }, MOST_SAVED);
    this.#write('flowgauge.saved', this.saved);
  }

  remove(search: Search): void {
    this.saved = this.saved.filter((item) => item !== search);
    this.#write('flowgauge.saved', this.saved);
  }

  forgetRecent(): void {
    this.recent = [];
    this.#write('flowgauge.recent', this.recent);
  }

  #write(key: string, list: readonly Search[]): void {
    try {
      this.#storage?.setItem(key, JSON.stringify(list));
    } catch {
      // Storage is full or denied: what is kept lasts as long as the page.
    }
  }
}
