//! Everything that is kept in `corpus/` keeps the laws.

use std::{
    fs, panic,
    path::{Path, PathBuf},
};

/// Takes every file of a target's corpus.
fn check(target: &str, take: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    let keeps = |file: &PathBuf| {
        let bytes = fs::read(file).unwrap();
        panic::catch_unwind(|| take(&bytes)).inspect_err(|_| eprintln!("{} breaks a law", file.display())).is_ok()
    };
    let broken = files.iter().filter(|file| !keeps(file)).count();
    assert_eq!(broken, 0, "so many of {} break a law", files.len());
}

#[test]
fn tensor_containers() {
    check("tensor_container", dure_fuzz::tensor_container);
}

#[test]
fn recipes() {
    check("recipe", dure_fuzz::recipe);
}

#[test]
fn tables() {
    check("csv", dure_fuzz::csv);
}

#[test]
fn journal_rows() {
    check("journal_row", dure_fuzz::journal_row);
}

#[test]
fn json_bodies() {
    check("json_body", dure_fuzz::json_body);
}
