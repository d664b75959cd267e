//! `registrar check` on what can be asked without a cluster: files, a running server, a chain.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::support::process::{Printed, Server, command, eventually, registrar};
use crate::support::stage::Stage;

const URL: &str = "https://agents.example";

fn write(dir: &Path, name: &str, spec: &str) {
    let offer = format!(
        "apiVersion: obol.org/v1alpha1\nkind: ServiceOffer\nmetadata: {{ name: {name}, namespace: llm }}\nspec: {spec}\n"
    );
    fs::write(dir.join(format!("{name}.yaml")), offer).unwrap();
}

/// The status and message of every check, by id.
fn results(printed: &Printed) -> BTreeMap<String, (String, String)> {
    let results: Value = serde_json::from_str(&printed.stdout).unwrap_or_else(|error| {
        panic!("{error}: {:?} {}", printed.stdout, printed.stderr);
    });
    let text = |result: &Value, key: &str| result[key].as_str().unwrap().to_owned();
    let results = results.as_array().unwrap().iter();
    results
        .map(|result| (text(result, "id"), (text(result, "status"), text(result, "message"))))
        .collect()
}

async fn check(args: &[&str]) -> Printed {
    let args: Vec<String> =
        ["check", "--json"].iter().chain(args).map(|&arg| arg.to_owned()).collect();
    tokio::task::spawn_blocking(move || {
        registrar(&args.iter().map(String::as_str).collect::<Vec<_>>())
    })
    .await
    .unwrap()
}

fn with_status<'a>(
    results: &'a BTreeMap<String, (String, String)>,
    status: &str,
) -> Vec<(&'a str, &'a str)> {
    let chosen = results.iter().filter(|(_, (own, _))| own == status);
    chosen.map(|(id, (_, message))| (id.as_str(), message.as_str())).collect()
}

#[test]
fn without_a_cluster_and_a_chain_everything_is_skipped() {
    let home = tempfile::tempdir().unwrap();
    let mut command = command(&["check", "--json"]);
    command.env("HOME", home.path()).env_remove("KUBERNETES_SERVICE_HOST");
    let output = command.output().unwrap();
    let printed = Printed {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    };
    let results = results(&printed);
    assert!(results.len() >= 40, "{}", results.len());
    assert_eq!(with_status(&results, "skip").len(), results.len(), "{results:?}");
    assert_eq!(printed.code, Some(0));
}

#[test]
fn a_kubeconfig_that_was_named_and_cannot_be_used_is_a_failure() {
    let printed = registrar(&["check", "--json", "--kubeconfig", "/nonexistent/config"]);
    let results = results(&printed);
    let failed = with_status(&results, "fail");
    assert_eq!(failed.len(), 1, "{failed:?}");
    assert_eq!(failed[0].0, "cluster-configured");
    assert_eq!(printed.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_passes_and_another_document_at_its_url_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let registration = "registration: { enabled: true, name: North Harbour, description: Answers questions about tides., image: https://agents.example/icon.png }";
    write(dir.path(), "chat", &format!("{{ {registration} }}"));
    write(dir.path(), "audit", &format!("{{ hostname: audit.example, {registration} }}"));
    let offers = dir.path().to_str().unwrap();
    let server = Server::start(&["--offers", offers, "--public-url", URL]).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    let args = [
        "--offers",
        offers,
        "--public-url",
        URL,
        "--via",
        &server.public,
        "--admin-url",
        &server.admin,
    ];
    let printed = check(&args).await;
    let sound = results(&printed);
    assert_eq!(with_status(&sound, "fail"), vec![], "{}", printed.stderr);
    assert_eq!(printed.code, Some(0));
    for id in ["public-bytes", "public-head", "public-conditional", "public-hosts", "server-fresh"]
    {
        assert_eq!(sound[id].0, "pass", "{id}: {:?}", sound[id]);
    }

    let other = tempfile::tempdir().unwrap();
    write(other.path(), "chat", &format!("{{ {registration} }}"));
    write(
        other.path(),
        "audit",
        "{ hostname: audit.example, registration: { enabled: true, name: Other } }",
    );
    let offers = other.path().to_str().unwrap();
    let printed = check(&["--offers", offers, "--public-url", URL, "--via", &server.public]).await;
    let broken = results(&printed);
    let failed: Vec<_> = with_status(&broken, "fail").into_iter().map(|(id, _)| id).collect();
    assert_eq!(failed, ["public-bytes", "public-hosts"], "{broken:?}");
    assert_eq!(printed.code, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_answer_is_a_failure() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "chat", "{ registration: { enabled: true } }");
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let offers = dir.path().to_str().unwrap();
    let printed =
        check(&["--offers", offers, "--public-url", URL, "--via", &url, "--admin-url", &url]).await;
    let results = results(&printed);
    for id in ["public-reachable", "server-reachable"] {
        assert_eq!(results[id].0, "fail", "{id}: {:?}", results[id]);
    }
    assert_eq!(results["public-etag"].0, "skip");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chain_the_key_and_the_journal_are_checked() {
    let stage = Stage::new().await;
    let run = async |more: &[&str]| {
        let settings = stage.settings_with(more);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        // Nothing is served at the public URL.
        check(&[&settings[..], &["--via", "http://127.0.0.1:1"]].concat()).await
    };
    let sound = results(&run(&[]).await);
    let ids = [
        "chain-endpoints",
        "chain-finality",
        "chain-registry",
        "chain-width",
        "chain-history",
        "account-signer",
        "account-funds",
        "journal-usable",
        "journal-blocked",
    ];
    for id in ids {
        assert_eq!(sound[id].0, "pass", "{id}: {:?}", sound[id]);
    }
    assert_eq!(sound["chain-quorum"].0, "warn", "there is one endpoint");

    let nowhere = "eip155:31337=http://127.0.0.1:1/CANARYPATH";
    let printed = run(&["--rpc-url", nowhere]).await;
    crate::support::stage::tells_nothing(&printed.stdout);
    let silent = results(&printed);
    for id in ["chain-endpoints", "chain-finality", "chain-width", "chain-history"] {
        assert_eq!(silent[id].0, "fail", "{id}: {:?}", silent[id]);
    }
    let registry = "eip155:31337=0x0000000000000000000000000000000000000001";
    assert_eq!(results(&run(&["--registry", registry]).await)["chain-registry"].0, "fail");

    fs::write(stage.path("journal"), "not a journal").unwrap();
    assert_eq!(results(&run(&[]).await)["journal-usable"].0, "fail");
    let wrong = "0x0000000000000000000000000000000000000002";
    assert_eq!(results(&run(&["--account", wrong]).await)["account-signer"].0, "fail");
}
