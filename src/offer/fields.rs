//! Typed reading of one untyped resource. A field of the wrong JSON type is an error that names it; an absent or null
//! field is not set.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A field that holds another JSON type than its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} should be {expected}, but is {found}")]
pub(crate) struct WrongTypeError {
    /// Where, such as `spec.registration.enabled`.
    pub(crate) field: String,
    /// What it should be, such as `a text`.
    pub(crate) expected: &'static str,
    /// What it is.
    pub(crate) found: &'static str,
}

/// The members of one JSON object, or of none when the object is not set.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    path: &'a str,
    members: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    /// Reads `value` as an object found at `path`.
    pub(crate) fn of(value: Option<&'a Value>, path: &'a str) -> Result<Self, WrongTypeError> {
        match value {
            None | Some(Value::Null) => Ok(Self { path, members: None }),
            Some(Value::Object(members)) => Ok(Self { path, members: Some(members) }),
            Some(other) => Err(WrongTypeError {
                field: path.to_owned(),
                expected: "an object",
                found: type_of(other),
            }),
        }
    }

    /// The member as it stands, or `None` when it is absent or null.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a Value> {
        self.members?.get(key).filter(|value| !value.is_null())
    }

    /// A member that is a text.
    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, WrongTypeError> {
        self.raw(key)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key, "a text", value)))
            .transpose()
    }

    /// A member that is true or false.
    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, WrongTypeError> {
        self.raw(key)
            .map(|value| value.as_bool().ok_or_else(|| self.wrong(key, "true or false", value)))
            .transpose()
    }

    /// A member that is a list; empty when it is not set.
    pub(crate) fn list(&self, key: &str) -> Result<&'a [Value], WrongTypeError> {
        match self.raw(key) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.wrong(key, "a list", other)),
        }
    }

    /// A member that is a list of texts; empty when it is not set.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, WrongTypeError> {
        let items = self.list(key)?.iter();
        let text = |item: &Value| {
            item.as_str().map(str::to_owned).ok_or_else(|| self.wrong(key, "a list of texts", item))
        };
        items.map(text).collect()
    }

    /// A member that maps texts to texts, cleaned: keys and values trimmed, blank ones dropped; of keys that collide
    /// after trimming the first by the bytes of the raw key.
    pub(crate) fn text_map(&self, key: &str) -> Result<BTreeMap<String, String>, WrongTypeError> {
        let mut entries = Vec::new();
        match self.raw(key) {
            None => {}
            Some(Value::Object(members)) => {
                for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                    let text =
                        value.as_str().ok_or_else(|| self.wrong(key, "a map of texts", value))?;
                    entries.push((name.as_str(), text));
                }
            }
            Some(other) => return Err(self.wrong(key, "a map of texts", other)),
        }
        Ok(clean_map(entries))
    }

    fn wrong(&self, key: &str, expected: &'static str, found: &Value) -> WrongTypeError {
        WrongTypeError { field: format!("{}.{key}", self.path), expected, found: type_of(found) }
    }
}

/// Trims keys and values and drops blank ones; of keys that collide after trimming the first by raw bytes wins.
fn clean_map<'a>(
    entries: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> BTreeMap<String, String> {
    let by_raw_key: BTreeMap<&str, &str> = entries.into_iter().collect();
    let mut cleaned = BTreeMap::new();
    for (key, value) in by_raw_key {
        let (key, value) = (key.trim(), value.trim());
        if !key.is_empty() && !value.is_empty() {
            cleaned.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    cleaned
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
