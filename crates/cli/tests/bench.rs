//! The benchmark of a server, with few clients: that it comes to its end and says everything. No figure is held to anything.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_server_is_measured_from_its_start_to_many_events() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dure"));
    let output = command.args(["bench", "serve", "--clients", "3", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = told["rows"].as_array().unwrap();
    let wants = [
        "start → its first line, new folder",
        "start → /healthz, new folder",
        "start → its first line, journal of ",
        "start → /healthz, journal of ",
        "memory, idle, nobody there",
        "memory, idle, 3 members",
        "memory, the most until then",
        "memory, the most after ",
        "task?wait=0, 3 others waiting: p50",
        "task?wait=0, 3 others waiting: p99",
        "round asked for → task in hand, 3 waiting: p50",
        "round asked for → task in hand, 3 waiting: p99 of 3 rounds",
        "round of 3 that answer at once",
    ];
    assert_eq!(rows.len(), wants.len(), "{told:#}");
    for (row, want) in rows.iter().zip(wants) {
        assert!(row["what"].as_str().unwrap().starts_with(want), "{row} where {want:?} is expected");
        assert!(row["ours"].as_f64().unwrap() > 0.0 && row["peer"].is_null(), "{row}");
        assert!(["ms", "MiB"].contains(&row["unit"].as_str().unwrap()), "{row}");
    }
}
