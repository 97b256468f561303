//! The file a person writes: `[plan]` and `[schema]` travel to the sites, `[site]` never leaves one.

pub mod settings;
mod site;

use std::collections::BTreeSet;

use dure_core::{
    codec::Codec,
    cohort::CohortSpec,
    excerpt::{NAME, SENTENCE, excerpt},
    name::ClientName,
    plan::{MAX_ROUNDS, Plan, PlanError, PlanSpec, StopRules, TrainingRows},
    strategy::StrategySpec,
    update::TRAIN_LOSS,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    data::{Generator, Site},
    schema::Schema,
    split::SplitSpec,
    work::{ModelSpec, Personalise, Training, Work},
    world::World,
};

/// A recipe as it was typed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What it is called.
    pub name: String,
    /// One line on what it does.
    #[serde(default)]
    pub title: String,
    /// The data set's name: the folder below `$DURE_DATA`.
    pub data: String,
    /// What is laid over it to see in seconds that it works.
    #[serde(default)]
    pub smoke: Vec<String>,
    /// What the rows mean.
    pub schema: Schema,
    /// What is done.
    pub plan: PlanKeys,
    /// What the federation is held against, where that is not its own model with its own training.
    #[serde(default)]
    pub baselines: Baselines,
    /// Where a site has its rows.
    pub site: Site,
    /// People to make up where there is no data.
    pub generator: Option<Generator>,
    /// What a simulation's devices are like.
    #[serde(default)]
    pub world: World,
}

/// What baselines train instead of the plan's model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Baselines {
    /// Every client alone.
    pub local: Option<Alone>,
}

/// What a client trains alone: a search for the best way to learn together is no proof if learning alone had none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alone {
    /// How many rounds; nothing is sent, they are for the schedule only.
    pub rounds: u32,
    /// What is trained.
    pub model: ModelSpec,
    /// How, in a round.
    pub training: Training,
}

/// The keys of `[plan]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanKeys {
    /// How many training rounds.
    #[schemars(range(min = 1, max = MAX_ROUNDS))]
    pub rounds: u32,
    /// Train again on training and validation rows together, for as many rounds as were chosen.
    #[serde(default)]
    pub refit: bool,
    /// How answers become the next model.
    #[serde(default)]
    pub strategy: StrategySpec,
    /// Who is asked, and how long a round waits.
    #[serde(default)]
    pub cohort: CohortSpec,
    /// How the values of updates travel.
    #[serde(default)]
    pub codec: Codec,
    /// How a client's rows are divided.
    pub split: SplitSpec,
    /// What is trained.
    pub model: ModelSpec,
    /// One round of local training.
    pub training: Training,
    /// When the model is judged on validation rows.
    #[serde(default)]
    pub evaluate: Evaluate,
    /// When a job ends before its last round, and when it gives up.
    #[serde(default)]
    pub stop: StopRules,
    /// How a client has a model of its own.
    #[serde(default)]
    pub personalise: Personalise,
}

/// When the model is judged on validation rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluate {
    /// After every so many rounds, and after the last; 0 is never.
    pub every: u32,
}

/// What is wrong with a recipe.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// It is not TOML.
    #[error("{origin}:{line}:{column}: {why}")]
    Syntax {
        /// The file, or the built-in recipe.
        origin: String,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What the reader says.
        why: String,
    },
    /// A key or a value that a recipe cannot have.
    #[error("{origin}: {key}: {why}")]
    Key {
        /// The file and line, or the override.
        origin: String,
        /// The key.
        key: String,
        /// What is wrong, and what is allowed.
        why: String,
    },
    /// An override that sets nothing.
    #[error(
        "{0:?} sets nothing: write key=value, as in strategy.learning_rate=0.5; several recipes are run with --compare"
    )]
    Override(String),
    /// A choice that cannot be made.
    #[error("{origin}: {error}")]
    Plan {
        /// The file, or the built-in recipe.
        origin: String,
        /// Which.
        error: PlanError,
    },
}

impl RecipeError {
    /// The setting that is wrong, as an override would name it, and what is wrong with it, whoever typed it. Of two that contradict
    /// each other it is the first.
    pub fn setting(&self) -> (Option<&str>, String) {
        match self {
            Self::Key { key, why, .. } => {
                let key = key.strip_prefix("plan.").unwrap_or(key);
                (Some(key), format!("{key}: {why}"))
            }
            Self::Plan { error, .. } => (error.key(), error.to_string()),
            Self::Syntax { .. } | Self::Override(_) => (None, self.to_string()),
        }
    }
}

const TABLES: [&str; 10] =
    ["name", "title", "data", "smoke", "schema", "plan", "baselines", "site", "generator", "world"];

impl Recipe {
    /// Reads a recipe from `text`, with `overrides` (`key=value`) laid over it. A key may leave `plan.` away.
    pub fn parse(origin: &str, text: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        let mut table: toml::Table = toml::from_str(text).map_err(|error| syntax(origin, text, &error))?;
        let mut set = BTreeSet::new();
        for assignment in overrides {
            set.insert(lay_over(&mut table, assignment)?);
        }
        serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
            let message = error.inner().message().to_owned();
            let (key, why) = explain(&error.path().to_string(), &message);
            let typed = set.iter().any(|typed| is_within(typed, &key) || is_within(&key, typed));
            let line = line_of(text, &key).filter(|_| !typed);
            let origin = line.map_or_else(
                || if typed { "on the command line".into() } else { origin.into() },
                |line| format!("{origin}:{line}"),
            );
            RecipeError::Key { origin, key: excerpt(key, 2 * NAME), why: excerpt(why, SENTENCE) }
        })
    }

    /// What a trainer is told.
    pub fn work(&self) -> Work {
        let PlanKeys { split, model, training, personalise, .. } = &self.plan;
        let (schema, model, training) = (self.schema.clone(), model.clone(), training.clone());
        Work { schema, split: *split, model, training, personalise: personalise.clone() }
    }

    /// What a client that is alone is told, and for how many rounds, if that is not what the plan says.
    pub fn alone(&self) -> Option<(Work, u32)> {
        let Alone { rounds, model, training } = self.baselines.local.clone()?;
        Some((Work { model, training, personalise: Personalise::default(), ..self.work() }, rounds))
    }

    /// The checked plan.
    pub fn plan(&self, origin: &str) -> Result<Plan, RecipeError> {
        let error = |error| RecipeError::Plan { origin: origin.into(), error };
        let (work, keys) = (self.work(), &self.plan);
        work.check().map_err(error)?;
        if let Some((alone, rounds)) = self.alone() {
            alone.check().map_err(error)?;
            if !(1..=MAX_ROUNDS).contains(&rounds) {
                return Err(error(PlanError::value("baselines.local.rounds", rounds, "1 to 1000000")));
            }
        }
        self.check().map_err(error)?;
        let Ok(serde_json::Value::Object(told)) = serde_json::to_value(&work) else {
            unreachable!("a struct is an object")
        };
        let strategy = keys.strategy.build().map_err(error)?;
        work.fits(strategy.objective).map_err(error)?;
        let weighed_by = strategy.combine.scalars();
        let scalars = [TRAIN_LOSS].iter().chain(weighed_by).map(|name| (*name).into()).collect();
        Plan::new(PlanSpec {
            name: self.name.clone(),
            rounds: keys.rounds,
            strategy: keys.strategy.clone(),
            cohort: keys.cohort.clone(),
            codec: keys.codec,
            layout: work.layout().map_err(error)?,
            measure: self.schema.measured(),
            classes: self.schema.is_of_classes().then_some(self.schema.target.classes.len()),
            scalars,
            rows: TrainingRows::Training,
            evaluate_every: keys.evaluate.every,
            stop: keys.stop.clone(),
            refit: keys.refit,
            test: keys.split.tests(),
            work: told,
        })
        .map_err(error)
    }

    /// Choices that contradict each other beyond what the rules know.
    fn check(&self) -> Result<(), PlanError> {
        if ClientName::new(self.name.as_str()).is_err() {
            return Err(PlanError::value("name", &self.name, "1 to 64 of a-z, 0-9, '.', '_' and '-'"));
        }
        self.check_site()?;
        self.check_generator()?;
        self.world.check(&self.plan.training)?;
        let without = |first: String, why| {
            let second = "split.validation = 0".into();
            Err(PlanError::Contradiction { first, second, why })
        };
        match &self.plan {
            keys if keys.split.validation > 0.0 => Ok(()),
            keys if keys.refit => {
                without("refit = true".into(), "there are no validation rows to add to the training rows")
            }
            PlanKeys { evaluate: Evaluate { every }, .. } if *every > 0 => {
                without(format!("evaluate.every = {every}"), "there are no validation rows to judge the model on")
            }
            _ => Ok(()),
        }
    }
}

fn syntax(origin: &str, text: &str, error: &toml::de::Error) -> RecipeError {
    let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    let why = excerpt(error.message().replace('\n', ", "), SENTENCE);
    RecipeError::Syntax { origin: origin.into(), line, column, why }
}

/// Sets one key and returns its full name.
fn lay_over(table: &mut toml::Table, assignment: &str) -> Result<String, RecipeError> {
    let broken = || RecipeError::Override(excerpt(assignment, NAME));
    let (key, value) = assignment.split_once('=').ok_or_else(broken)?;
    let first = key.split('.').next().unwrap_or_default();
    let full = if TABLES.contains(&first) { key.to_owned() } else { format!("plan.{key}") };
    let mut parts: Vec<&str> = full.split('.').collect();
    if parts.len() > 16 {
        return Err(broken());
    }
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or_else(broken)?;
    let mut at = table;
    for part in parts {
        let inner = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = inner.as_table_mut().ok_or_else(broken)?;
    }
    at.insert(last.into(), read_value(value));
    Ok(full)
}

/// A TOML value; anything that is none is a text.
fn read_value(text: &str) -> toml::Value {
    let read = toml::from_str::<toml::Table>(&format!("v = {text}")).ok().and_then(|mut table| table.remove("v"));
    read.unwrap_or_else(|| toml::Value::String(text.into()))
}

/// The key that is meant and what is wrong with it, from where the reader stood and what it said.
fn explain(path: &str, message: &str) -> (String, String) {
    // Of a layer in a list the reader says itself which it is.
    if let Some((layer, message)) = message.split_once("]: ").filter(|(layer, _)| layer.starts_with("layers[")) {
        return explain(&format!("{path}.{layer}]"), message);
    }
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.rsplit_once("`, expected "));
    match unknown {
        Some((name, allowed)) => {
            let allowed: Vec<&str> = allowed.split('`').skip(1).step_by(2).collect();
            // Whether the reader stood on the unknown key or before it depends on the kind of table.
            let parent = path.strip_suffix(name).map_or(path, |p| p.trim_end_matches('.')).trim_end_matches("..");
            let parent = if parent == "." { "" } else { parent };
            let shown = if name.is_empty() { "\"\"" } else { name };
            let key = if parent.is_empty() { shown.to_owned() } else { format!("{parent}.{shown}") };
            let near = match nearest(name, &allowed) {
                Some(near) if !name.is_empty() => format!("; did you mean {near:?}?"),
                _ => ".".into(),
            };
            (key, format!("no such key{near} Known here: {}", allowed.join(", ")))
        }
        None => {
            (if path == "." { "the recipe".into() } else { path.to_owned() }, message.trim_end().replace('\n', ", "))
        }
    }
}

/// Whether a key is another, or stands in it.
fn is_within(key: &str, table: &str) -> bool {
    key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The one of `known` that is most like `name`; of a long name the beginning counts, for likeness takes time.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = excerpt(name, NAME);
    let likeness = |known: &str| strsim::jaro_winkler(known, &name);
    known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

/// The line on which a key is set, as far as a look at the text can tell.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let (parent, name) = key.rsplit_once('.').unwrap_or(("", key));
    let mut table = String::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = header.trim().to_owned();
            if table == key {
                return Some(number + 1);
            }
        } else if table == parent && line.split(['=', '.', ' ']).next() == Some(name) {
            return Some(number + 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const FITBIT: &str = include_str!("../../../recipes/fitbit.toml");

    fn parse(overrides: &[&str]) -> Result<Recipe, RecipeError> {
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        Recipe::parse("fitbit.toml", FITBIT, &overrides)
    }

    fn refused(overrides: &[&str]) -> String {
        let planned = parse(overrides).and_then(|recipe| recipe.plan("fitbit.toml"));
        planned.map(|plan| format!("{plan:?}")).unwrap_err().to_string()
    }

    #[test]
    fn the_fitbit_recipe_is_fedavg_over_6977_parameters() {
        let plan = parse(&[]).unwrap().plan("fitbit").unwrap();
        assert_eq!((plan.rounds, plan.layout.parameters(), plan.strategy.name.as_str()), (20, 6977, "fedavg"));
        assert_eq!(Work::of(&plan).unwrap(), parse(&[]).unwrap().work());
    }

    #[test]
    fn an_override_reaches_any_key_with_plan_or_without() {
        let recipe =
            parse(&["rounds=7", "plan.training.epochs=5", "strategy.learning_rate=0.5", "site.client=User"]).unwrap();
        assert_eq!((recipe.plan.rounds, recipe.plan.training.epochs), (7, 5));
        assert_eq!((recipe.plan.strategy.learning_rate, recipe.site.client.as_str()), (0.5, "User"));
        assert_eq!(parse(&["model.hidden=[8]"]).unwrap().plan.model, ModelSpec::Mlp { hidden: vec![8] });
    }

    #[test]
    fn a_layer_of_a_list_is_named_by_its_place() {
        let layers = |last| format!("model={{name=\"layers\",layers=[{{layer=\"relu\"}},{last}]}}");
        let error = refused(&[&layers("{layer=\"linear\",unit=1}")]);
        let want = "on the command line: plan.model.layers[1].unit: no such key; did you mean \"units\"?";
        assert!(error.starts_with(want), "{error}");
        let error = refused(&[&layers("{layer=\"linear\"}")]);
        assert_eq!(error, "on the command line: plan.model.layers[1]: missing field `units`");
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        assert!(
            refused(&["round=7"]).starts_with("on the command line: plan.round: no such key; did you mean \"rounds\"?")
        );
        assert!(
            refused(&["training.epoch=7"])
                .starts_with("on the command line: plan.training.epoch: no such key; did you mean \"epochs\"?")
        );
        let bad = FITBIT.replace("batch_size = 32", "batchsize = 32");
        let error = Recipe::parse("my.toml", &bad, &[]).unwrap_err().to_string();
        assert!(
            error.starts_with("my.toml:44: plan.training.batchsize: no such key; did you mean \"batch_size\"?"),
            "{error}"
        );
    }

    #[test]
    fn a_key_is_named_whatever_it_is_and_where_it_was_set() {
        let check = |set: &str, overrides: &[&str], want: &str| {
            let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
            let error =
                Recipe::parse("my.toml", &FITBIT.replace("refit = true", set), &overrides).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}\ninstead of\n{want}");
        };
        check("\"\" = 7", &["rounds=7"], "my.toml:29: plan.\"\": no such key. Known here: rounds, refit");
        check(
            "\"roun`ds\" = 7",
            &[],
            "my.toml: plan.roun`ds: no such key; did you mean \"rounds\"? Known here: rounds,",
        );
        check("ro = 7", &["rounds=7"], "my.toml:29: plan.ro: no such key; did you mean \"rounds\"?");
    }

    #[test]
    fn a_bad_value_names_its_key_and_what_is_allowed() {
        let error = refused(&["rounds=many"]);
        assert!(error.contains("plan.rounds") && error.contains("expected u32"), "{error}");
        assert_eq!(refused(&["training.epochs=0"]), "fitbit.toml: training.epochs = 0 is not allowed: 1 to 100000");
        assert_eq!(
            refused(&["split.test=1.5"]),
            "fitbit.toml: split.test = 1.5 is not allowed: a share from 0 to below 1"
        );
        let error = refused(&["strategy.name=fedmagic"]);
        let begins = "fitbit.toml: strategy.name = fedmagic is not allowed: one of fedavg, fedprox, ";
        assert!(error.starts_with(begins), "{error}");
        assert_eq!(
            refused(&["rounds"]),
            "\"rounds\" sets nothing: write key=value, as in strategy.learning_rate=0.5; several recipes are run with --compare"
        );
    }

    #[test]
    fn a_name_that_means_nothing_is_refused_wherever_it_stands() {
        let error = refused(&["training.loss={name=\"mse\",delta=0.5}"]);
        assert!(error.contains("plan.training.loss") && error.contains("delta"), "{error}");
        let error = refused(&["site.drop_if_zero=[\"Step\"]"]);
        assert!(error.contains("site.drop_if_zero = \"Step\" is not allowed: columns of the schema"), "{error}");
        let error = refused(&["site.columns.TotlSteps=Steps"]);
        assert!(error.contains("did you mean \"TotalSteps\"?"), "{error}");
    }

    #[test]
    fn contradictory_plans_are_refused() {
        let error = refused(&["split.validation=0"]);
        assert!(error.contains("refit = true and split.validation = 0 contradict"), "{error}");
        let error = refused(&["split.validation=0", "refit=false"]);
        assert!(error.contains("evaluate.every = 1 and split.validation = 0 contradict"), "{error}");
    }

    #[test]
    fn a_message_stays_on_its_line_whatever_the_recipe_says() {
        let check = |overrides: &str, want: &str| {
            let error = refused(&[overrides]);
            assert!(error.starts_with(want), "{error}\ninstead of\n{want}");
            assert!(error.chars().count() < 600 && !error.contains(char::is_control), "{error}");
        };
        check("plan.\"ro\nunds\u{1b}\"=7", "on the command line: plan.\"ro�unds�\"");
        check(&format!("strategy.name=\"{}\"", "fed\\n".repeat(900)), "fitbit.toml: strategy.name = fed�fed�");
        check(&format!("model.hidden=[{}]", "1,".repeat(900)), "fitbit.toml: model.hidden = [1, 1, 1,");
        check(&format!("site.columns.{}=x", "q".repeat(3000)), "fitbit.toml: site.columns = \"qqq");
        check(&"rounds".repeat(900), "\"roundsrounds");
        let typed = FITBIT.replace("rounds = 20", "rounds = 20\n\"ro\\nunds\" = 7");
        let error = Recipe::parse("my.toml", &typed, &[]).unwrap_err().to_string();
        assert!(error.starts_with("my.toml: plan.ro�unds: no such key; did you mean \"rounds\"?"), "{error}");
    }

    #[test]
    fn broken_toml_names_line_and_column() {
        let error = Recipe::parse("my.toml", "name = \"x\"\nplan = [1,\n", &[]).unwrap_err().to_string();
        assert!(error.starts_with("my.toml:"), "{error}");
        let error = Recipe::parse("my.toml", "name = \"x\"\n", &[]).unwrap_err().to_string();
        assert!(error.contains("missing field `data`"), "{error}");
    }
}
