//! `registrar drain` and `undrain` against a real API server.

use serde_json::{Value, json};

use super::{shared, sold};
use crate::support::process::registrar;

#[tokio::test(flavor = "multi_thread")]
async fn drain_and_undrain_change_what_they_say_and_nothing_else() {
    let cluster = shared().await;
    let namespace = cluster.namespace("drains").await;
    let offer = sold(&format!("{namespace}/chat"));
    cluster.create(&offer).await;
    let (namespace, name) = offer.key();
    let id = format!("{namespace}/{name}");
    let kubeconfig = cluster.kubeconfig("admin");
    let run = |args: &[&str]| {
        registrar(&[args, &["--kubeconfig", kubeconfig.to_str().unwrap()]].concat())
    };
    let spec = async || {
        let (api, name) = cluster.api_of(&offer.0).await;
        let read = api.get(&name).await.unwrap().data["spec"].clone();
        (read["drainAt"].as_str().map(str::to_owned), read["drainGracePeriod"].clone())
    };

    let tried = run(&["drain", &id, "--dry-run"]);
    assert_eq!(tried.code, Some(0), "{}", tried.stderr);
    assert!(tried.stdout.contains("would be draining"), "{}", tried.stdout);
    assert_eq!(spec().await, (None, Value::Null), "a dry run changes nothing");

    let nothing = run(&["undrain", &id]);
    assert_eq!((nothing.code, nothing.stdout.contains("nothing to do")), (Some(0), true));

    let drained = run(&["drain", &id]);
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    let (at, grace) = spec().await;
    let at = at.unwrap();
    assert_eq!((at.len(), at.ends_with('Z'), grace), (20, true, json!("1h")), "{at}");
    let ends_at = chrono::DateTime::parse_from_rfc3339(&at).unwrap() + chrono::TimeDelta::hours(1);
    let printed = ends_at.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    assert!(drained.stdout.contains(&printed), "{} lacks {printed}", drained.stdout);
    assert!(drained.stdout.contains("127.0.0.1"), "the cluster is named: {}", drained.stdout);

    let refused = run(&["drain", &id, "--force"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.stderr.contains(&at) && refused.stderr.contains("--restart"),
        "{}",
        refused.stderr
    );
    assert_eq!(spec().await.0, Some(at), "a refusal changes nothing");

    let forced = run(&["drain", &id, "--force", "--restart"]);
    assert_eq!((forced.code, spec().await.1), (Some(0), json!("0s")), "{}", forced.stderr);
    let ended = run(&["drain", &id]);
    assert_eq!(ended.code, Some(1), "an ended drain is refused too");
    assert_eq!(run(&["undrain", &id]).code, Some(0));
    assert_eq!(spec().await, (None, Value::Null));

    let missing = run(&["drain", &format!("{namespace}/nobody")]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.stderr.contains(&format!("{namespace}/nobody")), "{}", missing.stderr);
    for bad in ["1 hour", "-5m", ""] {
        assert_eq!(run(&["drain", &id, "--grace", bad]).code, Some(2), "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_reads_a_cluster_without_changing_it() {
    let cluster = shared().await;
    let namespace = cluster.namespace("explain").await;
    cluster.create(&sold(&format!("{namespace}/chat"))).await;
    cluster
        .create(
            &sold(&format!("{namespace}/slip"))
                .set("/spec/drainAt", "2026-01-01T00:00:00Z")
                .set("/spec/drainGracePeriod", "1 hour"),
        )
        .await;
    let kubeconfig = cluster.kubeconfig("admin");
    let run = |args: &[&str]| {
        let flags = [
            "--kubeconfig",
            kubeconfig.to_str().unwrap(),
            "--namespace",
            &namespace,
            "--public-url",
            "https://seller.example",
        ];
        registrar(&[&["explain"], args, &flags].concat())
    };
    let explained = run(&["--json"]);
    assert_eq!(explained.code, Some(0), "{}", explained.stderr);
    let explained: Value = serde_json::from_str(&explained.stdout).unwrap();
    let reasons: Vec<_> = explained
        .as_array()
        .unwrap()
        .iter()
        .map(|explained| {
            (explained["name"].as_str().unwrap(), explained["reason"].as_str().unwrap())
        })
        .collect();
    assert_eq!(reasons, [("chat", "Published"), ("slip", "InvalidDrain")]);
    assert_eq!(run(&[&format!("{namespace}/slip")]).code, Some(0));
    assert_eq!(run(&[&format!("{namespace}/nobody")]).code, Some(1));
}
