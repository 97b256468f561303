//! What a simulation has for the page.

use dure_core::{event::Stop, job::Job, statistics::larger_is_better};
use dure_learn::{
    data::{DataSet, Source},
    partition::picture,
    split::Fold,
    work::{ModelSpec, Training, Work},
    world::{Partial, World},
};
use dure_sim::{Simulation, clients::Clients, report::Report as Run};
use serde::Serialize;
use serde_json::Value;

use super::{Classes, Metric, Model, Partition, Predictions, Report, number};
use crate::{
    args::{Baseline, Simulate},
    fail::Fail,
    show::Says,
    source::Found,
    words,
};

/// The most characters of one choice: a model may be a list of a hundred layers.
const CHOICE: usize = 240;

/// Everything that `run` came to. Predicts all test rows once more; the newest model is the one that is reported.
pub fn filled(
    args: &Simulate,
    found: &Found,
    clients: &mut Clients,
    run: &Simulation,
    came: &Run,
) -> Result<Report, Fail> {
    let recipe = &found.recipe;
    let data = clients.data();
    let made_up = data.source == Source::Generated;
    let (summary, partition) = (summary(clients, run, came), Some(partition(data, &recipe.schema.target.classes)));
    Ok(Report {
        recipe: recipe.name.clone(),
        title: recipe.title.clone(),
        summary,
        made_up,
        facts: facts(found, clients, run, came),
        alone_differs: alone(found, came).is_some(),
        command: command(args, made_up, &recipe.data),
        metrics: Says::of_schema(&recipe.schema)
            .metrics()
            .iter()
            .map(|key| metric(key, &recipe.schema.target.unit))
            .collect(),
        models: models(came),
        rounds: came.rounds.clone(),
        refit: came.refit.clone(),
        partition,
        classes: classes(found, came),
        predictions: predictions(clients, run)?,
    })
}

fn metric(key: &str, unit: &str) -> Metric {
    let has_unit = matches!(key, "mae" | "rmse");
    Metric { key: key.into(), unit: if has_unit { unit.into() } else { String::new() } }
}

fn models(came: &Run) -> Vec<(Model, dure_sim::report::Figures)> {
    let of = [
        (Model::Global, came.last.get("global")),
        (Model::Personalised, came.last.get("personalised")),
        (Model::Central, came.baselines.get("central")),
        (Model::Local, came.baselines.get("local")),
    ];
    of.into_iter().filter_map(|(model, figures)| Some((model, figures?.clone()))).collect()
}

/// The job whose model is reported, if it trained at all.
fn job(run: &Simulation) -> Option<&Job> {
    run.federation.jobs.last().filter(|job| job.completed > 0)
}

fn predictions(clients: &mut Clients, run: &Simulation) -> Result<Option<Predictions>, Fail> {
    let (Some(job), Some(models)) = (job(run), &run.models) else { return Ok(None) };
    let target = clients.work().schema.target.clone();
    if !target.classes.is_empty() {
        return Ok(None);
    }
    let pairs = clients.predictions(job, models.params())?;
    Ok(Some(Predictions { target: target.name, unit: target.unit, pairs }))
}

/// How the federated model does on each class.
fn classes(found: &Found, came: &Run) -> Option<Classes> {
    let figures = came.last.get("global")?;
    let names = found.recipe.schema.target.classes.clone();
    Some(Classes { names, confusion: figures.confusion.clone()?, figures: figures.classes.clone() })
}

fn partition(data: &DataSet, classes: &[String]) -> Partition {
    let (summary, names) = (crate::data::summary(data), crate::data::names(data));
    let captions = picture::Captions { title: "Examples of each client", clients: &names, labels: classes };
    let words = format!(
        "of {} clients, {} to {} each: training, validation and test rows together.",
        number::count(summary.clients.len() as u64),
        number::count(summary.smallest as u64),
        number::count(summary.largest as u64)
    );
    Partition { picture: picture::svg(&summary, captions), words }
}

fn summary(clients: &Clients, run: &Simulation, came: &Run) -> String {
    let (data, work) = (&came.data, clients.work());
    let from = if data.source == "generated" { "made-up " } else { "" };
    let mut text = format!(
        "{} clients with {} {from}examples trained one model together, simulated on one machine: {} of {} on each client that \
         was asked. Only updates of the model and sums over rows were put together, as if no row could leave its client.",
        number::count(data.clients as u64),
        number::count(data.examples as u64),
        words::count(came.rounds.len(), "round"),
        length(&work.training),
    );
    text += match run.federation.jobs.first().and_then(|job| job.trained) {
        Some(Stop::Target) => " Training stopped when its metric had reached the target.",
        Some(Stop::Patience) => " Training stopped when its metric had not improved for too long.",
        _ => "",
    };
    if !came.refit.is_empty() {
        let rounds = words::count(came.refit.len(), "round");
        text += &format!(" Then it was trained again from the start for {rounds}, on training and validation rows.");
    }
    if !work.personalise.layers.is_empty() {
        let layers = work.personalise.layers.join(", ");
        text += &format!(" Each client kept some layers to itself, which were never sent: {layers}.");
    }
    if let Some(lambda) = work.personalise.lambda {
        text += &format!(
            " Beside it each client trained a model of its own, which the shared one pulled with lambda = {lambda}."
        );
    }
    if work.personalise.epochs > 0 {
        let epochs = words::count(work.personalise.epochs as usize, "epoch");
        text += &format!(" At the end each client trained the model on for itself, for {epochs}.");
    }
    text
}

/// How long a client trains in a round.
fn length(training: &Training) -> String {
    match training.steps {
        Some(steps) => words::count(steps as usize, "step"),
        None => words::count(training.epochs as usize, "epoch"),
    }
}

fn facts(found: &Found, clients: &Clients, run: &Simulation, came: &Run) -> Vec<(&'static str, String)> {
    let mut facts = facts_of_data(clients, came);
    facts.push(("dealt out by", choice(&found.recipe.site.partition)));
    let World { population, stragglers, partial, drop_out, availability, byzantine, .. } = found.recipe.world;
    let World { devices, trace, facts: told, .. } = &found.recipe.world;
    if population.is_some() {
        facts.push(("examples", "shared by many clients: the world has more than the data set".into()));
    }
    if drop_out > 0.0 {
        facts.push(("drop-out", format!("{} of clients, drawn in each round", number::percent(drop_out))));
    }
    if let Some(devices) = devices {
        facts.push(("devices", choice(devices)));
    }
    if !trace.is_empty() {
        facts.push(("devices", format!("of {trace}")));
    }
    if !told.is_empty() {
        facts.push(("what devices say of themselves", choice(told)));
    }
    if let Some(availability) = availability {
        facts.push(("availability", choice(&availability)));
    }
    if let Some(byzantine) = byzantine {
        facts.push(("clients that lie", choice(&byzantine)));
    }
    if stragglers > 0.0 {
        let share = number::percent(stragglers);
        let work = match partial {
            Partial::Keep => "sent what they had done",
            Partial::Drop => "were not heard of",
        };
        facts
            .push(("world", format!("{share} of clients, drawn in each round, had no time for all epochs and {work}")));
    }
    facts.extend(facts_of_training(found, clients, came));
    facts.extend(best(run).map(|words| ("best round", words)));
    facts.extend([
        ("seed", came.seed.to_string()),
        ("program", format!("dure {}", env!("CARGO_PKG_VERSION"))),
        ("model’s SHA-256", came.model.sha256.to_string()),
        ("journal’s head", format!("{} events, {}", number::count(came.journal.sequence), came.journal.hash)),
    ]);
    facts
}

fn facts_of_data(clients: &Clients, came: &Run) -> Vec<(&'static str, String)> {
    let source = match &clients.data().source {
        Source::File(file) => format!("file {}", file.display()),
        Source::Generated => "made up by the recipe’s generator".into(),
    };
    let split = clients.work().split;
    let [test, validation] = [split.test, split.validation].map(number::percent);
    let test = match split.fold {
        Some(Fold { number, of }) => format!("fold {number} of {of} of each client’s rows"),
        None if split.held_out => "what the data set holds out".into(),
        None => format!("{test} of each client’s rows"),
    };
    vec![
        ("data", source),
        ("clients", number::count(came.data.clients as u64)),
        ("examples", number::count(came.data.examples as u64)),
        ("dropped rows", number::count(came.data.dropped as u64)),
        ("split", format!("{test} to test on, {validation} of the rest to choose by")),
    ]
}

fn facts_of_training(found: &Found, clients: &Clients, came: &Run) -> Vec<(&'static str, String)> {
    let (work, keys) = (clients.work(), &found.recipe.plan);
    let training = &work.training;
    let cohort = match keys.cohort.size {
        Some(size) => {
            let by =
                if keys.cohort.select.is_random() { "drawn at random".into() } else { choice(&keys.cohort.select) };
            let asked = keys.cohort.asked().filter(|asked| *asked > size);
            let more = asked.map_or_else(String::new, |asked| format!(", of {asked} that are asked"));
            let then = if keys.cohort.reassign { "; the task of one that is gone goes to the next" } else { "" };
            format!("{size} clients a round, {by}{more}{then}")
        }
        None => "all clients in every round".into(),
    };
    let filter = keys.cohort.filter.map(|filter| ("asked are devices with", choice(&filter)));
    let refit = if came.refit.is_empty() { "no".into() } else { words::count(came.refit.len(), "round") };
    let mut facts = vec![
        ("model", model(work)),
        ("parameters", number::count(came.model.parameters as u64)),
        ("rounds", format!("{} of {}", came.rounds.len(), length(training))),
        ("batch", words::count(training.batch_size, "row")),
        ("clients’ optimiser", choice(&training.optimizer)),
        ("its learning rate", choice(&training.schedule)),
        ("loss", choice(&training.loss)),
        ("strategy", choice(&keys.strategy)),
        ("cohort", cohort),
        ("codec", choice(&keys.codec)),
        ("refit", refit),
    ];
    facts.extend(filter);
    facts.extend(alone(found, came).map(|words| ("learning alone", words)));
    facts
}

/// What learning alone trained, if the recipe gives it a model and a training of its own.
fn alone(found: &Found, came: &Run) -> Option<String> {
    let (work, rounds) = found.recipe.alone().filter(|_| came.baselines.contains_key("local"))?;
    let training = &work.training;
    let (optimizer, loss, batch) = (choice(&training.optimizer), choice(&training.loss), training.batch_size);
    Some(format!("{}; {optimizer}; {loss}; batches of {batch}; {rounds} rounds of {}", model(&work), length(training)))
}

/// A model by its name, or by its layers.
fn model(work: &Work) -> String {
    match (&work.model, work.body(1)) {
        (ModelSpec::Layers { .. }, Ok(body)) => {
            let layers: Vec<&str> = body.lines.iter().map(|line| line.layer.as_str()).collect();
            dure_core::excerpt::excerpt(layers.join("; "), CHOICE)
        }
        (named, _) => choice(named),
    }
}

/// The best evaluation of the job that everything was chosen by.
fn best(run: &Simulation) -> Option<String> {
    let job = run.federation.jobs.first()?;
    let (round, value) = job.best?;
    let metric = job.plan.metric();
    let (most, name) =
        (if larger_is_better(metric) { "largest" } else { "smallest" }, self::metric(metric, "").label());
    Some(format!("{round}, by the {most} {name} on validation rows: {}", number::figure(Some(value))))
}

/// What was chosen, in words: `adam, learning rate 0.001`.
fn choice(value: &impl Serialize) -> String {
    let words = match serde_json::to_value(value) {
        Ok(Value::Object(keys)) => {
            let (name, rest): (Vec<_>, Vec<_>) = keys.iter().partition(|(key, _)| *key == "name");
            let name = name.into_iter().map(|(_, value)| plain(value));
            let rest = rest.into_iter().filter(|(_, value)| !value.is_null());
            let rest = rest.map(|(key, value)| format!("{} {}", key.replace('_', " "), plain(value)));
            name.chain(rest).collect::<Vec<_>>().join(", ")
        }
        Ok(value) => plain(&value),
        Err(_) => String::new(),
    };
    dure_core::excerpt::excerpt(words, CHOICE)
}

/// A value without JSON's quotes; numbers that were single are as short as they were typed.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if !number.is_u64() => (float as f32).to_string(),
            _ => number.to_string(),
        },
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join("–"),
        Value::Object(keys) => {
            let keys = keys.iter().filter(|(_, value)| !value.is_null());
            let keys = keys.map(|(key, value)| format!("{} {}", key.replace('_', " "), plain(value)));
            format!("({})", keys.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// What to type for the same run. Threads are left out: the result does not depend on them.
fn command(args: &Simulate, made_up: bool, data: &str) -> String {
    let mut words = vec!["dure simulate".to_owned(), quoted(&args.recipe.recipe)];
    words.extend(args.recipe.smoke.then(|| "--smoke".into()));
    words.extend(args.recipe.overrides.iter().map(|typed| quoted(typed)));
    match &args.data.data {
        Some(folder) => words.push(format!("--data {}", quoted(&folder.display().to_string()))),
        None if !made_up => words.push(format!("--data \"$DURE_DATA\"/{}", quoted(data))),
        None => {}
    }
    words.push(format!("--seed {}", args.data.seed));
    match args.baselines {
        None => {}
        Some(Baseline::All) => words.push("--baselines".into()),
        Some(Baseline::Central) => words.push("--baselines=central".into()),
        Some(Baseline::Local) => words.push("--baselines=local".into()),
    }
    words.join(" ")
}

/// A word of a POSIX shell, quoted where it must be.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.into() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use dure_learn::local_optimizer::LocalOptimizer;

    use super::*;

    #[test]
    fn a_choice_is_told_by_its_name_and_keys() {
        assert_eq!(choice(&ModelSpec::Mlp { hidden: vec![64, 32] }), "mlp, hidden 64–32");
        assert_eq!(choice(&dure_core::codec::Codec::Bf16), "bf16");
        let adam = LocalOptimizer::Adam { learning_rate: 0.001, weight_decay: 0.0 };
        assert_eq!(choice(&adam), "adam, learning rate 0.001");
    }

    #[test]
    fn a_command_can_be_pasted() {
        let words = ["fitbit", "rounds=7", "loss={name=\"mse\"}", "it's", ""].map(quoted);
        assert_eq!(words, ["fitbit", "rounds=7", "'loss={name=\"mse\"}'", "'it'\\''s'", "''"]);
    }
}
