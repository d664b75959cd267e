//! What the README and the Makefile promise of a first run on a chain.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::support::process::{Server, eventually, text, unset};
use crate::support::stage::{agent, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn run_anchored_prints_the_uri_from_the_chain_and_the_document_with_its_id() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut script = unset(Command::new(root.join("scripts/run-anchored")));
    let listen = format!("127.0.0.1:{}", free_port());
    script.arg(env!("CARGO_BIN_EXE_registrar"));
    script.env("REGISTRAR_LISTEN", &listen).env("REGISTRAR_ADMIN_LISTEN", "127.0.0.1:0");
    let server = Server::launch(script).await;
    assert_eq!(server.public, format!("http://{listen}"));
    eventually("all is told", async || server.log().contains("Ctrl-C here ends all of it")).await;
    let anchored = agent(&server).await;
    assert_eq!(anchored["anchoring"][0]["reason"], "Anchored", "{anchored}");
    // Its last line of what to try names the node, the registry and the id.
    let log = server.log();
    let (_, asked) = log.split_once("agent-uri.mjs ").unwrap();
    let [rpc, registry, id] = asked.split_whitespace().take(3).collect::<Vec<_>>()[..] else {
        panic!("{log}")
    };
    let rpc = rpc.to_owned();
    let uri = format!("http://{listen}/.well-known/agent-registration.json");
    let expected = format!("on chain  eip155:31337:{registry} agent {id}: {uri}");

    server.signal("-INT");
    let ended = server.log_after_end().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let [chain, document] = &ended.stdout[..] else { panic!("{:?}", ended.stdout) };
    assert_eq!(*chain, expected);
    let document: Value =
        serde_json::from_str(document.strip_prefix("document  ").unwrap()).unwrap();
    let registrations = document["registrations"].as_array().unwrap();
    let own = registrations
        .iter()
        .find(|own| {
            text(own, "agentRegistry").eq_ignore_ascii_case(&format!("eip155:31337:{registry}"))
        })
        .unwrap();
    assert_eq!(own["agentId"].to_string(), id);
    assert!(reqwest::get(&rpc).await.unwrap_err().is_connect(), "the node is gone too");
}
