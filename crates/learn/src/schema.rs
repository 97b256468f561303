//! What a federation's rows mean: what goes in, and what is to be said of it. It travels to every site.

use serde::{Deserialize, Serialize};

use crate::{
    data::images::ImageShape,
    network::{build::Shape, conv::Image},
};

/// What goes in, a row of columns or an image, and what comes out, a number or a class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// What the model is given, in the order of its inputs; none if it is given images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<Column>,
    /// The images that the model is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageShape>,
    /// What it is to say.
    pub target: Target,
}

/// A column and its unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The federation's name for it; a site may map its own onto it.
    pub name: String,
    /// The unit of its values.
    pub unit: String,
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

impl Schema {
    /// Names and units of every column: the features, then the target.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &str)> {
        let target = (&*self.target.name, &*self.target.unit);
        self.features.iter().map(|column| (&*column.name, &*column.unit)).chain([target])
    }

    /// Names of what is standardised: the features, or the channels of images; then the target, if it is a number.
    pub fn measured(&self) -> Vec<String> {
        let mut names = self.inputs();
        names.extend((!self.is_of_classes()).then(|| self.target.name.clone()));
        names
    }

    /// Names of what is standardised of what goes in.
    pub fn inputs(&self) -> Vec<String> {
        match self.image {
            Some(image) => (1..=image.channels).map(|channel| format!("channel-{channel}")).collect(),
            None => self.features.iter().map(|column| column.name.clone()).collect(),
        }
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
            None => Shape::Flat(self.features.len()),
        }
    }
}
