//! Rollups against a naive evaluator over the rows that they are made of.
