//! JSON of any content in, values out; no key in it makes reading fail.

use std::{fmt, str::FromStr};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// The key by which `serde_json` hands over a number with all its digits.
const NUMBER_KEY: &str = "$serde_json::private::Number";

/// A JSON value that is read whatever it holds.
///
/// `serde_json`'s own reading takes an object with its private number key for a number and fails where it is none, so
/// that one hostile object would cost the whole file or list that it stands in.
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

/// The number that an object stands for, if it is one.
fn number(members: &Map<String, Value>) -> Option<Number> {
    let digits = members.get(NUMBER_KEY).filter(|_| members.len() == 1)?.as_str()?;
    Number::from_str(digits).ok()
}
