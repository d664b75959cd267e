//! What the fuzz targets in `fuzz/` call, which cannot see the other modules. Compiled for them only.
//!
//! Each function takes any text, must not panic, and checks what it reads in a second way.

use std::sync::Arc;

use chrono::TimeDelta;
use url::Url;

use crate::{
    offer::{
        GracePeriod, OfferId, Offers, Origin, ParsedOffer, Service, Timestamp, parse_timestamp,
        print_seconds,
    },
    registration::{Ids, ProfileOverrides, Rules, SizeLimits, project},
    source::parse_yaml,
};

/// Reads manifests as `--offers` does.
pub fn manifest(text: &str) {
    let Ok(documents) = parse_yaml(text) else { return };
    for document in documents {
        let printed = document.to_string();
        let again = parse_yaml(&printed);
        assert!(again.is_ok_and(|again| again == [document]), "JSON is YAML: {printed}");
    }
}

/// Parses one object, publishes it with a well-formed neighbour, and reads the documents.
pub fn offer(text: &str) {
    let Some(resource) = parse_yaml(text).ok().and_then(|documents| documents.into_iter().next())
    else {
        return;
    };
    let neighbour = serde_json::json!({
        "metadata": { "creationTimestamp": "2026-01-01T00:00:00Z" },
        "spec": { "path": "/neighbour", "registration": { "enabled": true } },
    });
    let [id, other] = [OfferId::new("llm", "chat"), OfferId::new("llm", "neighbour")];
    let mut offers = Offers::new();
    for (id, resource) in [(id, &resource), (other.clone(), &neighbour)] {
        let parsed = ParsedOffer::parse(&id, resource);
        offers.insert(id, Arc::new(parsed));
    }
    let public_url = Origin::parse("https://seller.example").expect("the URL is an origin");
    let now = Timestamp::UNIX_EPOCH + TimeDelta::days(20_000);
    let projection = project(&offers, &Ids::default(), &public_url, &rules(), now);
    let own = projection.published.iter().map(|offer| &offer.document);
    let hosts = projection.hosts.values().map(|host| &host.document);
    for document in own.chain(hosts).chain([&projection.default]) {
        let bytes = document.render();
        let read = serde_json::from_slice::<serde_json::Value>(&bytes);
        assert!(read.is_ok(), "{}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(projection.explanations.len(), 2);
    // One bad object affects only itself, unless it is the older one on the same path.
    let holds_path = offers.values().filter(|parsed| {
        parsed.claims.path.as_ref().is_some_and(|path| path.key() == "/neighbour")
    });
    let is_alone = holds_path.count() == 1;
    let is_published = projection.published.iter().any(|offer| offer.id == other);
    assert!(is_published || !is_alone, "the neighbour is not published");
}

pub fn duration(text: &str) {
    let Ok(grace) = GracePeriod::parse(text) else { return };
    let nanos = format!("{}ns", grace.duration().as_nanos());
    assert_eq!(GracePeriod::parse(&nanos).map(GracePeriod::duration), Ok(grace.duration()));
}

pub fn instant(text: &str) {
    let Some(instant) = parse_timestamp(text) else { return };
    let library = chrono::DateTime::parse_from_rfc3339(text);
    // The library accepts at most nine digits of a fraction without rounding.
    if text.len() <= "2026-01-01T00:00:00.123456789+00:00".len() {
        assert_eq!(library.map(|read| read.to_utc()).ok(), Some(instant), "{text}");
    }
    let printed = print_seconds(instant);
    assert!(parse_timestamp(&printed).is_none_or(|again| again <= instant), "{printed}");
}

/// Checks an endpoint of an entry named `A2A`.
pub fn endpoint(text: &str) {
    let service = Service::new("A2A", text, "");
    if service.refusal.is_none() {
        let url = Url::parse(text).expect("a published endpoint is a URL");
        assert_eq!(url.scheme(), "https", "{text}");
        assert!(url.username().is_empty() && url.password().is_none(), "{text}");
        assert!(url.domain().is_some_and(|domain| domain.contains('.')), "{text}");
    }
}

fn rules() -> Rules {
    Rules {
        required_conditions: Default::default(),
        drop_unready_drains: false,
        service_names: None,
        limits: SizeLimits { document: 4_096, offer: 1_024 },
        grants: None,
        profile: ProfileOverrides::default(),
        agent_name: "default".to_owned(),
    }
}
