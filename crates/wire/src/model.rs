//! Models ⇄ bytes: what a version's file is.

use std::sync::Arc;

use dure_core::{
    codec::Codec,
    digest::Digest,
    model::{Initial, Layout, Params, TensorSpec},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    container::{self, Container, VERSION},
    error::{DecodeError, WrongLayout},
};

const KIND: &str = "model";

/// The longest header of a model: its tensors' names and shapes, and what is said about it.
pub const MAX_HEADER: usize = 4 << 20;

/// The `dure` entry of a model; fields in alphabetical order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    about: Map<String, Value>,
    kind: String,
    /// The tensors in the layout's order: the file has them sorted.
    order: Vec<String>,
    version: u32,
}

/// The file of a model: plain f32 tensors under their own names, which PyTorch's `load_file` reads, and `about`, which
/// says what it takes to use it (preprocessing, classes, where it comes from). Header and `about` together must stay
/// below [`MAX_HEADER`], else the file is one that [`decode_model`] refuses.
/// Panics where the header passes safetensors' own bound of 100 MB.
pub fn encode_model(params: &Params, about: &Map<String, Value>) -> Vec<u8> {
    let order = params.layout().tensors().map(|(spec, _)| spec.name.clone()).collect();
    let about = About { about: sorted(about), kind: KIND.into(), order, version: VERSION };
    container::write(container::tensors("", (params.layout(), params.values()), Codec::F32), &about)
}

/// Reads a model of at most `limit_bytes`, and what is said about it. With `layout` it must have exactly those tensors,
/// and takes that layout; without, the layout is the file's own, in the file's `order`, every [`Initial`] zero. With
/// `sha256` the bytes must have that digest.
pub fn decode_model(
    bytes: &[u8],
    layout: Option<&Arc<Layout>>,
    limit_bytes: usize,
    sha256: Option<Digest>,
) -> Result<(Params, Map<String, Value>), DecodeError> {
    let file = Container::read(bytes, limit_bytes, MAX_HEADER, sha256)?;
    let About { about, order, .. } = file.about(KIND)?;
    let layout = match layout {
        Some(layout) => layout.clone(),
        None => Arc::new(layout_of(&file, order)?),
    };
    file.check(&container::shapes("", &layout), Codec::F32)?;
    Ok((file.params("", &layout, Codec::F32)?, about))
}

fn layout_of(file: &Container<'_>, order: Vec<String>) -> Result<Layout, WrongLayout> {
    let spec = |name: String| Ok(TensorSpec::new(&*name, file.shape(&name)?, Initial::Zeros));
    let tensors: Result<Vec<_>, WrongLayout> = order.into_iter().map(spec).collect();
    Ok(Layout::new(tensors?)?)
}

/// `map` with sorted keys at every depth, also where a feature of `serde_json` keeps them as they came.
fn sorted(map: &Map<String, Value>) -> Map<String, Value> {
    let mut map = map.clone();
    map.sort_keys();
    map.values_mut().for_each(Value::sort_all_objects);
    map
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::container::testing::{altered, file, header};

    fn params() -> Params {
        let tensor = |name: &str, shape: &[usize]| {
            let initial = Initial::Uniform(0.1);
            TensorSpec::new(name, shape, initial)
        };
        let layout = Layout::new(vec![tensor("w", &[1, 2]), tensor("b", &[])]).unwrap();
        Params::new(layout.into(), vec![1.0, -2.5, 0.5]).unwrap()
    }

    fn about() -> Map<String, Value> {
        let Value::Object(about) = json!({"target": "calories", "classes": ["no", "yes"], "means": {"b": 0.1, "a": 3}})
        else {
            unreachable!()
        };
        about
    }

    fn honest() -> Vec<u8> {
        encode_model(&params(), &about())
    }

    fn check(bytes: &[u8], want: &DecodeError) {
        for layout in [None, Some(params().layout())] {
            assert_eq!(decode_model(bytes, layout, 1000, None).as_ref(), Err(want));
        }
    }

    #[test]
    fn the_header_is_pinned() {
        let want = concat!(
            r#"{"__metadata__":{"dure":"{\"about\":{\"classes\":[\"no\",\"yes\"],\"means\":{\"a\":3,\"b\":0.1},"#,
            r#"\"target\":\"calories\"},\"kind\":\"model\",\"order\":[\"w\",\"b\"],\"version\":1}"},"#,
            r#""b":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[4,12]}}"#,
        );
        assert_eq!(header(&honest()).trim_end(), want);
    }

    #[test]
    fn a_model_comes_back_on_the_layout_given() {
        let want = params();
        let (got, about) = decode_model(&honest(), Some(want.layout()), 1000, Some(Digest::of(&honest()))).unwrap();
        assert_eq!((&got, about), (&want, self::about()));
        assert!(Arc::ptr_eq(got.layout(), want.layout()));
    }

    #[test]
    fn a_file_alone_gives_its_own_layout_in_the_models_order() {
        let (got, said) = decode_model(&honest(), None, 1000, None).unwrap();
        assert_eq!((got.values(), &said), (params().values(), &about()));
        let names: Vec<_> =
            got.layout().tensors().map(|(spec, _)| (&spec.name[..], &spec.shape[..], spec.initial)).collect();
        assert_eq!(names, [("w", &[1, 2][..], Initial::Zeros), ("b", &[], Initial::Zeros)]);
        assert_eq!(encode_model(&got, &said), honest());
    }

    #[test]
    fn what_is_said_about_a_model_cannot_take_the_place_of_what_we_say() {
        let Value::Object(about) = json!({"kind": "update", "version": 9, "order": []}) else { unreachable!() };
        let (_, said) = decode_model(&encode_model(&params(), &about), None, 1000, None).unwrap();
        assert_eq!(said, about);
    }

    #[test]
    fn bounds_and_digests_are_held() {
        let bytes = honest();
        let got = bytes.len();
        assert_eq!(decode_model(&bytes, None, got - 1, None), Err(DecodeError::TooLarge { got, limit: got - 1 }));
        let want = Digest([0; 32]);
        let refused = decode_model(&bytes, None, got, Some(want));
        assert_eq!(refused, Err(DecodeError::WrongDigest { got: Digest::of(&bytes), want }));
        let bytes = file(&" ".repeat(MAX_HEADER + 1), &[]);
        let refused = decode_model(&bytes, None, usize::MAX, None);
        assert_eq!(refused, Err(DecodeError::HeaderTooLarge { got: MAX_HEADER as u64 + 1, limit: MAX_HEADER }));
        check(&honest()[..got - 1], &DecodeError::Truncated { got: got - 1, want: got });
        check(&[honest(), vec![0]].concat(), &DecodeError::TrailingBytes(1));
    }

    #[test]
    fn a_file_that_is_no_model_of_ours_is_refused() {
        let check = |from, to, want: &str| {
            for layout in [None, Some(params().layout())] {
                match decode_model(&altered(&honest(), from, to), layout, 1000, None) {
                    Err(DecodeError::Metadata(cause)) => assert!(cause.starts_with(want), "{cause}"),
                    other => panic!("{other:?}"),
                }
            }
        };
        check(r#""dure":"#, r#""format":"#, "it is missing");
        check(r#"\"model\""#, r#"\"update\""#, r#"kind "update" where "model" is expected"#);
        check(r#"\"version\":1"#, r#"\"version\":7"#, "version 7 where 1 is read");
        check(r#"\"order\":["#, r#"\"more\":["#, "unknown field `more`");
    }

    #[test]
    fn a_layout_other_than_the_plans_is_refused() {
        let check = |from, to, want: WrongLayout| check(&altered(&honest(), from, to), &want.into());
        check(r#""w":{"#, r#""v":{"#, WrongLayout::Missing("w".into()));
        let extra = r#""c":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"#;
        check(r#""b":{"#, extra, WrongLayout::Extra("c".into()));
        let turned = altered(&honest(), "[1,2]", "[2,1]");
        let refused = decode_model(&turned, Some(params().layout()), 1000, None);
        let want = WrongLayout::Shape { tensor: "w".into(), got: "[2, 1]".into(), want: "[1, 2]".into() };
        assert_eq!(refused, Err(want.into()));
        assert!(decode_model(&turned, None, 1000, None).is_ok());
    }

    #[test]
    fn a_file_alone_must_be_a_layout() {
        let order = r#"[\"w\",\"b\"]"#;
        let check = |from, to, want: &str| {
            let refused = decode_model(&altered(&honest(), from, to), None, 1000, None);
            assert_eq!(refused, Err(WrongLayout::Impossible(want.into()).into()));
        };
        check(order, r#"[\"w\",\"w\",\"b\"]"#, "two tensors are called \"w\"");
        let needs = "a layout needs at least one tensor, and each tensor at least one element; ";
        check(order, "[]", &format!("{needs}\"\" has none"));
        let empty = altered(&honest(), order, r#"[\"e\",\"w\",\"b\"]"#);
        let empty = altered(&empty, r#""b":{"#, r#""e":{"dtype":"F32","shape":[3,0],"data_offsets":[0,0]},"b":{"#);
        let refused = decode_model(&empty, None, 1000, None);
        assert_eq!(refused, Err(WrongLayout::Impossible(format!("{needs}\"e\" has none")).into()));
        let short = decode_model(&altered(&honest(), order, r#"[\"w\"]"#), None, 1000, None);
        assert_eq!(short, Err(WrongLayout::Extra("b".into()).into()));
    }

    #[test]
    fn other_types_and_numbers_that_are_not_finite_are_refused() {
        let want = DecodeError::WrongDtype { tensor: "b".into(), got: "U32".into(), want: "F32".into() };
        check(&altered(&honest(), r#""F32","shape":[]"#, r#""U32","shape":[]"#), &want);
        let mut params = params();
        params.values_mut()[1] = f32::NAN;
        check(&encode_model(&params, &about()), &DecodeError::NotFinite { tensor: "w".into(), index: 1 });
    }
}
