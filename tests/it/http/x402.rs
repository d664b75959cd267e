//! The x402 packages, which buyers use, read the lists for buyers; and what they know of USDC is what
//! docs/x402.md says.

use std::{collections::BTreeSet, fs, path::Path, process::Stdio};

use serde_json::{Value, json};

use crate::support::process::{Server, eventually, text};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk"))
}

/// What the packages make of a server's lists.
async fn read(public: &str) -> Value {
    assert!(
        folder().join("node_modules/@x402/extensions").is_dir(),
        "tests/sdk/node_modules lacks the x402 packages. Run: scripts/install-tools"
    );
    let mut node = tokio::process::Command::new("node");
    let output = node.current_dir(folder()).args(["x402.mjs", public]).stdin(Stdio::null());
    let output = output.kill_on_drop(true).output().await.unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the x402 packages refuse the lists:\n{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

const OFFERS: &str = r#"
apiVersion: obol.org/v1alpha1
kind: ServiceOffer
metadata: { name: chat, namespace: demo, creationTimestamp: "2026-01-05T09:00:00Z" }
spec:
  payment:
    network: base
    payTo: "0x1111111111111111111111111111111111111111"
    price: { perRequest: "0.01" }
  registration: { enabled: true }
---
apiVersion: obol.org/v1alpha1
kind: ServiceOffer
metadata: { name: draining, namespace: demo, creationTimestamp: "2026-01-05T09:00:00Z" }
spec:
  drainAt: "2026-05-24T12:00:00Z"
  drainGracePeriod: 876000h
  payment: {}
  payments:
    - network: base-sepolia
      payTo: "0x1111111111111111111111111111111111111111"
      price: { perRequest: "0.29" }
    - network: eip155:1
      payTo: "0x1111111111111111111111111111111111111111"
      price: { perRequest: "3" }
      asset:
        address: "0x0B010000b7624eb9B3DfBC279673C76E9D29D5F7"
        symbol: TOKEN
        decimals: 18
        eip712Name: Token
        eip712Version: "1"
  routes:
    - path: /v1/chat
      methods: [POST]
      summary: Answers a question.
    - path: /v1/models
      gate: free
    - path: /v1/images/*
      price: { perRequest: "1" }
  registration: { enabled: true, name: "A name that is longer than thirty-two characters" }
---
apiVersion: obol.org/v1alpha1
kind: ServiceOffer
metadata: { name: tokens, namespace: demo }
spec:
  payment:
    network: base
    payTo: "0x1111111111111111111111111111111111111111"
    price: { perMTok: "0.40" }
  registration: { enabled: true }
"#;

#[tokio::test]
async fn the_x402_packages_read_both_lists_and_every_price() {
    let offers = tempfile::tempdir().unwrap();
    fs::write(offers.path().join("offers.yaml"), OFFERS).unwrap();
    let server = Server::start(&[
        "--offers",
        offers.path().to_str().unwrap(),
        "--public-url",
        "https://agents.example",
        "--x402-discovery",
    ])
    .await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    let read = read(&server.public).await;
    let item = |path: &str, network: &str, amount: &str, is_default: bool| {
        let resource = format!("https://agents.example{path}");
        json!({ "resource": resource, "network": network, "amount": amount, "isDefault": is_default })
    };
    let draining = "/services/draining/v1";
    let expected = json!([
        item("/services/chat", "eip155:8453", "10000", true),
        item(&format!("{draining}/chat"), "eip155:84532", "290000", true),
        item(&format!("{draining}/chat"), "eip155:1", "3000000000000000000", false),
        item(&format!("{draining}/images"), "eip155:84532", "1000000", true),
    ]);
    assert_eq!(read["listed"], expected);
    assert_eq!(read["host"], expected);
    same_usdc_as_documented(&read["usdc"]);
}

/// Compares the table of docs/x402.md, which is that of the code, with the packages, both ways.
fn same_usdc_as_documented(known: &Value) {
    let known: BTreeSet<String> = known
        .as_array()
        .unwrap()
        .iter()
        .map(|asset| {
            assert_eq!(
                (&asset["decimals"], &asset["version"]),
                (&json!(6), &json!("2")),
                "{asset}"
            );
            format!("{} {} {}", text(asset, "network"), text(asset, "asset"), text(asset, "name"))
        })
        .collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/x402.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `eip155:"));
    let cells = rows.map(|row| row.split('|').map(|cell| cell.trim().trim_matches('`')));
    let rows = cells.map(|cells| cells.collect::<Vec<_>>()).filter(|cells| !cells[3].is_empty());
    let documented: BTreeSet<String> =
        rows.map(|cells| format!("{} {} {}", cells[1], cells[3], cells[4])).collect();
    assert_eq!(documented, known);
}
