//! Recipes: whoever starts the server hands them in. The server itself knows plans, and nothing of how they are written.

use std::fmt::Debug;

use dure_core::plan::PlanSpec;
use dure_wire::api::{RecipeDetails, RecipeView};
use serde_json::{Map, Value};

/// Recipes that jobs can be made from.
pub trait Recipes: Debug + Send + Sync {
    /// All of them.
    fn list(&self) -> Vec<RecipeView>;

    /// One of them.
    fn show(&self, name: &str) -> Option<RecipeDetails>;

    /// The plan of one of them, with `settings` laid over what it says.
    fn plan(&self, name: &str, settings: &Map<String, Value>) -> Option<Result<PlanSpec, RefusedSetting>>;
}

/// Why settings come to no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct RefusedSetting {
    /// The setting, if it is one.
    pub setting: Option<String>,
    /// It with its value, and what is allowed.
    pub why: String,
}

/// No recipes.
#[derive(Debug)]
pub struct NoRecipes;

impl Recipes for NoRecipes {
    fn list(&self) -> Vec<RecipeView> {
        vec![]
    }

    fn show(&self, _: &str) -> Option<RecipeDetails> {
        None
    }

    fn plan(&self, _: &str, _: &Map<String, Value>) -> Option<Result<PlanSpec, RefusedSetting>> {
        None
    }
}
