//! A real consumer, the agent0 SDK, reads what is served: every kind of document, field by field.

use std::{fs, path::Path, process::Stdio};

use axum::{
    Router,
    extract::{Path as Segment, State},
    routing::get,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    docs::examples::example_server,
    support::process::{Server, eventually, json as body, text},
};

const WELL_KNOWN: &str = "/.well-known/agent-registration.json";

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk"))
}

/// Loads documents the way a consumer does, one report a URL.
async fn load(urls: &[String]) -> Vec<Value> {
    assert!(
        folder().join("node_modules/agent0-sdk").is_dir(),
        "tests/sdk/node_modules is missing. Run: scripts/install-tools"
    );
    let mut node = tokio::process::Command::new("node");
    let output = node.current_dir(folder()).arg("load.mjs").args(urls).stdin(Stdio::null());
    let output = output.kill_on_drop(true).output().await.unwrap();
    let (stdout, stderr) = (
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    assert!(output.status.success(), "the SDK refuses a document:\n{stderr}");
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the SDK should make of a document.
fn understood(url: &str, document: &Value) -> Value {
    let services = document["services"].as_array().unwrap().iter();
    let endpoints: Vec<Value> = services
        .map(|entry| {
            let mut endpoint = json!({ "type": entry["name"], "value": entry["endpoint"] });
            if entry["version"].is_string() {
                endpoint["meta"] = json!({ "version": entry["version"] });
            }
            endpoint
        })
        .collect();
    json!({
        "url": url,
        "name": document["name"],
        "description": document["description"],
        "image": document["image"],
        "active": document["active"],
        "x402support": document["x402Support"],
        "endpoints": endpoints,
        "wallet": null,
        "trustModels": document.get("supportedTrust").cloned().unwrap_or(json!([])),
        "metadata": document.get("metadata").cloned().unwrap_or(json!({})),
    })
}

/// Loads each URL and compares with the document as HTTP gives it.
async fn compare(urls: &[String]) -> Vec<Value> {
    let mut documents = Vec::new();
    for (url, report) in urls.iter().zip(load(urls).await) {
        let document = body(reqwest::get(url).await.unwrap()).await;
        let expected = understood(url, &document);
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(report[key], *value, "{key} of {url}");
        }
        documents.push(document);
    }
    assert_eq!(documents.len(), urls.len());
    documents
}

/// The SDK cannot send a `Host` of its choice, so this passes `/HOST` on as a request to that host.
async fn relay(server: &Server) -> String {
    let pass = async |Segment(host): Segment<String>, State(public): State<String>| {
        let request = crate::support::process::http().get(format!("{public}{WELL_KNOWN}"));
        request.header("host", host).send().await.unwrap().bytes().await.unwrap()
    };
    let router = Router::new().route("/{host}", get(pass)).with_state(server.public.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the test.
    #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn the_sdk_reads_every_example_document() {
    let server = example_server().await;
    let relay = relay(&server).await;
    let mut urls = vec![format!("{}{WELL_KNOWN}", server.public)];
    for offer in body(server.get("/offers").await).await["items"].as_array().unwrap() {
        let (namespace, name) = (text(offer, "namespace"), text(offer, "name"));
        urls.push(format!("{}/offers/{namespace}/{name}/agent-registration.json", server.public));
    }
    for agent in body(server.get("/agents").await).await["items"].as_array().unwrap() {
        urls.extend(
            text(agent, "agent").strip_prefix("host:").map(|host| format!("{relay}/{host}")),
        );
    }
    let documents = compare(&urls).await;
    let said: Vec<_> = documents
        .iter()
        .map(|document| {
            let draining = document["services"].as_array().unwrap().iter();
            let draining = draining.filter(|entry| entry["available"] == false).count();
            (text(document, "name"), document["active"] == true, draining)
        })
        .collect();
    // The common document, the three offers, the two hosts.
    assert_eq!(
        said,
        [
            ("North Harbour", true, 2),
            ("North Harbour", true, 0),
            ("North Harbour Embeddings", true, 2),
            ("North Harbour Contract Review", true, 0),
            ("North Harbour Contract Review", true, 0),
            ("translate.example", false, 0),
        ]
    );
}

#[tokio::test]
async fn the_sdk_reads_a_tombstone() {
    let empty = tempfile::tempdir().unwrap();
    let url = "https://agents.example";
    let server =
        Server::start(&["--offers", empty.path().to_str().unwrap(), "--public-url", url]).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    let documents = compare(&[format!("{}{WELL_KNOWN}", server.public)]).await;
    assert_eq!((&documents[0]["active"], &documents[0]["services"]), (&json!(false), &json!([])));
}

#[tokio::test]
async fn the_sdk_reads_what_a_profile_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (offers, profile) = (root.join("examples/offers"), root.join("docs/profile.yaml"));
    let server = Server::start(&[
        "--offers",
        offers.to_str().unwrap(),
        "--public-url",
        "https://agents.example",
        "--profile",
        profile.to_str().unwrap(),
    ])
    .await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    let documents = compare(&[format!("{}{WELL_KNOWN}", server.public)]).await;
    assert_eq!(documents[0]["metadata"]["operator"], "North Harbour Ltd");
}

#[test]
fn the_lock_file_names_the_sdk_that_the_page_on_consumers_describes() {
    let package: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("package.json")).unwrap()).unwrap();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/consumers.md"))
        .unwrap();
    let version = text(&package["dependencies"], "agent0-sdk");
    assert!(page.contains(&format!("**agent0-ts {version}**")), "{version}");
}
