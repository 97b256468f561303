//! [`dure_fuzz::csv`] under libFuzzer.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dure_fuzz::csv(bytes));

#[cfg(not(fuzzing))]
fn main() {}
