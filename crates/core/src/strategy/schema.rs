//! The schema of what a recipe says of its strategy: that of [`super::StrategySpec`], with the keys that each strategy takes.

use std::ops::Bound::{self, Excluded, Included};

use schemars::Schema;
use serde_json::{Map, Value, json};

use super::{
    NAMES, Named,
    key::{Bounds, Key},
};

/// Divides the keys of all strategies into one choice for each row of [`NAMES`].
pub(super) fn by_name(schema: &mut Schema) {
    let Some(Value::Object(keys)) = schema.remove("properties") else { return };
    schema.remove("additionalProperties");
    schema.insert("oneOf".into(), NAMES.iter().map(|named| choice(named, &keys)).collect());
}

fn choice(named: &Named, keys: &Map<String, Value>) -> Value {
    let mut properties =
        json!({"name": {"type": "string", "const": named.name}, "learning_rate": keys["learning_rate"]});
    for key in named.keys {
        properties[key.name()] = bounded(keys[key.name()].clone(), *key);
    }
    let needed = named.keys.iter().filter(|key| key.default().is_none()).map(|key| key.name());
    let required: Vec<&str> = ["name"].into_iter().chain(needed).collect();
    json!({
        "description": named.paper,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A key as its field is described, with what it may be and what stands without it.
fn bounded(mut field: Value, key: Key) -> Value {
    let Bounds { default, range: (least, most), .. } = key.bounds();
    let whole = field["type"][0] == "integer";
    let number = |value: f64| if whole { json!(value as u64) } else { json!(value) };
    field["type"] = field["type"][0].clone();
    field["default"] = default.map_or(Value::Null, number);
    let mut say = |included: &str, excluded: &str, bound: Bound<f64>| match bound {
        Included(value) => field[included] = number(value),
        Excluded(value) if value.is_finite() => field[excluded] = number(value),
        _ => {}
    };
    say("minimum", "exclusiveMinimum", least);
    say("maximum", "exclusiveMaximum", most);
    field
}
