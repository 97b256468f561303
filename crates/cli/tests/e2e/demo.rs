//! `dure demo`: real processes that come to the simulator's bits, and leave nothing behind.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use crate::harness::{block_on, dure, said, until};

#[test]
fn the_demo_comes_to_the_simulators_bits_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let printed = said(dure().arg("demo").env("TMPDIR", folder.path()));
    for part in ["33 made-up people", "federated, personalised", "           the same bits\n", "its agents have ended"]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "its folder is gone");
}

#[test]
fn a_demo_in_which_everybody_is_killed_comes_to_the_simulators_bits() {
    let printed = said(dure().args(["demo", "--chaos"]));
    for part in
        ["  kill -9 of the server", "  kill -9 of agent-", "           the same bits\n", "its agents have ended"]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

#[test]
fn a_demo_that_is_killed_leaves_no_process() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = dure().arg("demo").env("TMPDIR", folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("are ready")));
        let children = said(Command::new("cat").arg(format!("/proc/{0}/task/{0}/children", demo.id())));
        let children: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        assert!(children.len() >= 5, "{children:?}");
        demo.kill().unwrap();
        demo.wait().unwrap();
        until("they have all ended", async || children.iter().all(|pid| is_over(*pid)).then_some(())).await;
    });
}

/// Whether a process is gone, or dead and only not buried yet.
fn is_over(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.lines().any(|line| line.starts_with("State:\tZ"))
}
