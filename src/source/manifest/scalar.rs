//! Resolves YAML scalars by the table of the Kubernetes tools' YAML library.

use std::str::FromStr;

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

/// The value of a scalar; `None` if its text does not fit its tag.
pub(super) fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Value> {
    let plain = style == ScalarStyle::Plain;
    match tag.filter(|tag| tag.is_yaml_core_schema()).map(|tag| tag.suffix.as_str()) {
        Some("str" | "binary" | "timestamp") => Some(Value::String(text.to_owned())),
        Some("null") => resolve(text).is_null().then_some(Value::Null),
        Some("bool") => Some(resolve(text)).filter(Value::is_boolean),
        Some("int") => integer(text).map(Value::Number),
        Some("float") => Some(resolve(text)).filter(Value::is_number),
        Some(_) => None,
        None if plain && tag.is_none() => Some(resolve(text)),
        None => Some(Value::String(text.to_owned())),
    }
}

/// Resolves a plain scalar.
fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Value::String(text.to_owned());
    }
    let number = integer(text).or_else(|| float(text));
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// Integers of any size, exact: `12`, `1_000`, `0x1F`, `0o17`, `017`, `0b11`.
fn integer(text: &str) -> Option<Number> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.replace('_', "");
    // `from_str_radix` would accept another sign after the prefix.
    let radix = |digits: &str, radix| {
        let number = u64::from_str_radix(digits, radix).ok();
        number.filter(|_| !digits.starts_with('+')).map(|number| number.to_string())
    };
    let decimal = if let Some(hex) = digits.strip_prefix("0x") {
        radix(hex, 16)?
    } else if let Some(octal) = digits.strip_prefix("0o") {
        radix(octal, 8)?
    } else if let Some(binary) = digits.strip_prefix("0b") {
        radix(binary, 2)?
    } else if digits.len() > 1 && digits.starts_with('0') {
        radix(&digits, 8)?
    } else {
        digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)?
    };
    Number::from_str(&format!("{sign}{decimal}")).ok()
}

fn float(text: &str) -> Option<Number> {
    let shaped = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-' | b'_'));
    let number: f64 = shaped.then(|| text.replace('_', "").parse().ok())??;
    Number::from_f64(number)
}
