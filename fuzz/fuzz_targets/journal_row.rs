//! [`dure_fuzz::journal_row`] under libFuzzer.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dure_fuzz::journal_row(bytes));

#[cfg(not(fuzzing))]
fn main() {}
