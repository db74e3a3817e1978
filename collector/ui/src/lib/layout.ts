// How wide the columns of the table have to be, learnt from rows as they come: never narrower than before, so that
// a list scrolls without its columns moving.
import type { Columns, TableColumn } from './table';
import { localDate } from './time';
import type { Row } from './types';

const LEAST_CHARACTERS = 4;
const MOST_CHARACTERS = 36;
const MOST_OF: Readonly<Record<string, number>> = { src: 42, dst: 42, name: 30 };
/** Rows looked at of those that came together: widths are learnt well from some, and looking costs. */
const LOOKED_AT = 250;
/** Days told apart; beyond it is "several" anyway. */
const MOST_DAYS = 2;

export class Layout {
  /** Days on which the flows started. */
  readonly days = new Set<string>();
  /** Keys of columns that some row has a value for. */
  readonly present = new Set<string>();
  readonly #widest = new Map<string, number>();

  constructor(
    readonly columns: readonly TableColumn[],
    readonly known: Columns,
  ) {}

  add(rows: readonly Row[]): void {
    const step = Math.max(1, Math.floor(rows.length / LOOKED_AT));
    const last = rows[rows.length - 1];
    const some = step === 1 ? rows : rows.filter((row, index) => index % step === 0 || row === last);
    for (const row of some) {
      if (this.days.size < MOST_DAYS) this.days.add(localDate(Date.parse(String(row['start']))));
      for (const column of this.columns) {
        let size = 0;
        let filled = false;
        for (const part of column.parts(row, this.known)) {
          filled = true;
          // Whether the day is shown is known only when all rows have been seen.
          if (part.day === undefined)
            size += part.text.length + (part.lead?.length ?? 0) + (part.tail?.length ?? 0);
        }
        if (filled) this.present.add(column.key);
        if (size > (this.#widest.get(column.key) ?? 0)) this.#widest.set(column.key, size);
      }
    }
  }

  /** The day of all rows; null when they are of several. */
  get day(): string | null {
    const [first] = this.days;
    return this.days.size === 1 && first !== undefined ? first : null;
  }

  /** The columns worth showing: one that is optional only when some row has something for it. */
  get shown(): TableColumn[] {
    return this.columns.filter((column) => !column.optional || this.present.has(column.key));
  }

  /** Characters of the widest value. */
  characters(column: TableColumn): number {
    const day = column.key === 'start' && this.day === null ? '2026-01-31 '.length : 0;
    const widest = (this.#widest.get(column.key) ?? 0) + day;
    return Math.min(MOST_OF[column.key] ?? MOST_CHARACTERS, Math.max(LEAST_CHARACTERS, widest));
  }

  /** Width of the column in rem, its head with arrow and mark of direction included. */
  width(column: TableColumn): number {
    // Digits are wider than the letters of names; flags are set in a narrow fixed type.
    const character = column.key === 'flags' ? 0.5 : column.key === 'name' ? 0.48 : 0.53;
    const marks = (column.direction === undefined ? 0 : 0.9) + (column.numeric ? 0.1 : 1.3);
    const head = column.label.length * 0.54 + marks;
    const edge = column.key === this.columns[0]?.key ? 1.7 : 1.1;
    return Math.max(head, this.characters(column) * character) + edge;
  }
}
