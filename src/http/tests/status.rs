//! `/debug/status`: what `registrar status` shows.

use serde_json::{Value, json};

use crate::{
    anchor::AnchorReason,
    http::tests::site::Site,
    testing::{NOON, Resource, offer},
};

#[tokio::test(start_paused = true)]
async fn a_status_says_how_everything_is() {
    let site =
        Site::empty(NOON).anchored("base", "0").with_reason(AnchorReason::WaitingForFinality);
    site.lacks("serviceoffers.obol.org");
    let before = site.get_admin("/debug/status").await;
    assert_eq!((before.status.as_u16(), &before.json()["ready"]), (200, &json!(false)));
    assert_eq!(before.json()["missing"][0]["about"], "serviceoffers.obol.org");
    assert_eq!(before.json()["agentCount"], 0);
    site.publish(&[
        offer("demo/chat").set("/spec/registration/name", "x"),
        offer("demo/late").draining(NOON, "2h"),
        offer("demo/soon").draining(NOON, "1h").host("soon.example"),
        offer("demo/gone").draining("2026-05-24T10:00:00Z", "1h"),
        // Its drain is not one that readers see.
        offer("demo/off").draining(NOON, "5m").disabled(),
    ]);
    let status = site.get_admin("/debug/status").await.json();
    assert_eq!((&status["ready"], &status["now"]), (&json!(true), &json!(NOON)));
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    let drains = json!([
        { "namespace": "demo", "name": "soon", "drainEndsAt": "2026-05-24T13:00:00Z" },
        { "namespace": "demo", "name": "late", "drainEndsAt": "2026-05-24T14:00:00Z" },
    ]);
    assert_eq!(status["nextDrains"], drains);
    let reasons = json!({ "Disabled": 1, "Drained": 1, "Draining": 2, "Published": 1 });
    assert_eq!(status["reasons"], reasons);
    assert_eq!(
        (&status["agentCount"], &status["agents"][1]["agent"]),
        (&json!(2), &json!("host:soon.example"))
    );
    assert_eq!(status["agents"][0]["registrations"][0]["agentId"], 0);
    assert_eq!(status["agents"][0]["anchoring"][0]["reason"], "WaitingForFinality");
    let severities: Vec<_> = status["findings"].as_array().unwrap().iter().map(rank).collect();
    assert!(!severities.is_empty() && severities.is_sorted(), "{}", status["findings"]);
}

fn rank(finding: &Value) -> usize {
    let severity = finding["severity"].as_str().unwrap();
    ["error", "warning", "info"].iter().position(|known| *known == severity).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_status_is_short_whatever_is_published() {
    let resource = |number: usize| -> Resource {
        offer(&format!("demo/n{number}")).host(&format!("n{number}.example")).draining(NOON, "1h")
    };
    let site = Site::of(NOON, &(0..100).map(resource).collect::<Vec<_>>());
    let status = site.get_admin("/debug/status").await.json();
    let count = |key: &str| status[key].as_array().unwrap().len();
    assert_eq!(
        (count("nextDrains"), count("agents"), &status["agentCount"]),
        (10, 20, &json!(101))
    );
}
