//! What users come with: a first anchor, an id they have already, a replaced key, a key that lives
//! elsewhere.

use alloy::primitives::{Address, U256};
use serde_json::json;

use crate::support::stage::{Stage, URL, agent};
use crate::{
    support::chain::IdentityRegistry,
    support::process::{eventually, text},
    support::resource::{Resource, offer},
};

const DOCUMENT: &str = "https://agents.example/.well-known/agent-registration.json";

/// An AgentIdentity that names an id on the test chain's registry can't be written by alias: the
/// chain is in no table. So users of the table's chains are played at the canonical address.
fn identity(id: &str) -> serde_json::Value {
    json!({
        "apiVersion": "obol.org/v1alpha1", "kind": "AgentIdentity",
        "metadata": { "namespace": "x402", "name": "default" },
        "status": { "registrations": [{ "chain": "base-sepolia", "agentId": id }] },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_anchor_is_minted_once_and_its_id_stands_in_the_document() {
    let stage = Stage::new().await;
    let plan = stage.plan(&[]);
    assert_eq!((&plan["step"], plan["held"].is_null()), (&json!("sign"), true), "{plan}");
    assert_eq!(plan["transaction"]["nonce"], 0);
    assert!(
        text(&plan["transaction"], "call").starts_with(&format!("register({DOCUMENT:?}")),
        "{plan}"
    );
    assert_eq!(stage.balance().await, U256::ZERO, "a plan sends nothing");
    assert!(!stage.path("journal").exists(), "nor does it write");

    stage.settle(&[]).await;
    assert_eq!((stage.balance().await, stage.uri(0).await), (U256::from(1), DOCUMENT.to_owned()));
    assert_eq!(stage.reason("default"), "Anchored");
    let metadata = |key: &str| IdentityRegistry::getMetadataCall {
        agentId: U256::ZERO,
        metadataKey: key.to_owned(),
    };
    let x402 = stage.node.call_contract(stage.registry, metadata("x402")).await.unwrap();
    assert_eq!(&x402[..], br#"{"x402":true}"#);
    assert_eq!(
        stage.node.call_contract(stage.registry, metadata("registrar.key")).await.unwrap().len(),
        20
    );

    // Once more, and with the journal lost: nothing more is minted.
    stage.settle(&[]).await;
    std::fs::remove_file(stage.path("journal")).unwrap();
    stage.settle(&[]).await;
    assert_eq!(
        (stage.balance().await, stage.reason("default")),
        (U256::from(1), "Anchored".to_owned())
    );

    // Another process reads what was learned.
    let journal = format!("file:{}", stage.path("journal").display());
    let offers = stage.path("offers");
    let args = ["--offers", offers.to_str().unwrap(), "--public-url", URL, "--journal", &journal];
    let server = crate::support::process::Server::start(&args).await;
    let registrations =
        json!([{ "agentId": 0, "agentRegistry": format!("eip155:31337:{}", stage.registry) }]);
    eventually("the id is published", async || {
        server.document().await["registrations"] == registrations
    })
    .await;
    assert_eq!(agent(&server).await["anchoring"][0]["reason"], "Anchored");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_anchors_and_serves_unharmed_while_the_node_is_gone() {
    let mut stage = Stage::new().await;
    let server = stage.serve(&[]).await;
    eventually("it is minted", async || stage.balance().await == U256::from(1)).await;
    eventually("its id is published once it is final", async || {
        stage.node.mine(1).await;
        agent(&server).await["anchoring"][0]["reason"] == "Anchored"
    })
    .await;
    assert_eq!(server.document().await["registrations"][0]["agentId"], 0);
    stage.node.kill();
    eventually("the outage is told", async || {
        agent(&server).await["anchoring"][0]["reason"] == "Unreachable"
    })
    .await;
    assert_eq!(server.admin("/readyz").await.status(), 200, "the chain plays no part in readiness");
    assert_eq!(server.document().await["registrations"][0]["agentId"], 0);
    let metrics = server.admin("/metrics").await.text().await.unwrap();
    assert!(
        metrics
            .contains("registrar_anchor_agents{chain=\"eip155:31337\",reason=\"Unreachable\"} 1"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_has_an_id_is_never_minted_again_until_it_is_adopted() {
    let stage = Stage::new().await;
    // What the original's `sell register` did: a mint without our key, and the id recorded.
    let register = IdentityRegistry::register_1Call { agentURI: DOCUMENT.to_owned() };
    stage.node.send_as(stage.account, stage.registry, register).await;
    stage.node.mine(3).await;
    stage.settle(&[]).await;
    assert_eq!(
        (stage.reason("default"), stage.balance().await),
        ("AdoptFirst".to_owned(), U256::from(1))
    );
    let plan = stage.plan(&["--adopt", "eip155:31337=0"]);
    assert!(
        text(&plan["transaction"], "call").starts_with("setMetadata(0, \"registrar.key\""),
        "{plan}"
    );
    stage.settle(&["--adopt", "eip155:31337=0"]).await;
    assert_eq!(
        (stage.reason("default"), stage.balance().await),
        ("Anchored".to_owned(), U256::from(1))
    );
    // The adoption stands on chain: the flag is needed once.
    std::fs::remove_file(stage.path("journal")).unwrap();
    stage.settle(&[]).await;
    assert_eq!(
        (stage.reason("default"), stage.balance().await),
        ("Anchored".to_owned(), U256::from(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_not_ours_is_not_adopted_and_mint_beside_mints() {
    let stage = Stage::new().await;
    let stranger = stage.node.account(1).await;
    let register = IdentityRegistry::register_1Call { agentURI: DOCUMENT.to_owned() };
    stage.node.send_as(stranger, stage.registry, register.clone()).await;
    stage.node.send_as(stage.account, stage.registry, register).await;
    stage.node.mine(3).await;
    stage.settle(&["--adopt", "eip155:31337=0"]).await;
    assert_eq!(
        (stage.reason("default"), stage.balance().await),
        ("NotOwner".to_owned(), U256::from(1))
    );
    stage.settle(&["--mint-beside"]).await;
    assert_eq!(
        (stage.reason("default"), stage.balance().await),
        ("Anchored".to_owned(), U256::from(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_the_identity_names_stays_in_the_document_before_during_and_after() {
    let stage = Stage::new().await;
    let canonical: Address = "0x8004A818BFB912233c491871b3d84c89A494BD9e".parse().unwrap();
    stage.node.deploy_registry_at(canonical).await;
    let register =
        IdentityRegistry::register_1Call { agentURI: "https://old.example/agent".to_owned() };
    stage.node.send_as(stage.account, canonical, register).await;
    stage.node.call("anvil_setChainId", json!([84532])).await;
    stage.node.mine(3).await;
    stage.offers(&[offer("llm/chat").0, identity("0")]);
    let chain = ["--anchor", "base-sepolia", "--registry"];
    let place = format!("base-sepolia={canonical}@0");
    let url = format!("base-sepolia={}", stage.node.url());
    let settings: Vec<String> = stage
        .settings()
        .into_iter()
        .filter(|setting| {
            !setting.starts_with("eip155:31337")
                && !["--anchor", "--registry", "--rpc-url"].contains(&setting.as_str())
        })
        .collect();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let settings = [&settings[..], &chain, &[&place, "--rpc-url", &url]].concat();
    let ids = json!([{ "agentId": 0, "agentRegistry": format!("eip155:84532:{}", canonical.to_checksum(None)) }]);
    let held = crate::support::process::Server::start(&settings).await;
    eventually("it is held", async || agent(&held).await["anchoring"][0]["reason"] == "AdoptFirst")
        .await;
    assert_eq!(held.document().await["registrations"], ids);
    drop(held);
    let adopting = crate::support::process::Server::start(
        &[&settings[..], &["--adopt", "base-sepolia=0"]].concat(),
    )
    .await;
    eventually("it is adopted, and its URI follows", async || {
        stage.node.mine(1).await;
        assert_eq!(adopting.document().await["registrations"], ids);
        agent(&adopting).await["anchoring"][0]["reason"] == "Anchored"
    })
    .await;
    let uri = IdentityRegistry::tokenURICall { agentId: U256::ZERO };
    assert_eq!(stage.node.call_contract(canonical, uri).await.unwrap(), DOCUMENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_key_keeps_its_agents_as_a_former_account() {
    let stage = Stage::new().await;
    stage.settle(&[]).await;
    let signer = format!("development-key-file:{}", stage.path("second-key").display());
    let refused = stage.anchor(&["run", "--once"], &["--signer", &signer]);
    assert_eq!(refused.code, Some(1));
    let former = stage.account.to_checksum(None);
    assert!(
        refused.stderr.contains(&former) && refused.stderr.contains("--former-account"),
        "{}",
        refused.stderr
    );
    let with = ["--signer", &signer, "--former-account", &former];
    stage.once(&with);
    let second = stage.node.account(1).await;
    let balance = IdentityRegistry::balanceOfCall { owner: second };
    assert_eq!(
        stage.node.call_contract(stage.registry, balance.clone()).await.unwrap(),
        U256::ZERO,
        "nothing is minted"
    );
    let transfer =
        IdentityRegistry::transferFromCall { from: stage.account, to: second, agentId: U256::ZERO };
    stage.node.send_as(stage.account, stage.registry, transfer).await;
    stage.node.mine(3).await;
    stage.once(&with);
    let plan = stage.plan(&with);
    assert_eq!(plan["agents"][0]["reason"], "Anchored", "{plan}");
    assert_eq!(plan["agents"][0]["agentId"], "0", "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn drains_tombstones_and_prices_send_nothing_and_a_lost_offer_keeps_its_id() {
    let stage = Stage::new().await;
    let quiet = |manifests: &[Resource]| {
        stage.offers(&manifests.iter().map(|offer| offer.0.clone()).collect::<Vec<_>>())
    };
    quiet(&[]);
    stage.settle(&[]).await;
    assert_eq!(stage.reason("default"), "Tombstone");
    quiet(&[offer("llm/chat").draining("9000-01-01T00:00:00Z", "1h")]);
    stage.settle(&[]).await;
    assert_eq!(
        (stage.reason("default"), stage.balance().await),
        ("Draining".to_owned(), U256::ZERO)
    );
    quiet(&[offer("llm/chat")]);
    stage.settle(&[]).await;
    assert_eq!(stage.balance().await, U256::from(1));
    let sent = stage.node.transaction_count(stage.account, "latest").await;
    quiet(&[offer("llm/chat")
        .draining("9000-01-01T00:00:00Z", "1h")
        .set("/spec/payment/price/perRequest", "2")]);
    stage.settle(&[]).await;
    quiet(&[]);
    stage.settle(&[]).await;
    assert_eq!(stage.node.transaction_count(stage.account, "latest").await, sent);
    assert_eq!(stage.reason("default"), "Anchored", "an agent whose offers are gone keeps its id");
    // The public URL moves: the token follows, and is not minted again.
    stage.settle(&["--public-url", "https://moved.example"]).await;
    assert_eq!(stage.uri(0).await, "https://moved.example/.well-known/agent-registration.json");
    assert_eq!(stage.balance().await, U256::from(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_warns_where_an_offer_is_paid_to_another_account() {
    let stage = Stage::new().await;
    let cold = "0x2222222222222222222222222222222222222222";
    let own = stage.account.to_string().to_lowercase();
    let paid = |id: &str, payee: &str| offer(id).set("/spec/payment/payTo", payee).0;
    stage.offers(&[paid("llm/chat", &own), paid("llm/cold", cold), offer("llm/silent").0]);
    let warnings = stage.plan(&[])["warnings"].clone();
    assert_eq!(warnings.as_array().unwrap().len(), 1, "{warnings}");
    let warning = warnings[0].as_str().unwrap();
    assert!(warning.starts_with(&format!("llm/cold is paid to {cold}")), "{warning}");
    let told = stage.anchor(&["plan"], &[]);
    assert!(told.stdout.contains(warning), "{}", told.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_anchored_when_they_are_named_and_have_ids_of_their_own() {
    let stage = Stage::new().await;
    let audit = offer("llm/audit").host("audit.example");
    stage.offers(&[offer("llm/chat").0, audit.0.clone()]);
    stage.settle(&[]).await;
    assert_eq!(stage.balance().await, U256::from(1), "a tenant's hostname alone spends nothing");
    stage.settle(&["--anchor-host", "audit.example"]).await;
    assert_eq!(stage.balance().await, U256::from(2));
    assert_eq!(stage.uri(1).await, "https://audit.example/.well-known/agent-registration.json");
    let server = stage.serve(&["--anchor-host", "audit.example"]).await;
    let at_host = async || {
        let request = crate::support::process::http()
            .get(format!("{}/.well-known/agent-registration.json", server.public));
        crate::support::process::json(request.header("Host", "audit.example").send().await.unwrap())
            .await
    };
    eventually("the host shows its own id", async || {
        at_host().await["registrations"][0]["agentId"] == 1
    })
    .await;
    assert_eq!(server.document().await["registrations"][0]["agentId"], 0);
    // Its offer goes: the host keeps its tombstone and its id.
    stage.offers(&[offer("llm/chat").0]);
    eventually("its tombstone stands", async || at_host().await["active"] == false).await;
    let tombstone = at_host().await;
    assert_eq!(
        (text(&tombstone, "name"), &tombstone["registrations"][0]["agentId"]),
        ("audit.example", &json!(1))
    );
}
