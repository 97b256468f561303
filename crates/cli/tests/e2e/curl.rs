//! The guide "a client in curl and ten lines of Python", executed.

use std::process::Command;

use crate::harness::{Serve, block_on};

const GUIDE: &str = include_str!("../../../../docs/guides/curl.md");

/// Everything between ```bash and ```.
fn script() -> String {
    let blocks = GUIDE.split("```bash\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    format!("set -euo pipefail\n{}", blocks.collect::<String>())
}

#[test]
fn needs_python_the_guide_for_curl_is_true() {
    block_on(async {
        let server = Serve::start();
        let python =
            std::env::var("DURE_PYTHON").expect("set DURE_PYTHON, or leave out the tests called needs_python_…");
        let bin = std::path::Path::new(&python).parent().unwrap();
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let folder = server.path("guide");
        std::fs::create_dir(&folder).unwrap();
        let mut bash = Command::new("bash");
        bash.args(["-c", &script()]).current_dir(folder).env("PATH", path);
        bash.env("DURE_SERVER", &server.url).env("DURE_TOKEN", &server.operator.bearer).env("no_proxy", "127.0.0.1");
        let output = bash.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{out}\n{err}");

        let clients = server.operator.get("/v1/federations/line/clients/seoul").await.ok();
        assert_eq!(clients["state"], "left");
        let journal = server.operator.bytes("/v1/federations/line/journal").await;
        let journal = String::from_utf8(journal).unwrap();
        let completed = r#""type":"round_completed","round":"1-train-1-1","participants":["seoul"]"#;
        assert!(journal.contains(completed), "{journal}");
    });
}
