//! Reads JSON so that no key in it and no depth of it makes reading fail.

use std::{fmt, str::FromStr};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

/// The key with which `serde_json` passes on a number with all its digits.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// How many levels of an object are read. No field that we read is nearly as deep.
pub(super) const DEPTH_LIMIT: usize = 64;

/// A JSON value of any content. Levels below [`DEPTH_LIMIT`] are skipped.
///
/// `serde_json` reads an object with its private number key as a number and fails if it is not one,
/// and it fails on a value that is nested more than 128 deep. One hostile object would break the
/// file or list that contains it.
pub(super) struct LosslessJson(pub(super) Value);

impl<'de> Deserialize<'de> for LosslessJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AnyValue { depth: 0, part: Part::Other }.deserialize(deserializer).map(Self)
    }
}

/// A Kubernetes object of any content, without the `fieldsV1` of its `metadata.managedFields`.
///
/// They are often larger than all the rest, and a source does not read them: left out here, they
/// cost a list no memory.
pub(super) struct ListedObject(pub(super) Value);

impl<'de> Deserialize<'de> for ListedObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        AnyValue { depth: 0, part: Part::Object }.deserialize(deserializer).map(Self)
    }
}

/// Stands for a value that is nested too deeply to be read. No field that we read may hold a list
/// of lists, so an object with this value in such a field is refused.
pub(super) fn too_deep() -> Value {
    Value::Array(vec![Value::Array(Vec::new())])
}

#[derive(Clone, Copy)]
struct AnyValue {
    depth: usize,
    part: Part,
}

/// What of a Kubernetes object is read.
#[derive(Clone, Copy)]
enum Part {
    Object,
    Metadata,
    ManagedFields,
    ManagedFieldsEntry,
    Other,
}

impl AnyValue {
    fn below(self) -> Self {
        Self { depth: self.depth + 1, part: Part::Other }
    }

    /// How the member `key` is read; `None` if it is left out.
    fn member(self, key: &str) -> Option<Self> {
        let part = match (self.part, key) {
            (Part::Object, "metadata") => Part::Metadata,
            (Part::Metadata, "managedFields") => Part::ManagedFields,
            (Part::ManagedFieldsEntry, "fieldsV1") => return None,
            (_, _) => Part::Other,
        };
        Some(Self { part, ..self.below() })
    }

    /// How an item of a list is read.
    fn item(self) -> Self {
        let part = match self.part {
            Part::ManagedFields => Part::ManagedFieldsEntry,
            Part::Object | Part::Metadata | Part::ManagedFieldsEntry | Part::Other => Part::Other,
        };
        Self { part, ..self.below() }
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut items: S) -> Result<Value, S::Error> {
        if self.depth >= DEPTH_LIMIT {
            // `serde_json` skips ignored values in a loop, whatever their depth.
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(too_deep());
        }
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.item())? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<Value, M::Error> {
        if self.depth >= DEPTH_LIMIT {
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(too_deep());
        }
        let mut members = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            match self.member(&key) {
                Some(seed) => drop(members.insert(key, entries.next_value_seed(seed)?)),
                None => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        Ok(number(&members).map_or(Value::Object(members), Value::Number))
    }
}

/// The number that `serde_json` passed on as an object, if it is one.
fn number(members: &Map<String, Value>) -> Option<Number> {
    let digits = members.get(NUMBER_KEY).filter(|_| members.len() == 1)?.as_str()?;
    Number::from_str(digits).ok()
}

#[cfg(test)]
mod tests;
