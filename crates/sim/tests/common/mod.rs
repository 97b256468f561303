//! A few made-up people and the Fitbit recipe, for whole simulations.

use std::path::Path;

use dure_learn::{
    data::{
        DataSet, Source,
        people::{Generator, generate},
        table::{self, Target},
    },
    recipe::Recipe,
};
use dure_sim::{Simulation, clients::Clients, simulate};

pub fn recipe(overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Recipe::parse("fitbit", include_str!("../../../../recipes/fitbit.toml"), &overrides).unwrap()
}

pub fn people(n: u32, recipe: &Recipe) -> DataSet {
    let csv = generate(Generator { people: n, days: 12 }, 3);
    let file = Path::new("made-up people");
    let rows = table::parse(file, csv.as_bytes(), &recipe.schema, &recipe.site, Target::Needed).unwrap();
    table::group(file, rows, &recipe.schema, &recipe.site, Source::Generated).unwrap()
}

pub fn clients(n: u32, recipe: &Recipe, seed: u64, threads: usize) -> Clients {
    Clients::new(people(n, recipe), recipe.work(), seed, threads).unwrap().in_world(recipe.world.clone(), vec![])
}

pub fn run(n: u32, overrides: &[&str], seed: u64, threads: usize) -> Simulation {
    let recipe = recipe(overrides);
    let mut clients = clients(n, &recipe, seed, threads);
    simulate(recipe.plan("fitbit").unwrap(), seed, &mut clients, &mut |_| {}).unwrap()
}
