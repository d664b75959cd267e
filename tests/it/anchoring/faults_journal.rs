//! S1 to S5, S7 and S8: a journal that is shared, lost, old, edited, or long.

use std::{
    fs,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use super::faulty::{Faulty, server_tells_nothing, stands};
use crate::support::{
    process::{Server, eventually},
    resource::offer,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_writer_is_refused_and_serving_goes_on() {
    let world = Faulty::new().await;
    let first = world.serve(&[]).await;
    eventually("the first anchors", async || world.mints().await == 1).await;
    let second = world.anchor(&["run", "--once"], &[]);
    assert_eq!(second.code, Some(1));
    assert!(second.stderr.contains("in use by another process"), "{}", second.stderr);
    let third = world.serve(&[]).await;
    let told = async |server: &Server| {
        let anchored = crate::support::stage::agent(server).await["anchoring"][0]["reason"].clone();
        (anchored, server.document().await["registrations"].clone())
    };
    let anchored = || json!("Anchored");
    eventually("both show the id that the first has learned", async || {
        world.node.mine(1).await;
        let (first, third) = (told(&first).await, told(&third).await);
        first.0 == anchored() && first == third && first.1[0]["agentId"] == 0
    })
    .await;
    assert_eq!(third.admin("/readyz").await.status(), 200);
    server_tells_nothing(&third).await;
    // Whoever gets the lock goes on.
    drop(first);
    let moved = ["--public-url", "https://moved.example"];
    drop(third);
    let third = world.serve(&moved).await;
    eventually("the journal is taken over", async || {
        world.node.mine(1).await;
        world.uri(0).await.starts_with("https://moved.example")
    })
    .await;
    drop(third);
    world.anchored(&moved).await;
    assert_eq!(world.mints().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_journal_of_another_installation_is_not_read() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    let first = world.serve(&[]).await;
    stands(&first, &world.node, "Anchored").await;
    let foreign = world.serve(&["--owner-id", "another"]).await;
    eventually("it is refused", async || {
        crate::support::stage::agent(&foreign).await["anchoring"][0]["reason"] == "JournalRefused"
    })
    .await;
    assert!(foreign.document().await["registrations"].is_null());
    // A process that waits for the lock takes over when it is free.
    let moved = ["--public-url", "https://moved.example"];
    let waiting = world.serve(&moved).await;
    stands(&waiting, &world.node, "Anchored").await;
    let sent = world.sent();
    drop(first);
    eventually("the journal is taken over", async || {
        world.node.mine(1).await;
        world.sent() > sent && world.uri(0).await.starts_with("https://moved.example")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_deleted_at_any_step_is_rebuilt_and_nothing_is_minted_twice() {
    let world = Faulty::new().await;
    for _ in 0..8 {
        world.step(&[]).await;
        let _gone = fs::remove_file(world.path("journal"));
        world.node.mine(1).await;
        assert!(world.mints().await <= 1);
    }
    world.anchored(&[]).await;
    assert_eq!((world.mints().await, world.signed().len()), (1, 1));
    assert_eq!(world.recorded("default")["agentId"], "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_restored_from_any_earlier_step_mints_nothing_more() {
    let world = Faulty::new().await;
    let mut copies = Vec::new();
    for _ in 0..5 {
        world.step(&[]).await;
        copies.push(fs::read(world.path("journal")).unwrap());
        world.node.mine(1).await;
    }
    world.anchored(&["--public-url", "https://moved.example"]).await;
    for copy in copies {
        fs::write(world.path("journal"), copy).unwrap();
        world.anchored(&[]).await;
        assert_eq!(world.mints().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_made_again_is_the_same_agent() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    let sent = world.sent();
    world.offers(&[]);
    world.step(&[]).await;
    let again = offer("llm/chat")
        .set("/metadata/uid", "00000000-0000-4000-8000-00000000beef")
        .created("2031-01-01T00:00:00Z");
    world.offers(&[again.0]);
    for _ in 0..2 {
        world.step(&[]).await;
        assert_eq!(world.reason("default"), "Anchored");
        let _gone = fs::remove_file(world.path("journal"));
    }
    assert_eq!((world.sent(), world.mints().await), (sent, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_was_edited_by_hand_is_refused_and_left_alone() {
    let world = Faulty::new().await;
    world.anchored(&[]).await;
    let text = fs::read_to_string(world.path("journal")).unwrap();
    let edited = text.replace("\"foreignNonces\":0", "\"foreignNonces\":1");
    assert_ne!(text, edited);
    let half = text[..text.len() / 2].to_owned();
    for bad in [
        edited,
        half,
        String::new(),
        "{}".to_owned(),
        text.replace("\"version\":1", "\"version\":2"),
    ] {
        fs::write(world.path("journal"), &bad).unwrap();
        let refused = world.anchor(&["run", "--once"], &["--public-url", "https://moved.example"]);
        assert_eq!(refused.code, Some(1), "{bad}");
        assert!(refused.stderr.contains("the journal "), "{}", refused.stderr);
        assert_eq!(
            fs::read_to_string(world.path("journal")).unwrap(),
            bad,
            "it is never overwritten"
        );
    }
    assert_eq!(world.signed().len(), 1);
    fs::write(world.path("journal"), text).unwrap();
    world.anchored(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_stays_small_however_often_a_fee_is_raised() {
    let world = Faulty::still().await;
    world.refuse_all("replacement transaction underpriced");
    for _ in 0..40 {
        world.step(&[]).await;
        if world.reason("default") == "FeeTooHigh" {
            break;
        }
    }
    let size = fs::metadata(world.path("journal")).unwrap().len();
    println!("{} signatures, {size} bytes", world.attempts());
    assert!(size < 96 * 1_024, "{size} bytes");
    assert_eq!(world.reason("default"), "FeeTooHigh");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_cannot_be_written_sends_nothing_and_serving_goes_on() {
    let world = Faulty::new().await;
    world.offers(&[]);
    world.step(&[]).await;
    let server = world.serve(&[]).await;
    eventually("it decides", async || {
        crate::support::stage::agent(&server).await["anchoring"][0]["reason"] == "Tombstone"
    })
    .await;
    // Where its next version would be written.
    fs::create_dir(world.path("journal.next")).unwrap();
    world.offers(&[offer("llm/chat").0]);
    eventually("it is held", async || {
        crate::support::stage::agent(&server).await["anchoring"][0]["reason"] == "JournalRefused"
    })
    .await;
    eventually("the offer is published", async || !server.endpoints().await.is_empty()).await;
    assert_eq!(server.admin("/readyz").await.status(), 200);
    drop(server);
    let refused = world.anchor(&["run", "--once"], &[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("cannot be written"), "{}", refused.stderr);
    assert_eq!((world.sent(), world.mints().await), (0, 0));
    // Once it can be written again, the process that was held goes on by itself.
    let server = world.serve(&[]).await;
    eventually("it is held again", async || {
        crate::support::stage::agent(&server).await["anchoring"][0]["reason"] == "JournalRefused"
    })
    .await;
    fs::remove_dir(world.path("journal.next")).unwrap();
    eventually("it is anchored", async || world.mints().await == 1).await;
}

/// A journal that cannot be read until it is opened by a test: nothing may be served meanwhile.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn no_document_is_served_before_the_journal_has_been_read() {
    let world = Faulty::new().await;
    let first = world.serve(&[]).await;
    stands(&first, &world.node, "Anchored").await;
    first.signal("-KILL");
    let journal = fs::read(world.path("journal")).unwrap();
    let (file, pipe) = (world.path("journal"), world.path("pipe"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let is_open = Arc::new(AtomicBool::new(false));
    let place = format!("file:{}", pipe.display());
    let (listening, listens) = tokio::sync::oneshot::channel();
    let offers = world.path("offers");
    let started = async {
        let offers = offers.to_str().unwrap();
        let settings =
            ["--offers", offers, "--public-url", "https://agents.example", "--journal", &place];
        let server = Server::start(&settings).await;
        let served = is_open.load(Ordering::SeqCst);
        let _ = listening.send(());
        let document = async || server.document().await;
        eventually("it is served", async || document().await["type"].is_string()).await;
        (served, document().await, server)
    };
    let opened = async {
        // What serves without it does so long before.
        let _ = tokio::time::timeout(Duration::from_secs(2), listens).await;
        is_open.store(true, Ordering::SeqCst);
        std::thread::spawn(move || {
            // It opens when it is opened for reading. Who reads later reads a file.
            let mut writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
            fs::rename(&file, &pipe).unwrap();
            writer.write_all(&journal).unwrap();
        });
    };
    let ((was_read, document, _server), ()) = tokio::join!(started, opened);
    assert!(was_read, "it listens before the journal can be read");
    assert_eq!(document["registrations"][0]["agentId"], 0, "{document}");
}
