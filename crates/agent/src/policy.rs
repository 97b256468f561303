//! What a site takes part in: a file that its own people write. What it does not say is allowed, but for models that are huge.

use std::{collections::BTreeSet, fmt, num::NonZeroUsize};

use dure_core::{
    plan::Plan,
    round::{Kind, TaskId},
};
use dure_learn::work::Work;
use jiff::civil::Time;
use serde::{Deserialize, Serialize};

/// The most parameters of a model, where the policy does not say: 200 MB of numbers.
const MAX_PARAMETERS: usize = 50_000_000;

/// The fewest rows behind an answer, where the policy does not say. One of the 33 people of the shared Fitbit data has a
/// single row in each part, and all of them have to answer if a federation is to come to the simulator's bits.
const MIN_ROWS: usize = 1;

/// What a site takes part in. Absent keys allow everything, but for [`Policy::most_parameters`] and [`Policy::least_rows`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The federations that may be joined.
    pub federations: Option<Vec<String>>,
    /// The recipes that rows may be read by, and that jobs may come from.
    pub recipes: Option<Vec<String>>,
    /// The most passes over a client's rows in a round. A job that asks for more gets no answers at all.
    pub max_epochs: Option<u32>,
    /// The most passes over a client's rows when it makes the final model its own, in a test.
    pub max_personalise_epochs: Option<u32>,
    /// When clients take tasks.
    pub hours: Option<Hours>,
    /// The fewest answers that a round may end with: in a sum of few, each is seen.
    pub min_cohort: Option<usize>,
    /// The fewest rows that an answer may be made from: the mean of one row is the row.
    pub min_rows: Option<NonZeroUsize>,
    /// The most parameters that a job's model may have: memory is taken for each.
    pub max_parameters: Option<usize>,
    /// What of its clients' data is told to the server; how many rows there are, where it does not say.
    pub share: Option<BTreeSet<Share>>,
}

/// What of a client's data may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Share {
    /// How many rows there are.
    Rows,
    /// How the labels are distributed.
    Labels,
}

/// Hours of the day by local time: `20:00-06:00`. The beginning is in, the end is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Hours {
    /// In minutes since midnight.
    begin: u16,
    /// As above; before the beginning, it is on the next day.
    end: u16,
}

/// A policy that cannot be read, or that says no.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It cannot be read.
    #[error("{origin}:{line}:{column}: {why}")]
    Unread {
        /// The file.
        origin: String,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What is wrong there.
        why: String,
    },
    /// It does not allow this federation.
    #[error("the site's policy allows the federations {allowed}; this one is {federation}")]
    Federation {
        /// The federation.
        federation: String,
        /// Those that it allows.
        allowed: String,
    },
    /// It does not allow this recipe.
    #[error("the site's policy allows the recipes {allowed}; this one is {recipe}")]
    Recipe {
        /// The recipe.
        recipe: String,
        /// Those that it allows.
        allowed: String,
    },
}

/// What a task asks of a site.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The task.
    pub task: &'a TaskId,
    /// How many clients its round asks.
    pub cohort: usize,
    /// Its job's plan.
    pub plan: &'a Plan,
    /// What the plan tells trainers.
    pub work: &'a Work,
}

impl Policy {
    /// Reads a policy; `origin` is its file, for messages.
    pub fn parse(text: &str, origin: &str) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error| {
            let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
            PolicyError::Unread { origin: origin.into(), line, column, why: error.message().replace('\n', ", ") }
        })
    }

    /// Whether the site may join this federation with rows of this recipe.
    pub fn admits(&self, federation: &str, recipe: &str) -> Result<(), PolicyError> {
        if let Some(allowed) = outside(&self.federations, federation) {
            return Err(PolicyError::Federation { federation: federation.into(), allowed });
        }
        match outside(&self.recipes, recipe) {
            Some(allowed) => Err(PolicyError::Recipe { recipe: recipe.into(), allowed }),
            None => Ok(()),
        }
    }

    /// Why the site takes no tasks at this time of the day, if it takes none.
    pub fn closed(&self, now: Time) -> Option<String> {
        let hours = self.hours.filter(|hours| !hours.contain(now))?;
        Some(format!("outside the site's hours, {hours}"))
    }

    /// Whether the site does what a task asks; if not, why.
    pub fn check(&self, asked: &Asked<'_>) -> Result<(), String> {
        let Asked { task, cohort, plan, work } = *asked;
        if let Some(allowed) = outside(&self.recipes, &plan.name) {
            return Err(format!("the site's policy allows the recipes {allowed}; the plan is of {}", plan.name));
        }
        at_most(Some(self.most_parameters()), plan.layout.parameters(), "parameters")?;
        if task.round.kind == Kind::Test {
            at_most(self.max_personalise_epochs, work.personalise.epochs, "epochs of personalisation")?;
        }
        let answers = fewest_answers(plan, task.round.kind, cohort);
        match self.min_cohort {
            Some(least) if answers < least => Err(format!(
                "the site's policy asks for rounds of at least {least} answers; this one may end with {answers}"
            )),
            _ => Ok(()),
        }
    }

    /// Whether a round may go over so many rows as often as the plan asks; if not, why. A personal model is trained as long as the
    /// shared one.
    pub fn check_passes(&self, work: &Work, rows: usize) -> Result<(), String> {
        let models = if work.personalise.lambda.is_some() { 2 } else { 1 };
        at_most(self.max_epochs, work.training.passes(rows).saturating_mul(models), "epochs")
    }

    /// Whether an answer may be made from so many rows; if not, why. The reason does not say how many there are. An answer
    /// from no rows says nothing of any.
    pub fn check_rows(&self, rows: usize) -> Result<(), String> {
        let least = self.least_rows();
        if rows == 0 || rows >= least {
            return Ok(());
        }
        Err(format!(
            "the site's policy wants at least {least} rows behind an answer; this split, or a column of it, has fewer"
        ))
    }

    /// Whether this is told of clients' data.
    pub fn shares(&self, what: Share) -> bool {
        self.share.as_ref().map_or(what == Share::Rows, |told| told.contains(&what))
    }

    /// The fewest rows behind an answer.
    pub fn least_rows(&self) -> usize {
        self.min_rows.map_or(MIN_ROWS, NonZeroUsize::get)
    }

    /// The most parameters of a model.
    pub fn most_parameters(&self) -> usize {
        self.max_parameters.unwrap_or(MAX_PARAMETERS)
    }
}

/// The fewest answers that a round of `cohort` clients may end with. Only training rounds draw a sample and stop at its size.
fn fewest_answers(plan: &Plan, kind: Kind, cohort: usize) -> usize {
    // A version of a job without cohorts is made of as many answers as its buffer has, however many work for it.
    if let Some(asynchronous) = plan.asynchronous().filter(|_| kind == Kind::Train) {
        return plan.cohort.quorum_of(asynchronous.buffer);
    }
    let goal = if kind == Kind::Train { plan.cohort.goal_of(cohort) } else { None };
    plan.cohort.quorum_of(goal.unwrap_or(cohort)).min(cohort)
}

fn at_most<T: PartialOrd + fmt::Display>(limit: Option<T>, asked: T, what: &str) -> Result<(), String> {
    match limit {
        Some(most) if asked > most => {
            Err(format!("the site's policy allows at most {most} {what}; the plan asks for {asked}"))
        }
        _ => Ok(()),
    }
}

/// Those that are allowed, if `name` is not among them.
fn outside(allowed: &Option<Vec<String>>, name: &str) -> Option<String> {
    allowed.as_ref().filter(|allowed| !allowed.iter().any(|known| known == name)).map(|allowed| allowed.join(", "))
}

impl Hours {
    /// Whether a time of the day is in them.
    pub fn contain(&self, now: Time) -> bool {
        let now = now.hour() as u16 * 60 + now.minute() as u16;
        let (begun, over) = (now >= self.begin, now >= self.end);
        if self.begin < self.end { begun && !over } else { begun || !over }
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let error = || format!("{text:?} are no hours; write them like 20:00-06:00");
        let (begin, end) = text.split_once('-').ok_or_else(error)?;
        let (begin, end) = minutes(begin).zip(minutes(end)).ok_or_else(error)?;
        if begin == end || begin == 24 * 60 {
            return Err(format!("{text:?} are no hours that begin and end; leave the key away for all day"));
        }
        Ok(Self { begin, end })
    }
}

/// `HH:MM` in minutes since midnight; 24:00 is the day's end.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
    let number = |text: &str| if two(text) { text.parse::<u8>().ok() } else { None };
    let (hours, minutes) = (u16::from(number(hours)?), u16::from(number(minutes)?));
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= 24 * 60).then_some(total)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { begin, end } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", begin / 60, begin % 60, end / 60, end % 60)
    }
}

#[cfg(test)]
mod tests {
    use dure_learn::recipe::Recipe;
    use jiff::civil::time;

    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::parse(text, "site.toml").unwrap()
    }

    /// What the policy says to a task of the built-in recipe with 50 epochs, in a round of three.
    fn said(text: &str, kind: &str) -> Result<(), String> {
        said_to(&[], text, kind)
    }

    fn said_to(keys: &[&str], text: &str, kind: &str) -> Result<(), String> {
        let recipe = include_str!("../../../recipes/fitbit.toml");
        let keys: Vec<_> = keys.iter().chain(&["training.epochs=50"]).map(|key| (*key).to_owned()).collect();
        let recipe = Recipe::parse("fitbit", recipe, &keys).unwrap();
        let (task, plan, work) =
            (format!("1-{kind}-1-1-a").parse().unwrap(), recipe.plan("fitbit").unwrap(), recipe.work());
        let policy = policy(text);
        policy.check(&Asked { task: &task, cohort: 3, plan: &plan, work: &work })?;
        policy.check_passes(&work, 40)
    }

    #[test]
    fn an_empty_policy_allows_everything() {
        assert_eq!(policy(""), Policy::default());
        assert_eq!(said("", "test"), Ok(()));
        assert_eq!(policy("").admits("any", "any"), Ok(()));
        assert_eq!(policy("").closed(time(3, 0, 0, 0)), None);
    }

    #[test]
    fn each_rule_allows_and_refuses() {
        let epochs = "the site's policy allows at most 20 epochs; the plan asks for 50";
        let personal = "the site's policy allows at most 20 epochs of personalisation; the plan asks for 50";
        let recipe = "the site's policy allows the recipes news, steps; the plan is of fitbit";
        let cohort = "the site's policy asks for rounds of at least 5 answers; this one may end with 3";
        let parameters = "the site's policy allows at most 6976 parameters; the plan asks for 6977";
        for (text, kind, want) in [
            ("max_epochs = 50", "train", None),
            ("max_epochs = 20", "train", Some(epochs)),
            ("max_epochs = 20", "measure", Some(epochs)),
            ("max_personalise_epochs = 50", "test", None),
            ("max_personalise_epochs = 20", "test", Some(personal)),
            ("max_personalise_epochs = 20", "train", None),
            ("recipes = ['fitbit']", "train", None),
            ("recipes = ['news', 'steps']", "train", Some(recipe)),
            ("max_parameters = 6977", "train", None),
            ("max_parameters = 6976", "evaluate", Some(parameters)),
            ("min_cohort = 3", "train", None),
            ("min_cohort = 5", "evaluate", Some(cohort)),
        ] {
            assert_eq!(said(text, kind), want.map_or(Ok(()), |why| Err(why.into())), "{text} {kind}");
        }
    }

    #[test]
    fn a_cohort_is_as_large_as_the_fewest_answers_that_its_round_may_end_with() {
        let check = |keys: &[&str], kind: &str, fewest: usize| {
            assert_eq!(said_to(keys, &format!("min_cohort = {fewest}"), kind), Ok(()), "{keys:?} {kind}");
            let why = said_to(keys, &format!("min_cohort = {}", fewest + 1), kind).unwrap_err();
            assert!(
                why.ends_with(&format!("at least {} answers; this one may end with {fewest}", fewest + 1)),
                "{why}"
            );
        };
        check(&[], "train", 3);
        check(&["cohort.quorum=2"], "train", 2);
        check(&["cohort.quorum=2"], "measure", 2);
        check(&["cohort.quorum=1"], "evaluate", 1);
        // The size is of training rounds only.
        check(&["cohort.size=2", "cohort.over_selection=1.5"], "train", 2);
        check(&["cohort.size=2", "cohort.over_selection=1.5"], "test", 3);
        check(&["cohort.size=2", "cohort.over_selection=1.5", "cohort.quorum=1"], "train", 1);
        check(&["strategy.name=fedasync"], "train", 1);
        check(&["strategy={name=\"fedbuff\",buffer=2}", "cohort.size=3"], "train", 2);
        check(&["strategy={name=\"fedbuff\",buffer=4}", "cohort.size=3"], "train", 4);
        check(&["strategy={name=\"fedbuff\",buffer=4}", "cohort.quorum=2"], "train", 2);
        check(&["strategy.name=fedasync"], "evaluate", 3);
    }

    #[test]
    fn few_rows_are_refused_and_not_counted_aloud() {
        let least = policy("min_rows = 5");
        assert_eq!((least.check_rows(5), least.check_rows(0)), (Ok(()), Ok(())));
        let why = "the site's policy wants at least 5 rows behind an answer; this split, or a column of it, has fewer";
        for few in 1..5 {
            assert_eq!(least.check_rows(few), Err(why.into()));
        }
        assert_eq!(policy("").check_rows(MIN_ROWS), Ok(()));
        assert!(Policy::parse("min_rows = 0", "site.toml").unwrap_err().to_string().starts_with("site.toml:1:12: "));
    }

    #[test]
    fn federations_and_recipes_outside_the_policy_are_refused() {
        let policy = policy("federations = ['fitbit', 'b']\nrecipes = ['steps']");
        let said = |federation, recipe| policy.admits(federation, recipe).map_err(|error| error.to_string());
        assert_eq!(said("b", "steps"), Ok(()));
        assert_eq!(
            said("c", "steps").unwrap_err(),
            "the site's policy allows the federations fitbit, b; this one is c"
        );
        assert_eq!(said("b", "news").unwrap_err(), "the site's policy allows the recipes steps; this one is news");
    }

    #[test]
    fn hours_may_cross_midnight() {
        let check = |hours: &str, open: &[(i8, i8)], shut: &[(i8, i8)]| {
            let policy = policy(&format!("hours = '{hours}'"));
            let closed = |(hour, minute): &(i8, i8)| policy.closed(time(*hour, *minute, 30, 0));
            open.iter().for_each(|at| assert_eq!(closed(at), None, "{hours} {at:?}"));
            let why = Some(format!("outside the site's hours, {hours}"));
            shut.iter().for_each(|at| assert_eq!(closed(at), why, "{hours} {at:?}"));
        };
        check("20:00-06:00", &[(20, 0), (23, 59), (0, 0), (5, 59)], &[(6, 0), (12, 0), (19, 59)]);
        check("08:30-17:00", &[(8, 30), (16, 59)], &[(8, 29), (17, 0), (0, 0)]);
        check("22:00-24:00", &[(22, 0), (23, 59)], &[(0, 0), (21, 59)]);
        check("00:00-01:00", &[(0, 0), (0, 59)], &[(1, 0), (23, 59)]);
    }

    #[test]
    fn a_policy_that_cannot_be_read_says_where_and_what_there_is() {
        let error = |text: &str| Policy::parse(text, "site.toml").unwrap_err().to_string();
        let unknown = error("min_cohort = 5\nmax_epoch = 3");
        assert!(
            unknown.starts_with("site.toml:2:1: unknown field `max_epoch`, expected one of `federations`, `recipes`")
        );
        assert!(error("max_epochs = 'many'").starts_with("site.toml:1:14: invalid type"));
        for hours in ["20-06", "20:00", "2:00-3:00", "25:00-26:00", "20:60-21:00", "+1:00-02:00"] {
            assert!(error(&format!("hours = '{hours}'")).contains("write them like 20:00-06:00"), "{hours}");
        }
        for hours in ["06:00-06:00", "24:00-06:00"] {
            assert!(error(&format!("hours = '{hours}'")).contains("leave the key away for all day"), "{hours}");
        }
    }
}
