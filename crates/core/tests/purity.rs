//! The centre is pure: no clock, no file, no socket, no thread, no async, no entropy of its own.

use std::{collections::BTreeSet, fs, path::Path};

/// What a pure source never says, outside its tests and comments.
const FORBIDDEN: &[&str] = &[
    "std::time",
    "std::fs",
    "std::io",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::sync::Mutex",
    "std::os",
    "Instant",
    "SystemTime",
    "async ",
    ".await",
    "static mut",
    "thread_local",
    "rand::rng(",
    "thread_rng",
    "from_os_rng",
    "SysRng",
    "getrandom",
    "RandomState",
    "HashMap",
    "HashSet",
    "println!",
    "eprintln!",
    "unsafe",
];

/// All that the centre is built on: serialisation and its description, hashing, numbers, errors.
const DEPENDENCIES: &[&str] = &["libm", "rand", "schemars", "serde", "serde_json", "sha2", "thiserror"];

fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn core_has_no_clock_file_socket_async_or_entropy() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 20, "the sources were not found");
    for (path, text) in files {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            for word in FORBIDDEN {
                assert!(!line.contains(word), "{path}:{}: {word:?} has no place in the centre", number + 1);
            }
        }
    }
}

#[test]
fn core_depends_on_nothing_that_could_reach_outside() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let section = |manifest: &str, name: &str| {
        let after = manifest.split(name).nth(1).unwrap().to_owned();
        let lines: Vec<String> =
            after.lines().skip(1).take_while(|line| !line.starts_with('[')).map(str::to_owned).collect();
        lines
    };
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let names: BTreeSet<String> = section(&manifest, "[dependencies]")
        .iter()
        .filter_map(|line| line.split(['.', ' ', '=']).next().filter(|name| !name.is_empty()).map(str::to_owned))
        .collect();
    assert_eq!(names, DEPENDENCIES.iter().map(|name| (*name).to_owned()).collect());
    let workspace = fs::read_to_string(folder.join("../../Cargo.toml")).unwrap();
    let rand =
        section(&workspace, "[workspace.dependencies]").into_iter().find(|line| line.starts_with("rand ")).unwrap();
    assert!(rand.contains("default-features = false"), "rand's own entropy is to stay off: {rand}");
}
