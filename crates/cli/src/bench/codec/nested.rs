//! Tensors as JSON: an object of nested lists of decimal numbers, a list for each row of each dimension.

use std::fmt;

use anyhow::Result;
use dure_core::model::Params;
use serde::{
    Serialize, Serializer,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The tensors of `params` by name.
pub fn encode(params: &Params) -> Result<Vec<u8>> {
    let tensors = params.layout().tensors();
    let tensors = tensors.map(|(spec, range)| (&spec.name, Nested(&spec.shape, &params.values()[range])));
    let mut out = vec![];
    serde_json::Serializer::new(&mut out).collect_map(tensors)?;
    Ok(out)
}

/// All numbers of a text, in its order; `count` are expected.
pub fn decode(text: &[u8], count: usize) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(count);
    Flat(&mut values).deserialize(&mut serde_json::Deserializer::from_slice(text))?;
    Ok(values)
}

/// A tensor of this shape. Numbers have the digits of an f64, as those have that Python makes of a tensor.
struct Nested<'a>(&'a [usize], &'a [f32]);

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(shape, values) = *self;
        match shape {
            [] => f64::from(values[0]).serialize(serializer),
            [_] => serializer.collect_seq(values.iter().map(|value| f64::from(*value))),
            [_, inner @ ..] => {
                let rows = values.chunks_exact(inner.iter().product());
                serializer.collect_seq(rows.map(|row| Nested(inner, row)))
            }
        }
    }
}

/// Takes whatever comes apart into its numbers.
struct Flat<'a>(&'a mut Vec<f32>);

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("numbers, lists and objects")
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.push(value as f32);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.push(value as f32);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push(value as f32);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Flat(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while object.next_key::<IgnoredAny>()?.is_some() {
            object.next_value_seed(Flat(self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dure_core::model::{Initial, Layout, TensorSpec};

    use super::*;

    #[test]
    fn tensors_are_nested_lists_by_name_and_come_back() {
        let tensor = |name: &str, shape: &[usize]| TensorSpec::new(name, shape, Initial::Zeros);
        let layout = Layout::new(vec![tensor("w", &[2, 1, 2]), tensor("b", &[1]), tensor("s", &[])]).unwrap();
        let values = vec![0.1, -2.0, 3e-30, 4.0, 0.5, 6.0];
        let text = encode(&Params::new(layout.into(), values.clone()).unwrap()).unwrap();
        // As Python's json.dumps writes these f32 numbers.
        let want = r#"{"w":[[[0.10000000149011612,-2.0]],[[3.0000000095132306e-30,4.0]]],"b":[0.5],"s":6.0}"#;
        assert_eq!(String::from_utf8(text.clone()).unwrap(), want);
        assert_eq!(decode(&text, 6).unwrap(), values);
    }
}
