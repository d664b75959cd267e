//! The Grafana board: a real Prometheus scrapes the demo, and every query has an answer.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};

use super::tools::{file, tool};
use crate::{
    docs::examples::example_server,
    support::{
        leash::Leash,
        process::{Server, eventually, http},
        rows::for_each_row_async,
        stage::{Stage, free_port},
    },
};

/// A Prometheus that scrapes servers, each under its own job.
struct Prometheus {
    url: String,
    child: Child,
    _leash: Leash,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    fn scraping(targets: &[(&str, &Server)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let jobs: Vec<Value> = targets
            .iter()
            .map(|(job, server)| {
                let target = server.admin.trim_start_matches("http://");
                json!({ "job_name": job, "static_configs": [{ "targets": [target] }] })
            })
            .collect();
        let config = json!({ "global": { "scrape_interval": "1s" }, "scrape_configs": jobs });
        // JSON is YAML.
        fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let mut command: Command = tool("prometheus");
        command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={listen}"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let _leash = Leash::on(child.id());
        Self { url: format!("http://{listen}"), child, _leash, _folder: folder }
    }

    /// What a query answers now; null while there is no server yet.
    async fn ask(&self, query: &str) -> Value {
        let base = format!("{}/api/v1/query", self.url);
        let url = reqwest::Url::parse_with_params(&base, [("query", query)]).unwrap();
        match http().get(url).send().await {
            // Not JSON while it starts.
            Ok(answer) => serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }
}

/// Every query of the board: row, panel, query.
fn queries() -> Vec<(String, String, String)> {
    let board = fs::read_to_string(file("deploy/grafana/registrar.json")).unwrap();
    let board: Value = serde_json::from_str(&board).unwrap();
    let (mut row, mut all) = (String::new(), Vec::new());
    for panel in board["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap().to_owned();
        if panel["type"] == "row" {
            row = title;
            continue;
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title}");
        for target in targets {
            let query = target["expr"].as_str().unwrap().to_owned();
            all.push((row.clone(), title.clone(), query));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_panel_is_without_data_on_the_demo() {
    let demo = example_server().await;
    let stage = Stage::new().await;
    stage.settle(&[]).await;
    let anchoring = stage.serve(&[]).await;
    let prometheus = Prometheus::scraping(&[("demo", &demo), ("anchoring", &anchoring)]);
    let queries = queries();
    assert!(queries.len() >= 25, "{}", queries.len());

    for_each_row_async(queries, async |(row, panel, query)| {
        // make run has no chain; make run-anchored has.
        let job = if row == "Anchoring" { "anchoring" } else { "demo" };
        let query = query.replace("$job", job).replace("$instance", ".*");
        let query = query.replace("$__rate_interval", "1m");
        assert!(!query.contains('$'), "{panel}: {query}");
        let mut last = Value::Null;
        eventually(&format!("{row}, {panel}: {query} has data"), async || {
            // The load of the demo: what its page suggests.
            for path in ["/.well-known/agent-registration.json", "/offers", "/agents", "/nothing"] {
                demo.get(path).await;
            }
            last = prometheus.ask(&query).await;
            let series = last["data"]["result"].as_array().cloned().unwrap_or_default();
            let values = series.iter().map(|series| series["value"][1].as_str().unwrap());
            !series.is_empty() && values.into_iter().all(|value| value != "NaN")
        })
        .await;
    })
    .await;
}
