//! The guide "your own table", executed.

use std::process::Command;

use crate::harness::{Serve, block_on};

const GUIDE: &str = include_str!("../../../../docs/guides/your-own-table.md");

/// Everything between ```bash and ```.
fn script() -> String {
    let blocks = GUIDE.split("```bash\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    format!("set -euo pipefail\n{}", blocks.collect::<String>())
}

#[test]
fn the_guide_for_ones_own_table_is_true() {
    block_on(async {
        let server = Serve::start();
        let folder = server.path("guide");
        std::fs::create_dir(&folder).unwrap();
        let bin = std::path::Path::new(env!("CARGO_BIN_EXE_dure")).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        bash.args(["-c", &script()]).current_dir(&folder).env("PATH", path).env_remove("DURE_DATA");
        bash.env("DURE_SERVER", &server.url).env("DURE_TOKEN", &server.operator.bearer).env("no_proxy", "127.0.0.1");
        let output = bash.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}\n{err}");
        assert!(out.contains("3 clients, 27 examples, 0 dropped (stays/stays.csv)"), "{out}");
        assert!(out.contains("patient,line,readmitted,P(no),P(yes)\nq1,2,"), "{out}");
        let journal = server.operator.bytes("/v1/federations/readmission/journal").await;
        let journal = String::from_utf8(journal).unwrap();
        let completed = r#""type":"round_completed","round":"1-train-10-1","participants":["north","south"]"#;
        assert!(journal.contains(completed), "{journal}");
        assert!(folder.join("model.safetensors").exists());
    });
}
