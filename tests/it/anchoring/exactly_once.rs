//! Histories in which every decision obeys the nonce rule and an agent could still be minted twice:
//! a replaced key, a node that leaves out events, an identity that cannot be read, an adopted token
//! that is given away.

use alloy::primitives::{Address, U256};
use serde_json::{Value, json};

use super::faulty::{Faulty, METADATA_SET, REGISTERED, drops_logs_before, lies, stands};
use crate::support::{
    anchor_key::{KEY_METADATA, anchor_key},
    chain::IdentityRegistry::{self, MetadataEntry},
    process::eventually,
    proxy::Fault,
    resource::offer,
};

const DOCUMENT: &str = "https://agents.example/.well-known/agent-registration.json";

/// An AgentIdentity with these registrations, whatever they are.
pub fn identity(registrations: &Value) -> Value {
    json!({
        "apiVersion": "obol.org/v1alpha1", "kind": "AgentIdentity",
        "metadata": { "namespace": "x402", "name": "default" },
        "status": { "registrations": registrations },
    })
}

/// The settings of the second key, with the first account as a former one.
fn rotated(world: &Faulty) -> [String; 4] {
    let signer = format!("development-key-file:{}", world.path("second-key").display());
    let former = world.account.to_checksum(None);
    ["--signer".to_owned(), signer, "--former-account".to_owned(), former]
}

fn words(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
}

/// How many tokens of the registry were ever minted with the default agent's κ by one of two
/// accounts.
async fn all_mints(world: &Faulty) -> usize {
    let second = world.node.account(1).await;
    let owners = [world.account.into_word(), second.into_word()];
    let logs = world.node.logs(world.registry).await;
    let registered = logs.iter().filter(|logged| {
        let topics = logged.log.topics();
        topics[0] == REGISTERED && owners.contains(&topics[2])
    });
    registered.count()
}

async fn give(world: &Faulty, id: u64, to: Address) {
    let given =
        IdentityRegistry::transferFromCall { from: world.account, to, agentId: U256::from(id) };
    world.node.send_as(world.account, world.registry, given).await;
}

/// A stranger's agent: the registry's first.
async fn strangers_agent(world: &Faulty) {
    let stranger = world.node.account(2).await;
    let register = IdentityRegistry::register_1Call { agentURI: "https://a.example".to_owned() };
    world.node.send_as(stranger, world.registry, register).await;
    world.node.mine(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mint_of_a_replaced_key_that_may_still_land_holds_back_the_new_account() {
    let world = Faulty::still().await;
    world.step(&[]).await;
    assert_eq!((world.nonce(), world.sent()), (Some(0), 1));
    world.node.call("anvil_dropAllTransactions", json!([])).await;
    // The nodes take nothing: the old bytes are in the journal and nowhere else.
    world.refuse_all("the pool is closed");
    let rotated = rotated(&world);
    let with = words(&rotated);
    for _ in 0..4 {
        world.anchor(&["run", "--once"], &with);
        world.node.mine(3).await;
        assert_eq!(world.plan(&with)["agents"][0]["reason"], "FormerAccountBusy");
    }
    let second = world.node.account(1).await;
    assert_eq!(world.node.transaction_count(second, "pending").await, 0);
    // The old bytes are sent again, land, and are final: there is one mint, of the former account.
    world.proxy.lift();
    for _ in 0..3 {
        world.anchor(&["run", "--once"], &with);
        world.node.mine(3).await;
    }
    assert_eq!((all_mints(&world).await, world.mints().await), (1, 1));
    assert_eq!(world.plan(&with)["agents"][0]["reason"], "NotOwner");
    assert_eq!(world.node.transaction_count(second, "pending").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_former_account_has_pending_holds_back_the_new_one_without_a_journal() {
    let world = Faulty::still().await;
    world.step(&[]).await;
    std::fs::remove_file(world.path("journal")).unwrap();
    let rotated = rotated(&world);
    let with = words(&rotated);
    world.anchor(&["run", "--once"], &with);
    assert_eq!(world.plan(&with)["agents"][0]["reason"], "FormerAccountBusy");
    world.node.mine(1).await;
    world.anchor(&["run", "--once"], &with);
    assert_eq!(world.plan(&with)["agents"][0]["reason"], "FormerAccountBusy", "not final");
    world.node.mine(3).await;
    world.anchor(&["run", "--once"], &with);
    assert_eq!(world.plan(&with)["agents"][0]["reason"], "NotOwner");
    assert_eq!(all_mints(&world).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_former_nonce_that_another_transaction_used_up_frees_the_new_account() {
    let world = Faulty::still().await;
    world.step(&[]).await;
    world.node.call("anvil_dropAllTransactions", json!([])).await;
    world.refuse_all("the pool is closed");
    let rotated = rotated(&world);
    let with = words(&rotated);
    world.anchor(&["run", "--once"], &with);
    world.proxy.lift();
    let hash = world.node.submit(world.account, Some(world.account), &[]).await;
    world.node.included(hash).await;
    world.node.mine(3).await;
    for _ in 0..4 {
        world.anchor(&["run", "--once"], &with);
        world.node.mine(3).await;
    }
    assert_eq!(world.plan(&with)["agents"][0]["reason"], "Anchored");
    assert_eq!((all_mints(&world).await, world.mints().await), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_liar_of_three_that_leaves_out_our_events_is_passed_over() {
    let mut world = Faulty::new().await;
    let others = world.joined_by(2).await;
    strangers_agent(&world).await;
    world.anchored(&[]).await;
    assert_eq!(world.recorded("default")["agentId"], "1");
    let journal = std::fs::read(world.path("journal")).unwrap();
    for liar in [&world.proxy, &others[0], &others[1]] {
        for has_journal in [true, false] {
            lies(liar, &[world.account]);
            match has_journal {
                true => std::fs::write(world.path("journal"), &journal).unwrap(),
                false => std::fs::remove_file(world.path("journal")).unwrap(),
            }
            for _ in 0..3 {
                world.step(&[]).await;
                let row = world.recorded("default");
                assert_eq!(
                    (&row["reason"], &row["agentId"], world.nonce()),
                    (&json!("Anchored"), &json!("1"), None),
                    "{has_journal}: {row}"
                );
                // Whoever asks the liar first finds it out, and says so; the others never ask it.
                let failing = world.status()["failingEndpoints"].clone();
                if std::ptr::eq(liar, &world.proxy) {
                    assert_eq!(failing[0]["endpoint"], "127.0.0.1 (endpoint 1)", "{failing}");
                    let words = if has_journal { "journal records" } else { "agentId 1" };
                    assert!(failing[0]["failure"].as_str().unwrap().contains(words), "{failing}");
                } else {
                    assert_eq!(failing, json!([]));
                }
                world.node.mine(3).await;
            }
            liar.lift();
        }
    }
    world.anchored(&[]).await;
    assert_eq!(
        (world.mints().await, world.recorded("default")["agentId"].clone()),
        (1, json!("1"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_endpoints_that_contradict_each_other_the_journal_knows_who_lies() {
    let mut world = Faulty::new().await;
    let others = world.joined_by(1).await;
    strangers_agent(&world).await;
    world.anchored(&[]).await;
    for liar in [&world.proxy, &others[0]] {
        lies(liar, &[world.account]);
        for _ in 0..2 {
            world.step(&[]).await;
            assert_eq!(world.reason("default"), "Anchored");
            world.node.mine(3).await;
        }
        liar.lift();
    }
    // Without one, it is one word against another, and nothing is believed of the first.
    std::fs::remove_file(world.path("journal")).unwrap();
    lies(&world.proxy, &[world.account]);
    for _ in 0..3 {
        let printed = world.step(&[]).await;
        assert_eq!((world.reason("default").as_str(), world.nonce()), ("NoQuorum", None));
        let words = "(endpoint 2) shows it as agentId 1";
        assert!(printed.stderr.contains(words), "{}", printed.stderr);
        world.node.mine(3).await;
    }
    lies(&others[0], &[world.account]);
    // Both lie: nobody is left to contradict them but the journal.
    world.proxy.lift();
    others[0].lift();
    world.anchored(&[]).await;
    lies(&world.proxy, &[world.account]);
    lies(&others[0], &[world.account]);
    world.node.mine(3).await;
    world.step(&[]).await;
    assert_eq!(world.reason("default"), "EvidenceContradictsJournal");
    assert_eq!(
        (world.recorded("default")["agentId"].clone(), world.mints().await),
        (json!("1"), 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lie_among_three_does_not_keep_a_new_agent_from_being_minted() {
    for liar in 0..3 {
        let mut world = Faulty::new().await;
        let others = world.joined_by(2).await;
        strangers_agent(&world).await;
        // The account has a past, so that its events matter.
        let hash = world.node.submit(world.account, Some(world.account), &[]).await;
        world.node.included(hash).await;
        world.node.mine(3).await;
        lies(if liar == 0 { &world.proxy } else { &others[liar - 1] }, &[world.account]);
        world.step(&[]).await;
        eventually("it is minted", async || world.mints().await == 1).await;
        world.node.mine(3).await;
        for _ in 0..3 {
            world.step(&[]).await;
            world.node.mine(3).await;
        }
        assert_eq!(world.mints().await, 1, "liar {liar}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_endpoints_both_must_confirm_that_an_agent_is_not_on_chain() {
    let mut world = Faulty::new().await;
    let others = world.joined_by(1).await;
    strangers_agent(&world).await;
    let hash = world.node.submit(world.account, Some(world.account), &[]).await;
    world.node.included(hash).await;
    world.node.mine(3).await;
    let broken = |params: &Value| params[0].is_object();
    others[0]
        .on("eth_getLogs")
        .when(broken)
        .then(Fault::JsonRpcError(-32_000, "no logs".to_owned()));
    let printed = world.step(&[]).await;
    assert_eq!((world.reason("default").as_str(), world.sent()), ("NoQuorum", 0));
    assert!(printed.stderr.contains("(endpoint 2)"), "{}", printed.stderr);
    others[0].lift();
    world.anchored(&[]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dropped_old_logs_in_silence_mints_nothing_again() {
    for first in ["a stranger's", "ours"] {
        let world = Faulty::new().await;
        if first != "ours" {
            strangers_agent(&world).await;
        }
        world.anchored(&[]).await;
        let journal = std::fs::read(world.path("journal")).unwrap();
        let id = world.recorded("default")["agentId"].as_str().unwrap().parse().unwrap();
        give(&world, id, world.node.account(1).await).await;
        world.node.mine(3).await;
        // Everything so far is forgotten without an error, and all that is left adds up.
        let height = world.node.block_number("latest").await;
        drops_logs_before(&world.proxy, height);
        let sent = world.sent();
        std::fs::write(world.path("journal"), &journal).unwrap();
        for _ in 0..3 {
            world.step(&[]).await;
            assert_eq!(world.reason("default"), "EvidenceContradictsJournal", "{first}");
            world.node.mine(3).await;
        }
        std::fs::remove_file(world.path("journal")).unwrap();
        for _ in 0..3 {
            let printed = world.step(&[]).await;
            assert_eq!(world.reason("default"), "ViewShort", "{first}: {}", printed.stderr);
            world.node.mine(3).await;
        }
        assert_eq!((world.sent(), world.mints().await), (sent, 1), "{first}");
        world.proxy.lift();
        world.step(&[]).await;
        assert_eq!(world.reason("default"), "NotOwner", "{first}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_whose_event_is_left_out_holds_a_gift_that_we_never_minted() {
    let world = Faulty::new().await;
    strangers_agent(&world).await;
    let stranger = world.node.account(2).await;
    let gift = IdentityRegistry::transferFromCall {
        from: stranger,
        to: world.account,
        agentId: U256::ZERO,
    };
    world.node.send_as(stranger, world.registry, gift).await;
    world.node.mine(3).await;
    world.anchored(&["--adopt", "eip155:31337=0"]).await;
    std::fs::remove_file(world.path("journal")).unwrap();
    let topic = METADATA_SET.to_string();
    let about_keys = move |params: &Value| params[0]["topics"].to_string().contains(&topic);
    let none = Fault::rewrite(|logs| {
        let key = METADATA_SET.to_string();
        let logs = logs.as_array().cloned().unwrap_or_default();
        logs.into_iter().filter(|log| log["topics"][0] != json!(key)).collect()
    });
    world.proxy.on("eth_getLogs").when(about_keys).then(none);
    for _ in 0..3 {
        world.step(&[]).await;
        assert_eq!(world.reason("default"), "ViewShort");
        world.node.mine(3).await;
    }
    assert_eq!(world.mints().await, 0);
    world.proxy.lift();
    world.anchored(&[]).await;
    assert_eq!(
        (world.mints().await, world.recorded("default")["agentId"].clone()),
        (0, json!("0"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_cannot_be_read_is_not_minted_beside() {
    let world = Faulty::new().await;
    let unreadable = [
        (json!([{ "chain": "eip155:31337", "agentId": "#7" }]), "#7"),
        (json!([{ "chain": "eip155:31337", "agentId": "0x7" }]), "0x7"),
        (json!([{ "chain": "atlantis", "agentId": "7" }]), "atlantis"),
        (json!({ "chain": "eip155:31337", "agentId": "7" }), "registrations"),
        (json!([{ "chain": 31337, "agentId": "7" }]), "chain"),
    ];
    for (registrations, words) in unreadable {
        world.offers(&[offer("llm/chat").0, identity(&registrations)]);
        world.step(&[]).await;
        assert_eq!(world.reason("default"), "IdentityUnclear", "{registrations}");
        let row = world.recorded("default");
        let message = row["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(world.sent(), 0);
    world.anchored(&["--mint-beside"]).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_token_that_is_given_away_is_not_minted_anew() {
    let world = Faulty::new().await;
    let register = IdentityRegistry::register_1Call { agentURI: "https://a.example".to_owned() };
    world.node.send_as(world.account, world.registry, register).await;
    world.node.mine(3).await;
    world.anchored(&["--adopt", "eip155:31337=0"]).await;
    give(&world, 0, world.node.account(1).await).await;
    world.node.mine(3).await;
    let sent = world.sent();
    for has_journal in [true, true, false, false] {
        if !has_journal {
            std::fs::remove_file(world.path("journal")).unwrap();
        }
        world.step(&[]).await;
        assert_eq!(world.reason("default"), "NotOwner");
        world.node.mine(3).await;
    }
    assert_eq!((world.sent(), world.mints().await), (sent, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_token_with_our_key_is_reported_and_the_older_one_is_kept() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    // Somebody else who has the key mints our agent once more.
    let key = anchor_key(world.registry, "default");
    let entry =
        MetadataEntry { metadataKey: KEY_METADATA.to_owned(), metadataValue: key.to_vec().into() };
    let again =
        IdentityRegistry::register_2Call { agentURI: DOCUMENT.into(), metadata: vec![entry] };
    world.node.send_as(world.account, world.registry, again).await;
    world.node.mine(3).await;
    world.step(&[]).await;
    let row = world.recorded("default");
    assert_eq!((&row["reason"], &row["agentId"]), (&json!("DuplicateMint"), &json!("0")));
    assert!(row["message"].as_str().unwrap().contains("agentId 1"), "{row}");
    let server = world.serve(&[]).await;
    stands(&server, &world.node, "DuplicateMint").await;
    assert_eq!(server.document().await["registrations"][0]["agentId"], 0);
    let counted = "registrar_anchor_duplicate_mints{chain=\"eip155:31337\"} 1";
    eventually("it is counted", async || {
        server.admin("/metrics").await.text().await.unwrap().contains(counted)
    })
    .await;
    give(&world, 1, world.node.account(1).await).await;
    stands(&server, &world.node, "Anchored").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_is_known_is_named_with_the_flag_to_give_unless_it_was_given_away() {
    let world = Faulty::new().await;
    let register = IdentityRegistry::register_1Call { agentURI: DOCUMENT.to_owned() };
    world.node.send_as(world.account, world.registry, register).await;
    world.node.mine(3).await;
    world.step(&[]).await;
    let message = || world.recorded("default")["message"].as_str().unwrap().to_owned();
    assert_eq!(world.reason("default"), "AdoptFirst");
    assert!(message().contains("agentId 0 ") && message().contains("--adopt eip155:31337=0"));
    give(&world, 0, world.node.account(1).await).await;
    world.node.mine(3).await;
    world.step(&[]).await;
    assert_eq!(world.reason("default"), "AdoptFirst");
    assert!(message().contains("Mint a new one with --mint-beside"), "{}", message());
    assert!(!message().contains("Take it over"), "{}", message());
}
