// Visualise's questions: one for what is drawn, asked again without what an older collector does not know.
import { Answer } from './answer.svelte';
import { ApiError, api, type Parameters } from './api';
import { Asked } from './asked.svelte';
import { measure, PLAIN, type Measure } from './charts/measure';
import { pivot, type Pivot } from './charts/pivot';
import { schema } from './schema.svelte';
import type { Span } from './time';
import type { Rows, Stats } from './types';
import {
  alignedSpan,
  effectiveView,
  metricsOf,
  parseVisualise,
  question,
  stepOf,
  viewFault,
  visualiseText,
  type Known,
  type View,
  type VisualiseState,
} from './visualise';

/** What was asked and what came: kept together, so that a chart never mixes the one with another. */
export interface Seen {
  state: VisualiseState;
  measure: Measure;
  view: View;
  rows: Rows;
  pivot: Pivot | null;
  /** ms; 0 where no series was asked for. */
  step: number;
  span: Span;
  stats: Stats;
}

export class Visualise extends Asked<VisualiseState> {
  readonly seen = new Answer<Seen>();
  /** How many buckets the chart has room for; its component says. */
  room = Math.max(30, Math.min(240, Math.floor(innerWidth / 8)));
  /** What the collector turned out not to know. */
  known = $state.raw<Known>({ compare: true, other: true });

  override get answers(): readonly Answer<unknown>[] {
    return [this.seen];
  }

  protected override parse(search: string): VisualiseState {
    return parseVisualise(search);
  }

  protected override text(state: VisualiseState): string {
    return visualiseText(state);
  }

  get measure(): Measure {
    return measure(this.state.metric, (name) => schema.column(name)) ?? (PLAIN[0] as Measure);
  }

  /** Why something else is drawn than was asked for. */
  get viewFault(): string | null {
    return viewFault(this.state, this.measure);
  }

  /** The question as it is asked now; null before a span is known. */
  get parameters(): Parameters | null {
    if (this.span === null) return null;
    const view = effectiveView(this.state, this.measure);
    const step = view === 'sankey' ? 0 : stepOf(this.state, this.span, this.room);
    return question(this.state, this.measure, this.span, step, this.known);
  }

  protected override async ask(span: Span): Promise<void> {
    const state = this.state;
    const asked = this.measure;
    const view = effectiveView(state, asked);
    const step = view === 'sankey' ? 0 : stepOf(state, span, this.room);
    await this.seen.ask(async (signal) => {
      const rows = await this.#answer(state, asked, span, step, signal);
      const [metric = '', back = null] = metricsOf(state, asked);
      const factor = asked.perSecond && step > 0 ? (asked.unit === 'bits' ? 8 : 1) / (step / 1_000) : 1;
      return {
        state,
        measure: asked,
        view,
        rows,
        step,
        span: step > 0 ? alignedSpan(span, step) : span,
        stats: rows.stats,
        pivot: step > 0 ? pivot(rows, { groups: state.by, metric, back, factor }, step) : null,
      };
    });
  }

  async #answer(
    state: VisualiseState,
    asked: Measure,
    span: Span,
    step: number,
    signal: AbortSignal,
  ): Promise<Rows> {
    for (;;) {
      try {
        return await api.aggregate(question(state, asked, span, step, this.known), signal);
      } catch (error) {
        const unknown = unknownParameter(error);
        if (unknown === 'compare' && this.known.compare) this.known = { ...this.known, compare: false };
        else if (unknown === 'other' && this.known.other) this.known = { ...this.known, other: false };
        else throw error;
      }
    }
  }
}

/** The parameter that the collector has never heard of; null when the failure is another one. */
function unknownParameter(error: unknown): string | null {
  if (!(error instanceof ApiError) || error.status !== 400) return null;
  return /^unknown parameter/i.test(error.message) ? (error.problem?.parameter ?? null) : null;
}
