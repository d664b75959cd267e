//! Independent references: a naive renderer without drains, and a JSON reader that rejects
//! duplicate keys.

use std::{collections::BTreeSet, fmt};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Value, json};

use crate::testing::Resource;

/// The default document of resources without drains.
pub(crate) fn rendered_without_drains(resources: &[Resource], required: Option<&str>) -> String {
    let field = |resource: &Resource, pointer: &str| {
        resource.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let mut by_age: Vec<&Resource> = resources.iter().collect();
    by_age.sort_by_key(|resource| {
        let created = field(resource, "/metadata/creationTimestamp");
        // The instants of these tests sort as strings once each has a fraction.
        let created = if created.contains('.') { created } else { created.replace('Z', ".0Z") };
        (
            created.is_empty(),
            created,
            field(resource, "/metadata/namespace"),
            field(resource, "/metadata/name"),
        )
    });
    let (mut paths, mut hosts) = (BTreeSet::new(), BTreeSet::new());
    let mut name = None;
    let mut services = Vec::new();
    let mut x402 = false;
    for resource in by_age {
        if resource.0.pointer("/metadata/deletionTimestamp").is_some() {
            continue;
        }
        let own = field(resource, "/metadata/name");
        let path = field(resource, "/spec/path");
        let path = if path.is_empty() { format!("/services/{own}") } else { path };
        let host = field(resource, "/spec/hostname").to_lowercase();
        let path_fits = path.starts_with('/') && path != "/api";
        let host_fits = host.is_empty() || host.contains('.');
        let key = path.trim_end_matches('/').to_owned();
        let claimed_host = !host.is_empty() && host_fits && host != "seller.example";
        if (path_fits && paths.contains(&key)) || (claimed_host && hosts.contains(&host)) {
            continue;
        }
        if path_fits {
            paths.insert(key);
        }
        if claimed_host {
            hosts.insert(host);
        }
        let decodes = resource.0["spec"]["type"].is_string();
        let enabled = resource.0["spec"]["registration"]["enabled"] == json!(true);
        let paused = resource.0["spec"]["paused"] == json!(true);
        let ready = required.is_none() || resource.0["status"]["conditions"].is_array();
        if !(path_fits && host_fits && decodes && enabled && !paused && ready) {
            continue;
        }
        x402 |= resource.0.pointer("/spec/payment/method") != Some(&json!("card"));
        name.get_or_insert((own, field(resource, "/spec/type")));
        services.push(format!(r#"{{"name":"web","endpoint":"https://seller.example{path}"}}"#));
        if resource.0["spec"]["registration"]["skills"].is_array() {
            let place = r#"{"name":"OASF","endpoint":"https://github.com/agntcy/oasf/","#;
            services.push(format!(r#"{place}"version":"0.8.0","skills":["s"]}}"#));
        }
        if let Some(entry) = resource.0.pointer("/spec/registration/services/0") {
            let (name, endpoint) = (&entry["name"], entry["endpoint"].as_str().unwrap());
            if endpoint.starts_with("https://") || endpoint.ends_with(".eth") {
                services.push(format!(r#"{{"name":{name},"endpoint":"{endpoint}"}}"#));
            }
        }
    }
    let active = name.is_some();
    let (name, description) = match name {
        Some((own, kind)) if kind == "inference" => {
            (own, "m inference via x402 micropayments".to_owned())
        }
        Some((own, _)) => (own.clone(), format!("x402 payment-gated http service: {own}")),
        None => ("default".to_owned(), "Agent default (deactivated)".to_owned()),
    };
    [
        r#"{"type":"https://eips.ethereum.org/EIPS/eip-8004#registration-v1","name":""#,
        &name,
        r#"","description":""#,
        &description,
        r#"","image":"https://seller.example/agent-icon.png","services":["#,
        &services.join(","),
        &format!(r#"],"x402Support":{x402},"active":{active}}}"#),
    ]
    .concat()
}

/// Reads JSON without duplicate keys.
pub(crate) fn parsed_once(bytes: &[u8]) -> Result<Value, String> {
    keys_are_unique(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// Checks that bytes are one JSON value without duplicate keys.
pub(crate) fn keys_are_unique(bytes: &[u8]) -> Result<(), String> {
    serde_json::from_slice::<Once>(bytes).map(drop).map_err(|error| error.to_string())
}

struct Once;

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnceVisitor)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Once;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without duplicate keys")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Once, M::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = members.next_key::<String>()? {
            members.next_value::<Once>()?;
            if !keys.insert(key.clone()) {
                return Err(M::Error::custom(format!("duplicate key {key:?}")));
            }
        }
        Ok(Once)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Once, S::Error> {
        while items.next_element::<Once>()?.is_some() {}
        Ok(Once)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Once, E> {
        Ok(Once)
    }

    fn visit_unit<E: Error>(self) -> Result<Once, E> {
        Ok(Once)
    }
}

#[test]
fn a_duplicate_key_is_found_at_any_depth() {
    assert!(parsed_once(br#"{"a":1,"b":[{"a":2}]}"#).is_ok());
    assert!(parsed_once(br#"{"a":1,"a":1}"#).is_err());
    assert!(parsed_once(br#"{"b":[{"a":1,"c":null,"a":1}]}"#).is_err());
    assert!(parsed_once(br#"{"a":1}}"#).is_err());
}
