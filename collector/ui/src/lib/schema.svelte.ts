// The collector's column table as the page needs it: kinds, units, labels and help by name.
import { api } from './api';
import type { Column } from './types';

class Schema {
  columns = $state.raw<ReadonlyMap<string, Column>>(new Map());

  async load(): Promise<void> {
    const answer = await api.columns();
    this.columns = new Map(answer.columns.map((column) => [column.name, column]));
  }

  column(name: string): Column | undefined {
    return this.columns.get(name);
  }
}

export const schema = new Schema();
