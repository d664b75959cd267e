//! Reads YAML as `kubectl` does, so that a file means what it would mean in a cluster, and JSON.

mod flow;
mod scalar;
mod yaml;

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::lossless_json::LosslessJson;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub(crate) struct SyntaxError {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// One document of a file.
#[derive(Clone, Debug)]
pub(super) struct ManifestDocument {
    pub(super) value: Value,
    pub(super) lines: Lines,
}

/// Where an object begins, and if it is a list, where its `items` begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// From 1.
    pub(super) line: usize,
    /// In the order of the items. Empty if the items are an alias.
    pub(super) items: Vec<Lines>,
}

impl Lines {
    fn at(line: usize) -> Self {
        Self { line, items: Vec::new() }
    }
}

/// Reads a sequence of JSON documents.
pub(super) fn read_json(text: &str) -> Result<Vec<ManifestDocument>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut newlines = NewlineCounter { text, counted: 0, line: 1 };
    let mut documents = Vec::new();
    for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let refuse = |error: serde_json::Error, before: usize| SyntaxError {
            line: before + error.line(),
            what: error.to_string(),
        };
        let raw = document.map_err(|error| refuse(error, 0))?;
        let line = newlines.line_of(raw);
        let LosslessJson(value) =
            serde_json::from_str(raw.get()).map_err(|error| refuse(error, line - 1))?;
        let lines = lines_of(raw, &value, &mut newlines, line);
        documents.push(ManifestDocument { value, lines });
    }
    Ok(documents)
}

/// Reads every YAML document of a text and skips empty ones.
///
/// Plain scalars follow YAML 1.1 as in the Kubernetes tools: `yes` and `on` are true, `0o17` and
/// `017` are 15, and a time is a string. A duplicate key is an error.
pub(super) fn read_yaml(text: &str) -> Result<Vec<ManifestDocument>, SyntaxError> {
    flow::read_flattened(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// The values of [`read_yaml`].
pub(crate) fn parse_yaml(text: &str) -> Result<Vec<Value>, SyntaxError> {
    Ok(read_yaml(text)?.into_iter().map(|document| document.value).collect())
}

#[derive(Deserialize)]
struct RawList<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

/// The lines of a JSON value and of its items, of theirs, and so on.
fn lines_of(
    raw: &RawValue,
    value: &Value,
    newlines: &mut NewlineCounter<'_>,
    line: usize,
) -> Lines {
    let mut lines = Lines::at(line);
    // A list with several `items` is not a list of this form; its own line is then used.
    if let Some(values) = value.get("items").and_then(Value::as_array)
        && let Ok(RawList { items }) = serde_json::from_str(raw.get())
    {
        for (raw, value) in items.into_iter().zip(values) {
            let line = newlines.line_of(raw);
            lines.items.push(lines_of(raw, value, newlines, line));
        }
    }
    lines
}

/// Computes the lines of slices of a text, in the order in which they begin.
struct NewlineCounter<'a> {
    text: &'a str,
    counted: usize,
    line: usize,
}

impl NewlineCounter<'_> {
    fn line_of(&mut self, part: &RawValue) -> usize {
        // A raw value borrows from the text, so the difference of the addresses is its offset.
        let offset = part.get().as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let between = self.text.as_bytes().get(self.counted..offset).unwrap_or_default();
        self.line += between.iter().filter(|byte| **byte == b'\n').count();
        self.counted = self.counted.max(offset);
        self.line
    }
}

#[cfg(test)]
mod tests;
