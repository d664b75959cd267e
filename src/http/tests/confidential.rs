//! What an offer that is not published says must not be readable by the public.

use std::collections::BTreeSet;

use crate::{
    http::tests::site::{Site, WELL_KNOWN, document_of},
    offer::Grants,
    registration::{Reason, SizeLimits},
    testing::{NOON, Resource, offer},
};
use serde_json::{Value, json};

/// Part of every value of the offers below, in lower case so that it can be part of a host.
const CANARY: &str = "canary";

/// An offer with a value to look for in every field that can hold one.
fn planted(id: &str) -> Resource {
    let text = |field: &str| json!(format!("{CANARY}-{field}"));
    let endpoint = |place: &str| format!("{place}/{CANARY}");
    offer(id)
        .created("2026-02-01T00:00:00Z")
        .path(&format!("/{CANARY}/{}", id.replace('/', "-")))
        .ready(&["RoutePublished", CANARY])
        .set("/metadata/labels", json!({ CANARY: CANARY }))
        .set("/metadata/annotations", json!({ "note": text("annotation") }))
        .set("/spec/type", text("type"))
        .set("/spec/model", json!({ "name": text("model"), "runtime": text("runtime") }))
        .set(
            "/spec/upstream",
            json!({ "service": text("service"), "namespace": text("namespace") }),
        )
        .set("/spec/payment", json!({ "network": text("network"), "payTo": text("payee") }))
        .set("/spec/provenance", json!({ "framework": text("provenance") }))
        .set("/spec/branding", json!({ "displayName": text("brand") }))
        .set("/spec/registration/name", text("name"))
        .set("/spec/registration/description", text("description"))
        .set("/spec/registration/image", endpoint("https://images.example"))
        .set("/spec/registration/supportedTrust", json!([text("trust")]))
        .set("/spec/registration/skills", json!([text("skill")]))
        .set("/spec/registration/domains", json!([text("domain")]))
        .set("/spec/registration/metadata", json!({ CANARY: text("metadata") }))
        .service("A2A", &endpoint("https://a.example"))
        .service(&format!("{CANARY}-entry"), &endpoint("http://insecure.example"))
        .service("MCP", &endpoint("https://{canary}.example"))
        .set("/status/agentId", text("id"))
        .set("/status/endpoint", endpoint(""))
}

/// Every reason for which an offer is not published, each with an offer that has it.
fn refused() -> Vec<(Reason, Resource)> {
    let planted = |name: &str| planted(&format!("shop/{name}"));
    vec![
        (Reason::Deleting, planted("deleting").set("/metadata/deletionTimestamp", NOON)),
        (Reason::Undecodable, planted("undecodable").set("/spec/paused", CANARY)),
        (Reason::InvalidPath, planted("path").path(CANARY)),
        (Reason::InvalidHostname, planted("host").host("canary.llm.svc.cluster.local")),
        (Reason::ReservedPath, planted("reserved").path("/offers/canary")),
        (Reason::NotGranted, planted("granted").host("canary.example")),
        (Reason::HostConflict, planted("late-host").host("audit.example")),
        (Reason::PathConflict, planted("late-path").path("/services/chat")),
        (Reason::InvalidDrain, planted("drain").draining(CANARY, CANARY)),
        (Reason::Disabled, planted("disabled").disabled()),
        (Reason::Paused, planted("paused").set("/spec/paused", true)),
        (Reason::Drained, planted("drained").draining("2026-01-01T00:00:00Z", "0s")),
        (Reason::ConditionMissing, planted("unready").ready(&[CANARY])),
    ]
}

#[tokio::test(start_paused = true)]
async fn nothing_that_an_unpublished_offer_says_is_public() {
    let mut site = Site::empty(NOON);
    site.rules.required_conditions.insert("RoutePublished".to_owned());
    site.rules.limits = SizeLimits { document: 1_048_576, offer: 65_536 };
    let grants = json!({
        "demo": { "hosts": ["audit.example"], "paths": ["/"] },
        "shop": { "hosts": ["audit.example"], "paths": ["/"] },
    });
    site.rules.grants = Some(Grants::parse(&grants).unwrap());
    let offers = refused();
    let mut resources: Vec<Resource> =
        offers.iter().map(|(_, resource)| resource.clone()).collect();
    resources.push(offer("demo/chat").ready(&["RoutePublished"]));
    resources.push(offer("demo/audit").host("audit.example").ready(&["RoutePublished"]));
    site.publish(&resources);

    let explained = site.get_admin("/debug/offers").await.json();
    let reasons: BTreeSet<String> = explained["offers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|explained| explained["reason"].as_str().unwrap().to_owned())
        .collect();
    let published =
        [Reason::Published, Reason::Draining, Reason::DocumentFull, Reason::OfferTooLarge];
    let all = Reason::ALL.into_iter().filter(|reason| !published.contains(reason));
    let all = all.map(|reason| reason.to_string()).chain(["Published".to_owned()]).collect();
    assert_eq!(reasons, all, "every reason occurs");
    assert!(explained.to_string().contains(CANARY), "operators may read it");

    let mut answers = Vec::new();
    for (reason, resource) in &offers {
        let id = resource.id().to_string();
        for path in [document_of(&id), format!("/offers/{id}")] {
            let answer = site.get(&path).await;
            assert_eq!(answer.status, 404, "{reason}");
            answers.push((path, answer));
        }
    }
    for path in ["/offers", "/agents", "/offers?limit=x", "/nothing", "/openapi.yaml", WELL_KNOWN] {
        answers.push((path.to_owned(), site.get(path).await));
    }
    for host in ["audit.example", "canary.example", "seller.example"] {
        answers.push((host.to_owned(), site.get_with(WELL_KNOWN, &[("host", host)]).await));
    }
    for (asked, answer) in answers {
        assert!(!answer.text().contains(CANARY), "{asked}: {}", answer.text());
        let fields = format!("{:?}", answer.headers);
        assert!(!fields.contains(CANARY), "{asked}: {fields}");
    }
    let document: Value = site.get(WELL_KNOWN).await.json();
    assert_eq!(document["name"], "audit", "the oldest published offer, by name");
}
