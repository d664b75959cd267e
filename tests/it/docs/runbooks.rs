//! Each runbook, followed to the letter: its marked commands are run in order, and its promises are
//! checked.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use alloy::primitives::U256;
use serde_json::{Value, json};

use crate::support::stage::{Stage, agent};
use crate::{
    support::chain::IdentityRegistry::{getAgentWalletCall, setAgentURICall, transferFromCall},
    support::process::{Printed, Server, command, eventually, text, unset},
};

const MARK: &str = "<!-- tested -->\n";

/// The number of decisions after which an unknown pending transaction is replaced, and the fee of a
/// known one raised.
const BUMP_AFTER_DECISIONS: u32 = 10;

/// A runbook's commands.
pub(super) struct Page {
    pub(super) tested: std::vec::IntoIter<String>,
    by_hand: Vec<String>,
}

impl Page {
    pub(super) fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/runbooks/{name}.md"));
        let page = fs::read_to_string(path).unwrap();
        let (mut tested, mut by_hand) = (Vec::new(), Vec::new());
        let mut before = "";
        for (at, part) in page.split("```").enumerate() {
            match part.strip_prefix("sh\n") {
                Some(script) if at % 2 == 1 && before.ends_with(MARK) => {
                    tested.push(script.to_owned());
                }
                Some(script) if at % 2 == 1 => by_hand.push(script.to_owned()),
                Some(_) | None => assert!(at % 2 == 0, "{name}: {part}"),
            }
            before = part;
        }
        Self { tested: tested.into_iter(), by_hand }
    }

    fn next(&mut self) -> String {
        self.tested.next().unwrap()
    }

    /// Whether the page has this command for the reader to run by hand.
    fn instructs(&self, words: &str) -> bool {
        self.by_hand.iter().any(|script| script.contains(words))
    }

    /// Asserts that every marked block was run.
    fn finish(mut self) {
        assert_eq!(self.tested.next(), None);
    }
}

/// The stage's settings as environment variables.
pub(super) fn environment(stage: &Stage) -> Vec<(String, String)> {
    let settings = stage.settings();
    let mut settings = settings.iter().peekable();
    let mut environment = Vec::new();
    while let Some(flag) = settings.next() {
        let name = flag.trim_start_matches('-').replace('-', "_").to_uppercase();
        let value = settings.next_if(|value| !value.starts_with("--"));
        environment.push((
            format!("REGISTRAR_{name}"),
            value.map_or_else(|| "true".to_owned(), String::to_owned),
        ));
    }
    environment
}

/// Runs a block as typed, with the variables that the page presupposes.
pub async fn shell(stage: &Stage, script: &str) -> Printed {
    let folder = stage.dir.path().to_str().unwrap();
    let script = script.replace("/var/lib/registrar", folder);
    let binary = Path::new(env!("CARGO_BIN_EXE_registrar")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([binary].into_iter().chain(std::env::split_paths(&path)));
    let mut shell = tokio::process::Command::from(unset(Command::new("sh")));
    shell.args(["-euc", &script]).current_dir(folder).env("PATH", path.unwrap());
    shell.envs(environment(stage));
    shell.env("OLD_ACCOUNT", stage.account.to_string());
    shell.env("NEW_SIGNER", format!("development-key-file:{folder}/second-key"));
    let Output { stdout, stderr, status } = shell.output().await.unwrap();
    let printed = Printed {
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
        code: status.code(),
    };
    assert_eq!(printed.code, Some(0), "{script}\n{}\n{}", printed.stdout, printed.stderr);
    printed
}

/// `env -u REGISTRAR_ANCHOR registrar serve`, on free ports.
async fn serve_without_anchoring(stage: &Stage) -> Server {
    let ports = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut command = command(&[&ports[..], &["--shutdown-delay", "0"]].concat());
    let environment = environment(stage).into_iter();
    command.envs(environment.filter(|(name, _)| name != "REGISTRAR_ANCHOR"));
    Server::launch(command).await
}

/// A document's `registrations` with this id alone.
fn ids(stage: &Stage, id: u64) -> Value {
    json!([{ "agentId": id, "agentRegistry": format!("eip155:31337:{}", stage.registry) }])
}

async fn shows(server: &Server, registrations: &Value) {
    eventually("the id is shown", async || {
        server.document().await["registrations"] == *registrations
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lost_journal_page_rebuilds_it_without_a_mint() {
    let (stage, mut page) = (Stage::new().await, Page::read("lost-journal"));
    stage.settle(&[]).await;
    let sent = stage.node.transaction_count(stage.account, "latest").await;
    fs::write(stage.path("journal"), "{}").unwrap();
    let server = stage.serve(&[]).await;
    eventually("serve reports it and keeps serving", async || {
        agent(&server).await["anchoring"][0]["reason"] == "JournalRefused"
    })
    .await;
    assert!(server.log().contains("journal"), "{}", server.log());
    assert_eq!(server.document().await["active"], true);
    let health = server.admin("/readyz?verbose").await.text().await.unwrap();
    assert!(health.contains("JournalRefused"), "{health}");
    drop(server);

    let status = shell(&stage, &page.next()).await;
    assert!(status.stderr.contains("corrupt"), "{}", status.stderr);
    assert!(status.stdout.contains("refused, see the message above"), "{}", status.stdout);
    shell(&stage, &page.next()).await;
    let plan = shell(&stage, &page.next()).await.stdout;
    assert!(!plan.contains("register(") && !plan.contains("would sign"), "{plan}");
    shell(&stage, &page.next()).await;
    let status = shell(&stage, &page.next()).await.stdout;
    assert!(status.contains("default: agentId 0 Anchored"), "{status}");
    page.finish();
    assert_eq!(fs::read_to_string(stage.path("journal.refused")).unwrap(), "{}");
    stage.settle(&[]).await;
    assert_eq!(stage.node.transaction_count(stage.account, "latest").await, sent);
    assert_eq!(stage.balance().await, U256::from(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_a_lost_journal_is_waited_for_and_then_replaced_at_its_nonce() {
    let stage = Stage::still().await;
    stage.once(&[]);
    fs::remove_file(stage.path("journal")).unwrap();
    for decision in 0..BUMP_AFTER_DECISIONS {
        stage.once(&[]);
        assert_eq!(stage.reason("default"), "PendingUnknown", "{decision}");
    }
    stage.once(&[]);
    assert_eq!(stage.status()["openSlot"]["nonce"], 0);
    // Either transaction may win the nonce, and one does.
    for _ in 0..4 {
        stage.node.mine(3).await;
        stage.once(&[]);
    }
    assert_eq!(
        (stage.reason("default"), stage.balance().await),
        ("Anchored".into(), U256::from(1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lost_key_page_serves_on_and_leads_to_a_new_identity_that_was_asked_for() {
    let (stage, mut page) = (Stage::new().await, Page::read("lost-key"));
    stage.settle(&[]).await;
    fs::remove_file(stage.path("key")).unwrap();
    let refused = stage.anchor(&["run", "--once"], &[]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--signer"), "{}", refused.stderr);

    assert!(page.instructs("env -u REGISTRAR_ANCHOR registrar serve\n"));
    let server = serve_without_anchoring(&stage).await;
    shows(&server, &ids(&stage, 0)).await;
    let status = shell(&stage, &page.next()).await.stdout;
    assert!(status.contains("Anchored") && !status.contains("in flight: nonce"), "{status}");
    let held = shell(&stage, &page.next()).await.stdout;
    assert!(held.contains("NotOwner") && !held.contains("register("), "{held}");
    let asked = shell(&stage, &page.next()).await.stdout;
    assert!(asked.contains("would sign for default: register("), "{asked}");
    assert!(asked.contains("nonce 0,"), "{asked}");
    let run = page.next();
    for _ in 0..3 {
        shell(&stage, &run).await;
        stage.node.mine(3).await;
    }
    page.finish();
    // The old token still leads to the document, which names another id.
    assert_eq!((stage.balance().await, stage.uri(0).await), (U256::from(1), stage.uri(1).await));
    shows(&server, &ids(&stage, 1)).await;
    assert_eq!(
        agent(&server).await["anchoring"],
        json!([{ "agentRegistry": ids(&stage, 1)[0]["agentRegistry"], "reason": "Anchored" }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_replaced_key_page_moves_the_token_and_mints_nothing() {
    let (stage, mut page) = (Stage::new().await, Page::read("replaced-key"));
    stage.settle(&[]).await;
    let second = stage.node.account(1).await;
    let status = shell(&stage, &page.next()).await.stdout;
    assert!(status.contains("Anchored") && !status.contains("in flight: nonce"), "{status}");
    let held = shell(&stage, &page.next()).await.stdout;
    assert!(held.contains("NotOwner") && !held.contains("would sign"), "{held}");
    let run = page.next();
    shell(&stage, &run).await;
    let server = serve_without_anchoring(&stage).await;
    shows(&server, &ids(&stage, 0)).await;
    assert_eq!(agent(&server).await["anchoring"][0]["reason"], "NotOwner");

    assert!(page.instructs("\"transferFrom(address,address,uint256)\""));
    let transfer = transferFromCall { from: stage.account, to: second, agentId: U256::ZERO };
    stage.node.send_as(stage.account, stage.registry, transfer).await;
    stage.node.mine(3).await;
    let wallet = getAgentWalletCall { agentId: U256::ZERO };
    let wallet = stage.node.call_contract(stage.registry, wallet).await.unwrap();
    assert!(wallet.is_zero(), "a transfer clears the wallet");
    shell(&stage, &run).await;
    let status = shell(&stage, &page.next()).await.stdout;
    assert!(status.contains("default: agentId 0 Anchored"), "{status}");
    assert!(!status.contains("NotOwner"), "{status}");
    page.finish();
    assert_eq!(stage.node.transaction_count(second, "latest").await, 0, "nothing was sent");
    shows(&server, &ids(&stage, 0)).await;
    eventually("it is anchored", async || {
        agent(&server).await["anchoring"][0]["reason"] == "Anchored"
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_retired_agent_page_sends_nothing_and_keeps_the_id_on_a_tombstone() {
    let (stage, mut page) = (Stage::new().await, Page::read("retired-agent"));
    stage.settle(&[]).await;
    stage.offers(&[]);
    let plan = shell(&stage, &page.next()).await.stdout;
    assert!(plan.contains("agentId 0 Anchored") && !plan.contains("would sign"), "{plan}");
    assert_eq!(page.tested.next(), None);
    assert!(page.instructs("env -u REGISTRAR_ANCHOR registrar serve\n"));
    let server = serve_without_anchoring(&stage).await;
    shows(&server, &ids(&stage, 0)).await;
    let tombstone = server.document().await;
    assert_eq!((&tombstone["active"], &tombstone["services"]), (&json!(false), &json!([])));
    assert!(text(&tombstone, "description").contains("deactivated"), "{tombstone}");

    // Anchoring sets back a URI that was set by hand, which is why the page stops anchoring first.
    assert!(page.instructs("\"setAgentURI(uint256,string)\""));
    let elsewhere = "https://archive.example/tombstone.json".to_owned();
    let call = setAgentURICall { agentId: U256::ZERO, newURI: elsewhere.clone() };
    stage.node.send_as(stage.account, stage.registry, call).await;
    stage.node.mine(3).await;
    assert_eq!(stage.uri(0).await, elsewhere, "it is unchanged while anchoring is stopped");
    stage.settle(&[]).await;
    assert_ne!(stage.uri(0).await, elsewhere);
}

#[test]
fn every_command_of_a_runbook_is_run_or_known_to_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    for page in fs::read_dir(folder).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        let page = Page::read(name.strip_suffix(".md").unwrap());
        for script in page.by_hand {
            let known = [
                "env -u REGISTRAR_ANCHOR registrar serve\n",
                "cast send ",
                "curl -s http://127.0.0.1:8004/.well-known/agent-registration.json\n",
                // Of the alerts' pages: what the cluster, an endpoint or a signer itself says.
                "curl -sS -o /dev/null -w '%{http_code}\\n' \"$SIGNER_URL\"\n",
                "kubectl ",
                "curl -s -H 'content-type: application/json' \"$RPC_URL\"",
            ];
            assert!(known.iter().any(|known| script.starts_with(known)), "{name}: {script}");
        }
    }
}
