//! Real consumers, the agent0 SDKs, find an anchored agent by its id alone.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::support::process::{Server, command, eventually, text};
use crate::support::stage::{Stage, agent, free_port};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk");

/// Resolves an agent on this node the way a consumer does, with the SDK for JavaScript.
pub async fn resolve(stage: &Stage, id: u64) -> Value {
    resolve_by(Path::new("node"), "resolve.mjs", stage, id).await
}

/// The same with the SDK for Python.
pub async fn resolve_in_python(stage: &Stage, id: u64) -> Value {
    let python = Path::new(FOLDER).join(".venv/bin/python");
    assert!(python.exists(), "the SDK for Python is missing; run: make tools");
    resolve_by(&python, "resolve.py", stage, id).await
}

async fn resolve_by(program: &Path, script: &str, stage: &Stage, id: u64) -> Value {
    let mut program = tokio::process::Command::new(program);
    let arguments = [stage.node.url().to_owned(), stage.registry.to_string(), id.to_string()];
    let output = program.current_dir(FOLDER).arg(script).args(arguments).stdin(Stdio::null());
    let output = output.kill_on_drop(true).output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the SDK does not find the agent:\n{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_goes_from_an_id_to_the_uri_to_the_document_to_the_same_id() {
    let stage = Stage::new().await;
    let listen = format!("127.0.0.1:{}", free_port());
    let url = format!("http://{listen}");
    let settings = stage.settings_with(&["--public-url", &url]);
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let ports = ["serve", "--listen", &listen, "--admin-listen", "127.0.0.1:0"];
    let server = Server::launch(command(&[&ports[..], &settings].concat())).await;
    eventually("it is anchored", async || {
        stage.node.mine(1).await;
        agent(&server).await["anchoring"][0]["reason"] == "Anchored"
    })
    .await;
    let found = resolve(&stage, 0).await;
    let document = server.document().await;
    assert_eq!(text(&found, "agentURI"), format!("{url}/.well-known/agent-registration.json"));
    assert_eq!(found["registrations"], document["registrations"]);
    assert_eq!(
        found["registrations"],
        json!([{ "agentId": 0, "agentRegistry": format!("eip155:31337:{}", stage.registry) }])
    );
    assert_eq!(text(&found, "agentId"), "31337:0");
    assert_eq!((&found["name"], &found["active"]), (&document["name"], &json!(true)));
    // Nobody set another wallet: payments to the agent's wallet reach the account that signs.
    assert_eq!(text(&found, "wallet").to_lowercase(), stage.account.to_string().to_lowercase());
}
