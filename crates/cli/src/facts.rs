//! What a machine says of itself, so that a job can leave out devices that could not do its work. Linux tells; what a system does not
//! tell is not said.

use std::path::Path;

use dure_machine::usage;
use serde_json::{Map, Value};

/// How finely memory and disk are said, in megabytes: a little more or less is no news.
const STEP_MB: u64 = 64;

/// How much memory there is and how much of it is free, how much room on the disk of `folder`, and how busy the processors are.
pub fn of_this_machine(folder: &Path) -> Map<String, Value> {
    let mut facts = Map::new();
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let memory = read("/proc/meminfo");
    for (fact, field) in [("memory_mb", "MemTotal:"), ("free_memory_mb", "MemAvailable:")] {
        if let Some(bytes) = usage::field(&memory, field) {
            facts.insert(fact.into(), stepped(bytes).into());
        }
    }
    if let Ok(space) = usage::space(folder) {
        facts.insert("free_disk_mb".into(), stepped(space.free).into());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if let Some(busy) = read("/proc/loadavg").split(' ').next().and_then(|load| load.parse::<f64>().ok()) {
        facts.insert("load".into(), ((busy / cores as f64 * 10.0).round() / 10.0).into());
    }
    facts
}

fn stepped(bytes: u64) -> u64 {
    bytes / 1_000_000 / STEP_MB * STEP_MB
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linux_machine_says_all_of_it() {
        assert_eq!(stepped(130_000_000), 128);
        let facts = of_this_machine(Path::new("/"));
        if cfg!(target_os = "linux") {
            let told: Vec<&str> = facts.keys().map(String::as_str).collect();
            assert_eq!(told, ["free_disk_mb", "free_memory_mb", "load", "memory_mb"]);
        }
    }
}
