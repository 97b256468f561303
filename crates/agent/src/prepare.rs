//! A job as its clients need it: the checked plan, what trainers are told, and how columns are scaled.

use std::sync::{Arc, Mutex, PoisonError};

use dure_core::{
    digest::Digest,
    excerpt::{NAME, SENTENCE, excerpt},
    model::Layout,
    plan::Plan,
    statistics::Statistics,
};
use dure_learn::{
    client::Trainer,
    data::images::ImageShape,
    own::Own,
    schema::{Column, Missing, Schema, Target},
    standardise::Preprocessing,
    work::Work,
};
use dure_wire::{MAX_HEADER, api::JobView};
use serde_json::{Map, Value};

/// The most differences that a message names.
const NAMED: usize = 5;

/// A job that this site can do.
pub struct Job {
    /// From which all randomness derives.
    pub seed: u64,
    /// The digest of its plan and seed.
    pub digest: Digest,
    /// How many training rounds are planned.
    pub rounds: u32,
    /// What is done.
    pub plan: Plan,
    /// What trainers are told.
    pub work: Work,
    /// The model's tensors.
    pub layout: Arc<Layout>,
    /// The tensors of what each client keeps; `None` if that is nothing.
    pub own_layout: Option<Arc<Layout>>,
    /// What a client begins with of that.
    pub beginning: Arc<Vec<f32>>,
    /// How columns are scaled; `None` before they are measured.
    pub preprocessing: Option<Preprocessing>,
    trainers: Mutex<Vec<Trainer>>,
    most_rows: usize,
    threads: usize,
}

impl Job {
    /// Checks a job. `schema` is the site's; `most_rows` is the most rows that any of its clients has, and `threads` is how many
    /// a large step may use. Returns why the site cannot do it.
    pub fn of(view: Value, schema: &Schema, (most_rows, threads): (usize, usize)) -> Result<Self, String> {
        let unknown = |why: String| format!("this version cannot do the job: {}", excerpt(why, SENTENCE));
        let view: JobView = serde_json::from_value(view).map_err(|error| unknown(error.to_string()))?;
        let json = serde_json::to_vec(&view.plan).map_err(|error| unknown(error.to_string()))?;
        let digest = Digest::of_all(&[&json, b" ", view.seed.as_bytes()]);
        let plan = Plan::new(view.plan).map_err(|error| unknown(error.to_string()))?;
        let work = Work::of(&plan).map_err(|error| unknown(error.to_string()))?;
        let seed = view.seed.parse().map_err(|_| unknown(format!("its seed is {:?}", view.seed)))?;
        if let Some(differences) = differences(schema, &work.schema) {
            return Err(format!("the job's columns are not the site's: {differences}"));
        }
        let (rounds, layout) = (view.rounds, Arc::new(plan.layout.clone()));
        let preprocessing = match view.statistics {
            Some(statistics) => Some(Preprocessing::of(&statistics)),
            None => plan.measure.is_empty().then(|| Preprocessing::of(&Statistics::new())),
        };
        let keeps = Own::of(&work, plan.objective()).map_err(|error| unknown(error.to_string()))?;
        let beginning = keeps.beginning(&work, seed).map_err(|error| unknown(error.to_string()))?;
        let (own_layout, beginning, trainers) = (keeps.layout(), Arc::new(beginning), Mutex::default());
        Ok(Self {
            seed,
            digest,
            rounds,
            plan,
            work,
            layout,
            own_layout,
            beginning,
            preprocessing,
            trainers,
            most_rows,
            threads,
        })
    }

    /// The most bytes that an honest file of its model has.
    pub fn max_model_bytes(&self) -> usize {
        size_of::<u64>() + MAX_HEADER + self.layout.parameters() * size_of::<f32>()
    }

    /// Trains with one of the job's trainers: their buffers serve one client after another.
    pub fn with_trainer<T>(&self, preprocessing: &Preprocessing, train: impl FnOnce(&mut Trainer) -> T) -> T {
        let kept = self.trainers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut trainer = kept.unwrap_or_else(|| Trainer::new(&self.work, preprocessing, self.most_rows, self.threads));
        let done = train(&mut trainer);
        self.trainers.lock().unwrap_or_else(PoisonError::into_inner).push(trainer);
        done
    }
}

/// How the columns of a federation differ from the site's, if they do.
pub fn differences_of(site: &Schema, told: &Map<String, Value>) -> Option<String> {
    match serde_json::from_value::<Schema>(Value::Object(told.clone())) {
        Ok(told) => differences(site, &told),
        Err(error) => Some(format!("the federation's schema cannot be read: {}", excerpt(error, SENTENCE))),
    }
}

/// How `told` differs from the site's schema, if it does. The order of features counts, for models have no names inside.
fn differences(site: &Schema, told: &Schema) -> Option<String> {
    let longest = site.features.len().max(told.features.len());
    let feature = |schema: &Schema, i: usize| schema.features.get(i).map_or_else(|| "nothing".into(), column);
    let features = (0..longest).map(|i| (format!("feature {}", i + 1), feature(site, i), feature(told, i)));
    let image = ("an image".to_owned(), image(site), image(told));
    let target = ("the target".to_owned(), said(&site.target), said(&told.target));
    let missing = ("a missing value".to_owned(), missing(site), missing(told));
    let differing: Vec<_> = features.chain([image, target, missing]).filter(|(_, here, there)| here != there).collect();
    let named = differing.iter().take(NAMED).map(|(what, here, there)| {
        format!("{what} is {} at this site and {} in the federation", excerpt(here, TOLD), excerpt(there, TOLD))
    });
    let more = differing.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let named: Vec<_> = named.chain(more).collect();
    (!named.is_empty()).then(|| named.join("; "))
}

/// The longest description of a column that is said, in bytes.
const TOLD: usize = 2 * NAME;

fn column(Column { name, unit, categories }: &Column) -> String {
    match categories.is_empty() {
        true => format!("{} in {}", excerpt(name, NAME), excerpt(unit, NAME)),
        false => format!("{}, one of {}", excerpt(name, NAME), categories.join(", ")),
    }
}

fn missing(schema: &Schema) -> String {
    match schema.missing {
        Missing::Refuse => "refused".into(),
        Missing::Mean => "the mean".into(),
        Missing::Drop => "dropped with its row".into(),
    }
}

fn image(schema: &Schema) -> String {
    let of = |image: ImageShape| format!("{} × {} with {} channels", image.height, image.width, image.channels);
    schema.image.map_or_else(|| "nothing".into(), of)
}

fn said(Target { name, unit, classes }: &Target) -> String {
    let name = excerpt(name, NAME);
    if classes.is_empty() {
        format!("{name} in {}", excerpt(unit, NAME))
    } else {
        format!("{name}, one of {}", classes.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use dure_learn::recipe::Recipe;

    use super::*;

    fn schema(features: &[(&str, &str)], target: &str) -> Schema {
        let column = |name: &str, unit: &str| Column { name: name.into(), unit: unit.into(), categories: vec![] };
        let features = features.iter().map(|(name, unit)| column(name, unit)).collect();
        let target = Target { name: target.into(), unit: "kcal".into(), classes: vec![] };
        Schema { features, missing: Missing::Refuse, image: None, target }
    }

    #[test]
    fn schemas_that_differ_say_where() {
        let site = schema(&[("Steps", "steps"), ("Distance", "km")], "Calories");
        let said = |told: &Schema| differences(&site, told).unwrap_or_default();
        assert_eq!(said(&site), "");
        assert_eq!(
            said(&schema(&[("Steps", "steps"), ("Distance", "miles")], "Calories")),
            "feature 2 is Distance in km at this site and Distance in miles in the federation"
        );
        assert_eq!(
            said(&schema(&[("Steps", "steps")], "Energy")),
            "feature 2 is Distance in km at this site and nothing in the federation; \
             the target is Calories in kcal at this site and Energy in kcal in the federation"
        );
        let turned = said(&schema(&[("Distance", "km"), ("Steps", "steps")], "Calories"));
        assert!(turned.starts_with("feature 1 is Steps in steps at this site and Distance in km"), "{turned}");
        let many: Vec<_> = (0..9).map(|_| ("x", "m")).collect();
        assert!(said(&schema(&many, "Calories")).ends_with("; and 4 more"));
        let odd = said(&schema(&[("Steps", "steps"), ("Distance", "km\n")], &"x".repeat(3000)));
        assert!(
            odd.starts_with("feature 2 is Distance in km at this site and Distance in km� in the federation"),
            "{odd}"
        );
        assert!(odd.chars().count() < 300, "{odd}");
    }

    #[test]
    fn a_job_that_keeps_layers_here_says_how_many_floats() {
        let recipe = include_str!("../../../recipes/fitbit.toml");
        let job = |overrides: &[String]| {
            let recipe = Recipe::parse("fitbit", recipe, overrides).unwrap();
            let plan: dure_core::plan::PlanSpec = recipe.plan("fitbit").unwrap().into();
            let view = serde_json::json!({
                "job": 1, "status": "running", "waiting": null, "seed": "7", "refit_of": null, "completed": 0, "rounds": 1,
                "limit": null, "version": null, "trained": null, "best": null, "round": null, "plan": plan, "statistics": null,
            });
            Job::of(view, &recipe.schema, (10, 1)).map(|job| job.beginning.len())
        };
        assert_eq!(job(&[]), Ok(0));
        assert_eq!(job(&["personalise.layers=[\"layers.6\"]".into()]), Ok(33));
    }

    #[test]
    fn categories_and_what_becomes_of_a_missing_value_are_to_be_the_same() {
        let mut site = schema(&[("Steps", "steps")], "Calories");
        let sex = |categories: [&str; 2]| Column {
            name: "sex".into(),
            categories: categories.map(String::from).to_vec(),
            ..Column::default()
        };
        site.features.push(sex(["F", "M"]));
        let mut told = Schema { missing: Missing::Mean, ..site.clone() };
        told.features[1] = sex(["M", "F"]);
        assert_eq!(
            differences(&site, &told).unwrap(),
            "feature 2 is sex, one of F, M at this site and sex, one of M, F in the federation; \
             a missing value is refused at this site and the mean in the federation"
        );
    }

    #[test]
    fn a_schema_of_another_shape_differs() {
        let site = schema(&[("Steps", "steps")], "Calories");
        let Value::Object(told) = serde_json::json!({"columns": 3}) else { unreachable!() };
        assert!(differences_of(&site, &told).unwrap().starts_with("the federation's schema cannot be read"));
        let Value::Object(same) = serde_json::to_value(&site).unwrap() else { unreachable!() };
        assert_eq!(differences_of(&site, &same), None);
    }
}
