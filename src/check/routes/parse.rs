//! Reads HTTPRoutes and Gateways from untyped objects. What cannot be read counts as not set.

use serde_json::Value;

use super::{Listener, Match, PathMatch, Route};
use crate::offer::{OfferId, parse_timestamp};

/// The objects of a list.
fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn id_of(object: &Value) -> OfferId {
    let part = |pointer| text(object, pointer).unwrap_or_default();
    OfferId::new(part("/metadata/namespace"), part("/metadata/name"))
}

/// An object that is named from another one, in that one's namespace if it names none.
fn reference(value: &Value, from: &OfferId) -> OfferId {
    let namespace = text(value, "/namespace").unwrap_or(&from.namespace);
    OfferId::new(namespace, text(value, "/name").unwrap_or_default())
}

/// Reads one HTTPRoute.
pub(crate) fn route(object: &Value) -> Route {
    let id = id_of(object);
    let hostnames = items(object, "/spec/hostnames").filter_map(Value::as_str);
    let parents = items(object, "/spec/parentRefs")
        .map(|parent| (reference(parent, &id), text(parent, "/sectionName").map(str::to_owned)));
    let refused = items(object, "/status/parents")
        .flat_map(|parent| items(parent, "/conditions"))
        .filter(|condition| {
            matches!(text(condition, "/type"), Some("Accepted" | "ResolvedRefs"))
                && text(condition, "/status") != Some("True")
        })
        .map(|condition| {
            let part = |pointer| text(condition, pointer).unwrap_or_default();
            format!("{} is not True: {} {}", part("/type"), part("/reason"), part("/message"))
        });
    Route {
        created: text(object, "/metadata/creationTimestamp").and_then(parse_timestamp),
        hostnames: hostnames.map(str::to_ascii_lowercase).collect(),
        matches: items(object, "/spec/rules").flat_map(|rule| matches(rule, &id)).collect(),
        parents: parents.collect(),
        refused: refused.collect(),
        id: id.clone(),
    }
}

fn matches(rule: &Value, route: &OfferId) -> Vec<Match> {
    let backends: Vec<OfferId> =
        items(rule, "/backendRefs").map(|backend| reference(backend, route)).collect();
    let written: Vec<&Value> = items(rule, "/matches").collect();
    // A rule without matches takes every request.
    let everything = Value::Null;
    let written = if written.is_empty() { vec![&everything] } else { written };
    let one = |value: &Value| {
        let path = text(value, "/path/value").unwrap_or("/").to_owned();
        Match {
            path: match text(value, "/path/type") {
                Some("Exact") => PathMatch::Exact(path),
                Some("RegularExpression") => PathMatch::Regex(path),
                Some(_) | None => PathMatch::Prefix(path),
            },
            method: text(value, "/method").map(str::to_owned),
            headers: items(value, "/headers").count(),
            query: items(value, "/queryParams").count(),
            backends: backends.clone(),
        }
    };
    written.into_iter().map(one).collect()
}

/// Reads the listeners of one Gateway.
pub(crate) fn listeners(object: &Value) -> Vec<Listener> {
    let gateway = id_of(object);
    items(object, "/spec/listeners")
        .map(|listener| Listener {
            gateway: gateway.clone(),
            name: text(listener, "/name").unwrap_or_default().to_owned(),
            hostname: text(listener, "/hostname").map(str::to_owned),
        })
        .collect()
}
