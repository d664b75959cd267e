//! Reads JSON and notes what ordinary parsers hide: repeated keys.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::finding::member;

/// The key with which `serde_json` passes on a number with all its digits.
const NUMBER_KEY: &str = "$serde_json::private::Number";
/// How many levels are read; readers' own limits begin at about 100.
pub(super) const DEPTH_LIMIT: usize = 64;

pub(super) struct Parsed {
    /// Of repeated keys the last value. Levels below [`DEPTH_LIMIT`] are null.
    pub(super) value: Value,
    /// The paths of members that occur again, each once.
    pub(super) repeated_keys: BTreeSet<String>,
    /// The path of the first value that was too deep to be read.
    pub(super) too_deep: Option<String>,
}

/// Reads one JSON value. Fails on anything else, and on text after it.
pub(super) fn parse(text: &str) -> Result<Parsed, serde_json::Error> {
    let mut notes = Notes::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let seed = AnyValue { depth: 0, path: String::new(), notes: &mut notes };
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    let Notes { repeated_keys, too_deep } = notes;
    Ok(Parsed { value, repeated_keys, too_deep })
}

#[derive(Default)]
struct Notes {
    repeated_keys: BTreeSet<String>,
    too_deep: Option<String>,
}

struct AnyValue<'a> {
    depth: usize,
    path: String,
    notes: &'a mut Notes,
}

impl AnyValue<'_> {
    fn below(&mut self, path: String) -> AnyValue<'_> {
        AnyValue { depth: self.depth + 1, path, notes: self.notes }
    }

    fn is_too_deep(&mut self) -> bool {
        let is_too_deep = self.depth >= DEPTH_LIMIT;
        if is_too_deep {
            self.notes.too_deep.get_or_insert_with(|| self.path.clone());
        }
        is_too_deep
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue<'_> {
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

    fn visit_seq<S: SeqAccess<'de>>(mut self, mut items: S) -> Result<Value, S::Error> {
        if self.is_too_deep() {
            // `serde_json` skips ignored values in a loop, whatever their depth.
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        let mut list = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, list.len());
            match items.next_element_seed(self.below(path))? {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut entries: M) -> Result<Value, M::Error> {
        if self.is_too_deep() {
            while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        let mut members = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let path = member(&self.path, &key);
            let value = entries.next_value_seed(self.below(path.clone()))?;
            if members.insert(key, value).is_some() {
                self.notes.repeated_keys.insert(path);
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
