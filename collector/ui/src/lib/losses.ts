// What the ledger says became of records that are not stored: by reason, in words, and which of it is no loss.
import type { Status } from './types';

/** Reasons whose names are no words by themselves. */
const NAMED: Readonly<Record<string, string>> = {
  summary_malformed: 'summary records that make no sense',
  summary_repeated: 'summary records that came again',
  summary_incomplete: 'summary records of which parts never came',
  summary_image_refused: 'summary records of images that were refused',
  summary_not_written: 'summary records that could not be written',
};

/** What these count is stored already. */
const AGAIN: ReadonlySet<string> = new Set(['summary_repeated']);

/** `records_lost_before_arrival` -> "records lost before arrival". */
export function words(name: string): string {
  return NAMED[name] ?? name.replaceAll('_', ' ');
}

/** Did it only come a second time? */
export function isAgain(reason: string): boolean {
  return AGAIN.has(reason);
}

/** Reasons with their counts, without those of which nothing is missing. */
export function losses(ledger: Pick<Status['ledger'], 'lost'> | undefined): [string, number][] {
  return Object.entries(ledger?.lost ?? {}).filter(([reason, n]) => n > 0 && !isAgain(reason));
}

/** Records that came and are not there. */
export function lostRecords(ledger: Pick<Status['ledger'], 'lost'> | undefined): number {
  return losses(ledger).reduce((sum, [, n]) => sum + n, 0);
}
