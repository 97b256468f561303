//! What a federation's rows mean: what goes in, and what is to be said of it. It travels to every site.

use std::collections::BTreeSet;

use dure_core::{
    excerpt::excerpt,
    plan::{MAX_CLASSES, PlanError},
};
use serde::{Deserialize, Serialize};

use crate::{
    data::images::ImageShape,
    network::{build::Shape, conv::Image},
};

/// The most numbers that a row of a table gives a model.
const MAX_INPUTS: usize = 4096;

/// What goes in, a row of columns or an image, and what comes out, a number or a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// What the model is given, in the order of its inputs; none if it is given images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Column>,
    /// What becomes of a feature that is not known.
    #[serde(default, skip_serializing_if = "Missing::is_refused")]
    pub missing: Missing,
    /// The images that the model is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageShape>,
    /// What it is to say.
    pub target: Target,
}

/// A column: numbers in a unit, or categories.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The federation's name for it; a site may map its own onto it.
    pub name: String,
    /// The unit of numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The categories, in their order; none for numbers. Each is an input, which is 1 where it is meant and 0 elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}

/// What becomes of a feature that is not known. It is the same at every site, for it is part of what the model learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It is an error.
    #[default]
    Refuse,
    /// It is the federation's mean, which is 0 when scaled; of categories it is none. It is not measured.
    Mean,
    /// Its row is left out, and counted.
    Drop,
}

impl Missing {
    /// Whether a missing value is an error.
    pub fn is_refused(&self) -> bool {
        *self == Self::Refuse
    }
}

/// What a model is to say: a number, or one of some classes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The federation's name for it; a site may map its own onto it.
    pub name: String,
    /// The unit of a number.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The classes, in their order; none for a number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
}

impl Column {
    /// Whether it is of numbers.
    pub fn is_number(&self) -> bool {
        self.categories.is_empty()
    }

    /// How many of a model's inputs it becomes.
    pub fn width(&self) -> usize {
        self.categories.len().max(1)
    }

    /// What its inputs are called: `age`, or `sex=F` and `sex=M`.
    fn inputs(&self) -> Vec<String> {
        if self.is_number() {
            return vec![self.name.clone()];
        }
        self.categories.iter().map(|category| format!("{}={category}", self.name)).collect()
    }
}

impl Schema {
    /// Names and units of every column: the features, then the target.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        let target = (&*self.target.name, &*self.target.unit);
        self.features.iter().map(|column| (&*column.name, &*column.unit)).chain([target])
    }

    /// Names of what is standardised: the features that are numbers, or the channels of images; then the target, if it is a
    /// number.
    pub fn measured(&self) -> Vec<String> {
        let mut names = self.channels();
        names.extend(self.features.iter().filter(|column| column.is_number()).map(|column| column.name.clone()));
        names.extend((!self.is_of_classes()).then(|| self.target.name.clone()));
        names
    }

    /// Names of the channels of an image; none of a table.
    pub fn channels(&self) -> Vec<String> {
        let channels = self.image.map_or(0, |image| image.channels);
        (1..=channels).map(|channel| format!("channel-{channel}")).collect()
    }

    /// Names of what goes in of a row of a table, number by number.
    pub fn inputs(&self) -> Vec<String> {
        self.features.iter().flat_map(Column::inputs).collect()
    }

    /// How many numbers go in of a row of a table.
    pub fn width(&self) -> usize {
        self.features.iter().map(Column::width).sum()
    }

    /// The features, each with the number of its first input.
    pub fn placed(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.features.iter().scan(0, |at, column| {
            let first = *at;
            *at += column.width();
            Some((first, column))
        })
    }

    /// Whether the model says a class.
    pub fn is_of_classes(&self) -> bool {
        !self.target.classes.is_empty()
    }

    /// Floats that a model says of an example.
    pub fn outputs(&self) -> usize {
        self.target.classes.len().max(1)
    }

    /// What goes into a model.
    pub fn input(&self) -> Shape {
        match self.image {
            Some(ImageShape { height, width, channels }) => Shape::Image(Image { height, width, channels }),
            None => Shape::Flat(self.width()),
        }
    }
}

impl Schema {
    /// Holds names, units, categories and classes to what a plan and a model file's header can carry.
    pub fn check(&self) -> Result<(), PlanError> {
        match self.image {
            None if !(1..=MAX_INPUTS).contains(&self.width()) => {
                let asked = format!("{} columns of {} inputs", self.features.len(), self.width());
                return refuse("schema.features", asked, "1 to 4096 inputs: one a number, and one for each category");
            }
            Some(_) if !self.features.is_empty() => {
                return refuse("schema.image", "images beside features", "one of the two");
            }
            Some(image) if image.bytes().is_err() || ![1, 3].contains(&image.channels) => {
                let allowed = "1 to 4096 rows and columns of 1 or 3 channels";
                return refuse("schema.image", format!("{image:?}"), allowed);
            }
            Some(_) if !self.is_of_classes() => {
                return refuse("schema.target", "a number of images", "classes; numbers are predicted from features");
            }
            Some(_) if !self.missing.is_refused() => {
                return refuse(
                    "schema.missing",
                    format!("{:?}", self.missing),
                    "nothing of images: none lacks a pixel",
                );
            }
            _ => {}
        }
        let mut names = BTreeSet::new();
        for (name, unit) in self.columns() {
            let good = !name.is_empty() && plain(name, 128) && plain(unit, 64) && names.insert(name);
            if !good {
                let named = format!("{:?} in {:?}", excerpt(name, 40), excerpt(unit, 40));
                let allowed = "names of up to 128 bytes, each once, units of up to 64, without quotes, backslashes and control characters";
                return Err(PlanError::Value { key: "schema", value: named, allowed: allowed.into() });
            }
        }
        self.features.iter().try_for_each(Column::check)?;
        let mut inputs = BTreeSet::from([self.target.name.clone()]);
        if let Some(twice) = self.inputs().into_iter().find(|input| !inputs.insert(input.clone())) {
            return refuse("schema.features", format!("two inputs {twice:?}"), "names of inputs, each once");
        }
        let classes = &self.target.classes;
        if !(classes.is_empty() || are_choices(classes)) {
            return refuse("schema.target.classes", format!("{} classes", classes.len()), &choices("classes"));
        }
        Ok(())
    }
}

impl Column {
    fn check(&self) -> Result<(), PlanError> {
        let named = || format!("{:?}", self.name);
        match (self.is_number(), self.unit.is_empty()) {
            (true, true) => {
                refuse("schema.features", named(), "a unit (\"1\" for a number without one), or categories")
            }
            (false, false) => refuse("schema.features", named(), "a unit or categories, not both"),
            (false, true) if !are_choices(&self.categories) => {
                refuse("schema.features", named(), &choices("categories"))
            }
            _ => Ok(()),
        }
    }
}

fn plain(text: &str, most: usize) -> bool {
    text.len() <= most && !text.chars().any(|c| c.is_control() || c == '"' || c == '\\')
}

/// Whether these can be classes or categories.
fn are_choices(names: &[String]) -> bool {
    let mut seen = BTreeSet::new();
    let good = |name: &String| !name.is_empty() && name.trim() == name && plain(name, 128) && seen.insert(name.clone());
    (2..=MAX_CLASSES).contains(&names.len()) && names.iter().all(good)
}

fn choices(what: &str) -> String {
    format!(
        "2 to {MAX_CLASSES} {what}, each once, of up to 128 bytes without quotes, backslashes, control characters and spaces at \
         their ends"
    )
}

fn refuse<T>(key: &'static str, value: impl std::fmt::Display, allowed: &str) -> Result<T, PlanError> {
    Err(PlanError::value(key, value, allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(features: &str) -> Schema {
        toml::from_str(&format!("features = [{features}]\ntarget = {{ name = \"Score\", unit = \"1\" }}")).unwrap()
    }

    const MIXED: &str = r#"{ name = "sex", categories = ["F", "M"] }, { name = "age", unit = "years" }"#;

    #[test]
    fn a_category_is_an_input_each_and_only_numbers_are_measured() {
        let schema = schema(MIXED);
        schema.check().unwrap();
        assert_eq!(schema.inputs(), ["sex=F", "sex=M", "age"]);
        assert_eq!((schema.input(), schema.width()), (Shape::Flat(3), 3));
        assert_eq!(schema.measured(), ["age", "Score"]);
        assert_eq!(
            schema.placed().map(|(at, column)| (at, &*column.name)).collect::<Vec<_>>(),
            [(0, "sex"), (2, "age")]
        );
    }

    #[test]
    fn a_schema_of_numbers_is_written_as_it_always_was() {
        let json = serde_json::to_string(&schema(r#"{ name = "age", unit = "years" }"#)).unwrap();
        assert_eq!(json, r#"{"features":[{"name":"age","unit":"years"}],"target":{"name":"Score","unit":"1"}}"#);
    }

    #[test]
    fn what_cannot_be_a_feature_is_refused_by_its_name() {
        let check = |features: &str, want: &str| {
            let error = schema(features).check().unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}\ninstead of\n{want}");
        };
        check(r#"{ name = "sex" }"#, "schema.features = \"sex\" is not allowed: a unit (\"1\"");
        check(
            r#"{ name = "sex", unit = "1", categories = ["F", "M"] }"#,
            "schema.features = \"sex\" is not allowed: a unit or",
        );
        for few in [r#"["F"]"#, r#"["F", "F"]"#, r#"["F", ""]"#, r#"["F", " M"]"#] {
            let feature = format!(r#"{{ name = "sex", categories = {few} }}"#);
            check(&feature, "schema.features = \"sex\" is not allowed: 2 to 256 categories");
        }
        check(
            &format!(r#"{MIXED}, {{ name = "sex=F", unit = "1" }}"#),
            "schema.features = two inputs \"sex=F\" is not allowed",
        );
        let categories: Vec<String> = (0..256).map(|i| format!("\"{i}\"")).collect();
        let many = |n: usize| {
            let feature = |i| format!(r#"{{ name = "x{i}", categories = [{}] }}"#, categories.join(", "));
            (0..n).map(feature).collect::<Vec<_>>().join(", ")
        };
        schema(&many(16)).check().unwrap();
        check(&many(17), "schema.features = 17 columns of 4352 inputs is not allowed: 1 to 4096 inputs");
    }
}
