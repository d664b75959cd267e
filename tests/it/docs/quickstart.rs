//! `make run-anchored`: a first run on a local chain, and that nothing of it remains.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::support::process::{Server, eventually, text, unset};
use crate::support::stage::{agent, free_port};

/// `scripts/run-anchored` with the binary under test, serving at `listen`, with temporary files and
/// the home folder in `temporary`.
fn script(listen: &str, temporary: &Path) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Whoever runs the tests may ignore SIGINT, and bash cannot trap a signal that it finds ignored.
    let mut script = unset(Command::new("env"));
    script.args([
        "--default-signal=INT,TERM,HUP".as_ref(),
        root.join("scripts/run-anchored").as_os_str(),
    ]);
    script.arg(env!("CARGO_BIN_EXE_registrar"));
    script.env("REGISTRAR_LISTEN", listen).env("REGISTRAR_ADMIN_LISTEN", "127.0.0.1:0");
    script.env("TMPDIR", temporary).env("HOME", temporary);
    script
}

/// The command lines of processes that were started with this folder for temporary files. A process
/// that has ended and was not waited for has no environment, so it does not count.
fn processes(temporary: &Path) -> Vec<String> {
    let marker = format!("TMPDIR={}\0", temporary.display());
    let folders = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let read = |folder: &Path, file: &str| {
        String::from_utf8_lossy(&fs::read(folder.join(file)).unwrap_or_default()).into_owned()
    };
    folders
        .filter(|folder| read(folder, "environ").contains(&marker))
        .map(|folder| read(&folder, "cmdline").replace('\0', " "))
        .collect()
}

/// Waits until no process and no file of the script is left.
async fn nothing_remains(temporary: &Path, case: &str) {
    eventually(&format!("{case}: every process has ended"), async || {
        processes(temporary).is_empty()
    })
    .await;
    let files: Vec<_> = fs::read_dir(temporary).unwrap().collect();
    assert!(files.is_empty(), "{case}: {files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_anchored_prints_the_uri_from_the_chain_and_the_document_with_its_id() {
    let temporary = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let server = Server::launch(script(&listen, temporary.path())).await;
    assert_eq!(server.public, format!("http://{listen}"));
    eventually("the hints are printed", async || server.log().contains("Press Ctrl-C")).await;
    let anchored = agent(&server).await;
    assert_eq!(anchored["anchoring"][0]["reason"], "Anchored", "{anchored}");
    // The last command that it suggests contains the node, the registry and the id.
    let log = server.log();
    let (_, arguments) = log.split_once("agent-uri.mjs ").unwrap();
    let [rpc, registry, id] = arguments.split_whitespace().take(3).collect::<Vec<_>>()[..] else {
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
    assert!(reqwest::get(&rpc).await.unwrap_err().is_connect(), "the node has ended");
    nothing_remains(temporary.path(), "SIGINT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_anchored_leaves_nothing_behind_whenever_it_is_ended() {
    let seed = std::process::id();
    println!("seed {seed}");
    let signals = ["-INT", "-TERM", "-HUP", "-KILL", "-INT", "-KILL"];
    let rounds = signals.iter().enumerate().map(|(round, signal)| {
        let drawn = blake3::hash(format!("{seed} {round}").as_bytes());
        let [low, high, ..] = drawn.as_bytes();
        ends_without_a_trace(signal, u64::from(u16::from_be_bytes([*low, *high])) % 6_000)
    });
    futures::future::join_all(rounds).await;
}

/// Starts the script, and sends it a signal after so many milliseconds.
async fn ends_without_a_trace(signal: &str, delay: u64) {
    let case = format!("{signal} after {delay} ms");
    println!("{case}");
    let temporary = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut child = tokio::process::Command::from(script(&listen, temporary.path()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let by_itself = tokio::time::timeout(Duration::from_millis(delay), child.wait()).await;
    assert!(by_itself.is_err(), "{case}: it ended by itself: {by_itself:?}");
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success(), "{case}");
    let mut ended = None;
    eventually(&format!("{case}: the script ends"), async || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    })
    .await;
    nothing_remains(temporary.path(), &case).await;
    assert!(std::net::TcpStream::connect(&listen).is_err(), "{case}: the server has ended");
}
