// The one place that talks to the collector: paths, cancelling, and errors in words.
import { parseJson } from './json';
import type {
  AlertChange,
  Alerts,
  Column,
  Completion,
  Counter,
  Element,
  Exporter,
  OpenApi,
  Problem,
  Row,
  Rows,
  Status,
  Summaries,
  Template,
} from './types';

/** What went wrong and what to do about it. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** What the reader can do; empty when the message says it all. */
    readonly advice: string,
    /** HTTP status; 0 when no answer came. */
    readonly status: number,
    readonly problem: Problem | null,
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** Is it the text of the filter that is wrong? */
  get inFilter(): boolean {
    return this.problem !== null && typeof this.problem.offset === 'number';
  }
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

export type Parameters = Record<string, string | number | null | undefined>;

export function url(path: string, parameters: Parameters): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== '') query.set(name, String(value));
  }
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
}

function advice(status: number): string {
  if (status === 404) return 'Retention may have removed it, or the address is mistyped.';
  if (status === 414 || status === 431) return 'The filter is too long for an address; make it shorter.';
  if (status === 429 || status === 503)
    return 'The collector is busy or not ready yet; try again in a moment.';
  if (status === 408 || status === 504) return 'Choose a shorter time span or a narrower filter.';
  if (status >= 500) return 'The collector’s log says more; try again, or choose a shorter time span.';
  return '';
}

/** A detail as a sentence; a name at its beginning keeps its case. */
function sentence(text: string): string {
  const begun = /^[a-z]+\s/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}

async function failure(response: Response): Promise<ApiError> {
  let problem: Problem | null = null;
  const body = await response.text();
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed === 'object' && parsed !== null) problem = parsed as Problem;
  } catch {
    // Not a problem document: a proxy on the way, perhaps. The status has to do.
  }
  const words = sentence(problem?.detail ?? problem?.title ?? `The collector answered ${response.status}`);
  return new ApiError(words, advice(response.status), response.status, problem);
}

/** How far the collector's clock is ahead of this browser's, in ms; from the Date header, so to the second. */
export let clockAhead = 0;

function noteClock(response: Response): void {
  const served = Date.parse(response.headers.get('date') ?? '');
  if (Number.isNaN(served)) return;
  const ahead = served - Date.now();
  clockAhead = Math.abs(ahead) > 2_000 ? ahead : 0;
}

async function answered(address: string, accept: string, signal?: AbortSignal): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(address, { signal, headers: { accept } });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(
      'The collector does not answer.',
      `Check that flowgauge-collector still runs at ${location.host} and that the network is up.`,
      0,
      null,
    );
  }
  noteClock(response);
  if (!response.ok) throw await failure(response);
  return response;
}

async function text(path: string, signal?: AbortSignal): Promise<string> {
  return (await answered(path, 'text/plain', signal)).text();
}

async function ask<T>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<T> {
  const response = await answered(url(path, parameters), 'application/json', signal);
  const body = await response.text();
  try {
    return parseJson(body) as T;
  } catch {
    throw new ApiError(
      'The answer is not JSON.',
      'Something between this page and the collector may have changed it.',
      response.status,
      null,
    );
  }
}

export const api = {
  flows: (parameters: Parameters, signal?: AbortSignal) => ask<Rows>('/api/v1/flows', parameters, signal),
  flow: (id: string, signal?: AbortSignal) =>
    ask<{ row: Row }>(`/api/v1/flows/${encodeURIComponent(id)}`, {}, signal),
  aggregate: (parameters: Parameters, signal?: AbortSignal) =>
    ask<Rows>('/api/v1/aggregate', parameters, signal),
  complete: (text: string, at: number, signal?: AbortSignal) =>
    ask<Completion>('/api/v1/complete', { text, at }, signal),
  columns: (signal?: AbortSignal) =>
    ask<{ columns: Column[]; counters?: Counter[] }>('/api/v1/columns', {}, signal),
  status: (signal?: AbortSignal) => ask<Status>('/api/v1/status', {}, signal),
  summaries: (parameters: Parameters, signal?: AbortSignal) =>
    ask<Summaries>('/api/v1/summaries', parameters, signal),
  exporters: (signal?: AbortSignal) => ask<{ exporters: Exporter[] }>('/api/v1/exporters', {}, signal),
  templates: (signal?: AbortSignal) => ask<{ templates: Template[] }>('/api/v1/templates', {}, signal),
  elements: (name: string, signal?: AbortSignal) =>
    ask<{ elements: Element[] }>('/api/v1/elements', { name }, signal),
  alerts: (signal?: AbortSignal) => ask<Alerts>('/api/v1/alerts', {}, signal),
  alertHistory: (limit: number, signal?: AbortSignal) =>
    ask<{ rows: AlertChange[] }>('/api/v1/alerts/history', { limit }, signal),
  openapi: (signal?: AbortSignal) => ask<OpenApi>('/api/openapi.json', {}, signal),
  metrics: (signal?: AbortSignal) => text('/metrics', signal),
};
