//! Typed access to the fields of an untyped resource. A null field counts as absent.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A field has the wrong JSON type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}, but is {found}")]
pub(crate) struct WrongTypeError {
    /// The path of the field, such as `spec.registration.enabled`.
    pub(crate) field: String,
    /// The JSON type that it must have, with an article: `a string`.
    pub(crate) expected: &'static str,
    /// The JSON type that it has, with an article.
    pub(crate) found: &'static str,
}

/// The members of one JSON object; none if the object is absent.
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

    /// The member, or `None` if it is absent or null.
    pub(crate) fn raw(&self, key: &str) -> Option<&'a Value> {
        self.members?.get(key).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, WrongTypeError> {
        self.raw(key)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key, "a string", value)))
            .transpose()
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, WrongTypeError> {
        self.raw(key)
            .map(|value| value.as_bool().ok_or_else(|| self.wrong(key, "a boolean", value)))
            .transpose()
    }

    /// A list; empty if absent.
    pub(crate) fn list(&self, key: &str) -> Result<&'a [Value], WrongTypeError> {
        match self.raw(key) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.wrong(key, "a list", other)),
        }
    }

    /// A list of strings; empty if absent.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, WrongTypeError> {
        let items = self.list(key)?.iter();
        let text = |item: &Value| {
            item.as_str()
                .map(str::to_owned)
                .ok_or_else(|| self.wrong(key, "a list of strings", item))
        };
        items.map(text).collect()
    }

    /// A map of strings; empty if absent.
    pub(super) fn text_map(&self, key: &str) -> Result<BTreeMap<&'a str, &'a str>, WrongTypeError> {
        match self.raw(key) {
            None => Ok(BTreeMap::new()),
            Some(Value::Object(members)) => members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| {
                    let text = value.as_str();
                    let text = text.ok_or_else(|| self.wrong(key, "a map of strings", value))?;
                    Ok((name.as_str(), text))
                })
                .collect(),
            Some(other) => Err(self.wrong(key, "a map of strings", other)),
        }
    }

    /// The path of a member, such as `spec.registration.enabled`.
    pub(super) fn path_of(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    fn wrong(&self, key: &str, expected: &'static str, found: &Value) -> WrongTypeError {
        WrongTypeError { field: self.path_of(key), expected, found: type_of(found) }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
