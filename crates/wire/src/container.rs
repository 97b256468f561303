//! The file itself: safetensors in canonical bytes, and a bounded read of anybody's.
//!
//! Eight bytes with the header's length, the header (JSON, padded with spaces to a multiple of eight), then the tensors
//! without gaps. Ours has `__metadata__` first and then the tensors by name.

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap},
    ops::Range,
    sync::Arc,
};

use dure_core::{
    codec::Codec,
    digest::Digest,
    model::{Layout, Params},
};
use safetensors::{
    Dtype, View,
    tensor::{Metadata, TensorInfo},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    error::{DecodeError, WrongLayout, short},
    header,
};

/// The version of what stands in the `dure` entry.
pub(crate) const VERSION: u32 = 1;

/// The entry of `__metadata__` that is ours.
const ENTRY: &str = "dure";

/// The bytes of the header's length.
const PREFIX: usize = 8;

/// The type that a codec's values have in the file.
pub(crate) fn dtype(codec: Codec) -> Dtype {
    match codec {
        Codec::F32 => Dtype::F32,
        Codec::Bf16 => Dtype::BF16,
    }
}

/// A tensor to be written; it is coded when its turn comes, so that no second copy of the whole exists.
pub(crate) struct Tensor<'a> {
    shape: &'a [usize],
    values: &'a [f32],
    codec: Codec,
}

impl View for Tensor<'_> {
    fn dtype(&self) -> Dtype {
        dtype(self.codec)
    }

    fn shape(&self) -> &[usize] {
        self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = Vec::new();
        self.codec.encode(self.values, &mut bytes);
        bytes.into()
    }

    fn data_len(&self) -> usize {
        self.values.len() * self.codec.width()
    }
}

/// The tensors of a layout, with these values, each under its own name behind `prefix`.
pub(crate) fn tensors<'a>(
    prefix: &str,
    (layout, values): (&'a Layout, &'a [f32]),
    codec: Codec,
) -> Vec<(String, Tensor<'a>)> {
    let tensor = |shape, range: Range<usize>| Tensor { shape, values: &values[range], codec };
    let specs = layout.tensors();
    specs.map(|(spec, range)| (format!("{prefix}{}", spec.name), tensor(&spec.shape, range))).collect()
}

/// The names that the tensors of `layout` have behind `prefix`, and their shapes.
pub(crate) fn shapes<'a>(prefix: &str, layout: &'a Layout) -> Vec<(String, &'a [usize])> {
    layout.tensors().map(|(spec, _)| (format!("{prefix}{}", spec.name), &spec.shape[..])).collect()
}

/// A file of `tensors`, with `about` in the `dure` entry; `about` must have its keys sorted.
pub(crate) fn write(tensors: Vec<(String, Tensor<'_>)>, about: &impl Serialize) -> Vec<u8> {
    let about = serde_json::to_string(about).expect("keys are text, and nothing of ours refuses to be written");
    // One entry: the map has no order of its own.
    let metadata = HashMap::from([(ENTRY.into(), about)]);
    safetensors::serialize(tensors, Some(metadata)).expect("lengths follow from the shapes, headers stay below 100 MB")
}

/// A file whose header has been read and holds together: its tensors cover `data` without gaps or overlaps.
pub(crate) struct Container<'a> {
    header: Metadata,
    data: &'a [u8],
}

/// What stands in every `dure` entry.
#[derive(Deserialize)]
struct Heading<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    version: u32,
}

impl<'a> Container<'a> {
    /// Reads the header of `bytes`. Nothing is allocated for a file of more than `limit` bytes, nor for a header of more
    /// than `max_header`.
    pub fn read(bytes: &'a [u8], limit: usize, max_header: usize, sha256: Option<Digest>) -> Result<Self, DecodeError> {
        if bytes.len() > limit {
            return Err(DecodeError::TooLarge { got: bytes.len(), limit });
        }
        if let Some(want) = sha256 {
            check_digest(bytes, want)?;
        }
        let (header, data) = split(bytes, max_header)?;
        let header = header::parse(header)?;
        match data.len().checked_sub(header.data_len()) {
            Some(0) => Ok(Self { header, data }),
            Some(more) => Err(DecodeError::TrailingBytes(more)),
            None => Err(truncated(bytes, (bytes.len() - data.len()).saturating_add(header.data_len()))),
        }
    }

    /// The `dure` entry of a file of this kind.
    pub fn about<T: DeserializeOwned>(&self, kind: &str) -> Result<T, DecodeError> {
        let metadata = |error: serde_json::Error| DecodeError::Metadata(short(error));
        let entry = self.header.metadata().as_ref().and_then(|entries| entries.get(ENTRY));
        let entry = entry.ok_or_else(|| DecodeError::Metadata("it is missing".into()))?;
        // First of all the version, so that a later one is not told of its unknown fields.
        let heading: Heading<'_> = serde_json::from_str(entry).map_err(metadata)?;
        if heading.version != VERSION {
            return Err(DecodeError::Metadata(format!("version {} where {VERSION} is read", heading.version)));
        }
        if heading.kind != kind {
            return Err(DecodeError::Metadata(format!("kind {:?} where {kind:?} is expected", short(heading.kind))));
        }
        serde_json::from_str(entry).map_err(metadata)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Result<&[usize], WrongLayout> {
        self.info(name).map(|info| &info.shape[..])
    }

    /// Checks that the file has exactly the tensors `want`, of these shapes and this codec's type.
    pub fn check(&self, want: &[(String, &[usize])], codec: Codec) -> Result<(), DecodeError> {
        for (name, shape) in want {
            let info = self.info(name)?;
            if info.shape != *shape {
                return Err(wrong_shape(name, &info.shape, shape).into());
            }
            if info.dtype != dtype(codec) {
                return Err(wrong_dtype(name, info.dtype, dtype(codec)));
            }
        }
        let found = self.header.tensors();
        if found.len() == want.len() {
            return Ok(());
        }
        let want: BTreeSet<&str> = want.iter().map(|(name, _)| name.as_str()).collect();
        match found.into_keys().filter(|name| !want.contains(name.as_str())).min() {
            Some(extra) => Err(WrongLayout::Extra(short(extra)).into()),
            None => Ok(()),
        }
    }

    /// The tensors of `layout`, found by their names behind `prefix`. They have been checked.
    pub fn params(&self, prefix: &str, layout: &Arc<Layout>, codec: Codec) -> Result<Params, DecodeError> {
        let mut params = Params::zeros(layout.clone());
        for (spec, range) in layout.tensors() {
            let name = format!("{prefix}{}", spec.name);
            let (start, end) = self.info(&name)?.data_offsets;
            let values = &mut params.values_mut()[range];
            codec.decode(&self.data[start..end], values);
            if let Some(index) = first_not_finite(values) {
                return Err(DecodeError::NotFinite { tensor: short(name), index });
            }
        }
        Ok(params)
    }

    fn info(&self, name: &str) -> Result<&TensorInfo, WrongLayout> {
        self.header.info(name).ok_or_else(|| WrongLayout::Missing(short(name)))
    }
}

fn check_digest(bytes: &[u8], want: Digest) -> Result<(), DecodeError> {
    let got = Digest::of(bytes);
    if got == want { Ok(()) } else { Err(DecodeError::WrongDigest { got, want }) }
}

/// The header and what follows it.
fn split(bytes: &[u8], max_header: usize) -> Result<(&[u8], &[u8]), DecodeError> {
    let (length, rest) = bytes.split_first_chunk().ok_or_else(|| truncated(bytes, PREFIX))?;
    let length = u64::from_le_bytes(*length);
    let fits = usize::try_from(length).ok().filter(|length| *length <= max_header);
    let header = fits.ok_or(DecodeError::HeaderTooLarge { got: length, limit: max_header })?;
    rest.split_at_checked(header).ok_or_else(|| truncated(bytes, PREFIX + header))
}

fn truncated(bytes: &[u8], want: usize) -> DecodeError {
    DecodeError::Truncated { got: bytes.len(), want }
}

fn wrong_shape(name: &str, got: &[usize], want: &[usize]) -> WrongLayout {
    WrongLayout::Shape { tensor: short(name), got: short(format!("{got:?}")), want: format!("{want:?}") }
}

fn wrong_dtype(name: &str, got: Dtype, want: Dtype) -> DecodeError {
    DecodeError::WrongDtype { tensor: short(name), got: got.to_string(), want: want.to_string() }
}

/// Where the first NaN or infinity stands.
fn first_not_finite(values: &[f32]) -> Option<usize> {
    // Without an early exit the loop runs in vector registers; the second one runs for a refused file only.
    let finite = values.iter().fold(true, |finite, value| finite & value.is_finite());
    if finite { None } else { values.iter().position(|value| !value.is_finite()) }
}

/// Files made by hand.
#[cfg(test)]
pub(crate) mod testing {
    use super::{PREFIX, split};

    /// A file of this header and data.
    pub fn file(header: &str, data: &[u8]) -> Vec<u8> {
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
    }

    /// The header of `bytes`, with its padding.
    pub fn header(bytes: &[u8]) -> &str {
        std::str::from_utf8(split(bytes, usize::MAX - PREFIX).unwrap().0).unwrap()
    }

    /// `bytes` with `from` in the header replaced by `to`.
    pub fn altered(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
        let (header, data) = (header(bytes), split(bytes, usize::MAX - PREFIX).unwrap().1);
        assert!(header.contains(from), "{from} is not in {header}");
        file(&header.replacen(from, to, 1), data)
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::file, *};

    const HEADER: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;

    fn check(bytes: &[u8], want: DecodeError) {
        assert_eq!(Container::read(bytes, 1000, 200, None).err(), Some(want));
    }

    #[test]
    fn a_file_that_holds_together_is_read() {
        let bytes = file(HEADER, &[0; 8]);
        for sha256 in [None, Some(Digest::of(&bytes))] {
            let file = Container::read(&bytes, bytes.len(), HEADER.len(), sha256).unwrap();
            assert_eq!(file.shape("a"), Ok(&[2][..]));
        }
    }

    #[test]
    fn a_large_file_is_refused_before_anything_else() {
        check(&[255; 1001], DecodeError::TooLarge { got: 1001, limit: 1000 });
    }

    #[test]
    fn a_large_header_is_refused_before_it_is_parsed() {
        check(&[255; 8], DecodeError::HeaderTooLarge { got: u64::MAX, limit: 200 });
        check(&file(&" ".repeat(201), &[]), DecodeError::HeaderTooLarge { got: 201, limit: 200 });
    }

    #[test]
    fn a_short_file_is_refused() {
        check(&[], DecodeError::Truncated { got: 0, want: 8 });
        check(&[8, 0, 0], DecodeError::Truncated { got: 3, want: 8 });
        check(&file(HEADER, &[0; 8])[..20], DecodeError::Truncated { got: 20, want: 8 + HEADER.len() });
        check(&file(HEADER, &[0; 7]), DecodeError::Truncated { got: 15 + HEADER.len(), want: 16 + HEADER.len() });
    }

    #[test]
    fn what_follows_the_last_tensor_is_refused() {
        check(&file(HEADER, &[0; 11]), DecodeError::TrailingBytes(3));
    }

    #[test]
    fn a_header_that_is_no_safetensors_is_refused() {
        let headers = [
            "",
            "[]",
            "{",
            "{} x",
            r#"{"a":{}}"#,
            r#"{"__metadata__":[]}"#,
            r#"{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}"#,
            // Too short for its shape, a gap, backwards, a size that overflows.
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}"#,
            r#"{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,8]}}"#,
            r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}}"#,
            r#"{"__metadata__":{"dure":1}}"#,
        ];
        for header in headers {
            let refused = Container::read(&file(header, &[0; 8]), 1000, 200, None).err();
            assert!(matches!(refused, Some(DecodeError::Header(_))), "{header}: {refused:?}");
        }
    }

    #[test]
    fn messages_stay_short_whatever_the_file_says() {
        let header = format!(r#"{{"a":{{"dtype":"{}","shape":[]}}}}"#, "ü".repeat(5000));
        let refused = Container::read(&file(&header, &[]), 100_000, 100_000, None).err().unwrap();
        assert!(refused.to_string().chars().count() < 300, "{refused}");
    }

    #[test]
    fn nan_and_infinity_are_found_wherever_they_stand() {
        assert_eq!(first_not_finite(&[0.0, f32::MAX, f32::MIN_POSITIVE / 2.0, -0.0]), None);
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for index in 0..40 {
                let mut values = [1.0; 40];
                values[index..].fill(bad);
                assert_eq!(first_not_finite(&values), Some(index));
            }
        }
    }
}
