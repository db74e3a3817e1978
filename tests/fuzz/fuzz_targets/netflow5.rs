//! NetFlow 5 and 7 through a Collecting Process: see `src/collecting.rs`. The first octet says which.
#![no_main]

#[path = "../src/collecting.rs"]
mod collecting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((which, input)) = input.split_first() else { return };
    collecting::run(&[0, if which & 1 == 1 { 7 } else { 5 }], input);
});
