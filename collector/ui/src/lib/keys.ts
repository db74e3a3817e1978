// The keys that work: those everywhere, and those of single pages, so that `?` can list them all.
import { ROUTES } from './routes';

export interface Shortcut {
  /** Pressed one after the other. */
  keys: readonly string[];
  does: string;
}

/** Where `g` and then this key leads. */
export function leadsTo(key: string): string | null {
  return ROUTES.find((route) => route.key === key)?.path ?? null;
}

/** Does the key belong to a text that somebody writes? */
export function isTyping(event: KeyboardEvent): boolean {
  // Within a shadow root, such as the filter's editor, the event's target is the root's host.
  const target = event.composedPath()[0];
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
}

/** Of single pages, by path. A page that has keys of its own names them here. */
export const PAGE_KEYS: Readonly<Record<string, readonly Shortcut[]>> = {
  '/discover': [
    { keys: ['/'], does: 'To the filter' },
    { keys: ['↑', '↓'], does: 'Through the flows' },
    { keys: ['Enter'], does: 'Open the flow' },
    { keys: ['Esc'], does: 'Close the flow, or stop the search' },
  ],
  '/visualise': [
    { keys: ['/'], does: 'To the filter' },
    { keys: ['←', '→'], does: 'Read the values of a chart' },
    { keys: ['Shift →', 'Enter'], does: 'Choose a part of a chart, and zoom in' },
    { keys: ['Esc'], does: 'Stop the question' },
  ],
  '/tcp': [
    { keys: ['/'], does: 'To the filter' },
    { keys: ['←', '→'], does: 'Read the values of a chart' },
  ],
  '/dns': [
    { keys: ['/'], does: 'To the filter' },
    { keys: ['←', '→'], does: 'Read the values of a chart' },
  ],
  '/help': [{ keys: ['/'], does: 'To the search' }],
};
