// Alerts as the whole page shares them; a collector without them answers 404, and then nothing is shown of them.
import { Answer } from './answer.svelte';
import { api } from './api';
import type { Alerts } from './types';

const EVERY_MS = 15_000;

class AlertStore extends Answer<Alerts> {
  /** Is there anything to show: at least one rule? */
  there = $derived((this.value?.rules.length ?? 0) > 0);
  firing = $derived(this.value?.rules.filter((rule) => rule.state === 'firing').length ?? 0);
  /** The collector knows no alerts at all. */
  absent = $derived(this.error?.status === 404);

  refresh(): Promise<Alerts | null> {
    return this.ask((signal) => api.alerts(signal));
  }

  /** Asks now and then until stopped; once is enough where there are none. */
  watch(): () => void {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const poll = async (): Promise<void> => {
      if (!document.hidden) await this.refresh();
      if (!this.absent) timer = setTimeout(() => void poll(), EVERY_MS);
    };
    void poll();
    return () => clearTimeout(timer);
  }
}

export const alerts = new AlertStore();
