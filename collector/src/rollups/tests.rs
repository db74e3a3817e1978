//! Stories of rollups: what is gathered from rows, files, merging, spans.
