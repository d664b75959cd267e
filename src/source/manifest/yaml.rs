//! Builds the values of YAML documents from a parser's events, within bounds of depth and size.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use serde_json::{Map, Value};

use super::{Lines, ManifestDocument, SyntaxError, scalar::scalar};
use crate::source::lossless_json::{DEPTH_LIMIT, too_deep};

/// What anchors and aliases of one file may add to its size.
const EXPANSION_LIMIT: usize = 32 * 1024 * 1024;
const ANCHOR_LIMIT: usize = 10_000;
/// What a node costs beside its text.
const NODE_BYTES: usize = 32;
/// The scanner's error for more flow collections within one another than it can count.
const FLOW_LIMIT: &str = "recursion limit exceeded";

/// Why a text could not be read.
pub(super) enum ReadFailure {
    /// More flow collections within one another than the scanner can count begin at this character.
    FlowTooDeep {
        index: usize,
        line: usize,
    },
    Syntax(SyntaxError),
}

impl From<SyntaxError> for ReadFailure {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

pub(super) fn read(text: &str) -> Result<Vec<ManifestDocument>, ReadFailure> {
    let mut reader = YamlReader {
        events: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        anchor_count: 0,
        expanded: 0,
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd,
                _,
            ) => {}
            (event, span) => {
                let mut lines = Lines::at(span.start.line());
                let value = reader.node(event, span, 0, Some(&mut lines))?;
                reader.anchors.clear();
                if !value.is_null() {
                    documents.push(ManifestDocument { value, lines });
                }
            }
        }
    }
}

struct YamlReader<'a> {
    events: Parser<'a, StrInput<'a>>,
    /// The anchored nodes of the current document.
    anchors: BTreeMap<usize, Anchored>,
    /// The anchors of all documents.
    anchor_count: usize,
    /// The bytes that anchors and aliases have added so far.
    expanded: usize,
}

struct Anchored {
    value: Value,
    size: Extent,
}

/// How large a value is.
#[derive(Clone, Copy, Default)]
struct Extent {
    bytes: usize,
    /// 0 for a scalar.
    height: usize,
}

impl Extent {
    fn of(value: &Value) -> Self {
        let text = |bytes: usize| Self { bytes: NODE_BYTES + bytes, height: 0 };
        let within = |sum: Self, part: Self| Self {
            bytes: sum.bytes + part.bytes,
            height: sum.height.max(part.height + 1),
        };
        match value {
            Value::Null | Value::Bool(_) => text(0),
            Value::Number(number) => text(number.as_str().len()),
            Value::String(value) => text(value.len()),
            Value::Array(items) => items.iter().map(Self::of).fold(text(0), within),
            Value::Object(members) => members
                .iter()
                .map(|(key, value)| within(text(key.len()), Self::of(value)))
                .fold(text(0), |sum, member| Self {
                    bytes: sum.bytes + member.bytes,
                    height: sum.height.max(member.height),
                }),
        }
    }
}

impl<'a> YamlReader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), ReadFailure> {
        let failed = |error: ScanError| {
            let (index, line) = (error.marker().index(), error.marker().line());
            match error.info() {
                FLOW_LIMIT => ReadFailure::FlowTooDeep { index, line },
                what => ReadFailure::Syntax(SyntaxError { line, what: what.to_owned() }),
            }
        };
        self.events.next_event().unwrap_or(Ok((Event::StreamEnd, Span::default()))).map_err(failed)
    }

    /// Reads the node that begins with `event`. `lines` is given if the node may be a Kubernetes
    /// object.
    fn node(
        &mut self,
        event: Event<'a>,
        span: Span,
        depth: usize,
        lines: Option<&mut Lines>,
    ) -> Result<Value, ReadFailure> {
        let line = span.start.line();
        let refuse = |what: String| Err(SyntaxError { line, what }.into());
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => match scalar(&text, style, tag.as_deref()) {
                Some(value) => (value, anchor),
                None => return refuse(format!("{text:?} is not a value of its tag")),
            },
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if depth >= DEPTH_LIMIT =>
            {
                self.skip_collection()?;
                (too_deep(), anchor)
            }
            Event::SequenceStart(anchor, _) => (Value::Array(self.sequence(depth, None)?), anchor),
            Event::MappingStart(anchor, _) => (Value::Object(self.mapping(depth, lines)?), anchor),
            Event::Alias(anchor) => (self.expand(anchor, depth, line)?, 0),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return refuse("a value is missing".to_owned()),
        };
        if anchor > 0 {
            self.remember(anchor, &value, line)?;
        }
        Ok(value)
    }

    /// Reads to the end of a collection, in a loop.
    fn skip_collection(&mut self) -> Result<(), ReadFailure> {
        let mut open = 1_usize;
        while open > 0 {
            let (event, span) = self.next()?;
            match event {
                Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                    open += 1;
                    self.remember_skipped(anchor, span)?;
                }
                Event::Scalar(_, _, anchor, _) => self.remember_skipped(anchor, span)?,
                Event::SequenceEnd | Event::MappingEnd => open -= 1,
                Event::StreamEnd => return Ok(()),
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::Alias(_) => {}
            }
        }
        Ok(())
    }

    fn remember_skipped(&mut self, anchor: usize, span: Span) -> Result<(), ReadFailure> {
        if anchor == 0 { Ok(()) } else { self.remember(anchor, &too_deep(), span.start.line()) }
    }

    /// Keeps a copy for aliases. Limits are checked before a copy is made, because anchors within
    /// anchors and aliases of aliases multiply.
    fn remember(&mut self, anchor: usize, value: &Value, line: usize) -> Result<(), ReadFailure> {
        self.anchor_count += 1;
        if self.anchor_count > ANCHOR_LIMIT {
            let what = format!("more than {ANCHOR_LIMIT} anchors in one file");
            return Err(SyntaxError { line, what }.into());
        }
        let size = Extent::of(value);
        self.charge(size, line)?;
        self.anchors.insert(anchor, Anchored { value: value.clone(), size });
        Ok(())
    }

    /// The value that an alias refers to.
    fn expand(&mut self, anchor: usize, depth: usize, line: usize) -> Result<Value, ReadFailure> {
        let Some(Anchored { size, .. }) = self.anchors.get(&anchor) else {
            let what = "an alias is inside its own anchor".to_owned();
            return Err(SyntaxError { line, what }.into());
        };
        let size = *size;
        if depth + size.height > DEPTH_LIMIT {
            return Ok(too_deep());
        }
        self.charge(size, line)?;
        Ok(self.anchors.get(&anchor).map(|anchored| anchored.value.clone()).unwrap_or_default())
    }

    fn charge(&mut self, size: Extent, line: usize) -> Result<(), ReadFailure> {
        self.expanded += size.bytes;
        if self.expanded > EXPANSION_LIMIT {
            let what = "anchors and aliases expand to more than 32 MiB".to_owned();
            return Err(SyntaxError { line, what }.into());
        }
        Ok(())
    }

    /// Reads to the end of a sequence. `lines` is given if it is the `items` of a list.
    fn sequence(
        &mut self,
        depth: usize,
        mut lines: Option<&mut Vec<Lines>>,
    ) -> Result<Vec<Value>, ReadFailure> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => {
                    let lines = lines.as_mut().and_then(|lines| {
                        lines.push(Lines::at(span.start.line()));
                        lines.last_mut()
                    });
                    items.push(self.node(event, span, depth + 1, lines)?);
                }
            }
        }
    }

    fn mapping(
        &mut self,
        depth: usize,
        mut lines: Option<&mut Lines>,
    ) -> Result<Map<String, Value>, ReadFailure> {
        let mut members = Map::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let is_merge =
                matches!(&event, Event::Scalar(key, ScalarStyle::Plain, _, None) if key == "<<");
            if event == Event::MappingEnd {
                break;
            }
            let key = self.node(event, span, depth + 1, None)?;
            let (event, value_span) = self.next()?;
            let value = match (&event, lines.as_mut()) {
                (Event::SequenceStart(0, _), Some(lines))
                    if key == "items" && depth + 1 < DEPTH_LIMIT =>
                {
                    Value::Array(self.sequence(depth + 1, Some(&mut lines.items))?)
                }
                _ => self.node(event, value_span, depth + 1, None)?,
            };
            let refuse = |what: String| SyntaxError { line: span.start.line(), what };
            if is_merge {
                merged.push(value);
                continue;
            }
            let key = match key {
                Value::String(key) => key,
                Value::Bool(_) | Value::Number(_) => key.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    return Err(refuse("a key must be a string".to_owned()).into());
                }
            };
            if members.insert(key.clone(), value).is_some() {
                return Err(refuse(format!("duplicate key {key:?} in one mapping")).into());
            }
        }
        merge(&mut members, merged);
        Ok(members)
    }
}

/// Applies YAML's merge key: the mapping's own members win, then those of earlier merged mappings.
fn merge(members: &mut Map<String, Value>, merged: Vec<Value>) {
    for source in merged {
        let sources = if let Value::Array(sources) = source { sources } else { vec![source] };
        for (key, value) in sources.into_iter().filter_map(into_members).flatten() {
            members.entry(key).or_insert(value);
        }
    }
}

fn into_members(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(members) = value { Some(members) } else { None }
}
