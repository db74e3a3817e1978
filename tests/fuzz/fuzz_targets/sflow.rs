//! sFlow 5 through a Collecting Process: see `src/collecting.rs`.
#![no_main]

#[path = "../src/collecting.rs"]
mod collecting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| collecting::run(&[0, 0, 0, 5], input));
