//! What a client keeps from round to round and never sends: layers of its own, its control variate, its personal model.

use std::sync::Arc;

use dure_core::{
    model::{Initial, Layout, Params, TensorSpec},
    plan::PlanError,
    strategy::Objective,
};

use crate::{mask::Mask, work::Work};

/// Where the parts lie among the floats that a client keeps; the length of each, 0 if a job has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// The layers that stay with it: FedPer, FedBN.
    pub layers: usize,
    /// What it remembers of its direction, as long as what travels: cᵢ of SCAFFOLD, gᵢ of FedDyn.
    pub control: usize,
    /// A model of its own, all layers of it: Ditto.
    pub personal: usize,
}

/// The parts of what a client keeps.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each is documented at Own")]
pub struct Parts<'a> {
    pub layers: &'a [f32],
    pub control: &'a [f32],
    pub personal: &'a [f32],
}

impl Own {
    /// What clients of a job with this work and objective keep. The work was checked.
    pub fn of(work: &Work, objective: Objective) -> Result<Self, PlanError> {
        let body = work.body(1)?;
        let whole: usize = body.tensors.iter().map(|tensor| tensor.spec.shape.iter().product::<usize>()).sum();
        let mask = Mask::new(&body.tensors, &work.personalise.layers)?;
        let layers = mask.owned();
        let control = if objective.is_remembered() { whole - layers } else { 0 };
        let personal = if work.personalise.lambda.is_some() { whole } else { 0 };
        Ok(Self { layers, control, personal })
    }

    /// How many floats that is.
    pub fn floats(&self) -> usize {
        self.layers + self.control + self.personal
    }

    /// The parts of `own`, which is as long as this says.
    ///
    /// # Panics
    /// If it is not.
    pub fn parts<'a>(&self, own: &'a [f32]) -> Parts<'a> {
        let (layers, rest) = own.split_at(self.layers);
        let (control, personal) = rest.split_at(self.control);
        assert_eq!(personal.len(), self.personal, "what a client keeps is as long as its job says");
        Parts { layers, control, personal }
    }

    /// The tensors of a file of it; `None` if there is nothing to keep.
    pub fn layout(&self) -> Option<Arc<Layout>> {
        let parts = [("layers", self.layers), ("control", self.control), ("personal", self.personal)];
        let tensor = |(name, length)| TensorSpec::new(name, [length], Initial::Zeros);
        let tensors: Vec<TensorSpec> = parts.into_iter().filter(|(_, length)| *length > 0).map(tensor).collect();
        Layout::new(tensors).ok().filter(|_| self.floats() > 0).map(Arc::new)
    }

    /// What a client of a job with this seed begins with, alike at every client: layers and a personal model as if they were
    /// shared, and no direction.
    pub fn beginning(&self, work: &Work, seed: u64) -> Result<Vec<f32>, PlanError> {
        if self.floats() == 0 {
            return Ok(vec![]);
        }
        let body = work.body(1)?;
        let layout = body.layout().map_err(|error| PlanError::value("model", "a list of layers", error.to_string()))?;
        let whole = Params::initial(layout.into(), seed);
        let mut own = Mask::new(&body.tensors, &work.personalise.layers)?.own(whole.values());
        own.resize(self.layers + self.control, 0.0);
        own.extend(whole.values().iter().take(self.personal));
        Ok(own)
    }
}
