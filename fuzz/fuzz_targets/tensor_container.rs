//! [`dure_fuzz::tensor_container`] under libFuzzer.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dure_fuzz::tensor_container(bytes));

#[cfg(not(fuzzing))]
fn main() {}
