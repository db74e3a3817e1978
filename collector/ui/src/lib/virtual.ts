// A list of which only what is in sight is drawn: which rows those are, and how much room the others take.

export interface Slice {
  first: number;
  /** Behind the last one. */
  end: number;
  /** Height of what is left out, in px. */
  above: number;
  below: number;
}

/** Rows drawn beyond either edge, so that a quick scroll shows no gap. */
export const SPARE_ROWS = 12;

/** The rows in sight of a list of `count` rows, each `height` px high, in a box of `room` px scrolled by `top` px. */
export function slice(count: number, height: number, top: number, room: number): Slice {
  if (height <= 0 || count <= 0) return { first: 0, end: count, above: 0, below: 0 };
  const inSight = Math.ceil(room / height) + 1;
  const at = Math.min(Math.max(0, Math.floor(top / height)), Math.max(0, count - inSight));
  const first = Math.max(0, at - SPARE_ROWS);
  const end = Math.min(count, at + inSight + SPARE_ROWS);
  return { first, end, above: first * height, below: (count - end) * height };
}

/** Where to scroll so that row `index` is in sight, moved as little as possible; `head` px of the box are covered. */
export function reveal(index: number, height: number, top: number, room: number, head: number): number {
  const from = index * height;
  const visible = room - head;
  if (from < top) return from;
  if (from + height > top + visible) return from + height - visible;
  return top;
}
