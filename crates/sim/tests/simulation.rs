//! Whole simulations: the same bits twice, on any number of threads, and from the journal.

mod common;

use common::{clients, recipe, run};
use dure_core::{
    digest::Digest,
    event::{Answer, Event, Record},
    federation::Federation,
    journal,
    name::ClientName,
    statistics::{Statistics, regression},
};
use dure_learn::data::examples::Truth;
use dure_sim::{SimError, clients::Clients, replay, report::Figures, simulate};
use dure_wire::decode_model;

const FEW: &[&str] = &["rounds=4", "personalise.epochs=3", "training.epochs=2"];

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let first = run(9, FEW, 1, 1);
    for threads in [1, 2, 5] {
        let again = run(9, FEW, 1, threads);
        assert_eq!(again.journal, first.journal, "{threads} threads");
        assert_eq!(again.models.as_ref().unwrap().blob(), first.models.as_ref().unwrap().blob());
    }
    assert_ne!(run(9, FEW, 2, 1).head, first.head);
}

#[test]
fn a_journal_verifies_and_is_the_state() {
    let run = run(5, FEW, 1, 2);
    let (records, head) = journal::verify(run.journal.lines()).unwrap();
    assert_eq!(head, run.head);
    assert_eq!(Federation::replay(&records), run.federation);
}

#[test]
fn a_replay_comes_to_the_same_digests_and_finds_what_differs() {
    for overrides in [
        FEW,
        &["rounds=3", "codec=bf16"],
        &["rounds=3", "cohort.size=4", "split.validation=0", "evaluate.every=0", "refit=false"],
    ] {
        let recipe = recipe(overrides);
        let original = run(6, overrides, 8, 2);
        let (mut records, _) = journal::verify(original.journal.lines()).unwrap();
        let (federation, models, seen) = replay(&records, &mut clients(6, &recipe, 8, 1), &mut |_| {}).unwrap();
        assert_eq!(federation, original.federation);
        assert_eq!(models.unwrap().sha256(), original.models.unwrap().sha256());
        assert!(seen.answers > 0 && seen.versions as usize == original.federation.versions.len());

        let forged = records.iter_mut().find_map(|record| match &mut record.event {
            Event::AnswerAccepted { answer: Answer::Update { sha256, .. }, .. } => Some(sha256),
            _ => None,
        });
        *forged.unwrap() = Digest::of(b"forged");
        let error = replay(&records, &mut clients(6, &recipe, 8, 1), &mut |_| {}).err().unwrap().to_string();
        assert!(error.contains("answer in round 1-train-1-1 came out otherwise"), "{error}");
    }
}

#[test]
fn a_replay_holds_every_event_to_the_rules() {
    let records = journal::verify(run(4, FEW, 8, 1).journal.lines()).unwrap().0;
    let check = |forge: &dyn Fn(&mut Vec<Record>), want: &str| {
        let mut forged = records.clone();
        forge(&mut forged);
        let error = replay(&forged, &mut clients(4, &recipe(FEW), 8, 1), &mut |_| {}).err().unwrap().to_string();
        assert!(error.contains(want), "{error}\ninstead of {want}");
    };
    let unruly = "the rules would not have decided this event";
    let position =
        |records: &[Record], is: fn(&Event) -> bool| records.iter().position(|record| is(&record.event)).unwrap();
    check(
        &|records| {
            let at = position(records, |event| matches!(event, Event::Evaluated { .. }));
            let Event::Evaluated { metrics, .. } = &mut records[at].event else { unreachable!() };
            metrics.get_mut("global").unwrap().insert("mae".into(), 0.001);
        },
        unruly,
    );
    check(
        &|records| {
            let is_answer =
                |event: &Event| matches!(event, Event::AnswerAccepted { answer: Answer::Evaluated { .. }, .. });
            drop(records.remove(position(records, is_answer)));
        },
        unruly,
    );
    check(
        &|records| {
            let at = position(records, |event| matches!(event, Event::RoundOpened { .. }));
            let Event::RoundOpened { cohort, .. } = &mut records[at].event else { unreachable!() };
            cohort.insert(ClientName::new("zz").unwrap());
        },
        unruly,
    );
    check(
        &|records| {
            let at = position(records, |event| matches!(event, Event::JobStarted { .. }));
            let Event::JobCreated { plan, .. } = &mut records[at - 1].event else { unreachable!() };
            **plan = common::recipe(&["model.hidden=[3]"]).plan("other").unwrap();
        },
        "model version 1 came out otherwise",
    );
}

#[test]
fn a_client_whose_fine_tuning_diverges_has_no_personal_figures() {
    let overrides = [
        "rounds=3",
        "personalise.epochs=400",
        "training.loss={name=\"mse\"}",
        "training.optimizer={name=\"sgd\",learning_rate=0.6}",
    ];
    let run = run(6, &overrides, 1, 1);
    let figures = Figures::of_test(&run.tested.unwrap());
    let with = |section: &str| figures.get(section).map_or(0, |figures| figures.over_clients["mae"].clients);
    assert!(with("global") == 6 && with("personalised") < 6, "{} {}", with("global"), with("personalised"));
}

#[test]
fn a_step_that_leaves_what_a_float_can_hold_ends_the_run() {
    let recipe = recipe(&["strategy.learning_rate=3e38", "rounds=3", "training.optimizer.learning_rate=10"]);
    let error = simulate(recipe.plan("fitbit").unwrap(), 1, &mut clients(3, &recipe, 1, 1), &mut |_| {}).err().unwrap();
    assert!(
        error.to_string().contains("makes a parameter that is not finite; lower strategy.learning_rate"),
        "{error}"
    );
}

#[test]
fn a_replay_on_other_data_says_so() {
    let records = journal::verify(run(6, FEW, 8, 1).journal.lines()).unwrap().0;
    let error = replay(&records, &mut clients(5, &recipe(FEW), 8, 1), &mut |_| {}).err().unwrap();
    assert!(error.to_string().starts_with("entry 7: the data set has no client person-06; if its world"), "{error}");
    // How rows are divided and what is done with them is the journal's; only what they say is the site's.
    let mut others = clients(6, &recipe(&["rounds=1", "training.epochs=9"]), 9, 1);
    assert!(replay(&records, &mut others, &mut |_| {}).is_ok());
    let mut data = others.data().clone();
    let Truth::Numbers(target) = &mut data.clients[2].truth else { panic!("a number is predicted") };
    target[3] += 1.0;
    let mut others = Clients::new(data, recipe(FEW).work(), 8, 1).unwrap();
    let error = replay(&records, &mut others, &mut |_| {}).err().unwrap().to_string();
    assert!(error.contains("came out otherwise"), "{error}");
}

#[test]
fn the_model_file_holds_the_reported_model_and_what_it_takes_to_use_it() {
    let run = run(5, FEW, 1, 1);
    let models = run.models.unwrap();
    assert_eq!(run.federation.versions.last().unwrap().sha256, Digest::of(models.blob()));
    let (params, about) = decode_model(models.blob(), None, 1 << 20, Some(models.sha256())).unwrap();
    assert_eq!(params.values(), models.params().values());
    assert_eq!(about["schema"]["target"]["unit"], "kcal");
    assert_eq!(about["preprocessing"].as_object().unwrap().len(), 11);
}

#[test]
fn everything_is_chosen_on_validation_rows_and_reported_on_test_rows() {
    let run =
        run(5, &["rounds=6", "stop.patience=1", "training.optimizer.learning_rate=0.05", "training.epochs=20"], 1, 1);
    let [select, refit] = &run.federation.jobs[..] else { panic!("a job and its refit") };
    assert!(!select.tested && refit.tested);
    assert_eq!(refit.completed, select.best.unwrap().0);
    let tested = Figures::of_test(&run.tested.unwrap());
    assert_eq!(tested.keys().collect::<Vec<_>>(), ["global", "personalised"]);
    assert_eq!(tested["global"].over_clients["mae"].clients, 5);
}

#[test]
fn predictions_of_the_last_model_are_those_that_it_was_judged_by() {
    let recipe = recipe(FEW);
    let mut clients = clients(5, &recipe, 1, 2);
    let run = simulate(recipe.plan("fitbit").unwrap(), 1, &mut clients, &mut |_| {}).unwrap();
    let figures = &Figures::of_test(&run.tested.unwrap())["global"];
    let pairs = clients.predictions(run.federation.jobs.last().unwrap(), run.models.unwrap().params()).unwrap();
    let mut sums = Statistics::new();
    pairs.iter().for_each(|(truth, said)| regression::add(&mut sums, *truth, *said));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-9 * b.abs();
    for (metric, value) in regression::metrics(&sums) {
        assert!(near(value, figures.pooled[&metric]), "{metric}: {value} and {}", figures.pooled[&metric]);
    }
    let mean = figures.by_client.values().map(|metrics| metrics["mae"]).sum::<f64>() / 5.0;
    assert!(figures.by_client.len() == 5 && near(mean, figures.over_clients["mae"].mean), "{mean}");
}

#[test]
fn lost_precision_is_the_codecs_alone() {
    let (exact, rounded) = (run(5, &["rounds=3"], 1, 1), run(5, &["rounds=3", "codec=bf16"], 1, 1));
    let (exact_models, rounded_models) = (exact.models.unwrap(), rounded.models.unwrap());
    let differences =
        exact_models.params().values().iter().zip(rounded_models.params().values()).map(|(a, b)| (a - b).abs());
    let largest = differences.fold(0f32, f32::max);
    // Three deltas of about 1e-3 a parameter, each off by up to 2⁻⁸ of itself.
    assert!(largest > 0.0 && largest < 5e-5, "{largest}");
    assert!(rounded.rounds[0].bytes_up * 10 < exact.rounds[0].bytes_up * 6);
}

#[test]
fn a_job_that_nobody_can_serve_ends_with_a_reason() {
    let check = |overrides: &[&str], want: &str| {
        let recipe = recipe(overrides);
        let error =
            simulate(recipe.plan("fitbit").unwrap(), 1, &mut clients(3, &recipe, 1, 1), &mut |_| {}).err().unwrap();
        assert!(error.to_string().starts_with(want), "{error}");
        error
    };
    check(&["cohort.size=9"], "the job waits for ever: 9 clients are needed, 3 are there");
    let diverged = check(
        &["training.optimizer={name=\"sgd\",learning_rate=1e30}", "stop.abandoned=2"],
        "the job gave up after 2 abandoned rounds",
    );
    assert!(
        matches!(diverged, SimError::GaveUp { reason, .. } if reason.contains("not finite; lower the learning rate"))
    );
}
