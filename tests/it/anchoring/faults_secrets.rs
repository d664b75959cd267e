//! K1: keys and the secrets of RPC URLs stand in nothing that is said. Every run of the other files
//! is searched too.

use super::faulty::{Faulty, secretive, server_tells_nothing};
use crate::support::{
    process::{command, eventually},
    proxy::Fault,
    stage::{RPC_SECRETS, tells_nothing},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_repeats_our_url_or_key_is_quoted_without_it() {
    let world = Faulty::new().await;
    // Without a history there would be no logs to ask for.
    world.anchored(&[]).await;
    let moved = ["--public-url", "https://moved.example"];
    let [_, _, path, query] = RPC_SECRETS;
    let page = format!("Cannot POST /v2/{path}?apikey={query}");
    let words = format!("project {path} at {} is out of credits", secretive(&world.proxy.url()));
    let faults = [
        Fault::Status(404, page, Vec::new()),
        Fault::JsonRpcError(-32_000, words),
        Fault::LoseReply,
        Fault::CutJson,
    ];
    for method in ["eth_chainId", "eth_getLogs", "eth_estimateGas", "eth_sendRawTransaction"] {
        // A transaction whose reply was lost is there, so nothing is sent after that.
        let count = if method == "eth_sendRawTransaction" { 3 } else { 4 };
        for fault in &faults[..count] {
            if method == "eth_getLogs" {
                std::fs::remove_file(world.path("journal")).unwrap();
            }
            world.proxy.on(method).then(fault.clone());
            let printed = world.step(&moved).await;
            assert!(printed.stderr.contains("127.0.0.1 (endpoint 1)"), "{}", printed.stderr);
            world.plan(&moved);
            world.proxy.lift();
            if method == "eth_sendRawTransaction" {
                world.node.mine(3).await;
            }
        }
    }
    world.proxy.set_down(true);
    let printed = world.step(&[]).await;
    assert!(printed.stderr.contains("127.0.0.1 (endpoint 1)"), "{}", printed.stderr);
    tells_nothing(&world.anchor(&["status"], &[]).stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_no_secret_while_its_node_fails_and_while_it_works() {
    let world = Faulty::new().await;
    let [_, _, path, _] = RPC_SECRETS;
    world.proxy.on_any().then(Fault::Status(403, format!("{path} is blocked"), Vec::new()));
    let server = world.serve(&[]).await;
    eventually("it is held", async || {
        crate::support::stage::agent(&server).await["anchoring"][0]["reason"] == "Unreachable"
    })
    .await;
    server_tells_nothing(&server).await;
    world.proxy.lift();
    eventually("it mints", async || world.mints().await == 1).await;
    server_tells_nothing(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_talkative_log_tells_no_secret() {
    let world = Faulty::new().await;
    let settings = world.settings();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut run = command(&[&["anchor", "run", "--once"], &settings[..]].concat());
    let printed = run.env("RUST_LOG", "trace").output().unwrap();
    let log = String::from_utf8(printed.stderr).unwrap();
    assert!(log.contains("TRACE"), "{log}");
    tells_nothing(&log);
    eventually("it is minted", async || world.mints().await == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_refused_repeat_no_secret() {
    let world = Faulty::new().await;
    let url = secretive("http://127.0.0.1:1");
    let ftp = url.replace("http:", "ftp:");
    let file = world.path("urls");
    std::fs::write(&file, format!("{url}\n{ftp}\n")).unwrap();
    let raw = std::fs::read_to_string(world.path("key")).unwrap();
    std::fs::write(world.path("bad-key"), raw.trim().replace("0x", "0y")).unwrap();
    let bad: [[String; 2]; 5] = [
        ["--rpc-url".into(), ftp.clone()],
        ["--rpc-url".into(), format!("eip155:31337={ftp}")],
        ["--rpc-url".into(), format!("eip155:31337=@{}", file.display())],
        ["--rpc-url".into(), format!("eip155:31337={}", url.replace("127.0.0.1", "[bad"))],
        ["--signer".into(), format!("development-key-file:{}", world.path("bad-key").display())],
    ];
    for [name, value] in &bad {
        let refused = world.anchor(&["run", "--once"], &[name, value]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        assert!(refused.stderr.contains(name.as_str()), "{}", refused.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_for_a_chain_that_is_none_stops_the_start() {
    let world = Faulty::new().await;
    let misspelled = [
        ["--finality", "sepolai=safe"],
        ["--max-fee-gwei", "sepolai=1"],
        ["--daily-budget-ether", "sepolai=1"],
        ["--accept-registry", "sepolai=0x00"],
    ];
    for [name, value] in misspelled {
        let refused = world.anchor(&["run", "--once"], &[name, value]);
        assert_eq!(refused.code, Some(2), "{}", refused.stderr);
        for part in [name, "does not name a chain"] {
            assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
        }
    }
}
