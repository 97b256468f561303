//! Benchmarks with little to do: that they come to their end and say everything. No time is held to anything.

use std::process::Command;

use serde_json::Value;

/// What a benchmark says as JSON.
fn told(args: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dure"));
    let output = command.arg("bench").args(args).env_remove("DURE_DATA").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_step_says_its_time_and_its_memory() {
    let told = told(&["step", "mnist-cnn"]);
    let [us, added, peak] = ["us", "added_bytes", "peak_bytes"].map(|key| told[key].as_f64().unwrap());
    assert!(us > 0.0 && 0.0 < added && added < peak, "{told}");
}

#[test]
fn a_model_and_an_update_are_coded_in_five_formats_and_a_recipe_is_trained_with_two() {
    let told = told(&["codec", "--models", "news", "--examples", "32", "--recipes", "fitbit", "--json"]);
    let rows = told["sizes"].as_array().unwrap();
    let bytes = |i: usize| rows[i]["ours"]["bytes"].as_f64().unwrap();
    let parameters = 4804.0;
    for (i, row) in rows.iter().enumerate() {
        let (values, format) = [("weights", 0), ("delta", 5)][i / 5];
        let formats = ["JSON", "f32", "f32 + zstd", "bf16", "bf16 + zstd"];
        assert_eq!((&row["values"], &row["format"]), (&values.into(), &formats[i - format].into()));
        assert!(row["ours"]["encode_ms"].as_f64().unwrap() > 0.0 && row["peer"].is_null(), "{row}");
    }
    assert_eq!(rows.len(), 10);
    // Two bytes a value less, but for what the header says of them.
    assert!((bytes(1) - bytes(3) - 2.0 * parameters).abs() < 64.0, "{told:#}");
    assert!(bytes(0) > bytes(1) && bytes(3) > bytes(4), "{told:#}");
    let figures = told["figures"].as_array().unwrap();
    assert_eq!(figures[0]["figure"], "MAE, kcal");
    assert!(figures.iter().all(|figure| figure["f32"].is_number() && figure["bf16"].is_number()), "{told:#}");
}

#[test]
fn a_client_that_waits_takes_no_memory_to_speak_of() {
    let told = told(&["simulate", "--task", "population", "--json"]);
    let bytes = |row: usize| told["rows"][row]["ours"].as_f64().unwrap();
    assert!((1.0..200.0).contains(&bytes(0)) && bytes(0) < bytes(1), "{told:#}");
}

#[test]
fn a_server_is_measured_from_its_start_to_many_events() {
    let told = told(&["serve", "--clients", "3", "--json"]);
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

#[test]
fn a_table_has_every_row_in_every_column_beside_what_others_came_to() {
    let told = told(&["table", "fedprox", "--smoke", "--seeds", "2", "--json"]);
    let cells = told["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 9);
    for cell in cells {
        assert_eq!((cell["accuracy"].as_array().unwrap().len(), &cell["over_seeds"]["n"]), (2, &2.into()));
        assert_eq!((&cell["reference"]["n"], &cell["difference"]["n"]), (&20.into(), &22.into()));
    }
    let of =
        |row: &str, column: &str| cells.iter().find(|cell| cell["row"] == row && cell["column"] == column).unwrap();
    // Without stragglers nothing is dropped, and without a pull nobody is pulled: the same models.
    assert_eq!(of("fedavg", "0")["models"], of("mu=0", "0")["models"]);
    assert_ne!(of("mu=0", "0")["models"], of("mu=2", "0")["models"]);
    assert_ne!(of("fedavg", "0.9")["models"], of("mu=0", "0.9")["models"]);
}

#[test]
fn an_orchestration_table_says_how_often_a_job_is_done_and_how_soon() {
    let told = told(&["table", "orchestration", "--smoke", "--json"]);
    let cells = told["cells"].as_array().unwrap();
    assert_eq!((cells.len(), &told["runs"], &told["jobs_per_run"]), (12, &20.into(), &20.into()));
    for cell in cells {
        let [share, low, high] = ["share", "low", "high"].map(|key| cell["done"][key].as_f64().unwrap());
        assert!(low <= share && share <= high && cell["jobs"] == 400, "{cell}");
        assert!(cell["median_s"].as_f64().unwrap() > 0.0 && cell["mean_s"].as_f64().unwrap() > 0.0, "{cell}");
        assert_eq!(cell["lost_s"].is_null(), share == 1.0, "{cell}");
    }
    let of =
        |row: &str, column: &str| cells.iter().find(|cell| cell["row"] == row && cell["column"] == column).unwrap();
    assert_eq!((&of("random", "0 %")["published"], &of("random", "30 %")["published"]), (&0.4.into(), &Value::Null));
    assert!(of("random", "30 %")["failures"]["inactive"].as_u64().unwrap() > 0);
    assert_eq!(of("filter", "0 %")["done"]["share"], 1.0);
}

#[test]
fn an_asynchronous_table_says_how_soon_a_target_is_reached_and_how_old_answers_are() {
    let told = told(&["table", "asynchronous", "--smoke", "--seeds", "2", "--json"]);
    let cells = told["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 20);
    for cell in cells {
        let alone = cell["row"].as_str().unwrap().starts_with("fedavg");
        assert_eq!(cell["staleness"].as_f64().unwrap() > 0.0, !alone, "{cell}");
        assert!(cell["reached_s"].as_array().unwrap().len() == 2 && cell["whole_s"].as_f64().unwrap() > 0.0, "{cell}");
    }
    let whole_s = |row: &str, column: &str| {
        let cell = cells.iter().find(|cell| cell["row"] == row && cell["column"] == column).unwrap();
        cell["whole_s"].as_f64().unwrap()
    };
    // Twenty versions of ten answers each wait for no slow device; twenty rounds of twenty answers do.
    assert!(whole_s("fedbuff, buffer of 10", "heavy tail") < whole_s("fedavg", "heavy tail") / 4.0);
}
