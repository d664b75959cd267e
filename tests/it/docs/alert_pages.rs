//! The runbooks of the alerts: their marked commands are run against an anchoring server with
//! problems, and show what the page says that they show.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use super::runbooks::{Page, environment};
use crate::{
    support::process::{Server, eventually, unset},
    support::{rows::for_each_row, stage::Stage},
};

/// The pages that belong to no alert; `runbooks` follows them.
const INCIDENTS: [&str; 5] =
    ["README", "lost-journal", "lost-key", "replaced-key", "retired-agent"];

/// Each page, and what its commands show in the world of [`troubled`].
const PAGES: [(&str, &[&str]); 22] = [
    ("anchoring-delayed", &["default: agentId 0 Anchored", "reason=\"Anchored\"} 1"]),
    ("anchoring-held", &["default: agentId 0 Anchored"]),
    ("brake-engaged", &["\"heldOffers\":0", "\"releasedOffers\":0", "brake_engaged 0", "\"chat\""]),
    (
        "clock-stepped",
        &["registrar_clock_steps_total 0", "next_change_seconds", "\"nextChange\":\"2"],
    ),
    ("connections-refused", &["refused_total{listener=\"public\"} 0", "200"]),
    ("document-rejected", &["\"offers\":["]),
    ("document-stale", &["\"problems\":[{", "registrar_source_incomplete_seconds"]),
    ("drain-not-enforced", &["result=\"failed\"} 0", "registrar_leader 0", "\"Drained\""]),
    ("drain-overdue", &["registrar_document_next_change_seconds", "ok"]),
    ("duplicate-mint", &["duplicate_mints{chain=\"eip155:31337\"} 0", "agentId 0"]),
    ("endpoints-down", &["endpoint_up{", "} 1", "default: agentId 0"]),
    ("error-rate", &["route=\"/metrics\",status=\"200\"", "\"ready\":true", "200"]),
    (
        "findings",
        &["BrokenFile", "broken.yaml", "registrar_source_problems{code=\"BrokenFile\"} 1"],
    ),
    ("foreign-nonces", &["foreign_nonces{chain=\"eip155:31337\"} 0", "default: agentId 0"]),
    ("funds-low", &["funds_days{chain=\"eip155:31337\"} ", "default: agentId 0"]),
    ("panicked", &["registrar_http_panics_total 0", "no 500", "registrar_build_info{", "ok\nok"]),
    ("registrar-down", &["ok\n", "registrar_build_info{", "\"active\":true"]),
    ("registrar-not-ready", &["\"missing\":[]", "fail  offers-read", "some checks failed", "ok"]),
    ("signer-unreachable", &["default: agentId 0 Anchored", "=\"SignerUnreachable\"} 0"]),
    ("slow-answers", &["duration_seconds_bucket{le=\"0.0001\"", "le=\"+Inf\"", "0.0"]),
    ("source-drift", &["registrar_source_drift_total 0"]),
    ("source-silent", &["\"sourceSilenceSeconds\":", "registrar_source_silence_seconds"]),
];

/// A server that anchors, with an offer that drains, one that has drained, and a broken file.
async fn troubled() -> (Stage, Server) {
    let stage = Stage::new().await;
    let offer = |id| crate::support::resource::offer(id);
    let draining = offer("llm/late").draining("2126-05-24T14:00:00Z", "1h");
    let drained = offer("llm/gone").draining("2026-01-02T00:00:00Z", "1h");
    stage.offers(&[offer("llm/chat").0, draining.0, drained.0]);
    stage.settle(&[]).await;
    let server = stage.serve(&[]).await;
    eventually("the first decision is measured", async || {
        let text = server.admin("/metrics").await.text().await.unwrap();
        text.contains("registrar_anchor_endpoint_up{") && text.contains("registrar_anchor_agents{")
    })
    .await;
    // Later: a file that was never valid keeps a process from its first documents.
    fs::write(stage.path("offers/broken.yaml"), "kind: [").unwrap();
    eventually("the broken file is reported", async || {
        server.admin("/metrics").await.text().await.unwrap().contains("BrokenFile")
    })
    .await;
    (stage, server)
}

/// Runs a block as typed, with the server's addresses in place of those of the pages.
fn shell(stage: &Stage, server: &Server, script: &str) -> String {
    let script = script.replace("http://127.0.0.1:9004", &server.admin);
    let script = script.replace("http://127.0.0.1:8004", &server.public);
    let binary = Path::new(env!("CARGO_BIN_EXE_registrar")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([binary].into_iter().chain(std::env::split_paths(&path)));
    let mut shell = unset(Command::new("sh"));
    shell.args(["-euc", &script]).env("PATH", path.unwrap()).envs(environment(stage));
    let output = shell.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{printed}\n{errors}");
    printed
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_every_alert_show_what_its_page_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let names = fs::read_dir(folder).unwrap().map(|page| page.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap().trim_end_matches(".md").to_owned());
    let listed = PAGES.map(|(page, _)| page).into_iter().chain(INCIDENTS).map(str::to_owned);
    assert_eq!(names.collect::<BTreeSet<_>>(), listed.collect());

    let (stage, server) = troubled().await;
    for_each_row(PAGES, |(name, expected)| {
        let printed: String =
            Page::read(name).tested.map(|block| shell(&stage, &server, &block) + "\n").collect();
        for words in expected {
            assert!(printed.contains(words), "{name}: no {words:?} in\n{printed}");
        }
    });
}
