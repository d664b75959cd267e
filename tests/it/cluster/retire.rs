//! Retiring an agent whose journal is in a ConfigMap, beside the process that anchors.

use serde_json::{Value, json};

use super::journal::{Ground, id};
use crate::support::{process::eventually, proxy::Proxy, stage::URL};

const CHAIN: &str = "eip155:31337";

async fn sent(ground: &Ground) -> u64 {
    ground.stage.node.transaction_count(ground.stage.account, "latest").await
}

/// Runs `anchor retire`, which must succeed, and returns what it prints.
async fn retire(ground: &Ground, flags: &[&str]) -> String {
    let printed = ground.anchor(&[&["retire", CHAIN], flags].concat(), &[]).await;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    printed.stdout
}

/// Nothing more is sent over several decisions.
async fn rests(ground: &Ground, proxy: &Proxy) {
    let before = sent(ground).await;
    let asked = proxy.calls();
    eventually("it decides several times", async || {
        ground.stage.node.mine(1).await;
        proxy.calls() > asked + 20
    })
    .await;
    assert_eq!(sent(ground).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_retired_and_revived_beside_the_process_that_anchors() {
    let ground = Ground::new("retire").await;
    let proxy = Proxy::start(vec![ground.stage.node.url().to_owned()]).await;
    let mut server = ground.serve(&proxy.url(), &[]).await;
    ground.stands(&server, "Anchored").await;

    let plan = retire(&ground, &[]).await;
    for words in ["would sign for default: setAgentURI(0, \"data:", "Nothing is recorded yet"] {
        assert!(plan.contains(words), "{words}: {plan}");
    }
    eventually("what has just been anchored is recorded, and a plan records nothing", async || {
        let before = ground.object().await.metadata.resource_version;
        retire(&ground, &[]).await;
        ground.object().await.metadata.resource_version == before
    })
    .await;

    // Nobody is stopped for it: the process that anchors takes up what was recorded.
    assert!(retire(&ground, &["--yes"]).await.contains("is retired by the process that anchors"));
    ground.stands(&server, "Retired").await;
    assert!(retire(&ground, &["--yes"]).await.contains("was retired already"));
    let uri = ground.stage.uri(0).await;
    assert!(uri.starts_with("data:application/json;base64,"), "{uri}");
    assert_eq!((sent(&ground).await, id(&server).await), (2, json!(0)));

    // Killed and started again, and with a journal that was lost, it stays so.
    server.signal("-KILL");
    server = ground.serve(&proxy.url(), &[]).await;
    ground.stands(&server, "Retired").await;
    rests(&ground, &proxy).await;
    server.signal("-KILL");
    ground.cluster.delete(&ground.config_map()).await;
    ground.cluster.apply(&ground.config_map()).await;
    server = ground.serve(&proxy.url(), &[]).await;
    ground.stands(&server, "Retired").await;
    rests(&ground, &proxy).await;
    assert_eq!((ground.stage.uri(0).await, sent(&ground).await), (uri, 2));

    let plan = retire(&ground, &["--revive"]).await;
    assert!(plan.contains("would sign for default: setAgentURI(0, \"https:"), "{plan}");
    assert!(retire(&ground, &["--revive", "--yes"]).await.contains("is revived by the process"));
    ground.stands(&server, "Anchored").await;
    let link = format!("{URL}/.well-known/agent-registration.json");
    assert_eq!((ground.stage.uri(0).await, sent(&ground).await), (link, 3));
    assert_eq!(
        (ground.mints().await, server.document().await["active"].clone()),
        (1, Value::from(true))
    );
}
