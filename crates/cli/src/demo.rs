//! `dure demo`: the main job on made-up people.

use std::time::Instant;

use crate::{
    args::{DataArgs, Demo, RecipeArgs, Simulate},
    fail::Fail,
    simulate, source,
};

/// Says what happens, then simulates the Fitbit recipe with its baselines. Looks at no data, even if there is some.
pub fn run(args: &Demo, started: Instant) -> Result<String, Fail> {
    let introduction = String::from(
        "33 made-up people wear a tracker. Each keeps the rows of its days; together they train one model that tells the\n\
         calories of a day. What leaves a person is an update of the model, never a row.\n\n",
    );
    let recipe =
        RecipeArgs { recipe: "fitbit".into(), overrides: vec!["rounds=60".into(), "training.epochs=3".into()] };
    let data = DataArgs { data: None, seed: args.seed };
    let asked = Simulate { recipe, data, out: None, threads: None, baselines: true, replay: None, json: false };
    let found = source::recipe(&asked.recipe)?;
    let said = simulate::train(&asked, &found, |found| Ok(source::made_up(found, args.seed)?.1), started)?;
    Ok(introduction + &said)
}
