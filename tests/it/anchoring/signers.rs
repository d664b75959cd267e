//! Signers outside of the process: each signs a mint on a real node, and whatever it changes is
//! refused. The node holds the keys; a stand-in speaks each signer's protocol in front of it.

use std::sync::{Arc, Mutex};

use alloy::primitives::U256;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};

use crate::support::{
    process::{eventually, http, text},
    stage::{Stage, agent},
};

const PROTOCOLS: [&str; 2] = ["remote", "web3signer"];

/// What is done to a transaction before it is signed.
type Change = fn(&mut Value);

/// A signer whose keys are those of a node.
#[derive(Clone)]
struct StandIn {
    url: String,
    node: String,
    change: Arc<Mutex<Option<Change>>>,
    /// Whether it answers that it is unavailable.
    is_down: Arc<Mutex<bool>>,
}

impl StandIn {
    async fn start(stage: &Stage) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let stand_in = Self {
            url,
            node: stage.node.url().to_owned(),
            change: Arc::default(),
            is_down: Arc::default(),
        };
        let router = Router::new().fallback(answer).with_state(stand_in.clone());
        #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        stand_in
    }

    /// The settings that have a process use it.
    fn settings(&self, protocol: &str, stage: &Stage) -> [String; 4] {
        let signer = format!("{protocol}:{}", self.url);
        ["--signer".to_owned(), signer, "--account".to_owned(), stage.account.to_string()]
    }

    fn changes(&self, change: Option<Change>) {
        *self.change.lock().unwrap() = change;
    }

    async fn sign(&self, mut asked: Value) -> Value {
        if let Some(change) = *self.change.lock().unwrap() {
            change(&mut asked);
        }
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_signTransaction", "params": [asked] });
        http().post(&self.node).json(&request).send().await.unwrap().json().await.unwrap()
    }
}

async fn answer(State(signer): State<StandIn>, body: String) -> impl IntoResponse {
    if *signer.is_down.lock().unwrap() {
        return (StatusCode::SERVICE_UNAVAILABLE, "starting".to_owned());
    }
    let asked: Value = serde_json::from_str(&body).unwrap();
    if asked["method"] == "eth_signTransaction" {
        return (StatusCode::OK, signer.sign(asked["params"][0].clone()).await.to_string());
    }
    // Whatever is not a number is refused, as the stack's signer does.
    let hex = |name: &str| match asked[name].as_u64() {
        Some(number) => json!(format!("{number:#x}")),
        None => panic!("{name} is not a number: {asked}"),
    };
    let signed = signer.sign(json!({
        "chainId": hex("chain_id"), "to": asked["to"], "nonce": hex("nonce"),
        "gas": hex("gas_limit"), "maxFeePerGas": hex("max_fee_per_gas"),
        "maxPriorityFeePerGas": hex("max_priority_fee_per_gas"), "value": hex("value"),
        "data": asked["data"],
        "from": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    }));
    let answer = match signed.await {
        failed if failed["error"].is_object() => json!({ "error": failed["error"]["message"] }),
        signed => json!({ "signed_transaction": signed["result"] }),
    };
    (StatusCode::OK, answer.to_string())
}

fn words(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signer_signs_a_mint_and_what_follows() {
    for protocol in PROTOCOLS {
        let stage = Stage::new().await;
        let signer = StandIn::start(&stage).await;
        let settings = signer.settings(protocol, &stage);
        stage.settle(&words(&settings)).await;
        assert_eq!(stage.reason("default"), "Anchored", "{protocol}");
        assert_eq!(stage.balance().await, U256::from(1), "{protocol}");
        let moved = [&words(&settings)[..], &["--public-url", "https://moved.example"]].concat();
        stage.settle(&moved).await;
        assert!(stage.uri(0).await.starts_with("https://moved.example/"), "{protocol}");
        assert_eq!(stage.node.transaction_count(stage.account, "latest").await, 2, "{protocol}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_changes_any_field_is_refused_and_nothing_is_sent() {
    let changes: [(&str, Change); 9] = [
        ("chain id", |asked| asked["chainId"] = json!("0x1")),
        ("nonce", |asked| asked["nonce"] = json!("0x1")),
        ("recipient", |asked| asked["to"] = json!("0x1111111111111111111111111111111111111111")),
        ("value", |asked| asked["value"] = json!("0x1")),
        ("gas limit", |asked| asked["gas"] = json!("0xf4240")),
        ("fee per gas", |asked| asked["maxFeePerGas"] = json!("0x174876e7ff")),
        ("tip", |asked| asked["maxPriorityFeePerGas"] = json!("0x0")),
        ("data", |asked| asked["data"] = json!("0x1aa3a008")),
        ("is not one of", |asked| {
            asked["from"] = json!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8");
        }),
    ];
    let stage = Stage::new().await;
    let signer = StandIn::start(&stage).await;
    for protocol in PROTOCOLS {
        let settings = signer.settings(protocol, &stage);
        for (field, change) in changes {
            signer.changes(Some(change));
            let printed = stage.once(&words(&settings));
            let row = stage.recorded("default");
            assert_eq!((printed.code, text(&row, "reason")), (Some(1), "SignerFailed"), "{field}");
            // A node may refuse to sign for another chain; then nothing is signed either.
            let message = text(&row, "message");
            assert!(message.contains(field) || field == "chain id", "{field}: {message}");
            assert!(stage.status()["openSlot"].is_null(), "{field}");
            assert_eq!(stage.node.transaction_count(stage.account, "pending").await, 0, "{field}");
        }
        signer.changes(None);
    }
    stage.settle(&words(&signer.settings("remote", &stage))).await;
    assert_eq!(stage.reason("default"), "Anchored");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_is_down_is_asked_again_while_documents_are_served() {
    let stage = Stage::new().await;
    let signer = StandIn::start(&stage).await;
    *signer.is_down.lock().unwrap() = true;
    let settings = signer.settings("remote", &stage);
    let settings = words(&settings);
    // A plan needs no signer.
    let plan = stage.plan(&settings);
    assert_eq!((&plan["transaction"]["nonce"], &plan["held"]), (&json!(0), &Value::Null));
    let printed = stage.once(&settings);
    assert_eq!((printed.code, stage.reason("default").as_str()), (Some(1), "SignerUnreachable"));
    let server = stage.serve(&settings).await;
    let reason = async || agent(&server).await["anchoring"][0]["reason"].clone();
    eventually("it is reported", async || reason().await == "SignerUnreachable").await;
    assert_eq!(server.document().await["active"], true);
    *signer.is_down.lock().unwrap() = false;
    eventually("it is anchored", async || {
        stage.node.mine(1).await;
        reason().await == "Anchored"
    })
    .await;
    assert_eq!(stage.balance().await, U256::from(1));
}
