//! Reads YAML as `kubectl` does, so that a file means what it would mean in a cluster, and JSON.

use std::str::FromStr;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use serde_json::{Map, Number, Value};

use super::lossless_json::LosslessJson;

/// The most nodes of one file, with its aliases expanded.
const NODE_LIMIT: usize = 5_000_000;
const DEPTH_LIMIT: usize = 128;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub(crate) struct SyntaxError {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// Reads a sequence of JSON documents.
pub(crate) fn parse_json(text: &str) -> Result<Vec<Value>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let documents = serde_json::Deserializer::from_str(text).into_iter::<LosslessJson>();
    documents
        .map(|document| document.map(|LosslessJson(value)| value))
        .collect::<Result<_, _>>()
        .map_err(|error| SyntaxError { line: error.line(), what: error.to_string() })
}

/// Reads every YAML document of a text and skips empty ones.
///
/// Plain scalars follow YAML 1.1 as in the Kubernetes tools: `yes` and `on` are true, `0o17` and
/// `017` are 15, and a time is a string. A duplicate key is an error.
pub(crate) fn parse_yaml(text: &str) -> Result<Vec<Value>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader =
        YamlReader { events: Parser::new_from_str(text), anchors: Vec::new(), nodes: 0 };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd,
                _,
            ) => {}
            (event, span) => {
                let document = reader.node(event, span, 0)?;
                reader.anchors.clear();
                if !document.is_null() {
                    documents.push(document);
                }
            }
        }
    }
}

struct YamlReader<'a> {
    events: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// The anchored nodes of the current document: anchor, value, and size in nodes.
    anchors: Vec<(usize, Value, usize)>,
    nodes: usize,
}

impl<'a> YamlReader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxError> {
        let broken = |error: ScanError| SyntaxError {
            line: error.marker().line(),
            what: error.info().to_owned(),
        };
        self.events.next_event().unwrap_or(Ok((Event::StreamEnd, Span::default()))).map_err(broken)
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Value, SyntaxError> {
        let refuse =
            |what: &str| Err(SyntaxError { line: span.start.line(), what: what.to_owned() });
        let before = self.nodes;
        self.nodes += 1;
        if depth > DEPTH_LIMIT {
            return refuse("nested too deeply");
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => match scalar(&text, style, tag.as_deref()) {
                Some(value) => (value, anchor),
                None => return refuse(&format!("{text:?} is not a value of its tag")),
            },
            Event::SequenceStart(anchor, _) => (Value::Array(self.sequence(depth)?), anchor),
            Event::MappingStart(anchor, _) => (Value::Object(self.mapping(depth)?), anchor),
            Event::Alias(anchor) => match self.expand(anchor) {
                Ok(value) => (value, 0),
                Err(what) => return refuse(what),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return refuse("a value is missing"),
        };
        if self.nodes > NODE_LIMIT {
            return refuse("too many nodes");
        }
        if anchor > 0 {
            self.anchors.retain(|(id, _, _)| *id != anchor);
            self.anchors.push((anchor, value.clone(), self.nodes - before));
        }
        Ok(value)
    }

    /// The value that an alias refers to. The limit is checked before the copy is made, because
    /// aliases of aliases grow exponentially.
    fn expand(&mut self, anchor: usize) -> Result<Value, &'static str> {
        let (_, value, size) = self
            .anchors
            .iter()
            .find(|(id, _, _)| *id == anchor)
            .ok_or("an alias is inside its own anchor")?;
        self.nodes += size;
        if self.nodes > NODE_LIMIT {
            return Err("aliases expand to too many nodes");
        }
        Ok(value.clone())
    }

    fn sequence(&mut self, depth: usize) -> Result<Vec<Value>, SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Map<String, Value>, SyntaxError> {
        let mut members = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let is_merge =
                matches!(&event, Event::Scalar(key, ScalarStyle::Plain, _, None) if key == "<<");
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, value_span) = self.next()?;
            let value = self.node(event, value_span, depth + 1)?;
            let refuse = |what: String| SyntaxError { line: span.start.line(), what };
            if is_merge {
                merged.push(value);
                continue;
            }
            let key = match key {
                Value::String(key) => key,
                Value::Bool(_) | Value::Number(_) => key.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err(refuse("a key must be a string".to_owned()));
                }
            };
            if members.insert(key.clone(), value).is_some() {
                return Err(refuse(format!("duplicate key {key:?} in one mapping")));
            }
        }
        // YAML's merge key: the mapping's own members win, then those of earlier merged mappings.
        for source in merged {
            let sources = if let Value::Array(sources) = source { sources } else { vec![source] };
            for (key, value) in sources.into_iter().filter_map(into_members).flatten() {
                members.entry(key).or_insert(value);
            }
        }
        Ok(members)
    }
}

fn into_members(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(members) = value { Some(members) } else { None }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Option<Value> {
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

/// Resolves a plain scalar by the table of the Kubernetes tools' YAML library.
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

#[cfg(test)]
mod tests;
