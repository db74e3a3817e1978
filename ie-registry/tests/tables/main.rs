//! The builtin tables against their sources and against second, independent sources.
//!
//! The sources are not part of the project. They are looked for in `../shared` beside the workspace or in
//! `FLOWGAUGE_SHARED`; a test that misses them says so and passes. What holds without them is tested always.

#![allow(clippy::unwrap_used)]

mod codes;
mod iana;
mod import;
mod own;
mod reverse;
mod sources;
mod vendors;
