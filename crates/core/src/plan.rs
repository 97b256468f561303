//! A job's checked choices. Building a [`Plan`] is where bad combinations are refused; afterwards the type is carried.

use std::{collections::BTreeSet, fmt::Display};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    codec::Codec,
    cohort::{CohortSpec, Select, filter::Filter},
    excerpt::{NAME, excerpt},
    model::Layout,
    statistics::{classification, regression},
    strategy::{Asynchronous, Objective, StrategySpec},
};

/// The most rounds that a plan may ask for.
pub const MAX_ROUNDS: u32 = 1_000_000;

/// What a plan says, before it is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSpec {
    /// The recipe that it came from.
    pub name: String,
    /// How many training rounds.
    pub rounds: u32,
    /// How answers become the next model.
    pub strategy: StrategySpec,
    /// Who is asked, and how long a round waits.
    pub cohort: CohortSpec,
    /// How updates travel.
    pub codec: Codec,
    /// The model's tensors.
    pub layout: Layout,
    /// Columns whose moments are measured before training; none, and nothing is measured.
    pub measure: Vec<String>,
    /// How many classes the model tells apart; absent if it says a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// The scalars that an update bears.
    pub scalars: Vec<String>,
    /// The rows that clients train on.
    pub rows: TrainingRows,
    /// Evaluate on validation rows after every so many rounds, and after the last; 0 is never.
    pub evaluate_every: u32,
    /// When to stop before the last round.
    pub stop: StopRules,
    /// When the job has ended, run it once more on training and validation rows together, for as many rounds as this one
    /// chose.
    pub refit: bool,
    /// Evaluate the final model on test rows.
    pub test: bool,
    /// What the trainer is told. The rules do not look inside.
    pub work: serde_json::Map<String, serde_json::Value>,
}

/// The rows that a job trains on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrainingRows {
    /// Training rows; validation rows remain to choose by.
    Training,
    /// Training and validation rows together, when everything has been chosen.
    TrainingAndValidation,
}

/// When a job ends before its last round, and when it gives up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopRules {
    /// The validation metric that `target` and `patience` look at; `mae` or `macro_f1` if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Stop as soon as the metric is at least this good.
    pub target: Option<f64>,
    /// Stop after so many evaluations without a new best.
    #[schemars(range(min = 1))]
    pub patience: Option<u32>,
    /// Stop after so many seconds of federation time.
    #[schemars(range(min = 0.001, max = 1e12))]
    pub time_limit_s: Option<f64>,
    /// Give up after so many abandoned rounds in a row.
    #[schemars(range(min = 1))]
    pub abandoned: u32,
}

impl Default for StopRules {
    fn default() -> Self {
        Self { metric: None, target: None, patience: None, time_limit_s: None, abandoned: 10 }
    }
}

/// A plan without contradictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlanSpec", into = "PlanSpec")]
pub struct Plan {
    spec: PlanSpec,
    // What its strategy says, which is asked far more often than a plan is made.
    objective: Objective,
    tells_control: bool,
    asynchronous: Option<Asynchronous>,
}

/// A choice that cannot be made, or two that contradict each other.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A value outside what its key allows.
    #[error("{key} = {value} is not allowed: {allowed}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it was given.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// Two keys that cannot both stand.
    #[error("{first} and {second} contradict each other: {why}")]
    Contradiction {
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// Why, and what to change.
        why: &'static str,
    },
}

impl PlanError {
    /// A value outside what its key allows, or the beginning of one.
    pub fn value(key: &'static str, value: impl Display, allowed: impl Into<String>) -> Self {
        Self::Value { key, value: excerpt(value, NAME), allowed: allowed.into() }
    }

    /// The key that it is about; of two the first.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Value { key, .. } => Some(key),
            Self::Contradiction { first, .. } => first.trim_start_matches("no ").split(' ').next(),
        }
    }
}

/// The most classes that a model can tell apart: their confusion is sent with every evaluation.
pub const MAX_CLASSES: usize = 256;

impl PlanSpec {
    /// The validation metric that a job is judged by.
    pub fn metric(&self) -> &str {
        self.stop.metric.as_deref().unwrap_or(if self.classes.is_some() { "macro_f1" } else { "mae" })
    }
}

impl Plan {
    /// Checks every choice of `spec`, alone and against the others.
    pub fn new(spec: PlanSpec) -> Result<Self, PlanError> {
        check_values(&spec)?;
        check_cohort(&spec.cohort)?;
        check_strategy(&spec)?;
        check_contradictions(&spec)?;
        let strategy = spec.strategy.build()?;
        let (objective, asynchronous) = (strategy.objective, strategy.asynchronous);
        check_asynchronous(&spec, asynchronous)?;
        Ok(Self { spec, objective, tells_control: strategy.optimizer.tells_control(), asynchronous })
    }

    /// What each client's training makes small.
    pub fn objective(&self) -> Objective {
        self.objective
    }

    /// Whether clients are told with the model what the server's optimizer remembers.
    pub fn tells_control(&self) -> bool {
        self.tells_control
    }

    /// How answers are taken without a cohort that all of them are of; `None` if rounds have one.
    pub fn asynchronous(&self) -> Option<Asynchronous> {
        self.asynchronous
    }

    /// How many eligible clients are needed before a round opens. Nobody answers twice in one.
    pub fn needed(&self) -> usize {
        let buffer = self.asynchronous.map_or(1, |asynchronous| self.cohort.quorum_of(asynchronous.buffer));
        self.cohort.needed().max(buffer)
    }

    /// The groups of tensors that an update has.
    pub fn groups(&self) -> &'static [&'static str] {
        self.objective().groups()
    }

    /// The same job once more, on training and validation rows together, for exactly `rounds` rounds.
    pub fn refitted(&self, rounds: u32) -> Self {
        let stop =
            StopRules { abandoned: self.stop.abandoned, metric: self.stop.metric.clone(), ..StopRules::default() };
        let rows = TrainingRows::TrainingAndValidation;
        let rounds = rounds.max(1);
        let spec = PlanSpec { rounds, rows, stop, evaluate_every: 0, refit: false, ..self.spec.clone() };
        Self { spec, ..*self }
    }
}

impl std::ops::Deref for Plan {
    type Target = PlanSpec;

    fn deref(&self) -> &PlanSpec {
        &self.spec
    }
}

impl TryFrom<PlanSpec> for Plan {
    type Error = PlanError;

    fn try_from(spec: PlanSpec) -> Result<Self, PlanError> {
        Self::new(spec)
    }
}

impl From<Plan> for PlanSpec {
    fn from(plan: Plan) -> PlanSpec {
        plan.spec
    }
}

fn refuse(key: &'static str, value: impl Display, allowed: &str) -> Result<(), PlanError> {
    Err(PlanError::value(key, value, allowed))
}

fn contradiction(first: String, second: String, why: &'static str) -> Result<(), PlanError> {
    Err(PlanError::Contradiction { first, second, why })
}

/// What a length of time may be: federation time counts milliseconds.
const LENGTHS: &str = "0.001 to 1e12 seconds";

fn is_length(seconds: f64) -> bool {
    (0.001..=1e12).contains(&seconds)
}

fn check_values(spec: &PlanSpec) -> Result<(), PlanError> {
    if !(1..=MAX_ROUNDS).contains(&spec.rounds) {
        return refuse("rounds", spec.rounds, "1 to 1000000");
    }
    if spec.classes.is_some_and(|classes| !(2..=MAX_CLASSES).contains(&classes)) {
        return refuse("schema.target.classes", spec.classes.unwrap_or(0), &format!("2 to {MAX_CLASSES} classes"));
    }
    let metrics: &[&str] = if spec.classes.is_some() { &classification::METRICS } else { &regression::METRICS };
    if !metrics.contains(&spec.metric()) {
        return refuse("stop.metric", spec.metric(), &format!("one of {}", metrics.join(", ")));
    }
    if spec.metric() == "auroc" {
        return refuse("stop.metric", "auroc", "a metric of validation rows; scores are counted on test rows only");
    }
    if spec.stop.patience == Some(0) {
        return refuse("stop.patience", 0, "at least 1");
    }
    if spec.stop.abandoned == 0 {
        return refuse("stop.abandoned", 0, "at least 1");
    }
    if let Some(target) = spec.stop.target.filter(|target| !target.is_finite()) {
        return refuse("stop.target", target, "a finite number");
    }
    if let Some(limit) = spec.stop.time_limit_s.filter(|limit| !is_length(*limit)) {
        return refuse("stop.time_limit_s", limit, LENGTHS);
    }
    let mut columns = BTreeSet::new();
    match spec.measure.iter().chain(&spec.scalars).find(|column| column.is_empty() || !columns.insert(*column)) {
        Some(column) => refuse("measure", column, "columns and scalars that have names, each once"),
        None => Ok(()),
    }
}

fn check_cohort(cohort: &CohortSpec) -> Result<(), PlanError> {
    for (key, value) in [("cohort.size", cohort.size), ("cohort.min_clients", cohort.min_clients)] {
        if value == Some(0) {
            return refuse(key, 0, "at least 1");
        }
    }
    if !is_length(cohort.deadline_s) {
        return refuse("cohort.deadline_s", cohort.deadline_s, LENGTHS);
    }
    match cohort.select {
        Select::PowerOfChoice { candidates } if cohort.asked().is_some_and(|asked| candidates < asked) => {
            let why = "a round asks some of the candidates; draw more of them";
            let asked = format!("cohort.size = {}", cohort.size.unwrap_or(0));
            return contradiction(format!("cohort.select.candidates = {candidates}"), asked, why);
        }
        Select::Oort { preferred_s, .. } if !is_length(preferred_s) => {
            return refuse("cohort.select.preferred_s", preferred_s, LENGTHS);
        }
        Select::Oort { penalty, .. } if !(0.0..=100.0).contains(&penalty) => {
            return refuse("cohort.select.penalty", penalty, "0 to 100");
        }
        select if !select.is_random() && cohort.size.is_none() => {
            let why = "without a size everybody is asked; give the number of answers that a round wants";
            return contradiction("cohort.select".into(), "no cohort.size".into(), why);
        }
        _ => {}
    }
    for (fact, bound) in cohort.filter.iter().flat_map(Filter::bounds) {
        if !(bound.is_finite() && bound >= 0.0) {
            return refuse("cohort.filter", format!("{fact} = {bound}"), "numbers from 0");
        }
    }
    if !(1.0..=100.0).contains(&cohort.over_selection) {
        return refuse("cohort.over_selection", cohort.over_selection, "1 to 100");
    }
    if cohort.over_selection > 1.0 && cohort.size.is_none() {
        let over = format!("cohort.over_selection = {}", cohort.over_selection);
        let why = "without a size everybody is asked anyway; give the number of answers that a round wants";
        return contradiction(over, "no cohort.size".into(), why);
    }
    match (cohort.size, cohort.quorum, cohort.min_clients) {
        (Some(size), Some(quorum), _) if quorum > size => {
            let why = "a round cannot need more answers than it asks clients; lower the quorum";
            contradiction(format!("cohort.quorum = {quorum}"), format!("cohort.size = {size}"), why)
        }
        (Some(size), _, Some(min)) if min < size => {
            let why = "a cohort cannot be drawn from fewer clients than it has; raise min_clients";
            contradiction(format!("cohort.min_clients = {min}"), format!("cohort.size = {size}"), why)
        }
        _ => Ok(()),
    }
}

/// A strategy keeps its promise with every number of answers that a round may end with.
fn check_strategy(spec: &PlanSpec) -> Result<(), PlanError> {
    let combine = spec.strategy.build()?.combine;
    let missing = combine.scalars().iter().find(|scalar| !spec.scalars.iter().any(|declared| declared == *scalar));
    if let Some(scalar) = missing {
        let declared = format!("scalars = {}", spec.scalars.join(", "));
        let why = "the strategy weighs updates by it; declare it";
        return contradiction(format!("strategy.name = {} with {scalar}", spec.strategy.name), declared, why);
    }
    let (needs, least) = (combine.needs(), spec.cohort.least());
    if let Some(keep) = spec.strategy.keep.filter(|keep| *keep > least) {
        let why = "a round may end with fewer answers than are to be kept; raise the quorum or keep fewer";
        return contradiction(format!("strategy.keep = {keep}"), spec.cohort.least_words(), why);
    }
    if least >= needs || needs == 1 {
        return Ok(());
    }
    let byzantine = spec.strategy.byzantine.unwrap_or(0);
    let named = format!("strategy.byzantine = {byzantine} with {}, which needs {needs} answers,", spec.strategy.name);
    let why = "a round may end with too few to outvote so many liars; raise the quorum or lower byzantine";
    contradiction(named, spec.cohort.least_words(), why)
}

/// A job without cohorts has no use for what cohorts alone have.
fn check_asynchronous(spec: &PlanSpec, asynchronous: Option<Asynchronous>) -> Result<(), PlanError> {
    let Some(Asynchronous { buffer, .. }) = asynchronous else { return Ok(()) };
    let named = format!("strategy.name = {}", spec.strategy.name);
    let cohort = &spec.cohort;
    if cohort.over_selection > 1.0 {
        let why = "a place that becomes free goes to the next client anyway; raise cohort.size for more at a time";
        return contradiction(named, format!("cohort.over_selection = {}", cohort.over_selection), why);
    }
    match cohort.quorum {
        Some(quorum) if quorum > buffer => {
            let why = "a version is made of so many answers; lower the quorum";
            contradiction(format!("cohort.quorum = {quorum}"), format!("{named} with a buffer of {buffer}"), why)
        }
        _ => Ok(()),
    }
}

fn check_contradictions(spec: &PlanSpec) -> Result<(), PlanError> {
    let judged = spec.stop.target.map(|v| format!("stop.target = {v}"));
    let judged = judged.or(spec.stop.patience.map(|v| format!("stop.patience = {v}")));
    let both = spec.rows == TrainingRows::TrainingAndValidation;
    match judged {
        Some(rule) if spec.evaluate_every == 0 => {
            contradiction(rule, "evaluate.every = 0".into(), "without evaluations there is no metric to stop by")
        }
        _ if both && (spec.evaluate_every > 0 || spec.refit) => {
            let why = "validation rows that were trained on cannot judge the model";
            contradiction(
                "rows = training_and_validation".into(),
                format!("evaluate.every = {}", spec.evaluate_every),
                why,
            )
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::{Initial, TensorSpec};

    /// A small plan: two parameters, two rounds, everything else as it comes.
    pub(crate) fn spec() -> PlanSpec {
        let tensor = TensorSpec::new("w", vec![2], Initial::Uniform(1.0));
        PlanSpec {
            name: "test".into(),
            rounds: 2,
            strategy: StrategySpec::default(),
            cohort: CohortSpec::default(),
            codec: Codec::F32,
            layout: Layout::new(vec![tensor]).unwrap(),
            classes: None,
            measure: vec!["x".into()],
            scalars: vec!["train_loss".into()],
            rows: TrainingRows::Training,
            evaluate_every: 1,
            stop: StopRules::default(),
            refit: false,
            test: true,
            work: serde_json::Map::new(),
        }
    }

    fn refused(change: impl FnOnce(&mut PlanSpec)) -> String {
        let mut spec = spec();
        change(&mut spec);
        Plan::new(spec).unwrap_err().to_string()
    }

    #[test]
    fn a_bad_value_names_its_key_and_what_is_allowed() {
        assert_eq!(refused(|p| p.rounds = 0), "rounds = 0 is not allowed: 1 to 1000000");
        assert_eq!(
            refused(|p| p.strategy.name = "fedmagic".into()),
            "strategy.name = fedmagic is not allowed: one of fedavg, fedprox, scaffold, feddyn, uniform-mean, fedavgm, fedadagrad, fedadam, fedyogi, fednova, qfedavg, \
             median, trimmed-mean, rfa, krum, multikrum, bulyan, norm-bounded, fedbuff, fedasync"
        );
        assert_eq!(
            refused(|p| p.strategy.learning_rate = f32::NAN),
            "strategy.learning_rate = NaN is not allowed: a number above 0"
        );
        assert_eq!(
            refused(|p| p.cohort.deadline_s = 0.0),
            "cohort.deadline_s = 0 is not allowed: 0.001 to 1e12 seconds"
        );
        assert_eq!(refused(|p| p.cohort.size = Some(0)), "cohort.size = 0 is not allowed: at least 1");
        let over = CohortSpec { size: Some(2), over_selection: 0.5, ..CohortSpec::default() };
        assert_eq!(refused(|p| p.cohort = over), "cohort.over_selection = 0.5 is not allowed: 1 to 100");
        assert!(refused(|p| p.measure = vec!["x".into(), "x".into()]).starts_with("measure = x"));
        let long = refused(|p| p.strategy.name = "fed\n".repeat(1000));
        assert!(long.starts_with("strategy.name = fed�fed�") && long.chars().count() < 400, "{long}");
    }

    #[test]
    fn contradictory_choices_are_refused() {
        let quorum = refused(|p| p.cohort = CohortSpec { size: Some(2), quorum: Some(3), ..CohortSpec::default() });
        assert!(quorum.starts_with("cohort.quorum = 3 and cohort.size = 2 contradict each other"), "{quorum}");
        let over = refused(|p| p.cohort.over_selection = 1.3);
        assert!(over.starts_with("cohort.over_selection = 1.3 and no cohort.size contradict each other"), "{over}");
        let krum = StrategySpec { byzantine: Some(1), ..StrategySpec::of("krum") };
        let liars = refused(|p| (p.strategy, p.cohort.quorum) = (krum.clone(), Some(4)));
        let begins =
            "strategy.byzantine = 1 with krum, which needs 5 answers, and cohort.quorum = 4 contradict each other: ";
        assert!(liars.starts_with(begins), "{liars}");
        let everybody = refused(|p| p.strategy = krum.clone());
        assert!(
            everybody.contains("and no cohort.quorum, cohort.size or cohort.min_clients contradict"),
            "{everybody}"
        );
        let keep = refused(|p| {
            let keep = StrategySpec { byzantine: Some(1), keep: Some(6), ..StrategySpec::of("multikrum") };
            (p.strategy, p.cohort.size) = (keep, Some(5));
        });
        assert!(keep.starts_with("strategy.keep = 6 and cohort.size = 5 contradict each other"), "{keep}");
        let enough =
            PlanSpec { strategy: krum, cohort: CohortSpec { size: Some(5), ..CohortSpec::default() }, ..spec() };
        assert!(Plan::new(enough).is_ok());
        let nova = refused(|p| p.strategy = StrategySpec::of("fednova"));
        assert!(nova.starts_with("strategy.name = fednova with steps and scalars = train_loss contradict"), "{nova}");
        let patience = refused(|p| (p.stop.patience, p.evaluate_every) = (Some(3), 0));
        assert!(patience.starts_with("stop.patience = 3 and evaluate.every = 0 contradict"), "{patience}");
        let rows = refused(|p| p.rows = TrainingRows::TrainingAndValidation);
        assert!(rows.starts_with("rows = training_and_validation and evaluate.every = 1"), "{rows}");
    }

    #[test]
    fn a_plan_reads_back_from_json_and_a_bad_one_does_not() {
        let plan = Plan::new(spec()).unwrap();
        let json = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
        let bad = json.replace("\"rounds\":2", "\"rounds\":0");
        assert!(serde_json::from_str::<Plan>(&bad).unwrap_err().to_string().contains("rounds = 0"));
    }
}
