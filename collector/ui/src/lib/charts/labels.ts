// Names of groups for axes, legends and menus, and the filter that picks a group out again.
import { show } from '../display';
import { quote, term } from '../filter';
import { inert } from '../text';
import type { Cell, Column } from '../types';

export type Columns = (name: string) => Column | undefined;

/** `src.ip/24` -> `src.ip`. */
export function columnOf(dimension: string): string {
  return dimension.replace(/\/\d{1,3}$/, '');
}

/** One value of a dimension as text that can be looked at safely. */
export function cellLabel(cell: Cell | undefined, dimension: string, columns: Columns, most = 60): string {
  const name = columnOf(dimension);
  if (cell === null || cell === undefined) return `no ${name}`;
  return inert(show(name, cell, columns(name)).text, most);
}

/** The values of a group, joined; `Other` is everything outside the groups shown. */
export function groupLabel(
  line: { group: readonly Cell[]; other: boolean },
  dimensions: readonly string[],
  columns: Columns,
): string {
  if (line.other) return 'Other';
  if (dimensions.length === 0) return 'All';
  return dimensions.map((name, index) => cellLabel(line.group[index], name, columns)).join('  ·  ');
}

/** The filter terms of a group; null when one of its values cannot be searched for. */
export function groupTerms(
  line: { group: readonly Cell[]; other: boolean },
  dimensions: readonly string[],
  columns: Columns,
): string[] | null {
  if (line.other) return null;
  const terms: string[] = [];
  for (const [index, dimension] of dimensions.entries()) {
    const name = columnOf(dimension);
    const cell = line.group[index] ?? null;
    if (cell === null) {
      const written = /^[A-Za-z_][\w.]*$/.test(name) ? name : quote(name);
      terms.push(`not ${written} exists`);
      continue;
    }
    const made = term(name, cell, columns(name));
    if (made === null) return null;
    terms.push(made);
  }
  return terms;
}
