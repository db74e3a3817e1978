// The collector's state, asked once for the whole page: the header, Home and the empty store read the same answer.
import { Answer } from './answer.svelte';
import { api } from './api';
import type { Status } from './types';

const EVERY_MS = 10_000;
/** While nothing is there yet, or nothing answers, somebody waits for the change. */
const WAITING_MS = 2_000;

export const collector = new Answer<Status>();

let running: Promise<Status | null> | null = null;

/** Asks now; several at once get the same answer. */
export function refreshCollector(): Promise<Status | null> {
  running ??= collector.ask((signal) => api.status(signal)).finally(() => (running = null));
  return running;
}

/** Asks now and then until stopped; not while nobody looks. */
export function watchCollector(): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const poll = async (): Promise<void> => {
    if (!document.hidden) await refreshCollector();
    const waiting = collector.error !== null || collector.value === null || collector.value.store.rows === 0;
    timer = setTimeout(() => void poll(), waiting ? WAITING_MS : EVERY_MS);
  };
  void poll();
  return () => clearTimeout(timer);
}
