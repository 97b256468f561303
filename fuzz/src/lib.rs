//! What is read from outside, held to its laws on any bytes: a function for each kind of input, which panics where a law is
//! broken. `fuzz_targets/` runs them under libFuzzer, `tests/corpora.rs` over what is kept in `corpus/`.

mod container;

mod recipe;

mod table;

mod journal;

mod json;

mod world;

mod memory;
mod message;

pub use container::tensor_container;
pub use journal::journal_row;
pub use json::json_body;
pub use recipe::recipe;
pub use table::csv;
