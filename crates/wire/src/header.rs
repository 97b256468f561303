//! A safetensors header, each of whose keys is there once: of two tensors of one name another reader may take the other.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use safetensors::tensor::{Metadata, TensorInfo};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::error::{DecodeError, short};

/// The entry that is no tensor.
const METADATA: &str = "__metadata__";

#[derive(Deserialize)]
#[serde(transparent)]
struct Entries<'a>(#[serde(borrow, deserialize_with = "once")] BTreeMap<String, &'a RawValue>);

#[derive(Deserialize)]
#[serde(transparent)]
struct Texts(#[serde(deserialize_with = "once")] BTreeMap<String, String>);

/// Reads a header whose tensors lie one after another.
pub(crate) fn parse(header: &[u8]) -> Result<Metadata, DecodeError> {
    let json = |error: serde_json::Error| DecodeError::Header(short(error));
    let Entries(mut entries) = serde_json::from_slice(header).map_err(json)?;
    let texts = entries.remove(METADATA).map(|texts| serde_json::from_str(texts.get())).transpose().map_err(json)?;
    let texts = texts.flatten().map(|Texts(texts)| texts.into_iter().collect());
    let tensor = |(name, info): (String, &RawValue)| Ok((name, serde_json::from_str(info.get())?));
    let tensors: Result<Vec<(String, TensorInfo)>, _> = entries.into_iter().map(tensor).collect();
    let mut tensors = tensors.map_err(json)?;
    tensors.sort_by_key(|(_, info)| info.data_offsets);
    Metadata::new(texts, tensors).map_err(|error| DecodeError::Header(short(error)))
}

/// Reads an object, each of whose keys is there once.
pub(crate) fn once<'de, D: Deserializer<'de>, V: Deserialize<'de>>(from: D) -> Result<BTreeMap<String, V>, D::Error> {
    from.deserialize_map(Once(PhantomData))
}

struct Once<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Once<V> {
    type Value = BTreeMap<String, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, value)) = entries.next_entry::<String, V>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("key {:?} is there twice", short(key))));
            }
            map.insert(key, value);
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(header: &str) -> String {
        parse(header.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_key_is_there_once() {
        let tensor = r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
        let next = r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#;
        assert_eq!(parse(format!(r#"{{"b":{next},"a":{tensor}}}"#).as_bytes()).unwrap().data_len(), 8);
        let wrong = |what: &str| format!("the header is not valid safetensors: key {what:?} is there twice");
        let check = |header: String, what| assert!(refused(&header).starts_with(&wrong(what)), "{}", refused(&header));
        check(format!(r#"{{"a":{tensor},"\u0061":{tensor}}}"#), "a");
        check(format!(r#"{{"a":{tensor},"a":{next}}}"#), "a");
        check(r#"{"__metadata__":{},"__metadata__":{}}"#.into(), "__metadata__");
        check(r#"{"__metadata__":{"dure":"1","dure":"2"}}"#.into(), "dure");
    }

    #[test]
    fn no_metadata_is_as_good_as_none() {
        for header in ["{}", r#"{"__metadata__":null}"#, r#" {"__metadata__":{}} "#] {
            assert_eq!(parse(header.as_bytes()).unwrap().tensors().len(), 0, "{header}");
        }
    }
}
