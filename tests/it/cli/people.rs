//! Commands for people: colours, tables, the plan of a cut-over, manual pages, the kubectl plugin.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use serde_json::Value;

use crate::support::process::{Printed, Server, command, eventually, registrar, unset};

const URL: &str = "https://agents.example";

fn write(dir: &Path, name: &str, spec: &str) {
    let offer = format!(
        "apiVersion: obol.org/v1alpha1\nkind: ServiceOffer\nmetadata: {{ name: {name}, namespace: llm }}\nspec: {spec}\n"
    );
    fs::write(dir.join(format!("{name}.yaml")), offer).unwrap();
}

fn printed(command: &mut Command) -> Printed {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Printed { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}

#[test]
fn colours_follow_the_terminal_and_its_variables() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "chat", "{ registration: { enabled: true } }");
    write(dir.path(), "off", "{ registration: { enabled: false } }");
    let explain = |variables: &[(&str, &str)]| {
        let args = ["explain", "--offers", dir.path().to_str().unwrap(), "--public-url", URL];
        let mut command = command(&args);
        for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
            command.env_remove(name);
        }
        printed(command.envs(variables.iter().copied())).stdout
    };
    let plain = explain(&[]);
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
    assert!(explain(&[("CLICOLOR_FORCE", "1")]).contains("\u{1b}[32mpublished"));
    assert_eq!(explain(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]), plain);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_names_every_difference_and_every_host() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "chat", "{ registration: { enabled: true, name: Chat } }");
    write(
        dir.path(),
        "audit",
        "{ hostname: audit.example, registration: { enabled: true, name: Audit } }",
    );
    let offers = dir.path().to_str().unwrap().to_owned();
    let server = Server::start(&["--offers", &offers, "--public-url", URL]).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    let next = tempfile::tempdir().unwrap();
    write(next.path(), "chat", "{ registration: { enabled: true, name: Chat } }");
    write(
        next.path(),
        "audit",
        "{ hostname: audit.example, registration: { enabled: true, name: Auditor } }",
    );
    let plan = async |offers: &str, via: &str| {
        let args = ["plan", "--json", "--offers", offers, "--public-url", URL, "--via", via];
        let args = args.map(str::to_owned);
        let run = move || registrar(&args.iter().map(String::as_str).collect::<Vec<_>>());
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    let outcomes = |printed: &Printed| -> Vec<(String, String, usize)> {
        let rows: Value = serde_json::from_str(&printed.stdout).unwrap();
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| {
            let count = row["differences"].as_array().unwrap().len();
            (text(row, "agent"), text(row, "outcome"), count)
        })
        .collect()
    };
    let row = |agent: &str, outcome: &str, count| (agent.to_owned(), outcome.to_owned(), count);

    let same = plan(&offers, &server.public).await;
    let expected = [row("default", "same-bytes", 0), row("host:audit.example", "same-bytes", 0)];
    assert_eq!((outcomes(&same), same.code), (expected.to_vec(), Some(0)));

    let changed = plan(next.path().to_str().unwrap(), &server.public).await;
    let host = row("host:audit.example", "differs", 1);
    assert!(outcomes(&changed).contains(&host), "{}", changed.stdout);
    assert!(
        changed.stdout.contains(r#""path":"name","served":"\"Audit\"","ours":"\"Auditor\"""#),
        "{}",
        changed.stdout
    );
    assert_eq!(changed.code, Some(0), "a difference is not a failure");

    let empty = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let via = format!("http://{}", empty.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "aborted below")]
    let serving = tokio::spawn(async { axum::serve(empty, axum::Router::new()).await.unwrap() });
    let new = plan(&offers, &via).await;
    serving.abort();
    assert_eq!((outcomes(&new)[0].1.as_str(), new.code), ("not-served", Some(0)), "{}", new.stdout);
    let silent = plan(&offers, "http://127.0.0.1:1").await;
    assert_eq!((outcomes(&silent)[0].1.as_str(), silent.code), ("unreadable", Some(1)));
}

#[test]
fn a_manual_page_is_printed_for_the_program_and_for_each_verb() {
    for verb in [&[][..], &["explain"], &["anchor", "run"], &["man"]] {
        let page = registrar(&[&["man"], verb].concat());
        assert_eq!(page.code, Some(0), "{verb:?}: {}", page.stderr);
        let name = [&["registrar"], verb].concat().join("-");
        assert!(page.stdout.contains(&format!(".TH {name} 1")), "{name}: {}", page.stdout);
    }
    let unknown = registrar(&["man", "nonsense"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("nonsense"), "{}", unknown.stderr);
}

#[test]
fn a_link_named_kubectl_registrar_is_a_plugin() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("kubectl-registrar");
    symlink(env!("CARGO_BIN_EXE_registrar"), &link).unwrap();
    let help = printed(unset(Command::new(&link)).args(["explain", "--help"]));
    assert_eq!(help.code, Some(0), "{}", help.stderr);
    assert!(help.stdout.contains("Usage: kubectl registrar explain"), "{}", help.stdout);
    let usual = registrar(&["explain", "--help"]);
    assert!(usual.stdout.contains("Usage: registrar explain"), "{}", usual.stdout);
}

#[test]
fn an_offer_is_explained_with_what_is_found_in_the_documents_of_its_agents() {
    let dir = tempfile::tempdir().unwrap();
    let services =
        "services: [{ name: MCP, endpoint: 'https://a.example/mcp', version: '2025-06-18' }]";
    for name in ["chat", "audit"] {
        let host = format!("hostname: {name}.example");
        let registration = format!("registration: {{ enabled: true, {services} }}");
        write(dir.path(), name, &format!("{{ {host}, {registration} }}"));
    }
    let explain = |more: &[&str]| {
        let args = ["explain", "--offers", dir.path().to_str().unwrap(), "--public-url", URL];
        registrar(&[&args, more].concat()).stdout
    };
    let rows: Value = serde_json::from_str(&explain(&["--json", "llm/chat"])).unwrap();
    let agents = rows[0]["agents"].as_array().unwrap();
    let names: Vec<_> = agents.iter().map(|agent| agent["agent"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "host:chat.example"]);
    let codes = |findings: &Value| -> Vec<String> {
        let findings = findings.as_array().unwrap().iter();
        findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    };
    assert!(codes(&agents[0]["findings"]).contains(&"RepeatedServiceName".to_owned()), "{rows}");
    assert!(!codes(&rows[0]["findings"]).contains(&"RepeatedServiceName".to_owned()), "{rows}");

    let told = "  warning in the document of default: RepeatedServiceName: ";
    assert!(explain(&["llm/chat"]).contains(told), "{}", explain(&["llm/chat"]));
    let table = explain(&[]);
    assert!(table.contains("\nin the document of default: "), "{table}");
    let all: Value = serde_json::from_str(&explain(&["--json"])).unwrap();
    assert!(all[0].get("agents").is_none(), "{all}");
}
