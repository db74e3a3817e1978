//! Tests of both versions together.
