// Flows as they arrive, by server-sent events: the newest first, the oldest let go.
import { url } from './api';
import { parseJson } from './json';
import type { Row } from './types';

/** Rows kept; a busy collector sends a thousand a second. */
export const LIVE_MOST = 2_000;
/** A list that changes with every event could not be read. */
const SHOWN_EVERY_MS = 400;

export class Live {
  on = $state(false);
  rows = $state.raw<Row[]>([]);
  /** Flows that came since the start. */
  came = $state(0);
  /** Nothing is added to the list while somebody reads it. */
  paused = $state(false);
  error = $state<string | null>(null);
  filter = '';
  #source: EventSource | null = null;
  #waiting: Row[] = [];
  #count = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;

  start(filter: string): void {
    this.stop();
    this.filter = filter;
    this.on = true;
    this.paused = false;
    this.error = null;
    this.rows = [];
    this.came = 0;
    this.#count = 0;
    const source = new EventSource(url('/api/v1/live', { filter }));
    this.#source = source;
    source.addEventListener('flow', (event) => this.#take(event.data as string));
    source.addEventListener('open', () => (this.error = null));
    source.addEventListener('error', () => {
      this.error =
        source.readyState === EventSource.CLOSED
          ? 'The collector ended the live list: it may have too many readers. Start it again in a moment.'
          : 'The collector does not answer; trying again.';
    });
  }

  stop(): void {
    this.#source?.close();
    this.#source = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#waiting = [];
    this.on = false;
  }

  pause(): void {
    this.paused = !this.paused;
    if (!this.paused) this.#show();
  }

  #take(text: string): void {
    let row: unknown;
    try {
      row = parseJson(text);
    } catch {
      return;
    }
    if (typeof row !== 'object' || row === null) return;
    this.#waiting.push(row as Row);
    if (this.#waiting.length > LIVE_MOST) this.#waiting.shift();
    this.#count += 1;
    this.#timer ??= setTimeout(() => this.#show(), SHOWN_EVERY_MS);
  }

  #show(): void {
    this.#timer = null;
    this.came = this.#count;
    if (this.paused || this.#waiting.length === 0) return;
    this.rows = [...this.#waiting.reverse(), ...this.rows].slice(0, LIVE_MOST);
    this.#waiting = [];
  }
}
