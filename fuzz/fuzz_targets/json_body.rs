//! [`dure_fuzz::json_body`] under libFuzzer.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dure_fuzz::json_body(bytes));

#[cfg(not(fuzzing))]
fn main() {}
