//! `dure simulate --sweep`: the same recipe with several values of some keys, each with the same seeds; and `--compare`: several
//! recipes in the same world.

use std::{collections::BTreeMap, time::Instant};

use dure_learn::recipe::Recipe;
use dure_sim::repeat::Interval;
use serde::Serialize;

use super::{
    repeat::{Run, compared, figures, runs},
    told, warn,
};
use crate::{
    args::{RecipeArgs, Simulate},
    fail::Fail,
    output::Output,
    show::{self, Bar, Says},
    source::{self, Found},
    words,
};

/// What sums the settings up, in the folder of their folders.
const SWEPT: &str = "sweep.json";
const COMPARED: &str = "compare.json";

/// The most settings of a sweep.
const MOST: usize = 10_000;

/// `sweep.json` and `compare.json`.
#[derive(Serialize)]
struct Swept {
    /// The recipe's name; the first one's.
    recipe: String,
    /// The target's, if it is a number.
    #[serde(skip)]
    unit: String,
    /// In the order in which they were asked for; the last key changes first.
    settings: Vec<Setting>,
}

/// One setting, over its runs.
#[derive(Serialize)]
struct Setting {
    /// `key=value`, of each key; or the recipe.
    setting: Vec<String>,
    /// By model: each metric on pooled test rows.
    test: BTreeMap<String, BTreeMap<String, Interval>>,
    /// MAE or accuracy on validation rows, the mean over the last fifth of rounds.
    late: Interval,
    /// Seconds of virtual time, of all training rounds.
    virtual_s: Interval,
    /// Bytes of all updates.
    bytes_up: Interval,
    runs: Vec<Run>,
}

/// What is to be run.
struct Asked {
    /// What it is called.
    setting: Vec<String>,
    recipe: RecipeArgs,
    found: Found,
}

/// Runs every setting with `seeds` seeds. All recipes are checked before the first is run.
pub fn run(args: &Simulate, seeds: u32, started: Instant) -> Result<String, Fail> {
    let asked = if args.compare { recipes(args)? } else { values(args)? };
    let summary = if args.compare { COMPARED } else { SWEPT };
    let output = args.out.as_deref().map(|folder| Output::open(folder, &[summary])).transpose()?;
    let (mut swept, mut bar) = (vec![], Bar::new(started));
    let (mut title, mut recipe_name, mut unit) = (String::new(), String::new(), String::new());
    let mut says = Says::Number;
    for Asked { setting, recipe, found } in asked {
        let mut args = args.clone();
        (args.recipe, args.sweep, args.compare) = (recipe, vec![], false);
        args.out = args.out.map(|out| out.join(folder(&setting)));
        says = Says::of_schema(&found.recipe.schema);
        if recipe_name.is_empty() {
            (title, recipe_name) = (found.recipe.title.clone(), found.recipe.name.clone());
            unit.clone_from(&found.recipe.schema.target.unit);
        }
        let words = setting.join(" ");
        let runs = runs(&args, &found, seeds, (&format!("{words}, "), &mut bar), started);
        let runs = runs.map_err(|fail| fail.of(&words))?;
        swept.push(sum_up(setting, runs, &found));
    }
    let swept = Swept { recipe: recipe_name, unit, settings: swept };
    let text = || {
        let took = words::span(started.elapsed().as_secs_f64());
        format!("{title}\n\n{}\n\ntook     {took}\n", table(&swept, says, seeds))
    };
    told(args, output, (summary, &swept), text)
}

/// The recipe with every choice of one value for each key.
fn values(args: &Simulate) -> Result<Vec<Asked>, Fail> {
    let one = |setting: Vec<String>| {
        let overrides = args.recipe.overrides.iter().chain(&setting).cloned().collect();
        let recipe = RecipeArgs { overrides, ..args.recipe.clone() };
        let found = source::recipe(&recipe)?;
        warn(&found.recipe.plan(&found.origin)?, &found.recipe.world);
        Ok(Asked { setting, recipe, found })
    };
    let of = |typed: &str| {
        typed.split_once('=').map_or(String::new(), |(key, _)| key.trim_start_matches("plan.").to_owned())
    };
    let mut keys: Vec<String> = args.sweep.iter().chain(&args.recipe.overrides).map(|typed| of(typed)).collect();
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Fail::usage(format!("--sweep: {} is given twice; a sweep says all of a key's values", twice[0])));
    }
    settings(&args.sweep)?.into_iter().map(one).collect()
}

/// Every recipe that is named, in the world of the first and on its data.
fn recipes(args: &Simulate) -> Result<Vec<Asked>, Fail> {
    let (overrides, others): (Vec<String>, Vec<String>) =
        args.recipe.overrides.iter().cloned().partition(|typed| typed.contains('='));
    let mut asked: Vec<Asked> = vec![];
    for name in std::iter::once(&args.recipe.recipe).chain(&others) {
        let recipe = RecipeArgs { recipe: name.clone(), overrides: overrides.clone(), smoke: args.recipe.smoke };
        let mut found = source::recipe(&recipe)?;
        if let Some(Asked { found: first, .. }) = asked.first() {
            let (one, two) = (&first.recipe.schema, &found.recipe.schema);
            if (&one.features, &one.image, &one.target) != (&two.features, &two.image, &two.target) {
                let (a, b) = (&first.origin, &found.origin);
                return Err(Fail::usage(format!("--compare: {a} and {b} cannot be compared: their schemas differ")));
            }
            let Recipe { data, site, generator, world, .. } = first.recipe.clone();
            let (mine, theirs) =
                ((&world, &site, &generator), (&found.recipe.world, &found.recipe.site, &found.recipe.generator));
            if mine != theirs {
                let (a, b) = (&first.origin, &found.origin);
                eprintln!(
                    "dure: --compare: {b} is run in the world and on the data of {a}; its own [world], [site] and [generator] are not looked at"
                );
            }
            found.recipe = Recipe { data, site, generator, world, ..found.recipe };
        }
        warn(&found.recipe.plan(&found.origin)?, &found.recipe.world);
        asked.push(Asked { setting: vec![name.clone()], recipe, found });
    }
    let mut names: Vec<String> = asked.iter().map(|asked| folder(&asked.setting)).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(Fail::usage(format!("--compare: {} is named twice; give each plan a recipe of its own", twice[0])));
    }
    if asked.len() < 2 {
        return Err(Fail::usage("--compare: name at least two recipes, as in `dure simulate a.toml b.toml --compare`"));
    }
    Ok(asked)
}

/// The folder of a setting's runs.
fn folder(setting: &[String]) -> String {
    setting.join(",").replace('/', "_")
}

/// Every choice of one value for each key.
fn settings(sweeps: &[String]) -> Result<Vec<Vec<String>>, Fail> {
    let mut all = vec![vec![]];
    for sweep in sweeps {
        let broken = || Fail::usage(format!("--sweep {sweep:?}: write key=value,value, as in strategy.mu=0,0.1,1"));
        let (key, values) = sweep.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(broken)?;
        let values = split(values);
        if values.iter().any(|value| value.is_empty()) {
            return Err(broken());
        }
        let with = |before: &Vec<String>| {
            let one = |value: &&str| before.iter().cloned().chain([format!("{key}={value}")]).collect();
            values.iter().map(one).collect::<Vec<Vec<String>>>()
        };
        all = all.iter().flat_map(with).collect();
        if all.len() > MOST {
            return Err(Fail::usage(format!("--sweep: more than {MOST} settings")));
        }
    }
    Ok(all)
}

/// Splits at the commas that stand in no brackets and no quotes.
fn split(values: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quoted) = (vec![], 0, 0i32, false);
    for (at, c) in values.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            ',' if depth <= 0 && !quoted => {
                parts.push(&values[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&values[start..]);
    parts
}

fn sum_up(setting: Vec<String>, runs: Vec<Run>, found: &Found) -> Setting {
    let says = Says::of_schema(&found.recipe.schema);
    let interval = |model: &str, metric: &str| {
        let values = runs.iter().filter_map(|run| figures(&run.report, model)?.pooled.get(metric).copied());
        (metric.to_owned(), Interval::new(values, 0.0))
    };
    let shown = says.of_test("");
    let of_model = |(model, _): &(&str, &str)| {
        let metrics = shown.iter().map(|(metric, _)| interval(model, metric)).filter(|(_, interval)| interval.n > 0);
        ((*model).to_owned(), metrics.collect::<BTreeMap<_, _>>())
    };
    let test = show::MODELS.iter().map(of_model).filter(|(_, metrics)| !metrics.is_empty()).collect();
    let over = |of: fn(&Run) -> f64| Interval::new(runs.iter().map(of), 0.0);
    let (virtual_s, bytes_up) = (over(|run| run.virtual_s), over(|run| run.bytes_up as f64));
    let late = Interval::new(runs.iter().filter_map(|run| run.late), 0.0);
    Setting { setting, test, late, virtual_s, bytes_up, runs }
}

fn table(swept: &Swept, says: Says, seeds: u32) -> String {
    let main = compared(says)[0];
    let takes_time = swept.settings.iter().any(|setting| setting.virtual_s.mean > 0.0);
    let shown = says.of_test(&swept.unit);
    let head = shown.iter().find(|(metric, _)| *metric == main).map_or(main, |(_, head)| head.as_str());
    let models: Vec<(&str, &str)> = show::MODELS
        .iter()
        .copied()
        .filter(|(key, _)| swept.settings.iter().any(|s| s.test.contains_key(*key)))
        .collect();
    let row = |setting: &Setting| {
        let of = |(key, _): &(&str, &str)| cell(setting.test.get(*key).and_then(|metrics| metrics.get(main)));
        let late = cell(Some(&setting.late).filter(|late| late.n > 0));
        let time = Some(words::span(setting.virtual_s.mean)).filter(|_| takes_time);
        let sent = show::bytes(setting.bytes_up.mean as u64);
        let after = [late].into_iter().chain([sent]).chain(time);
        std::iter::once(setting.setting.join(" ")).chain(models.iter().map(of)).chain(after).collect()
    };
    let over = format!("{head}, mean ± 95 % of {}", words::count(seeds as usize, "seed"));
    let names = models.iter().map(|(_, name)| format!("{name}, test rows"));
    let heads =
        [over].into_iter().chain(names).chain(["last fifth of rounds, validation".into(), "sent by clients".into()]);
    let heads: Vec<String> = heads.chain(takes_time.then(|| "virtual time".into())).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    show::table(&heads, swept.settings.iter().map(row)).to_string()
}

fn cell(interval: Option<&Interval>) -> String {
    let Some(Interval { mean, half_width, .. }) = interval else { return "–".into() };
    let half = half_width.map_or_else(String::new, |half| format!(" ± {}", show::figure(Some(&half))));
    format!("{}{half}", show::figure(Some(mean)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_meets_every_other() {
        let all = settings(&["a=1,2".into(), "b={x=[1,2]},\"p,q\"".into()]).unwrap();
        let words: Vec<String> = all.iter().map(|setting| setting.join(" ")).collect();
        assert_eq!(words, ["a=1 b={x=[1,2]}", "a=1 b=\"p,q\"", "a=2 b={x=[1,2]}", "a=2 b=\"p,q\""]);
    }

    #[test]
    fn a_sweep_without_a_key_or_a_value_is_refused() {
        for bad in ["a", "=1", "a=", "a=1,,2"] {
            assert!(settings(&[bad.into()]).is_err(), "{bad}");
        }
        let many = vec!["a=0,1,2,3,4,5,6,7,8,9".to_owned(); 5];
        assert!(settings(&many).is_err());
    }
}
