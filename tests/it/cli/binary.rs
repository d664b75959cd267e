//! The binary as operators meet it: settings, output, signals, exit codes.

use std::{fs, path::Path};

use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::process::{Printed, Server, command, eventually, json, registrar, text, yaml};
use crate::support::rows::for_each_row;

const URL: &str = "https://seller.example";
const OFFER: &str = "
apiVersion: obol.org/v1alpha1
kind: ServiceOffer
metadata: { name: NAME, namespace: llm }
spec: { registration: { enabled: true } }
";

fn write(dir: &Path, file: &str, name: &str) {
    fs::write(dir.join(file), OFFER.replace("NAME", name)).unwrap();
}

async fn serve(dir: &Path, more: &[&str]) -> Server {
    let args = ["--offers", dir.to_str().unwrap(), "--public-url", URL];
    Server::start(&[&args[..], more].concat()).await
}

/// A server that goes on serving for a while after SIGTERM.
async fn serve_lingering(dir: &Path, delay: &str) -> Server {
    let ports = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let more = ["--shutdown-delay", delay, "--offers", dir.to_str().unwrap(), "--public-url", URL];
    Server::launch(command(&[&ports[..], &more].concat())).await
}

#[tokio::test]
async fn stdout_has_two_lines_and_stderr_has_json_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", "chat");
    let server = serve(dir.path(), &["--log-format", "json"]).await;
    eventually("it serves", async || server.endpoints().await.len() == 1).await;
    for address in [&server.public, &server.admin] {
        assert!(address.starts_with("http://127.0.0.1:") && !address.ends_with(":0"), "{address}");
    }
    server.signal("-INT");
    let log = server.log_after_end().await;
    assert_eq!((log.code, log.stdout), (Some(0), vec![]));
    assert!(log.stderr.lines().count() >= 2, "{}", log.stderr);
    for line in log.stderr.lines() {
        assert!(serde_json::from_str::<Value>(line).unwrap()["level"].is_string(), "{line}");
    }
}

#[tokio::test]
async fn sigterm_turns_readiness_off_and_documents_are_still_served() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", "chat");
    let server = serve_lingering(dir.path(), "600s").await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    server.signal("-TERM");
    eventually("readiness is off", async || server.admin("/readyz").await.status() == 503).await;
    assert_eq!(
        server.get("/.well-known/agent-registration.json").await.status(),
        200,
        "and documents are served"
    );
    assert_eq!(server.admin("/livez").await.status(), 200);
}

#[tokio::test]
async fn after_the_shutdown_delay_the_process_ends_with_zero() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve_lingering(dir.path(), "1s").await;
    server.signal("-TERM");
    assert_eq!(server.log_after_end().await.code, Some(0));
}

#[tokio::test]
async fn a_second_signal_cuts_the_shutdown_delay_short() {
    let dir = tempfile::tempdir().unwrap();
    let server = serve_lingering(dir.path(), "600s").await;
    server.signal("-TERM");
    eventually("the first is heard", async || server.log().contains("Shutting down")).await;
    server.signal("-INT");
    assert_eq!(server.log_after_end().await.code, Some(0));
}

#[tokio::test]
async fn a_port_in_use_ends_the_start_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--admin-listen"] {
        let other = if flag == "--listen" { "--admin-listen" } else { "--listen" };
        let args = [
            "serve",
            "--offers",
            dir.path().to_str().unwrap(),
            "--public-url",
            URL,
            flag,
            &address,
        ];
        let printed = registrar(&[&args[..], &[other, "127.0.0.1:0"]].concat());
        assert_eq!(printed.code, Some(1), "{flag}");
        assert!(printed.stderr.contains(&address), "{flag}: {}", printed.stderr);
    }
}

#[test]
fn a_missing_path_ends_every_verb_and_is_named() {
    for verb in ["serve", "render", "explain"] {
        let printed = registrar(&[verb, "--offers", "/nonexistent/offers", "--public-url", URL]);
        assert_eq!(printed.code, Some(1), "{verb}");
        assert!(printed.stderr.contains("/nonexistent/offers"), "{verb}: {}", printed.stderr);
    }
}

#[test]
fn a_bad_setting_stops_the_start_with_its_name() {
    let cases: [(&str, &[&str]); 21] = [
        ("--public-url", &["serve", "--offers", "."]),
        ("--public-url", &["render", "--offers", "."]),
        ("--offers", &["render", "--public-url", URL]),
        ("--public-url", &["serve", "--public-url", "ftp://seller.example"]),
        ("--public-url", &["serve", "--public-url", "https://seller.example/path"]),
        ("--public-url", &["serve", "--public-url", "https://seller.example?x=1"]),
        ("--public-url", &["serve", "--public-url", "https://user@seller.example"]),
        ("--listen", &["serve", "--listen", "8004"]),
        ("--admin-listen", &["serve", "--admin-listen", "localhost"]),
        ("--max-age", &["serve", "--max-age", "soon"]),
        ("--max-age", &["serve", "--max-age=-1s"]),
        ("--max-age", &["serve", "--max-age", "1500ms"]),
        ("--shutdown-delay", &["serve", "--shutdown-delay", "2 s"]),
        ("--log-format", &["serve", "--log-format", "xml"]),
        ("--identity", &["serve", "--identity", "default"]),
        ("--namespace", &["serve", "--namespace", "No_Such"]),
        ("--selector", &["serve", "--selector", "tier in gold"]),
        ("--max-document-bytes", &["serve", "--max-document-bytes", "1MiB"]),
        ("--profile", &["serve", "--profile", "/nonexistent/profile.yaml"]),
        ("--at", &["render", "--offers", ".", "--public-url", URL, "--at", "yesterday"]),
        ("--agent", &["render", "--offers", ".", "--public-url", URL, "--agent", "nobody"]),
    ];
    let mut failures = Vec::new();
    for_each_row(cases, |(setting, args)| {
        let Printed { stdout, stderr, code } = registrar(args);
        if code != Some(2) || !stdout.is_empty() || !stderr.contains(setting) {
            failures.push(format!("{args:?}: {code:?} {stdout} {stderr}"));
        }
    });
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_bad_profile_stops_the_start_and_names_what_is_wrong() {
    let profile = tempfile::NamedTempFile::new().unwrap();
    let path = profile.path().to_str().unwrap();
    let mut failures = Vec::new();
    for (what, text) in [
        ("nickname", "nickname: x"),
        ("name", "name: ' '"),
        ("name", "name: [x]"),
        ("image", "image: http://seller.example/a.png"),
        ("supportedTrust", "supportedTrust: reputation"),
        ("profile", "- a list"),
        ("line 2", "name: x\nname: y"),
    ] {
        fs::write(profile.path(), text).unwrap();
        let args = ["render", "--offers", ".", "--public-url", URL, "--profile", path];
        let Printed { stderr, code, .. } = registrar(&args);
        if code != Some(2) || !stderr.contains(what) || !stderr.contains("--profile") {
            failures.push(format!("{text:?}: {code:?} {stderr}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn settings_can_stand_in_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", "chat");
    let output = command(&["render"])
        .env("REGISTRAR_OFFERS", dir.path())
        .env("REGISTRAR_PUBLIC_URL", URL)
        .env("REGISTRAR_SERVICE_NAMES", "A2A,MCP")
        .env("REGISTRAR_REQUIRED_CONDITIONS", "none")
        .output()
        .unwrap();
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (document["active"].as_bool(), &document["services"]),
        (Some(true), &serde_json::json!([]))
    );
    for name in ["REGISTRAR_SERVICE_NAMES", "REGISTRAR_REQUIRED_CONDITIONS"] {
        let render = ["render", "--offers", ".", "--public-url", URL];
        let output = command(&render).env(name, "").output().unwrap();
        assert_eq!(output.status.code(), Some(2), "an empty {name} is a slip");
    }
    let output = command(&["render", "--offers", ".", "--public-url", URL])
        .env("REGISTRAR_IDENTITY", "x")
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--identity"));
}

#[test]
fn render_prints_exact_bytes_or_one_reason() {
    let dir = tempfile::tempdir().unwrap();
    let offers = "
apiVersion: obol.org/v1alpha1
kind: ServiceOffer
metadata: { name: chat, namespace: llm }
spec: { registration: { enabled: true }, hostname: audit.example }
---
apiVersion: obol.org/v1alpha1
kind: ServiceOffer
metadata: { name: quiet, namespace: llm }
spec: { hostname: off.example }
";
    fs::write(dir.path().join("offers.yaml"), offers).unwrap();
    let render = |agent: &str| {
        registrar(&[
            "render",
            "--offers",
            dir.path().to_str().unwrap(),
            "--public-url",
            URL,
            "--agent",
            agent,
        ])
    };
    let cases = [
        ("default", "https://seller.example/services/chat", true),
        ("host:AUDIT.example", "https://audit.example", true),
        ("offer:llm/chat", "https://seller.example/services/chat", true),
        ("host:off.example", "", false),
    ];
    for_each_row(cases, |(agent, web, active)| {
        let printed = render(agent);
        assert_eq!(printed.code, Some(0), "{agent}: {}", printed.stderr);
        assert!(printed.stdout.ends_with("}\n") && !printed.stdout.ends_with("\n\n"), "{agent}");
        let document: Value = serde_json::from_str(&printed.stdout).unwrap();
        assert_eq!(document["active"], active, "{agent}");
        assert_eq!(text(&document["services"][0], "endpoint"), web, "{agent}");
    });
    for (agent, code) in [
        ("offer:llm/quiet", "Disabled"),
        ("offer:llm/none", "NotFound"),
        ("host:no.example", "NotFound"),
    ] {
        let printed = render(agent);
        assert_eq!((printed.code, printed.stdout.as_str()), (Some(1), ""), "{agent}");
        assert!(
            printed.stderr.starts_with(&format!("registrar: {code}: ")),
            "{agent}: {}",
            printed.stderr
        );
    }
}

#[test]
fn explain_says_why_in_text_and_in_json() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", "chat");
    write(dir.path(), "b.yaml", "slip");
    let slip = fs::read_to_string(dir.path().join("b.yaml")).unwrap();
    let slip =
        slip.replace("spec: {", "spec: { drainAt: 2026-01-01T00:00:00Z, drainGracePeriod: 1 hour,");
    fs::write(dir.path().join("b.yaml"), slip).unwrap();
    let explain = |more: &[&str]| {
        registrar(&[&["explain", "--offers", dir.path().to_str().unwrap()], more].concat())
    };
    let printed = explain(&[]);
    assert_eq!(printed.code, Some(0));
    for part in [
        "llm/chat  published    Published     ",
        "llm/slip  unpublished  InvalidDrain  ",
        "\"1 hour\"",
    ] {
        assert!(printed.stdout.contains(part), "{part}: {}", printed.stdout);
    }
    let one = explain(&["llm/slip"]);
    for part in ["llm/slip  unpublished  InvalidDrain\n", "fix: "] {
        assert!(one.stdout.contains(part), "{part}: {}", one.stdout);
    }
    let printed = explain(&["--json", "llm/slip"]);
    let explained: Value = serde_json::from_str(&printed.stdout).unwrap();
    let keys: Vec<_> = explained[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["droppedServices", "findings", "fix", "message", "name", "namespace", "reason", "state"];
    assert_eq!(keys, expected);
    assert_eq!(explained.as_array().unwrap().len(), 1);
    let missing = explain(&["llm/nobody"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains("llm/nobody"), "{}", missing.stderr);

    fs::write(dir.path().join("c.yaml"), "kind: [\n").unwrap();
    for args in [&["explain", "--offers"][..], &["render", "--public-url", URL, "--offers"]] {
        let broken = registrar(&[args, &[dir.path().to_str().unwrap()]].concat());
        assert_eq!((broken.code, broken.stdout.as_str()), (Some(1), ""), "{args:?}");
        assert!(
            broken.stderr.contains("c.yaml") && broken.stderr.contains("line 2"),
            "{}",
            broken.stderr
        );
    }
}

#[tokio::test]
async fn a_file_that_breaks_keeps_its_last_good_content() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.yaml", "chat");
    fs::write(dir.path().join("b.yaml"), "kind: {\n").unwrap();
    let server = serve(dir.path(), &[]).await;
    eventually("the broken file is named with its line", async || {
        let problem = server.document().await;
        let detail = text(&problem, "detail");
        text(&problem, "code") == "Incomplete"
            && detail.contains("b.yaml")
            && detail.contains("line 2")
    })
    .await;
    write(dir.path(), "b.yaml", "blocks");
    eventually("both are served", async || server.endpoints().await.len() == 2).await;
    fs::write(dir.path().join("b.yaml"), "kind: {\n").unwrap();
    eventually("it is reported", async || {
        let verbose = json(server.admin("/readyz?verbose").await).await;
        text(&verbose["problems"][0], "code") == "BrokenFile"
    })
    .await;
    assert_eq!(server.endpoints().await.len(), 2);
    fs::remove_file(dir.path().join("b.yaml")).unwrap();
    eventually("a removed file is gone", async || server.endpoints().await.len() == 1).await;
    fs::remove_dir_all(dir.path()).unwrap();
    eventually("a lost folder is reported", async || server.log().contains("UnreadablePath")).await;
    assert_eq!(server.endpoints().await.len(), 1);
}

#[test]
fn the_small_verbs_print_what_they_promise() {
    let crds = registrar(&["crds"]);
    assert_eq!((crds.code, yaml(&crds.stdout).len()), (Some(0), 2));
    let script = registrar(&["completions", "bash"]);
    assert!(script.code == Some(0) && script.stdout.contains("registrar"), "{}", script.stdout);
    let version = registrar(&["--version"]).stdout;
    assert!(
        version.starts_with("registrar 0.1.0 (") && version.trim_end().ends_with(')'),
        "{version}"
    );
    let help = registrar(&["--help"]).stdout;
    for verb in ["serve", "render", "explain", "drain", "undrain", "crds", "completions"] {
        assert!(help.contains(verb), "{verb}");
    }
    let help = registrar(&["drain", "--help"]).stdout;
    assert!(help.contains("announced immediately"), "{help}");
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_named_and_waited_for() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let kubeconfig = tempfile::NamedTempFile::new().unwrap();
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{ name: a, context: {{ cluster: a, user: a }} }}]\n\
         clusters: [{{ name: a, cluster: {{ server: 'http://{closed}' }} }}]\nusers: [{{ name: a, user: {{}} }}]\n"
    );
    fs::write(kubeconfig.path(), config).unwrap();
    let path = kubeconfig.path().to_str().unwrap();
    let server = Server::start(&["--kubeconfig", path, "--public-url", URL]).await;
    eventually("the refusal is named", async || {
        let detail = text(&server.document().await, "detail").to_lowercase();
        detail.contains("serviceoffers") && detail.contains("refused")
    })
    .await;
    for args in [
        &["serve", "--kubeconfig", "/nonexistent/config"][..],
        &["serve", "--kubeconfig", path, "--context", "b"],
    ] {
        let printed = registrar(args);
        assert_eq!(printed.code, Some(1), "{args:?}");
        assert!(printed.stderr.contains("kubeconfig"), "{args:?}: {}", printed.stderr);
    }
}
