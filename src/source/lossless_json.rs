//! Reads JSON so that no key in it makes reading fail.

use std::{fmt, str::FromStr};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The key with which `serde_json` passes on a number with all its digits.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// A JSON value of any content.
///
/// `serde_json` reads an object with its private number key as a number and fails if it is not one,
/// so that one hostile object would break the file or list that contains it.
pub(super) struct LosslessJson(pub(super) Value);

impl<'de> Deserialize<'de> for LosslessJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

struct AnyValue;

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
        let mut list = Vec::new();
        while let Some(LosslessJson(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut entries: M) -> Result<Value, M::Error> {
        let mut members = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let LosslessJson(value) = entries.next_value()?;
            members.insert(key, value);
        }
        Ok(number(&members).map_or(Value::Object(members), Value::Number))
    }
}

/// The number that `serde_json` passed on as an object, if it is one.
fn number(members: &Map<String, Value>) -> Option<Number> {
    let digits = members.get(NUMBER_KEY).filter(|_| members.len() == 1)?.as_str()?;
    Number::from_str(digits).ok()
}
