//! The laws of the container, over arbitrary updates and models.

use std::sync::Arc;

use dure_core::{
    codec::Codec,
    digest::Digest,
    model::{Initial, Layout, Params, TensorSpec},
    update::{DELTA, Update, Weight},
};
use dure_wire::{DecodeError, Expected, decode_model, decode_update, encode_model, encode_update};
use proptest::{prelude::*, sample::Index};
use serde_json::{Map, Value};

const BASE: Digest = Digest([7; 32]);

/// An update, and all that a plan says about it.
#[derive(Clone, Debug)]
struct Example {
    update: Update,
    layout: Arc<Layout>,
    scalars: Vec<String>,
    codec: Codec,
}

impl Example {
    fn encode(&self) -> Vec<u8> {
        encode_update(&self.update, self.codec, BASE)
    }

    fn decode(&self, bytes: &[u8], sha256: Option<Digest>) -> Result<Update, DecodeError> {
        let groups: Vec<&str> = self.update.groups.keys().map(String::as_str).collect();
        let Self { layout, scalars, codec, .. } = self;
        decode_update(bytes, &Expected { layout, groups: &groups, scalars, codec: *codec, base: BASE }, sha256)
    }

    /// The update as its codec leaves it.
    fn coded(&self) -> Update {
        let mut update = self.update.clone();
        for params in update.groups.values_mut() {
            let mut bytes = Vec::new();
            self.codec.encode(params.values(), &mut bytes);
            self.codec.decode(&bytes, params.values_mut());
        }
        update
    }
}

/// Layouts in any order; files are sorted.
fn layouts() -> impl Strategy<Value = Arc<Layout>> {
    let tensors = prop::collection::btree_map("\\PC{1,12}", prop::collection::vec(1usize..5, 0..4), 1..5);
    let spec = |(name, shape): (String, Vec<usize>)| TensorSpec::new(name, shape, Initial::Zeros);
    let specs = tensors.prop_map(move |tensors| tensors.into_iter().map(spec).collect::<Vec<_>>());
    specs.prop_shuffle().prop_map(|specs| Arc::new(Layout::new(specs).unwrap()))
}

fn params(layout: Arc<Layout>) -> impl Strategy<Value = Params> {
    let finite = prop_oneof![-1e30f32..1e30, -1f32..1.0, Just(-0.0), Just(f32::MIN_POSITIVE / 4.0)];
    let values = prop::collection::vec(finite, layout.parameters());
    values.prop_map(move |values| Params::new(layout.clone(), values).unwrap())
}

fn examples() -> impl Strategy<Value = Example> {
    layouts().prop_flat_map(|layout| {
        let groups = prop::collection::vec(params(layout.clone()), 1..3);
        let scalars = prop::collection::btree_map("\\PC{1,8}", -1e300f64..1e300, 0..4);
        let codec = prop_oneof![Just(Codec::F32), Just(Codec::Bf16)];
        (groups, scalars, codec, 1e-9f64..1e15).prop_map(move |(groups, scalars, codec, weight)| {
            let names = [DELTA, "control"].map(String::from);
            let groups = names.into_iter().zip(groups).collect();
            let names = scalars.keys().cloned().collect();
            let update = Update { groups, weight: Weight::new(weight).unwrap(), scalars };
            Example { update, layout: layout.clone(), scalars: names, codec }
        })
    })
}

fn models() -> impl Strategy<Value = (Params, Map<String, Value>)> {
    let about = prop::collection::btree_map(
        "\\PC{0,8}",
        prop_oneof![
            any::<i64>().prop_map(Value::from),
            any::<f32>().prop_map(Value::from),
            "\\PC*".prop_map(Value::from)
        ],
        0..4,
    );
    (layouts().prop_flat_map(params), about.prop_map(|about| about.into_iter().collect()))
}

proptest! {
    #[test]
    fn an_update_comes_back_as_its_codec_leaves_it(example in examples()) {
        let bytes = example.encode();
        let update = example.decode(&bytes, Some(Digest::of(&bytes))).unwrap();
        prop_assert_eq!(&update, &example.coded());
        let bits = |update: &Update| -> Vec<_> {
            update.groups.values().flat_map(|params| params.values().iter().map(|v| v.to_bits())).collect()
        };
        prop_assert_eq!(bits(&update), bits(&example.coded()));
    }

    #[test]
    fn encoding_what_was_decoded_gives_the_same_bytes(example in examples()) {
        let bytes = example.encode();
        let update = example.decode(&bytes, None).unwrap();
        prop_assert_eq!(Example { update, ..example }.encode(), bytes);
    }

    #[test]
    fn safetensors_own_reader_reads_what_we_write(example in examples()) {
        let bytes = example.encode();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        prop_assert_eq!(file.len(), example.update.groups.len() * example.layout.tensors().count());
    }

    #[test]
    fn a_cut_update_is_refused(example in examples(), cut in any::<Index>()) {
        let bytes = example.encode();
        let end = cut.index(bytes.len());
        let refused = example.decode(&bytes[..end], None);
        prop_assert!(matches!(refused, Err(DecodeError::Truncated { got, .. }) if got == end), "{refused:?}");
    }

    #[test]
    fn appended_bytes_are_refused(example in examples(), more in prop::collection::vec(any::<u8>(), 1..5000)) {
        let refused = example.decode(&[example.encode(), more].concat(), None);
        prop_assert!(matches!(refused, Err(DecodeError::TrailingBytes(_) | DecodeError::TooLarge { .. })), "{refused:?}");
    }

    #[test]
    fn flipped_bytes_never_panic_and_never_pass_the_digest(example in examples(), flips in prop::collection::vec((any::<Index>(), 1u8..), 1..4)) {
        let honest = example.encode();
        let mut bytes = honest.clone();
        flips.iter().for_each(|(index, flip)| *index.get_mut(&mut bytes) ^= flip);
        prop_assume!(bytes != honest);
        let _ = example.decode(&bytes, None);
        let _ = decode_model(&bytes, None, bytes.len(), None);
        let (got, want) = (Digest::of(&bytes), Digest::of(&honest));
        prop_assert_eq!(example.decode(&bytes, Some(want)), Err(DecodeError::WrongDigest { got, want }));
    }

    #[test]
    fn arbitrary_bytes_never_panic(example in examples(), bytes in prop::collection::vec(any::<u8>(), 0..300), header in "[\\{\\}\\[\\],:\"0-9a-zA-Z_ ]{0,80}") {
        let framed = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &bytes].concat();
        for bytes in [bytes, framed] {
            prop_assert!(example.decode(&bytes, None).is_err());
            prop_assert!(decode_model(&bytes, None, 1000, None).is_err());
            prop_assert!(decode_model(&bytes, Some(&example.layout), 1000, None).is_err());
        }
    }

    #[test]
    fn a_model_comes_back_with_and_without_its_layout((params, about) in models()) {
        let bytes = encode_model(&params, &about);
        for layout in [None, Some(params.layout())] {
            let (got, said) = decode_model(&bytes, layout, bytes.len(), Some(Digest::of(&bytes))).unwrap();
            prop_assert_eq!(encode_model(&got, &said), &bytes[..]);
            prop_assert_eq!((got, said), (params.clone(), about.clone()));
        }
    }

    #[test]
    fn a_cut_model_is_refused((params, about) in models(), cut in any::<Index>()) {
        let bytes = encode_model(&params, &about);
        let end = cut.index(bytes.len());
        let refused = decode_model(&bytes[..end], None, bytes.len(), None);
        prop_assert!(matches!(refused, Err(DecodeError::Truncated { .. })), "{refused:?}");
    }
}
