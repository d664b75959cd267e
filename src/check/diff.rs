//! How two documents differ, as a reader of JSON sees it.

use serde::Serialize;
use serde_json::{Map, Value};

/// How many characters of a value are shown.
const SHOWN_CHARS: usize = 100;

/// One member that is not the same in both documents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// The member, such as `services[0].version`. An index is that of the document that has it, the
    /// served one first.
    pub(crate) path: String,
    /// The value that is served now, shortened; `None` if it is not there.
    pub(crate) served: Option<String>,
    /// The value that would be served, shortened; `None` if it would not be there.
    pub(crate) ours: Option<String>,
}

/// The differences of two documents. Key order does not count, and neither does the order of lists.
pub(crate) fn differences(served: &Value, ours: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    compare("", Some(served), Some(ours), &mut found);
    found
}

fn compare(path: &str, served: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Difference>) {
    match (served, ours) {
        (served, ours) if served == ours => {}
        (Some(Value::Object(served)), Some(Value::Object(ours))) => {
            compare_members(path, served, ours, found);
        }
        (Some(Value::Array(served)), Some(Value::Array(ours))) => {
            compare_lists(path, served, ours, found);
        }
        (served, ours) => found.push(Difference {
            path: path.to_owned(),
            served: served.map(shortened),
            ours: ours.map(shortened),
        }),
    }
}

fn compare_members(
    path: &str,
    served: &Map<String, Value>,
    ours: &Map<String, Value>,
    found: &mut Vec<Difference>,
) {
    let added = ours.keys().filter(|key| !served.contains_key(*key));
    for key in served.keys().chain(added) {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        compare(&path, served.get(key), ours.get(key), found);
    }
}

/// Pairs equal items first, then those that mean the same entry, whatever their order.
fn compare_lists(path: &str, served: &[Value], ours: &[Value], found: &mut Vec<Difference>) {
    let mut left: Vec<(usize, &Value)> = ours.iter().enumerate().collect();
    let mut take = |test: &dyn Fn(&Value) -> bool| {
        let at = left.iter().position(|(_, item)| test(item))?;
        Some(left.remove(at).1)
    };
    let unequal: Vec<(usize, &Value)> = served
        .iter()
        .enumerate()
        .filter(|(_, item)| take(&|other| other == *item).is_none())
        .collect();
    let paired: Vec<_> = unequal
        .into_iter()
        .map(|(index, item)| {
            let pair = take(&|other| entry(item).is_some() && entry(item) == entry(other));
            (index, item, pair)
        })
        .collect();
    for (index, item, pair) in paired {
        compare(&format!("{path}[{index}]"), Some(item), pair, found);
    }
    for (index, item) in left {
        compare(&format!("{path}[{index}]"), None, Some(item), found);
    }
}

/// What names an entry of services or of registrations.
fn entry(item: &Value) -> Option<(&Value, Option<&Value>)> {
    match item.get("agentRegistry") {
        Some(registry) => Some((registry, None)),
        None => Some((item.get("name")?, item.get("endpoint"))),
    }
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
