//! What operators are told about manifests that are wrong, missing, hidden or half written.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use serde_json::Value;

use crate::support::process::{Printed, Server, eventually, json, registrar, text};

const URL: &str = "https://seller.example";

/// A ServiceOffer in namespace `llm`.
fn offer(name: &str) -> String {
    format!(
        "---\napiVersion: obol.org/v1alpha1\nkind: ServiceOffer\n\
         metadata: {{ name: {name}, namespace: llm, labels: {{ tier: gold }} }}\n\
         spec: {{ registration: {{ enabled: true }} }}\n"
    )
}

fn run(verb: &str, path: &Path, more: &[&str]) -> Printed {
    registrar(&[&[verb, "--public-url", URL, "--offers", path.to_str().unwrap()], more].concat())
}

/// Fails unless every part is in `stderr`.
fn assert_said(case: &str, stderr: &str, parts: &[&str]) {
    for part in parts {
        assert!(stderr.contains(part), "{case}: {part}: {stderr}");
    }
}

#[test]
fn objects_refused_for_their_names_are_named_once_with_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let norway = offer("a").replace("namespace: llm", "namespace: n")
        + &offer("b").replace("namespace: llm", "namespace: n")
        + &offer("c")
        + &offer("Upper_Case");
    fs::write(dir.path().join("norway.yaml"), norway).unwrap();
    let printed = run("explain", dir.path(), &[]);
    assert_eq!(printed.code, Some(1), "{}", printed.stderr);
    let sound = printed.stdout.lines().find(|line| line.starts_with("llm/c ")).unwrap_or_default();
    assert!(sound.contains(" published "), "the others: {}", printed.stdout);
    for (line, name) in [(2, "false/a"), (7, "false/b"), (17, "llm/Upper_Case")] {
        let said = format!("norway.yaml: line {line}: ServiceOffer {name}: metadata.namespace");
        assert_eq!(printed.stderr.matches(&said).count(), 1, "{said}: {}", printed.stderr);
    }
    assert_eq!(run("render", dir.path(), &[]).code, Some(0));
}

#[test]
fn nothing_found_says_what_was_looked_at_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    for verb in ["explain", "render"] {
        let printed = run(verb, path, &[]);
        assert_said(verb, &printed.stderr, &["NothingFound", path.to_str().unwrap(), "0 files"]);
        assert_eq!(printed.code, Some(0));
    }
    let old = offer("old").replace("obol.org/v1alpha1", "obol.network/v1alpha1");
    fs::write(path.join("old.yaml"), old).unwrap();
    for verb in ["explain", "render"] {
        let printed = run(verb, path, &[]);
        let parts = ["NothingFound", "1 ServiceOffer of obol.network/v1alpha1", "llm/old"];
        assert_said(verb, &printed.stderr, &parts);
    }
    fs::write(path.join("a.yaml"), offer("a")).unwrap();
    let printed = run("explain", path, &[]);
    assert_said("beside another", &printed.stderr, &["llm/old", "only obol.org/v1alpha1 is read"]);
    assert!(!printed.stderr.contains("NothingFound"), "{}", printed.stderr);
}

#[test]
fn an_offer_hidden_by_a_setting_is_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.yaml"), offer("a")).unwrap();
    for (setting, value, why) in [
        ("--namespace", "web", "because --namespace does not name its namespace"),
        ("--selector", "tier=tin", "because --selector does not match its labels"),
    ] {
        let printed = run("explain", dir.path(), &[setting, value, "llm/a"]);
        assert_eq!((printed.code, printed.stdout.as_str()), (Some(1), ""), "{setting}");
        let parts = ["NothingFound", "offer llm/a exists but is not read", why];
        assert_said(setting, &printed.stderr, &parts);
        let printed = run("render", dir.path(), &[setting, value, "--agent", "offer:llm/a"]);
        assert_eq!(printed.code, Some(1), "{setting}");
        assert_said(setting, &printed.stderr, &["NotFound: offer llm/a exists", why]);
        let printed = run("explain", dir.path(), &[setting, value, "llm/b"]);
        assert_said(setting, &printed.stderr, &["there is no offer llm/b"]);
    }
}

#[test]
fn neither_a_pipe_nor_a_bomb_nor_a_deep_object_stops_explain() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("a.yaml"), offer("a")).unwrap();
    assert!(Command::new("mkfifo").arg(path("pipe.yaml")).status().unwrap().success());
    symlink("/dev/zero", path("zero.json")).unwrap();
    let deep = format!("spec: {{ future: {}{},", "[".repeat(100_000), "]".repeat(100_000));
    fs::write(path("deep.yaml"), offer("deep").replace("spec: {", &deep)).unwrap();
    let list = r#"{"apiVersion":"obol.org/v1alpha1","kind":"ServiceOfferList","items":[{"metadata":{"name":"typed","namespace":"llm"},"spec":{"registration":{"enabled":true}}}]}"#;
    fs::write(path("list.json"), list).unwrap();
    for verb in ["explain", "render"] {
        let printed = run(verb, dir.path(), &[]);
        assert_eq!(printed.code, Some(0), "{}", printed.stderr);
        let parts = ["pipe.yaml: it is a FIFO", "zero.json: it is a device"];
        assert_said(verb, &printed.stderr, &parts);
        for name in ["a", "deep", "typed"] {
            assert!(printed.stdout.contains(name), "{name}: {}", printed.stdout);
        }
    }
    let anchors: String = (0..160_000).map(|index| format!("- &a{index} x\n")).collect();
    let scalar = format!("a: &a {}\nb:\n{}", "x".repeat(1 << 20), "- *a\n".repeat(20_000));
    for (bomb, line) in [(anchors, "line 10001: "), (scalar, "line 33: ")] {
        fs::write(path("bomb.yaml"), bomb).unwrap();
        let printed = run("explain", dir.path(), &[]);
        assert_eq!((printed.code, printed.stdout.as_str()), (Some(1), ""), "{line}");
        assert_said(line, &printed.stderr, &["bomb.yaml", line]);
    }
}

/// The codes of the problems in `/readyz?verbose`.
async fn problems(server: &Server) -> Vec<String> {
    let verbose = json(server.admin("/readyz?verbose").await).await;
    let problems: &[Value] = verbose["problems"].as_array().map(Vec::as_slice).unwrap_or_default();
    problems.iter().map(|problem| text(problem, "code").to_owned()).collect()
}

#[tokio::test]
async fn a_truncated_file_withdraws_nothing_until_it_has_stayed_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.yaml");
    fs::write(&file, offer("a") + &offer("b") + &offer("c")).unwrap();
    let args = ["--offers", dir.path().to_str().unwrap(), "--public-url", URL];
    let server = Server::start(&args).await;
    eventually("all are served", async || server.endpoints().await.len() == 3).await;
    fs::write(&file, "").unwrap();
    // The log, not the state: a busy machine may be slower than the seconds after which it is over.
    eventually("it is reported", async || server.log().contains("HalfWritten")).await;
    fs::write(&file, offer("a") + &offer("b") + &offer("d")).unwrap();
    eventually("the rest was written", async || problems(&server).await.is_empty()).await;
    eventually("its offers are served", async || {
        server.endpoints().await.iter().any(|endpoint| endpoint.ends_with("/d"))
    })
    .await;
    fs::write(&file, "").unwrap();
    eventually("nothing is left", async || problems(&server).await == ["NothingFound"]).await;
    eventually("nothing is served", async || server.endpoints().await.is_empty()).await;
    assert!(server.log().contains("NothingFound"), "{}", server.log());
}
