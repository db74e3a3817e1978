//! Enrichment against second sources.
