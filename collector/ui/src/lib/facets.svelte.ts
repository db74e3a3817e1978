// The lists of top values beside the flows.
import { Answer } from './answer.svelte';
import type { Rows } from './types';

/** The top values of one column; asked for only while its list is open. */
export class Facet {
  open = $state(false);
  readonly answer = new Answer<Rows>();

  constructor(
    readonly field: string,
    readonly title: string,
    open: boolean,
  ) {
    this.open = open;
  }
}

/** What flows are broken down by; the first ones are asked for with every search. */
export const FACETS = [
  { field: 'src.ip', title: 'Sources', open: true },
  { field: 'dst.ip', title: 'Destinations', open: true },
  { field: 'dst.port', title: 'Destination ports', open: true },
  { field: 'proto', title: 'Protocols', open: true },
  { field: 'app.name', title: 'Applications', open: false },
  { field: 'tls.sni', title: 'Server names', open: false },
  { field: 'exporter.ip', title: 'Exporters', open: false },
  { field: 'in.if', title: 'Interfaces in', open: false },
  { field: 'src.country', title: 'Countries of sources', open: false },
  { field: 'dst.country', title: 'Countries of destinations', open: false },
  { field: 'end_reason', title: 'Why flows ended', open: false },
] as const;
