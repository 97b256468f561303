//! Which tensors of a model travel, and which stay with each client.
//!
//! FedPer keeps the last layers at home: Arivazhagan et al. 2019, Algorithm 1 <https://arxiv.org/abs/1912.00818>. FedBN keeps
//! batch norms: Li et al. 2021, Algorithm 1 <https://arxiv.org/abs/2102.07623>. The rules and the server see the shared
//! tensors as if they were the whole model.

use std::ops::Range;

use dure_core::{
    excerpt::{SENTENCE, excerpt},
    model::{Layout, LayoutError, TensorSpec},
    plan::PlanError,
};

use crate::network::build::{Tensor, ranges};

/// The word for every batch and group norm.
pub const NORMS: &str = "norms";

/// A model's parameters, divided into what is shared and what is each client's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    shared: Vec<Range<usize>>,
    own: Vec<Range<usize>>,
}

impl Mask {
    /// Of the tensors of a model, those of `layers` are each client's own: a layer by its name, with all that is within it, or [`NORMS`].
    pub fn new(tensors: &[Tensor], layers: &[String]) -> Result<Self, PlanError> {
        let refuse = |value: &str, allowed: &str| Err(PlanError::value("personalise.layers", value, allowed));
        if let Some(nothing) = layers.iter().find(|layer| !tensors.iter().any(|tensor| is_of(tensor, layer))) {
            let layer = |tensor: &Tensor| tensor.spec.name.rsplit_once('.').map(|(layer, _)| layer.to_owned());
            let mut named: Vec<String> = tensors.iter().filter_map(layer).collect();
            named.dedup();
            let allowed = match nothing.as_str() {
                NORMS => "the model has no batch or group norm".into(),
                _ => format!("layers of the model ({}), or norms", excerpt(named.join(", "), SENTENCE)),
            };
            return refuse(nothing, &allowed);
        }
        let shared = ranges(tensors, |tensor| !is_own(tensor, layers));
        let own = ranges(tensors, |tensor| is_own(tensor, layers));
        if shared.is_empty() {
            return refuse(&layers.join(", "), "not all layers: nothing would be left to learn together");
        }
        Ok(Self { shared, own })
    }

    /// Whether clients have tensors of their own.
    pub fn is_personal(&self) -> bool {
        !self.own.is_empty()
    }

    /// How many parameters are each client's own.
    pub fn owned(&self) -> usize {
        self.own.iter().map(Range::len).sum()
    }

    /// The shared part of a whole model.
    pub fn shared(&self, whole: &[f32]) -> Vec<f32> {
        gather(&self.shared, whole)
    }

    /// A client's own part of a whole model.
    pub fn own(&self, whole: &[f32]) -> Vec<f32> {
        gather(&self.own, whole)
    }

    /// Puts both parts together.
    ///
    /// # Panics
    /// If a part is shorter than the mask says.
    pub fn join(&self, shared: &[f32], own: &[f32], whole: &mut [f32]) {
        for (ranges, mut part) in [(&self.shared, shared), (&self.own, own)] {
            for range in ranges {
                let (head, rest) = part.split_at(range.len());
                whole[range.clone()].copy_from_slice(head);
                part = rest;
            }
        }
    }
}

fn gather(ranges: &[Range<usize>], whole: &[f32]) -> Vec<f32> {
    ranges.iter().map(|range| &whole[range.clone()]).collect::<Vec<_>>().concat()
}

/// The tensors that travel, which are the model as the rules know it.
pub fn layout(tensors: &[Tensor], layers: &[String]) -> Result<Layout, LayoutError> {
    let shared = |tensor: &&Tensor| !is_own(tensor, layers);
    Layout::new(tensors.iter().filter(shared).map(|tensor| tensor.spec.clone()).collect::<Vec<TensorSpec>>())
}

fn is_own(tensor: &Tensor, layers: &[String]) -> bool {
    layers.iter().any(|layer| is_of(tensor, layer))
}

fn is_of(tensor: &Tensor, layer: &str) -> bool {
    let within = tensor.spec.name.strip_prefix(layer).is_some_and(|rest| rest.starts_with('.'));
    within || (tensor.norm && layer == NORMS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{
        build::{Body, Shape},
        conv::Image,
        spec,
    };

    fn mask(tensors: &[Tensor], layers: &[&str]) -> Result<Mask, String> {
        let layers: Vec<String> = layers.iter().map(|layer| (*layer).to_owned()).collect();
        Mask::new(tensors, &layers).map_err(|error| error.to_string())
    }

    /// 3 → 2 → 1: tensors of 6, 2, 2 and 1 floats.
    fn small() -> Vec<Tensor> {
        Body::new(Shape::Flat(3), 1, &spec::mlp(&[2], 1)).unwrap().tensors
    }

    #[test]
    fn what_is_divided_comes_together_again() {
        let tensors = small();
        let first = tensors[0].spec.name.strip_suffix(".weight").unwrap().to_owned();
        let mask = mask(&tensors, &[&first]).unwrap();
        let whole: Vec<f32> = (0..11).map(|i| i as f32).collect();
        let shared = mask.shared(&whole);
        assert_eq!((shared.as_slice(), mask.own(&whole).as_slice()), (&whole[8..], &whole[..8]));
        let mut joined = vec![0.0; 11];
        mask.join(&shared, &mask.own(&whole), &mut joined);
        assert_eq!(joined, whole);
        assert_eq!(layout(&tensors, &[first]).unwrap().parameters(), 3);
    }

    #[test]
    fn norms_of_a_residual_network_stay_with_their_statistics() {
        let image = Shape::Image(Image { height: 8, width: 8, channels: 3 });
        let tensors = Body::new(image, 1, &spec::resnet([2, 2, 2, 2], false, 10)).unwrap().tensors;
        let layout = layout(&tensors, &[NORMS.into()]).unwrap();
        let names: Vec<&str> = layout.tensors().map(|(tensor, _)| tensor.name.as_str()).collect();
        assert_eq!(names.len(), tensors.len() - 20 * 4);
        assert!(
            names
                .iter()
                .all(|name| name.contains("conv") || name.ends_with("downsample.0.weight") || name.starts_with("fc."))
        );
        assert!(mask(&tensors, &["layer1"]).is_ok_and(|mask| mask.is_personal()));
    }

    #[test]
    fn layers_that_are_not_there_and_nothing_to_share_are_refused() {
        let error = mask(&small(), &["layer9"]).unwrap_err();
        assert!(error.starts_with("personalise.layers = layer9 is not allowed: layers of the model ("), "{error}");
        assert!(mask(&small(), &[NORMS]).is_err());
        let tensors = small();
        let all: Vec<&str> = tensors.iter().filter_map(|tensor| tensor.spec.name.strip_suffix(".bias")).collect();
        let error = mask(&tensors, &all).unwrap_err();
        assert!(error.contains("nothing would be left to learn together"), "{error}");
        assert!(!mask(&tensors, &[]).unwrap().is_personal());
    }
}
