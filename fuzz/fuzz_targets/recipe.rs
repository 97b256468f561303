//! [`dure_fuzz::recipe`] under libFuzzer.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dure_fuzz::recipe(bytes));

#[cfg(not(fuzzing))]
fn main() {}
