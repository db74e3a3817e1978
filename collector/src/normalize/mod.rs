//! Maps Data Records onto the column table, so that every exporter's flows can be asked the same questions.

pub mod codes;
pub mod columns;
pub mod row;
