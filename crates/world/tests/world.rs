//! Histories of a whole federation, drawn from seeds. `DURE_SEEDS=100000` draws so many, `DURE_SEED=7` lets one happen.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use dure_world::{
    history::History,
    world::{Report, run},
};

/// How many histories are drawn unless `DURE_SEEDS` says otherwise.
const SEEDS: u64 = 300;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// What came of a history, or what broke; a panic breaks it as well.
fn happened(history: &History) -> Result<Report, String> {
    std::panic::catch_unwind(|| run(history)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).into())).unwrap_or_default())
    })
}

fn broken(history: &History) -> Option<String> {
    happened(history).err()
}

/// The shortest history that still breaks.
fn shrunk(mut history: History) -> (History, String) {
    let mut why = broken(&history).unwrap_or_else(|| panic!("the same history does not break again: {history:?}"));
    loop {
        let shorter = history.shorter().find_map(|shorter| broken(&shorter).map(|why| (shorter, why)));
        match shorter {
            Some(shorter) => (history, why) = shorter,
            None => return (history, why),
        }
    }
}

#[test]
fn whatever_happens_the_laws_hold() {
    let (begin, count) = number("DURE_SEED").map_or((0, number("DURE_SEEDS").unwrap_or(SEEDS)), |seed| (seed, 1));
    let (next, found, reports) = (AtomicU64::new(begin), Mutex::new(None), Mutex::new(vec![]));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= begin + count || found.lock().unwrap().is_some() {
                        break;
                    }
                    let history = History::draw(seed);
                    match happened(&history) {
                        Ok(report) => reports.lock().unwrap().push(report),
                        Err(why) => drop(found.lock().unwrap().get_or_insert((seed, history, why))),
                    }
                }
            });
        }
    });
    let Some((seed, history, why)) = found.into_inner().unwrap() else {
        return eventful(&reports.into_inner().unwrap());
    };
    let (short, still) = shrunk(history);
    panic!(
        "seed {seed}: {why}\nshortened, it ends with: {still}\nkeep it as crates/world/histories/NAME.json:\n{}",
        serde_json::to_string_pretty(&short).unwrap()
    );
}

/// Prints what happened, and holds many histories to being worth the name: laws hold easily where nothing happens.
fn eventful(reports: &[Report]) {
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let [deaths, abandoned, versions] = [sum(|r| r.deaths), sum(|r| r.abandoned as u64), sum(|r| r.versions as u64)];
    let (entries, requests, histories) = (sum(|r| r.entries as u64), sum(|r| r.requests), reports.len() as u64);
    let [power_losses, failed_syncs] = [sum(|r| r.power_losses), sum(|r| r.failed_syncs)];
    let [units, complaints, stale] = [sum(|r| r.units as u64), sum(|r| r.complaints as u64), sum(|r| r.stale as u64)];
    println!(
        "{histories} histories: {entries} events, {versions} versions ({units} of units, {stale} with old answers), {abandoned} abandoned rounds, \
         {deaths} deaths ({power_losses} by loss of power), {failed_syncs} failed syncs, {complaints} witnesses of a cut \
         journal, {requests} requests"
    );
    if histories >= 100 {
        assert!(deaths > histories && versions > 3 * histories && abandoned > histories / 8, "too little happens");
        assert!(power_losses > histories / 4 && failed_syncs > histories / 8, "too little goes wrong");
        assert!(units > histories && complaints > histories / 10, "too little is looked at");
        assert!(stale > histories / 10, "no answer is late");
    }
}

/// Histories that broke a law once: each is named for what was wrong.
#[test]
fn what_was_mended_stays_mended() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/histories");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let history: History = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(broken(&history), None, "{}", file.display());
    }
}

#[test]
fn the_same_seed_is_the_same_world() {
    for seed in 0..20 {
        let history = History::draw(seed);
        assert_eq!(run(&history).unwrap(), run(&history).unwrap(), "{seed}");
    }
}
