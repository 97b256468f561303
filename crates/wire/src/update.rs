//! Updates ⇄ bytes: what a client uploads.

use std::{collections::BTreeMap, sync::Arc};

use dure_core::{
    codec::Codec,
    digest::Digest,
    model::Layout,
    update::{Update, Weight},
};
use serde::{Deserialize, Serialize};

use crate::{
    container::{self, Container, VERSION},
    error::{DecodeError, short},
    header,
};

const KIND: &str = "update";

/// The `dure` entry of an update; fields in alphabetical order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    base: Digest,
    codec: Codec,
    kind: String,
    /// JSON has `null` for what is no number.
    #[serde(deserialize_with = "header::once")]
    scalars: BTreeMap<String, Option<f64>>,
    version: u32,
    weight: f64,
}

/// The file of an update whose deltas are against `base`, the digest of the base version's file. Tensors are called
/// `{group}/{tensor}`. Values that are not finite are written as they are; [`decode_update`] refuses them.
pub fn encode_update(update: &Update, codec: Codec, base: Digest) -> Vec<u8> {
    let groups = update.groups.iter().map(|(group, params)| (group.as_str(), (&**params.layout(), params.values())));
    encode_groups(groups, (&update.scalars, update.weight.get()), codec, base)
}

/// The same of groups that lie somewhere, in the order of their names.
pub(crate) fn encode_groups<'a>(
    groups: impl Iterator<Item = (&'a str, (&'a Layout, &'a [f32]))>,
    (scalars, weight): (&BTreeMap<String, f64>, f64),
    codec: Codec,
    base: Digest,
) -> Vec<u8> {
    let tensors = groups.flat_map(|(group, values)| container::tensors(&prefix(group), values, codec)).collect();
    let scalars = scalars.iter().map(|(name, value)| (name.clone(), Some(*value))).collect();
    container::write(tensors, &About { base, codec, kind: KIND.into(), scalars, version: VERSION, weight })
}

/// What an update must look like: the plan's and the task's words.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The model's tensors; every group has all of them.
    pub layout: &'a Arc<Layout>,
    /// The groups, each once.
    pub groups: &'a [&'a str],
    /// The scalars, each once.
    pub scalars: &'a [String],
    /// How values are coded.
    pub codec: Codec,
    /// The digest of the base version's file.
    pub base: Digest,
}

/// Reads an update, of anybody, that must look as `expected`. With `sha256` the bytes must have that digest.
pub fn decode_update(bytes: &[u8], expected: &Expected<'_>, sha256: Option<Digest>) -> Result<Update, DecodeError> {
    let file = Container::read(bytes, expected.max_bytes(), expected.max_header(), sha256)?;
    let (weight, scalars) = expected.check(file.about(KIND)?)?;
    file.check(&expected.tensors(), expected.codec)?;
    let mut groups = BTreeMap::new();
    for group in expected.groups {
        groups.insert((*group).into(), file.params(&prefix(group), expected.layout, expected.codec)?);
    }
    Ok(Update { groups, weight, scalars })
}

impl Expected<'_> {
    /// The most bytes that an honest file has, whoever wrote it.
    pub fn max_bytes(&self) -> usize {
        let values = self.layout.parameters() * self.groups.len();
        size_of::<u64>() + self.max_header() + values * self.codec.width()
    }

    /// The longest header. JSON may write a byte of a name as `\\u00e9`, and writers put spaces and line breaks where
    /// they like: our own header is several times shorter.
    fn max_header(&self) -> usize {
        const FIXED: usize = 1024;
        let entry = |name: &str| 256 + 8 * name.len();
        let tensor = |group: &str, name: &str, dimensions: usize| entry(group) + entry(name) + 32 * dimensions;
        let group = |group: &&str| -> usize {
            self.layout.tensors().map(|(spec, _)| tensor(group, &spec.name, spec.shape.len())).sum()
        };
        let scalars: usize = self.scalars.iter().map(|name| entry(name)).sum();
        FIXED + scalars + self.groups.iter().map(group).sum::<usize>()
    }

    /// Every tensor's name in the file, and its shape.
    fn tensors(&self) -> Vec<(String, &[usize])> {
        self.groups.iter().flat_map(|group| container::shapes(&prefix(group), self.layout)).collect()
    }

    /// Checks all that is not a tensor.
    fn check(&self, about: About) -> Result<(Weight, BTreeMap<String, f64>), DecodeError> {
        if about.codec != self.codec {
            return Err(DecodeError::WrongCodec { got: about.codec, want: self.codec });
        }
        if about.base != self.base {
            return Err(DecodeError::WrongBase { got: about.base, want: self.base });
        }
        Ok((Weight::new(about.weight)?, self.check_scalars(about.scalars)?))
    }

    fn check_scalars(&self, scalars: BTreeMap<String, Option<f64>>) -> Result<BTreeMap<String, f64>, DecodeError> {
        let fault = |name: &str, fault| DecodeError::Scalars { name: short(name), fault };
        if let Some(name) = self.scalars.iter().find(|name| !scalars.contains_key(*name)) {
            return Err(fault(name, "is missing"));
        }
        let mut checked = BTreeMap::new();
        for (name, value) in scalars {
            if !self.scalars.contains(&name) {
                return Err(fault(&name, "is not declared by the plan"));
            }
            let value =
                value.filter(|value| value.is_finite()).ok_or_else(|| fault(&name, "is not a finite number"))?;
            checked.insert(name, value);
        }
        Ok(checked)
    }
}

/// What stands before the names of a group's tensors.
fn prefix(group: &str) -> String {
    format!("{group}/")
}

#[cfg(test)]
mod tests {
    use dure_core::{
        model::{Initial, Params, TensorSpec},
        update::{DELTA, WeightError},
    };

    use super::*;
    use crate::{
        container::testing::{altered, file, header},
        error::WrongLayout,
    };

    const BASE: Digest = Digest([7; 32]);

    fn layout() -> Arc<Layout> {
        let tensor = |name: &str, shape: &[usize]| TensorSpec::new(name, shape, Initial::Zeros);
        Arc::new(Layout::new(vec![tensor("w", &[2, 1]), tensor("b", &[])]).unwrap())
    }

    fn update(values: [f32; 3]) -> Update {
        let mut update = Update::of_delta(Params::new(layout(), values.into()).unwrap(), Weight::new(24.0).unwrap());
        update.scalars.insert("train_loss".into(), 0.25);
        update
    }

    fn honest() -> Vec<u8> {
        encode_update(&update([1.0, -2.5, 0.5]), Codec::F32, BASE)
    }

    fn decode(bytes: &[u8], codec: Codec, sha256: Option<Digest>) -> Result<Update, DecodeError> {
        let (layout, scalars) = (layout(), ["train_loss".into()]);
        decode_update(
            bytes,
            &Expected { layout: &layout, groups: &[DELTA], scalars: &scalars, codec, base: BASE },
            sha256,
        )
    }

    fn check(bytes: &[u8], want: DecodeError) {
        assert_eq!(decode(bytes, Codec::F32, None), Err(want));
    }

    /// Refused, when `from` in the header of an honest file is replaced by `to`.
    fn check_altered(from: &str, to: &str, want: DecodeError) {
        check(&altered(&honest(), from, to), want);
    }

    fn metadata(bytes: &[u8]) -> String {
        match decode(bytes, Codec::F32, None) {
            Err(DecodeError::Metadata(cause)) => cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_bytes_are_pinned() {
        let bytes = honest();
        let want = concat!(
            r#"{"__metadata__":{"dure":"{\"base\":\"0707070707070707070707070707070707070707070707070707070707070707\","#,
            r#"\"codec\":\"f32\",\"kind\":\"update\",\"scalars\":{\"train_loss\":0.25},\"version\":1,\"weight\":24.0}"},"#,
            r#""delta/b":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"#,
            r#""delta/w":{"dtype":"F32","shape":[2,1],"data_offsets":[4,12]}}"#,
        );
        assert_eq!(header(&bytes).trim_end(), want);
        assert_eq!(bytes[..8], (want.len().next_multiple_of(8) as u64).to_le_bytes());
        let data: Vec<u8> = [0.5f32, 1.0, -2.5].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(bytes[8 + header(&bytes).len()..], data);
    }

    #[test]
    fn an_honest_update_comes_back() {
        let bytes = honest();
        for sha256 in [None, Some(Digest::of(&bytes))] {
            assert_eq!(decode(&bytes, Codec::F32, sha256), Ok(update([1.0, -2.5, 0.5])));
        }
    }

    #[test]
    fn another_writers_order_spaces_and_entries_are_fine() {
        let about = r#"{ \"weight\" : 24, \"version\": 1, \"kind\": \"update\", \"scalars\": {\"train_loss\": 2.5e-1},
            \"codec\": \"\\u0066\\u00332\", \"base\": \"B\"}"#;
        let about = about.replace('B', &BASE.to_string()).replace('\n', "");
        let header = format!(
            r#"{{"delta/w": {{"shape": [2, 1], "dtype": "F32", "data_offsets": [0, 8]}},
                "\u0064elta/b": {{"data_offsets": [8, 12], "dtype": "F32", "shape": []}},
                "__metadata__": {{"format": "pt", "dure": "{about}"}}}}   "#
        );
        let data: Vec<u8> = [1.0f32, -2.5, 0.5].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(decode(&file(&header, &data), Codec::F32, None), Ok(update([1.0, -2.5, 0.5])));
    }

    #[test]
    fn an_honest_file_fits_into_the_bound_however_its_names_are_escaped() {
        let escaped: String = "delta/w".chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
        let bytes = altered(&honest(), "delta/w", &escaped);
        let loss: String = "train_loss".chars().map(|c| format!(r"\\u{:04x}", c as u32)).collect();
        let bytes = altered(&bytes, "train_loss", &loss);
        assert!(decode(&bytes, Codec::F32, None).is_ok());
    }

    #[test]
    fn a_file_above_the_bound_is_refused() {
        let (layout, scalars) = (layout(), ["train_loss".into()]);
        let expected = Expected { layout: &layout, groups: &[DELTA], scalars: &scalars, codec: Codec::F32, base: BASE };
        let limit = expected.max_bytes();
        check(&vec![0; limit + 1], DecodeError::TooLarge { got: limit + 1, limit });
        let more = format!("{}{}", header(&honest()), " ".repeat(limit));
        check(&file(&more, &[])[..limit], DecodeError::HeaderTooLarge { got: more.len() as u64, limit: limit - 20 });
    }

    #[test]
    fn other_bytes_than_announced_are_refused() {
        let bytes = honest();
        let (got, want) = (Digest::of(&bytes), Digest::of(b"something else"));
        assert_eq!(decode(&bytes, Codec::F32, Some(want)), Err(DecodeError::WrongDigest { got, want }));
    }

    #[test]
    fn any_cut_and_anything_appended_is_refused() {
        let bytes = honest();
        for end in 0..bytes.len() {
            let refused = decode(&bytes[..end], Codec::F32, None);
            assert!(matches!(refused, Err(DecodeError::Truncated { got, .. }) if got == end), "{refused:?}");
        }
        check(&[&bytes[..], &[0; 5]].concat(), DecodeError::TrailingBytes(5));
    }

    #[test]
    fn metadata_that_is_missing_or_of_another_kind_or_version_is_refused() {
        let check = |from: &str, to: &str, want: &str| {
            let cause = metadata(&altered(&honest(), from, to));
            assert!(cause.starts_with(want), "{cause}");
        };
        check(r#""dure":"#, r#""mine":"#, "it is missing");
        check(r#""__metadata__":{"dure":"#, r#""__metadata__":{"dure":"{}","x":"#, "missing field `kind`");
        check(r#"\"kind\":\"update\""#, r#"\"kind\":\"model\""#, r#"kind "model" where "update" is expected"#);
        check(r#"\"version\":1"#, r#"\"version\":2,\"new\":0"#, "version 2 where 1 is read");
        check(r#"\"version\":1"#, r#"\"version\":1,\"new\":0"#, "unknown field `new`");
        check(r#"\"weight\":24.0"#, r#"\"version\":1"#, "duplicate field `version`");
        check(
            r#"\"train_loss\":0.25"#,
            r#"\"train_loss\":0.25,\"train_loss\":9"#,
            r#"key "train_loss" is there twice"#,
        );
        check(r#",\"weight\":24.0"#, "", "missing field `weight`");
        check(r#"\"weight\":24.0"#, r#"\"weight\":null"#, "invalid type: null, expected f64");
        check(r#"\"weight\":24.0"#, r#"\"weight\":NaN"#, "expected value");
        check(r#"\"codec\":\"f32\""#, r#"\"codec\":\"int8\""#, "unknown variant `int8`");
        check(r#"\"base\":\"07"#, r#"\"base\":\"0"#, r#""00707"#);
    }

    #[test]
    fn another_codec_or_base_is_refused() {
        let bytes = encode_update(&update([1.0; 3]), Codec::Bf16, BASE);
        check(&bytes, DecodeError::WrongCodec { got: Codec::Bf16, want: Codec::F32 });
        let got = Digest([8; 32]);
        check(&encode_update(&update([1.0; 3]), Codec::F32, got), DecodeError::WrongBase { got, want: BASE });
    }

    #[test]
    fn a_tensor_of_another_type_is_refused() {
        let want =
            |tensor: &str| DecodeError::WrongDtype { tensor: tensor.into(), got: "I32".into(), want: "F32".into() };
        check_altered(r#""F32","shape":[]"#, r#""I32","shape":[]"#, want("delta/b"));
        check_altered(r#""F32","shape":[2,1]"#, r#""I32","shape":[2,1]"#, want("delta/w"));
    }

    #[test]
    fn another_layout_is_refused() {
        let check = |from, to, want: WrongLayout| check_altered(from, to, want.into());
        check("delta/w", "delta/v", WrongLayout::Missing("delta/w".into()));
        check("delta/w", "control/w", WrongLayout::Missing("delta/w".into()));
        let extra = r#""delta/c":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"delta/b""#;
        check(r#""delta/b""#, extra, WrongLayout::Extra("delta/c".into()));
        let shape = |got: &str| WrongLayout::Shape { tensor: "delta/w".into(), got: got.into(), want: "[2, 1]".into() };
        check(r#""shape":[2,1]"#, r#""shape":[1,2]"#, shape("[1, 2]"));
        check(r#""shape":[2,1]"#, r#""shape":[2]"#, shape("[2]"));
    }

    #[test]
    fn a_group_too_many_or_too_few_is_refused() {
        let mut two = update([1.0; 3]);
        two.groups.insert("control".into(), two.groups[DELTA].clone());
        let two = encode_update(&two, Codec::F32, BASE);
        check(&two, WrongLayout::Extra("control/b".into()).into());
        let (layout, scalars) = (layout(), ["train_loss".into()]);
        let groups = &["control", DELTA];
        let expected = Expected { layout: &layout, groups, scalars: &scalars, codec: Codec::F32, base: BASE };
        assert_eq!(decode_update(&two, &expected, None).unwrap().groups.len(), 2);
        let refused = decode_update(&honest(), &expected, None);
        assert_eq!(refused, Err(WrongLayout::Missing("control/w".into()).into()));
    }

    #[test]
    fn nan_and_infinity_are_refused_by_tensor_and_index() {
        let check = |values, tensor: &str, index| {
            let bytes = encode_update(&update(values), Codec::F32, BASE);
            check(&bytes, DecodeError::NotFinite { tensor: tensor.into(), index });
        };
        check([0.0, f32::NAN, 0.0], "delta/w", 1);
        check([f32::INFINITY, 0.0, f32::NAN], "delta/w", 0);
        check([0.0, 0.0, f32::NEG_INFINITY], "delta/b", 0);
        // What is finite and above the largest bf16 becomes that; what is not finite stays so.
        let decoded = |value| decode(&encode_update(&update([0.0, 0.0, value]), Codec::Bf16, BASE), Codec::Bf16, None);
        let want = DecodeError::NotFinite { tensor: "delta/b".into(), index: 0 };
        assert_eq!(decoded(f32::INFINITY), Err(want));
        assert!(decoded(f32::MAX).is_ok());
    }

    #[test]
    fn a_number_that_is_no_weight_is_refused() {
        for (text, weight) in [("0", 0.0), ("-1.5", -1.5), ("1e16", 1e16)] {
            let to = format!(r#"\"weight\":{text}"#);
            check_altered(r#"\"weight\":24.0"#, &to, DecodeError::Weight(WeightError(weight)));
        }
    }

    #[test]
    fn other_scalars_than_the_plans_are_refused() {
        let fault = |name: &str, fault| DecodeError::Scalars { name: name.into(), fault };
        let check = |to, want| check_altered(r#"\"train_loss\":0.25"#, to, want);
        check("", fault("train_loss", "is missing"));
        check(r#"\"loss\":0.25"#, fault("train_loss", "is missing"));
        check(r#"\"train_loss\":0.25,\"x\":1"#, fault("x", "is not declared by the plan"));
        check(r#"\"train_loss\":null"#, fault("train_loss", "is not a finite number"));
        let mut update = update([0.0; 3]);
        update.scalars.insert("train_loss".into(), f64::NAN);
        let bytes = encode_update(&update, Codec::F32, BASE);
        self::check(&bytes, fault("train_loss", "is not a finite number"));
    }
}
