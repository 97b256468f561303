//! What crosses a process boundary: the tensor container, and the REST types.
//!
//! An update or a model is one [safetensors](https://github.com/huggingface/safetensors) file, which any language reads
//! with a library that it already has. What is not a tensor travels as JSON in the `dure` entry of `__metadata__`. On
//! the network zstd is put around the file (`Content-Encoding`); digests are of the file inside.
//!
//! What [`encode_update`] and [`encode_model`] write is canonical: the same input gives the same bytes. What
//! [`decode_update`] and [`decode_model`] read may come from any writer: other orders, spaces and further entries of
//! `__metadata__` are fine, a key that is there twice is not. Decoding is bounded, and sizes, names, types and shapes are
//! checked before a tensor is copied.
//!
//! The header of an update of two tensors, with a line break here for each entry:
//!
//! ```json
//! {"__metadata__":{"dure":"{\"base\":\"0707…07\",\"codec\":\"f32\",\"kind\":\"update\",\"scalars\":{\"train_loss\":0.25},\"version\":1,\"weight\":24.0}"},
//! "delta/b":{"dtype":"F32","shape":[],"data_offsets":[0,4]},
//! "delta/w":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]}}
//! ```
//!
//! Read the modules in this order:

#![warn(clippy::unwrap_used)]

mod update;

mod model;

mod container;
mod error;
mod header;

mod compress;

pub mod models;

pub mod api;

pub mod json;

pub use compress::{LEVEL, compress, decompress};
pub use error::{DecodeError, WrongLayout};
pub use model::{MAX_HEADER, decode_model, encode_model};
pub use models::{AdvanceError, Answers, Models, decode_control};
pub use update::{Expected, decode_update, encode_update};
