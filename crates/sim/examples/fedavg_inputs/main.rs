//! Writes what a round of FedAvg is given, for `tests/vectors/fedavg_reference.py`: of four made-up people, or of the Fitbit
//! data set in a folder.
//!
//! `fedavg_inputs FILE [FOLDER ROUNDS]`

#[allow(dead_code, reason = "shared with the tests")]
mod inputs;

#[path = "../../tests/common/mod.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod common;

use std::path::Path;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let prepared = match &args[..] {
        [_] => {
            let recipe = common::recipe(&["rounds=3", "training.epochs=2", "training.batch_size=4"]);
            inputs::prepare(&recipe, common::people(4, &recipe), 1)
        }
        [_, folder, rounds] => {
            let recipe = common::recipe(&[&format!("rounds={rounds}")]);
            let data = dure_learn::data::load(Path::new(folder), &recipe.schema, &recipe.site).expect("the data set");
            inputs::prepare(&recipe, data, 1)
        }
        _ => panic!("usage: fedavg_inputs FILE [FOLDER ROUNDS]"),
    };
    std::fs::write(&args[0], prepared.to_bytes()).expect("the file can be written");
}
