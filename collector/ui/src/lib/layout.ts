// How wide the columns of the table have to be, learnt from rows as they come: never narrower than before, so that
// a list scrolls without its columns moving. Where nobody chose columns, those are shown that find room.
import { BY_WORTH, NEEDED, type Columns, type TableColumn } from './table';
import { localDate } from './time';
import type { Row } from './types';

const LEAST_CHARACTERS = 4;
const MOST_CHARACTERS = 36;
const MOST_OF: Readonly<Record<string, number>> = { src: 47, dst: 47, name: 30 };
/** Of a digit, in rem; narrower where points and colons stand between them, in names and in flags, whose type is fixed. */
const CHARACTER = 0.53;
const CHARACTER_OF: Readonly<Record<string, number>> = {
  start: 0.47,
  src: 0.495,
  dst: 0.495,
  name: 0.48,
  flags: 0.5,
};
/** Rows looked at of those that came together: widths are learnt well from some, and looking costs. */
const LOOKED_AT = 250;
/** Cut off after so many a name still says what it is of, and an address which; their titles have the rest. */
const LEAST_OF: Readonly<Record<string, number>> = { src: 42, dst: 42, name: 13 };
/** What the last column keeps free towards the frame, in rem. */
const LAST_EDGE = 0.4;
/** Days told apart; beyond it is "several" anyway. */
const MOST_DAYS = 2;

export interface Fit {
  columns: TableColumn[];
  /** Of each, in rem. */
  widths: number[];
  /** What found no room. */
  without: TableColumn[];
}

export class Layout {
  /** Days on which the flows started. */
  readonly days = new Set<string>();
  readonly #years = new Set<string>();
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
      const day = localDate(Date.parse(String(row['start'])));
      if (this.days.size < MOST_DAYS) this.days.add(day);
      if (this.#years.size < MOST_DAYS) this.#years.add(day.slice(0, 4));
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

  /** Rows of several days, all of one year: the month and the day tell them apart. */
  get isOneYear(): boolean {
    return this.#years.size === 1;
  }

  /** The columns worth showing: one that is optional only when some row has something for it. */
  get shown(): TableColumn[] {
    return this.columns.filter((column) => !column.optional || this.present.has(column.key));
  }

  /** Characters of the widest value. */
  characters(column: TableColumn): number {
    const written = this.isOneYear ? '01-31 ' : '2026-01-31 ';
    const day = column.key === 'start' && this.day === null ? written.length : 0;
    const widest = (this.#widest.get(column.key) ?? 0) + day;
    return Math.min(MOST_OF[column.key] ?? MOST_CHARACTERS, Math.max(LEAST_CHARACTERS, widest));
  }

  /** Width of the column in rem, its head with arrow and mark of direction included. */
  width(column: TableColumn, most = Infinity): number {
    const character = CHARACTER_OF[column.key] ?? CHARACTER;
    const marks = (column.direction === undefined ? 0 : 0.9) + (column.numeric ? 0.1 : 0.6);
    const head = column.label.length * 0.49 + marks;
    const at = this.columns.indexOf(column);
    const isBehindNumbers = at > 0 && this.columns[at - 1]?.numeric === true && !column.numeric;
    const edge = at === 0 ? 1.6 : isBehindNumbers ? 1.4 : 0.9;
    return Math.max(head, Math.min(most, this.characters(column)) * character) + edge;
  }

  /** All of the columns, whether there is room for them or not. */
  whole(columns: readonly TableColumn[] = this.columns): Fit {
    return this.#laid(columns, Infinity, []);
  }

  /** What of the columns shown is held by so many rem, the most useful first; all where the room is not known. */
  fit(room: number | null): Fit {
    const all = this.shown;
    if (room === null) return this.whole(all);
    const worth = (column: TableColumn): number => {
      const place = BY_WORTH.indexOf(column.key);
      return place < 0 ? BY_WORTH.length : place;
    };
    let rest = room - LAST_EDGE;
    let isFull = false;
    const kept = new Set<TableColumn>();
    for (const column of [...all].sort((a, b) => worth(a) - worth(b))) {
      isFull ||= worth(column) >= NEEDED && this.#least(column) > rest;
      if (isFull) continue;
      rest -= this.#least(column);
      kept.add(column);
    }
    return this.#laid(
      all.filter((column) => kept.has(column)),
      Math.max(0, rest),
      all.filter((column) => !kept.has(column)),
    );
  }

  #least(column: TableColumn): number {
    return this.width(column, LEAST_OF[column.key] ?? Infinity);
  }

  /** What is left over goes to what was cut shorter, from the left. */
  #laid(columns: readonly TableColumn[], room: number, without: TableColumn[]): Fit {
    let rest = room;
    const widths = columns.map((column, index) => {
      const least = this.#least(column);
      const more = Math.min(rest, this.width(column) - least);
      rest -= more;
      return least + more + (index === columns.length - 1 ? LAST_EDGE : 0);
    });
    return { columns: [...columns], widths, without };
  }
}
