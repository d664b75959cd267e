//! The crash protocol: the real binary is killed at every point that can be seen from outside,
//! among faults of the node, the network, the journal and the key; when all is quiet, each agent is
//! on chain exactly once.
//!
//! A history is drawn from a seed and nothing else. `REGISTRAR_CRASH_SEED` names the first seed
//! (one history, unless `REGISTRAR_CRASH_HISTORIES` says how many). Two runs of a seed share the
//! draw, not every instant of the processes.

mod actor;
mod draw;
mod oracle;
mod play;
mod point;

use std::collections::BTreeMap;

use alloy::primitives::{Bytes, U256};
use serde_json::json;

use self::{
    draw::History,
    oracle::{Objection, Outcome},
    play::{Play, Report, play},
    point::Point,
};
use crate::support::stage::URL;
use crate::{
    support::chain::IdentityRegistry::{self, MetadataEntry},
    support::histories::Histories,
    support::process::eventually,
    support::proxy::Fault,
};

/// They wait for processes more than they compute.
const HISTORIES: Histories = Histories { name: "CRASH", seeds: 1..61, at_once: 4 };

#[test]
fn whenever_it_is_killed_each_agent_is_on_chain_exactly_once() {
    let played = |history: &History| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(history))
    };
    let mut points: BTreeMap<Point, (u32, u32)> = BTreeMap::new();
    let verdict = HISTORIES.play(History::draw, played, |report: Report| {
        for (point, is_reached) in report {
            let (reached, missed) = points.entry(point).or_default();
            *(if is_reached { reached } else { missed }) += 1;
        }
    });
    for (point, (reached, missed)) in &points {
        println!("{}: {reached} stopped there, {missed} never came there", point.name());
    }
    assert_eq!(verdict, Ok(()));
}

/// A rival and a host, and nothing goes wrong.
fn calm() -> History {
    History {
        hosts: 1,
        has_rival: true,
        endpoints: 1,
        rotates_after: None,
        lives: Vec::new(),
        depth: None,
        ..History::draw(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oracle_sees_what_must_not_be() {
    let history = calm();
    let play = Play::in_peace(&history).await;
    let outcome = play.outcome(&history).await;
    assert_eq!((outcome.objections(), outcome.mints.len()), (Vec::new(), 2));

    let (stage, key) = (&play.stage, outcome.keys["default"]);
    let mint = |key: &[u8]| IdentityRegistry::register_2Call {
        agentURI: "https://agents.example/other".to_owned(),
        metadata: vec![MetadataEntry {
            metadataKey: crate::support::anchor_key::KEY_METADATA.to_owned(),
            metadataValue: Bytes::copy_from_slice(key),
        }],
    };
    // Somebody else's mint with our key is nothing to us; ours is a second one, and one of another
    // key an orphan.
    let stranger = stage.node.account(1).await;
    stage.node.send_as(stranger, stage.registry, mint(&key)).await;
    assert_eq!(play.outcome(&history).await.objections(), []);
    stage.node.send_as(stage.account, stage.registry, mint(&key)).await;
    stage.node.send_as(stage.account, stage.registry, mint(&[7; 20])).await;
    let seen = play.outcome(&history).await.objections();
    let twice = vec![U256::ZERO, U256::from(3)];
    assert!(seen.contains(&Objection::MintedTwice("default".to_owned(), twice)), "{seen:?}");
    assert!(seen.contains(&Objection::Orphan(U256::from(3))), "{seen:?}");
    assert!(seen.contains(&Objection::Orphan(U256::from(4))), "{seen:?}");

    wrong_in(&outcome, "an id", |outcome| {
        outcome.told[1].1.insert("default".to_owned(), Some(U256::from(9)));
    });
    wrong_in(&outcome, "an id that is missing", |outcome| {
        outcome.told[0].1.insert("default".to_owned(), None);
    });
    wrong_in(&outcome, "an id that was believed", |outcome| {
        outcome.believed.insert(("default".to_owned(), U256::from(1)));
    });
    wrong_in(&outcome, "a mint that is missing", |outcome| {
        outcome.mints.remove(0);
    });
    wrong_in(&outcome, "a mint that no journal knows", |outcome| {
        outcome.told.iter_mut().for_each(|(_, told)| {
            told.remove("default");
        });
    });
    wrong_in(&outcome, "a nonce that was never used", |outcome| {
        outcome.accounts.values_mut().for_each(|count| *count = 1);
    });
    wrong_in(&outcome, "another contract", |outcome| outcome.registry = stranger);
    wrong_in(&outcome, "another signer", |outcome| {
        outcome.accounts = [(stranger, 9)].into();
    });
    wrong_in(&outcome, "a fee", |outcome| outcome.ceiling = 1);
    wrong_in(&outcome, "bytes that were not written down", |outcome| {
        outcome.unwritten = outcome.raw.clone();
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_once_left_out_is_read_again() {
    let play = Play::in_peace(&calm()).await;
    let actor = &play.actors[0];
    let reason = || actor.lane()["agents"]["default"]["reason"].clone();
    // The journal keeps the events, so they are read again only without it.
    std::fs::remove_file(&actor.journal).unwrap();
    actor.proxy.on("eth_getLogs").times(1).then(Fault::rewrite(|_| json!([])));
    let mut child = actor.start(true, URL);
    eventually("the view is short", async || reason() == "ViewShort").await;
    eventually("it is whole", async || reason() == "Anchored").await;
    actor.kill(&mut child).await;
}

fn wrong_in(outcome: &Outcome, what: &str, change: impl FnOnce(&mut Outcome)) {
    let mut outcome = outcome.clone();
    change(&mut outcome);
    assert_ne!(outcome.objections(), [], "{what}");
}
