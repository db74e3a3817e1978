// One question to the API with its answer, kept while the next one is asked so that the page does not jump.
import { ApiError, isAbort } from './api';

export class Answer<T> {
  value = $state.raw<T | null>(null);
  error = $state.raw<ApiError | null>(null);
  busy = $state(false);
  #running: AbortController | null = null;

  /** Asks; an earlier question still under way is cancelled. Gives null when cancelled or failed. */
  async ask(question: (signal: AbortSignal) => Promise<T>): Promise<T | null> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.busy = true;
    try {
      const value = await question(running.signal);
      if (this.#running !== running) return null;
      this.value = value;
      this.error = null;
      return value;
    } catch (error) {
      if (this.#running !== running || isAbort(error)) return null;
      this.error = error instanceof ApiError ? error : new ApiError(String(error), '', 0, null);
      return null;
    } finally {
      if (this.#running === running) {
        this.#running = null;
        this.busy = false;
      }
    }
  }

  cancel(): void {
    this.#running?.abort();
    this.#running = null;
    this.busy = false;
  }
}
