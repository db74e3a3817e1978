// A page that asks questions of a filter and a span of time: its state is the address, and nothing is asked twice.
import { Answer } from './answer.svelte';
import type { ApiError } from './api';
import { checkFilter, type FilterFault, type Filtered } from './asking';
import { collector } from './collector.svelte';
import { router } from './router.svelte';
import { Times } from './times.svelte';
import type { Span } from './time';

export interface AskedState {
  filter: string;
  from: string | null;
  to: string | null;
}

export abstract class Asked<S extends AskedState> {
  state: S = $state.raw() as S;
  fault = $state.raw<FilterFault | null>(null);
  cancelled = $state(false);
  readonly times = new Times();

  #path = router.path;

  constructor() {
    this.state = this.parse(router.search);
  }

  /** The state that an address says, and back. */
  protected abstract parse(search: string): S;
  protected abstract text(state: S): string;
  /** Asks everything for the state and the span as they are. */
  protected abstract ask(span: Span): Promise<unknown>;
  /** Whatever may be under way. */
  abstract get answers(): readonly Answer<unknown>[];

  get span(): Span | null {
    return this.times.span;
  }

  get busy(): boolean {
    return this.answers.some((answer) => answer.busy);
  }

  /** The first failure that is not about what somebody wrote into the filter. */
  get error(): ApiError | null {
    const errors = [collector, ...this.answers].map((answer) => answer.error);
    return errors.find((error) => error !== null && (!error.inFilter || this.fault === null)) ?? null;
  }

  get empty(): boolean {
    return collector.value !== null && collector.value.store.rows === 0;
  }

  /** What the filter box works on. */
  get filtered(): Filtered {
    const state = (): S => this.state;
    const fault = (): FilterFault | null => this.fault;
    return {
      get state() {
        return state();
      },
      get fault() {
        return fault();
      },
      show: ({ filter }) => this.show({ filter }),
      search: () => this.search(),
    };
  }

  /** The address changed: by `show`, by the picker of times, by Back. */
  async revisit(): Promise<void> {
    if (router.path !== this.#path) return;
    this.state = this.parse(router.search);
    await this.search();
  }

  /** Writes what changes into the address; the page then follows it. */
  async show(change: Partial<S> | Partial<AskedState>): Promise<void> {
    const text = this.text({ ...this.state, ...change });
    if (text === location.search) await this.search();
    else router.query(text, 'push');
  }

  async search(): Promise<void> {
    this.cancelled = false;
    const span = await this.times.refresh();
    if (span === null) return;
    this.fault = null;
    await this.ask(span);
    if (!this.answers.some((answer) => answer.error?.inFilter)) return;
    // Questions have terms of their own around the filter: where it is wrong by itself is found by asking for it alone.
    this.fault = await checkFilter(this.state.filter, new AbortController().signal);
  }

  /** Stops every question; what was answered before stays. */
  cancel(): void {
    this.cancelled = true;
    for (const answer of this.answers) answer.cancel();
  }
}
