//! The tensor container, as an update, as a model, and in its zstd frame.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, LazyLock},
};

use dure_core::{
    codec::Codec,
    digest::Digest,
    model::{Initial, Layout, Params, TensorSpec},
    update::{DELTA, Update},
};
use dure_wire::{
    DecodeError, Expected, compress, decode_model, decode_update, decompress, encode_model, encode_update,
};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{memory, message};

/// The most bytes that are unpacked.
const UNPACKED: usize = 1 << 16;

/// The base that updates are to name.
const BASE: Digest = Digest([7; 32]);

/// The tensors that updates are to have.
static LAYOUT: LazyLock<Arc<Layout>> = LazyLock::new(|| {
    let tensor = |name: &str, shape: &[usize]| TensorSpec::new(name, shape, Initial::Zeros);
    Arc::new(Layout::new(vec![tensor("w", &[2, 1]), tensor("b", &[])]).expect("two tensors are a layout"))
});

/// Takes `bytes` as a file; as the parts of one, so that lengths and quotes need not be guessed; and as a zstd frame of one.
///
/// What is read is what its canonical file says, to the bit. Reading takes memory in proportion to the file and to what was
/// allowed, whatever the file declares. A key is in a header once.
pub fn tensor_container(bytes: &[u8]) {
    check(bytes);
    if let Some(file) = assembled(bytes) {
        check(&file);
    }
    if let Some(file) = unpacked(bytes) {
        check(&file);
    }
}

fn check(bytes: &[u8]) {
    check_model(bytes);
    for (groups, codec) in [(&[DELTA][..], Codec::F32), (&[DELTA], Codec::Bf16), (&["control", DELTA], Codec::F32)] {
        check_update(bytes, groups, codec);
    }
}

fn check_model(bytes: &[u8]) {
    let read = |bytes: &[u8], layout| {
        memory::within(allowed(bytes.len()), || decode_model(bytes, layout, bytes.len(), Some(Digest::of(bytes))))
    };
    let Some((params, about)) = taken(read(bytes, None)) else { return };
    check_header(bytes);
    let file = encode_model(&params, &about);
    let again = [None, Some(params.layout())].map(|layout| read(&file, layout));
    for (same, said) in again.map(|read| read.expect("a canonical file is read")) {
        assert_eq!((bits(&same), &said), (bits(&params), &about));
        assert_eq!(same.layout(), params.layout());
        assert!(encode_model(&same, &said) == file, "a canonical file is another when it is written again");
    }
    let (same, said) = read(bytes, Some(params.layout())).expect("a file has its own layout");
    assert_eq!((bits(&same), &said), (bits(&params), &about));
}

fn check_update(bytes: &[u8], groups: &[&str], codec: Codec) {
    let scalars = ["train_loss".into()];
    let expected = Expected { layout: &LAYOUT, groups, scalars: &scalars, codec, base: BASE };
    let read = |bytes: &[u8]| {
        memory::within(allowed(bytes.len()), || decode_update(bytes, &expected, Some(Digest::of(bytes))))
    };
    let Some(update) = taken(read(bytes)) else { return };
    check_header(bytes);
    assert!(bytes.len() <= expected.max_bytes());
    let file = encode_update(&update, codec, BASE);
    let same = read(&file).expect("a canonical file is read");
    let all =
        |update: &Update| update.groups.iter().map(|(name, params)| (name.clone(), bits(params))).collect::<Vec<_>>();
    assert_eq!(all(&same), all(&update));
    assert_eq!((same.weight, &same.scalars), (update.weight, &update.scalars));
    assert!(encode_update(&same, codec, BASE) == file, "a canonical file is another when it is written again");
}

/// What was read, if it was; a refusal is one that people can read.
fn taken<T>(read: Result<T, DecodeError>) -> Option<T> {
    read.map_err(|error| message::check(&error)).ok()
}

/// The bits of all values, every one finite.
fn bits(params: &Params) -> Vec<u32> {
    assert!(params.is_finite());
    params.values().iter().map(|value| value.to_bits()).collect()
}

/// The most memory that reading `bytes` bytes may take: a header's JSON becomes values of up to 32 bytes for every two of it,
/// in lists that double.
fn allowed(bytes: usize) -> usize {
    64 * bytes + (64 << 10)
}

/// A file of `bytes` that are three lines: what stands in the `dure` entry, the tensors of the header, the data.
fn assembled(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let (about, tensors, data) = (parts.next()?, parts.next()?, parts.next()?);
    let about = serde_json::to_string(std::str::from_utf8(about).ok()?).expect("a text is JSON");
    let tensors = std::str::from_utf8(tensors).ok()?.trim_start().strip_prefix('{')?;
    let comma = if tensors.starts_with('}') { "" } else { "," };
    let header = format!("{{\"__metadata__\":{{\"dure\":{about}}}{comma}{tensors}");
    Some([&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat())
}

/// What is in the frame that `bytes` is.
fn unpacked(bytes: &[u8]) -> Option<Vec<u8>> {
    // A list that doubles, and the reader's own buffers.
    let file = taken(memory::within(3 * UNPACKED + (16 << 10), || decompress(bytes, UNPACKED)))?;
    assert!(file.len() <= UNPACKED);
    let (len, frame) = (file.len(), compress(&file, 1));
    assert!(decompress(&frame, len).as_ref() == Ok(&file), "a frame of ours holds something else");
    if let Some(limit) = len.checked_sub(1) {
        assert_eq!(decompress(bytes, limit), Err(DecodeError::ZstdTooLarge { limit }));
    }
    Some(file)
}

/// No reader may take another of two tensors than we do: whatever was taken has each name once.
fn check_header(bytes: &[u8]) {
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    let Keys(keys) = serde_json::from_slice(&bytes[8..][..length]).expect("a header that was taken is an object");
    let once: BTreeSet<&String> = keys.iter().collect();
    assert_eq!(once.len(), keys.len(), "a key is there twice: {keys:?}");
}

/// The keys of an object, as they come.
struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Keys;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut keys = vec![];
                while let Some((key, IgnoredAny)) = map.next_entry()? {
                    keys.push(key);
                }
                Ok(Keys(keys))
            }
        }

        from.deserialize_map(Object)
    }
}
