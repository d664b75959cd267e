//! Opens pages through tests/browser/open.mjs.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use crate::support::process::PATIENCE;

/// Several pages, opened one after another. Chromium ends with it.
pub struct Chromium {
    _node: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Chromium {
    pub fn open(jobs: &[Value]) -> Self {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser"));
        assert!(
            folder.join("node_modules/playwright-core").is_dir(),
            "tests/browser/node_modules is missing. Run: scripts/install-tools"
        );
        let mut node = tokio::process::Command::new("node")
            .current_dir(folder)
            .arg("open.mjs")
            .args(jobs.iter().map(Value::to_string))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(node.stdout.take().unwrap()).lines();
        Self { _node: node, lines }
    }

    /// What is reported next.
    pub async fn next(&mut self) -> Value {
        // A cold start of Chromium on a busy machine takes its time.
        let line = timeout(PATIENCE * 3, self.lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.expect("open.mjs failed; its errors are above")).unwrap()
    }
}

/// Opens pages and returns what was found on each, after checking what holds for every page.
pub async fn opened(jobs: &[Value]) -> Vec<Value> {
    let mut chromium = Chromium::open(jobs);
    let mut found = Vec::new();
    for job in jobs {
        let page = chromium.next().await;
        is_sound(&page, job);
        found.push(page);
    }
    found
}

/// Checks what holds for every page, whatever it shows.
pub fn is_sound(page: &Value, job: &Value) {
    for (member, why) in [
        ("errors", "the browser reports errors"),
        ("dialogs", "a script ran"),
        ("violations", "axe finds something"),
    ] {
        assert_eq!(page[member], json!([]), "{why}: {job}");
    }
    assert_eq!(page["hosts"].as_array().unwrap().len(), 1, "another host was asked: {page}");
    if job["scripts"] == false {
        return;
    }
    assert_eq!(page["hacked"], Value::Null, "{job}");
    assert_eq!((&page["handlers"], &page["styles"]), (&json!([]), &json!(0)), "{job}");
    assert_eq!((&page["foreign"], &page["wide"]), (&json!([]), &json!(0)), "{job}: {page}");
    for script in page["scripts"].as_array().unwrap() {
        let script = script.as_str().unwrap();
        assert!(script.contains("/docs/") && script.starts_with("http://127.0.0.1:"), "{script}");
    }
    for protocol in page["links"].as_array().unwrap() {
        assert!(["http:", "https:"].contains(&protocol.as_str().unwrap()), "{job}: {protocol}");
    }
}
