//! Every rule and every server optimiser against an independent implementation in NumPy, and against their laws.
//! `vectors/strategies_reference.py` made the vectors.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use dure_core::{
    combine::{
        Combine, Coordinates, GeometricMedian, InMemory, NormBounded, Whole, combine, fednova::STEPS,
        qfedavg::BASE_LOSS,
    },
    model::{Initial, Layout, Params, TensorSpec},
    optimizer::{Combined, State},
    strategy::{Key, NAMES, StrategySpec},
};
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
    optimizers: Vec<Steps>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    rule: Map<String, Value>,
    updates: Vec<Vec<f32>>,
    weights: Vec<f64>,
    #[serde(default)]
    scalars: BTreeMap<String, Vec<f64>>,
    expected: Vec<f64>,
}

#[derive(Deserialize)]
struct Steps {
    name: String,
    optimizer: Map<String, Value>,
    params: Vec<f32>,
    deltas: Vec<Vec<f32>>,
    expected: Vec<Vec<f64>>,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/strategies.json")).unwrap()
}

/// What a recipe would say for the reference's `keys`, by the name that `rename` gives.
fn spec(keys: &Map<String, Value>, rename: impl Fn(&str) -> String) -> StrategySpec {
    let mut keys = keys.clone();
    let name = rename(keys["name"].as_str().unwrap());
    // The reference calls it as its paper does.
    if let Some(nu) = keys.remove("nu") {
        keys.insert("smoothing".into(), nu);
    }
    // Adagrad has none.
    if name == "fedadagrad" {
        keys.remove("beta_2");
    }
    keys.insert("name".into(), json!(name));
    serde_json::from_value(Value::Object(keys)).unwrap()
}

/// Each update's scalars by the names that the rules ask for.
fn scalars(case: &Case) -> Vec<BTreeMap<String, f64>> {
    let name = |name: &str| if name == "train_loss" { BASE_LOSS.to_owned() } else { name.to_owned() };
    let of = |i: usize| case.scalars.iter().map(|(key, values)| (name(key), values[i])).collect();
    (0..case.updates.len()).map(of).collect()
}

/// The largest difference, relative to the largest value.
fn difference(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1e-30, |largest: f64, value| largest.max(value.abs()));
    got.iter().zip(want).map(|(got, want)| (f64::from(*got) - want).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn every_rule_is_that_of_an_independent_implementation() {
    let mut seen = std::collections::BTreeSet::new();
    for case in vectors().cases {
        let spec = spec(&case.rule, |name| if name == "mean" { "fedavg".into() } else { name.into() });
        seen.insert(spec.name.clone());
        let deltas: Vec<&[f32]> = case.updates.iter().map(Vec::as_slice).collect();
        let scalars = scalars(&case);
        let rule = spec.build().unwrap().combine;
        let got = combine(&*rule, &deltas, &case.weights, &scalars.iter().collect::<Vec<_>>()).unwrap();
        let off = difference(&got, &case.expected);
        assert!(off < 1e-6, "{}: {off}", case.name);
    }
    let elsewhere =
        ["fedprox", "scaffold", "feddyn", "fedavgm", "fedadagrad", "fedadam", "fedyogi", "fedbuff", "fedasync"];
    let all: Vec<&str> = NAMES.iter().map(|named| named.name).filter(|name| !elsewhere.contains(name)).collect();
    assert_eq!(seen.len(), all.len(), "each has vectors: {all:?}");
}

#[test]
fn every_optimizer_is_that_of_an_independent_implementation() {
    let name = |name: &str| match name {
        "sgd" => "fedavg".to_owned(),
        "momentum" => "fedavgm".to_owned(),
        other => format!("fed{other}"),
    };
    let cases = vectors().optimizers;
    assert_eq!(cases.len(), 10);
    for case in cases {
        let optimizer = spec(&case.optimizer, name).build().unwrap().optimizer;
        let layout = Layout::new(vec![TensorSpec::new("w", [case.params.len()], Initial::Zeros)]).unwrap();
        let (mut params, mut state) = (Params::new(Arc::new(layout), case.params).unwrap(), State::default());
        for (step, (delta, want)) in case.deltas.iter().zip(&case.expected).enumerate() {
            optimizer.step(&mut params, &mut state, &Combined::of(delta)).unwrap();
            assert_eq!(state.buffers.len(), optimizer.buffers());
            let off = difference(params.values(), want);
            assert!(off < 1e-6, "{}, step {step}: {off}", case.name);
        }
    }
}

/// Every strategy, against one liar.
fn all() -> Vec<StrategySpec> {
    let filled = |takes: &dyn Fn(Key) -> bool, name: &str| StrategySpec {
        byzantine: takes(Key::Byzantine).then_some(1),
        keep: takes(Key::Keep).then_some(3),
        bound: takes(Key::Bound).then_some(2.0),
        mu: takes(Key::Mu).then_some(0.1),
        alpha: takes(Key::Alpha).then_some(0.1),
        lipschitz: takes(Key::Lipschitz).then_some(10.0),
        ..StrategySpec::of(name)
    };
    NAMES.iter().map(|named| filled(&|key| named.keys.contains(&key), named.name)).collect()
}

/// Seven honest updates around `centre`, no two of them at equal distances.
fn honest(size: usize, seed: u32) -> Vec<Vec<f32>> {
    let value = |c: usize, i: usize| ((c * 31 + i * 7) as f32 + seed as f32 * 0.37).sin() / 8.0 + 1.0;
    (0..7).map(|c| (0..size).map(|i| value(c, i)).collect()).collect()
}

fn combined(rule: &dyn Combine, deltas: &[Vec<f32>]) -> Vec<f32> {
    let scalars: Vec<_> = (1..=deltas.len())
        .map(|i| BTreeMap::from([(STEPS.to_owned(), i as f64), (BASE_LOSS.to_owned(), 1.0 / i as f64)]))
        .collect();
    let weights: Vec<f64> = (1..=deltas.len()).map(|i| 1.0 + i as f64 / 3.0).collect();
    let deltas: Vec<&[f32]> = deltas.iter().map(Vec::as_slice).collect();
    combine(rule, &deltas, &weights, &scalars.iter().collect::<Vec<_>>()).unwrap()
}

proptest! {
    #[test]
    fn cutting_the_coordinates_anywhere_changes_no_bit(seed in any::<u16>(), mut cuts in prop::collection::vec(0usize..=40, 0..6)) {
        let deltas = honest(40, seed.into());
        let deltas: Vec<&[f32]> = deltas.iter().map(Vec::as_slice).collect();
        cuts.extend([0, 40]);
        cuts.sort_unstable();
        for spec in all() {
            let rule = spec.build().unwrap().combine;
            let geometry = Coordinates(&deltas);
            let weights = rule.weigh(&Whole { weights: &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], scalars: &[], staleness: &[], geometry: &geometry });
            let part = |range: Range<usize>| {
                let mut out = vec![0.0; range.len()];
                rule.combine(range, &mut InMemory::new(&deltas, &weights), &mut out).unwrap();
                out.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let parts: Vec<u32> = cuts.windows(2).flat_map(|cut| part(cut[0]..cut[1])).collect();
            prop_assert_eq!(part(0..40), parts, "{}", spec.name);
        }
    }

    #[test]
    fn what_all_agree_on_is_the_delta(values in prop::collection::vec(-1f32..1.0, 1..20)) {
        for spec in all() {
            // q-FedAvg shortens its step by how far clients moved; FedNova lengthens it to what each would have gone.
            if ["qfedavg", "fednova"].contains(&&*spec.name) {
                continue;
            }
            let rule = spec.build().unwrap().combine;
            let bound = values.iter().map(|v| v * v).sum::<f32>().sqrt();
            let agreed = combined(&*rule, &vec![values.clone(); 7]);
            let factor = if spec.name == "norm-bounded" && bound > 2.0 { 2.0 / bound } else { 1.0 };
            for (got, want) in agreed.iter().zip(&values) {
                prop_assert!((got - want * factor).abs() < 1e-6, "{}: {got} of {want}", spec.name);
            }
        }
    }

    #[test]
    fn updates_twice_as_long_make_a_delta_twice_as_long(seed in any::<u16>()) {
        let deltas = honest(12, seed.into());
        let twice: Vec<Vec<f32>> = deltas.iter().map(|delta| delta.iter().map(|value| value * 2.0).collect()).collect();
        for spec in all() {
            if ["qfedavg", "norm-bounded"].contains(&&*spec.name) {
                continue;
            }
            let rule = spec.build().unwrap().combine;
            let (one, two) = (combined(&*rule, &deltas), combined(&*rule, &twice));
            for (one, two) in one.iter().zip(&two) {
                prop_assert!((one * 2.0 - two).abs() < 1e-6, "{}", spec.name);
            }
        }
    }

    #[test]
    fn rules_that_weigh_everybody_alike_do_not_look_at_the_order_of_names(order in Just((0usize..7).collect::<Vec<_>>()).prop_shuffle(), seed in any::<u16>()) {
        let deltas = honest(12, seed.into());
        let shuffled: Vec<Vec<f32>> = order.iter().map(|i| deltas[*i].clone()).collect();
        for name in ["uniform-mean", "median", "trimmed-mean", "krum", "multikrum"] {
            let spec = all().into_iter().find(|spec| spec.name == name).unwrap();
            let rule = spec.build().unwrap().combine;
            for (a, b) in combined(&*rule, &deltas).iter().zip(combined(&*rule, &shuffled)) {
                prop_assert!((a - b).abs() < 1e-6, "{name}: {a} and {b}");
            }
        }
    }

    /// The breakdown point: whatever one of seven says, the delta stays among the honest ones. Of a mean it goes anywhere.
    #[test]
    fn one_liar_of_seven_is_outvoted(seed in any::<u16>(), lie in prop::collection::vec(-1e20f32..1e20, 12), who in 0usize..7) {
        let mut deltas = honest(12, seed.into());
        deltas[who] = lie.clone();
        let robust = ["median", "trimmed-mean", "krum", "multikrum", "bulyan"];
        for spec in all().into_iter().filter(|spec| robust.contains(&&*spec.name)) {
            let got = combined(&*spec.build().unwrap().combine, &deltas);
            prop_assert!(got.iter().all(|value| (0.875..=1.125).contains(value)), "{}: {got:?}", spec.name);
        }
        let rfa = combined(&GeometricMedian { iterations: 60, smoothing: 1e-6 }, &deltas);
        prop_assert!(rfa.iter().all(|value| (0.5..=1.5).contains(value)), "rfa: {rfa:?}");
        let bounded = combined(&NormBounded { bound: 1.0 }, &deltas);
        prop_assert!(bounded.iter().map(|value| value * value).sum::<f32>().sqrt() <= 1.0 + 1e-5, "norm-bounded: {bounded:?}");
        let mean = combined(&*StrategySpec::default().build().unwrap().combine, &deltas);
        let largest = lie.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        if largest > 1e3 {
            prop_assert!(mean.iter().any(|value| value.abs() > largest / 30.0), "the mean follows: {mean:?}");
        }
    }
}

#[test]
fn the_guide_has_every_strategy_with_its_keys_and_what_it_needs() {
    let guide = include_str!("../../../docs/guides/strategies.md");
    for (named, spec) in NAMES.iter().zip(all()) {
        let begins = format!("| `{}` |", named.name);
        let row = guide.lines().find(|line| line.starts_with(&begins)).unwrap_or_else(|| panic!("{begins}"));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for key in named.keys {
            let said = match key.default() {
                Some(default) => format!("`{}` {default}", key.name()),
                None => format!("`{}`", key.name()),
            };
            assert!(cells[4].contains(&said), "{}: {said}", named.name);
        }
        assert_eq!(cells[4].matches('`').count() / 2, named.keys.len(), "{}", named.name);
        let needs = match cells[5] {
            "2f + 1" => 3,
            "2f + 3" => 5,
            "4f + 3" => 7,
            one => one.parse().unwrap(),
        };
        assert_eq!(spec.build().unwrap().combine.needs(), needs, "{}", named.name);
    }
}
