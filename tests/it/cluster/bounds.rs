//! Answers without an end: they cost no memory, take nothing down, and are named.

use super::{
    sold,
    watching::{problems, served},
};
use crate::support::{
    api_server::Fault,
    process::{eventually, registrar},
};

/// More than the process needs for the largest answer that it reads, 64 MiB, and its copies.
const MEMORY_MIB: u64 = 400;

#[tokio::test(flavor = "multi_thread")]
async fn neither_an_event_nor_a_list_without_an_end_costs_memory() {
    let (api, server) = served(3, &[]).await;
    for (fault, named) in [
        (Fault::EndlessEvent, "more than 16 MiB in one event"),
        (Fault::EndlessPage, "more than 64 MiB in one answer"),
        (Fault::EndlessError, "more than 64 MiB in one answer"),
        (Fault::EndlessPages, "a list without an end"),
    ] {
        if fault != Fault::EndlessEvent {
            // A watch that goes on needs no list.
            api.fault(Fault::WatchStatus(410, String::new()));
        }
        api.fault(fault);
        api.cut();
        eventually(named, async || {
            assert_eq!(server.endpoints().await.len(), 3);
            assert!(server.resident_mib() < MEMORY_MIB, "{} MiB", server.resident_mib());
            problems(&server).await.contains(named)
        })
        .await;
        api.heal();
        eventually("it goes on", async || problems(&server).await.is_empty()).await;
    }
    api.put(&sold("llm/added"));
    eventually("the watch goes on", async || server.endpoints().await.len() == 4).await;
    println!("{} MiB in the end", server.resident_mib());
    api.fault(Fault::EndlessPage);
    let kubeconfig = api.kubeconfig();
    let explained = tokio::task::spawn_blocking(move || {
        registrar(&["explain", "--kubeconfig", kubeconfig.to_str().unwrap(), "--identity", "none"])
    });
    let explained = explained.await.unwrap();
    assert_eq!(explained.code, Some(1), "{}", explained.stdout);
    assert!(explained.stderr.contains("more than 64 MiB"), "{}", explained.stderr);
}
