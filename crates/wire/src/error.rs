//! Why a file was refused.

use std::fmt::Display;

use dure_core::{codec::Codec, digest::Digest, excerpt::excerpt, model::LayoutError, update::WeightError};

use crate::container::dtype;

/// Why a file was refused. What it names from the file is shortened.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than any honest file has.
    #[error("the file has {got} bytes where at most {limit} are expected")]
    TooLarge {
        /// Bytes of the file.
        got: usize,
        /// The most that are read.
        limit: usize,
    },
    /// The file ends before its header or its tensors do.
    #[error("the file ends after {got} bytes where its header speaks of {want}")]
    Truncated {
        /// Bytes of the file.
        got: usize,
        /// Bytes that the part read so far promises.
        want: usize,
    },
    /// Something follows the last tensor.
    #[error("{0} bytes follow the last tensor")]
    TrailingBytes(usize),
    /// The header is longer than any honest one.
    #[error("the header has {got} bytes where at most {limit} are expected")]
    HeaderTooLarge {
        /// Bytes that the file says its header has.
        got: u64,
        /// The most that are read.
        limit: usize,
    },
    /// The header is not JSON, or its tensors do not lie one after another.
    #[error("the header is not valid safetensors: {0}")]
    Header(String),
    /// The `dure` entry is missing, or is not what this kind and version of file has there.
    #[error("the \"dure\" entry of the metadata is not as expected: {0}")]
    Metadata(String),
    /// Coded otherwise than the plan says.
    #[error("the update is coded as {} where {} is expected", dtype(*.got), dtype(*.want))]
    WrongCodec {
        /// The file's codec.
        got: Codec,
        /// The plan's codec.
        want: Codec,
    },
    /// A tensor of another type.
    #[error("tensor {tensor:?} is of type {got} where {want} is expected")]
    WrongDtype {
        /// The tensor's name.
        tensor: String,
        /// Its type, in safetensors' words.
        got: String,
        /// The type expected.
        want: String,
    },
    /// Other tensors than the plan's.
    #[error(transparent)]
    WrongLayout(#[from] WrongLayout),
    /// An update of another version.
    #[error("the update is of base {got} where {want} is expected")]
    WrongBase {
        /// The version that was trained on.
        got: Digest,
        /// The version that was handed out.
        want: Digest,
    },
    /// Other bytes than announced.
    #[error("the file's SHA-256 is {got} where {want} is expected")]
    WrongDigest {
        /// The digest of the bytes.
        got: Digest,
        /// The digest announced.
        want: Digest,
    },
    /// A value that is NaN or infinite.
    #[error("value {index} of tensor {tensor:?} is not a finite number")]
    NotFinite {
        /// The tensor's name.
        tensor: String,
        /// Which value, counted from 0 in the tensor's flat order.
        index: usize,
    },
    /// No weight.
    #[error(transparent)]
    Weight(#[from] WeightError),
    /// Other scalars than the plan's.
    #[error("scalar {name:?} {fault}")]
    Scalars {
        /// The scalar's name.
        name: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// More bytes inside than the caller allows.
    #[error("more than {limit} bytes are in the zstd frame")]
    ZstdTooLarge {
        /// The most that are unpacked.
        limit: usize,
    },
    /// Not one whole zstd frame.
    #[error("the body is not one whole zstd frame: {0}")]
    Zstd(String),
}

/// How a file's tensors differ from those expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WrongLayout {
    /// A tensor of the plan is not there.
    #[error("tensor {0:?} is missing")]
    Missing(String),
    /// A tensor is not in the plan.
    #[error("tensor {0:?} is not expected")]
    Extra(String),
    /// A tensor of another shape.
    #[error("tensor {tensor:?} has shape {got} where {want} is expected")]
    Shape {
        /// The tensor's name.
        tensor: String,
        /// Its shape.
        got: String,
        /// The shape expected.
        want: String,
    },
    /// The tensors of a file that is read without a plan are no layout.
    #[error("{0}")]
    Impossible(String),
}

impl From<LayoutError> for WrongLayout {
    fn from(error: LayoutError) -> Self {
        Self::Impossible(short(error))
    }
}

/// `text`, cut to what fits in a message: a file may name things at any length.
pub(crate) fn short(text: impl Display) -> String {
    excerpt(text, 160)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_the_values() {
        let check = |error: DecodeError, want: &str| assert_eq!(error.to_string(), want);
        let (got, want) = (Digest([1; 32]), Digest([2; 32]));
        check(DecodeError::TooLarge { got: 9, limit: 8 }, "the file has 9 bytes where at most 8 are expected");
        check(DecodeError::Truncated { got: 3, want: 8 }, "the file ends after 3 bytes where its header speaks of 8");
        check(DecodeError::TrailingBytes(3), "3 bytes follow the last tensor");
        check(DecodeError::HeaderTooLarge { got: 9, limit: 8 }, "the header has 9 bytes where at most 8 are expected");
        let wrong = DecodeError::WrongCodec { got: Codec::Bf16, want: Codec::F32 };
        check(wrong, "the update is coded as BF16 where F32 is expected");
        let wrong = DecodeError::WrongDtype { tensor: "w".into(), got: "I8".into(), want: "F32".into() };
        check(wrong, "tensor \"w\" is of type I8 where F32 is expected");
        let wrong = DecodeError::WrongBase { got, want };
        check(wrong, &format!("the update is of base {got} where {want} is expected"));
        let wrong = DecodeError::WrongDigest { got, want };
        check(wrong, &format!("the file's SHA-256 is {got} where {want} is expected"));
        let wrong = DecodeError::NotFinite { tensor: "w".into(), index: 7 };
        check(wrong, "value 7 of tensor \"w\" is not a finite number");
        check(WeightError(-1.0).into(), "-1 cannot be a weight: it must be above 0 and at most 2^53");
        check(DecodeError::Scalars { name: "x".into(), fault: "is missing" }, "scalar \"x\" is missing");
        check(DecodeError::ZstdTooLarge { limit: 8 }, "more than 8 bytes are in the zstd frame");
        check(WrongLayout::Missing("w".into()).into(), "tensor \"w\" is missing");
        check(WrongLayout::Extra("w".into()).into(), "tensor \"w\" is not expected");
        let wrong = WrongLayout::Shape { tensor: "w".into(), got: "[2]".into(), want: "[3]".into() };
        check(wrong.into(), "tensor \"w\" has shape [2] where [3] is expected");
    }
}
