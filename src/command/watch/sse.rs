//! Server-sent events, out of the bytes of a stream.

use anyhow::bail;

/// The longest event that is read, in bytes.
const MAX_EVENT: usize = 65_536;

/// One event. A block that only has an id has no data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) id: Option<String>,
    pub(super) data: String,
}

/// Collects bytes until they are events.
#[derive(Debug, Default)]
pub(super) struct Parser {
    rest: Vec<u8>,
    event: Event,
}

impl Parser {
    /// The events that are complete with these bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> anyhow::Result<Vec<Event>> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if event != Event::default() {
                    events.push(event);
                }
                continue;
            }
            self.field(&line);
            if self.event.data.len() > MAX_EVENT {
                bail!("an event is longer than {MAX_EVENT} bytes");
            }
        }
        if self.rest.len() > MAX_EVENT {
            bail!("a line is longer than {MAX_EVENT} bytes");
        }
        Ok(events)
    }

    fn field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.kind),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if !self.event.data.is_empty() {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment, or a field that we do not use.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_same_however_the_bytes_are_cut() {
        let stream = "id: a-1\n\n: comment\n\nevent: draining\nid: a-2\ndata: {\"offer\":\"demo/\u{e9}\"}\n\n\
                      event: reset\r\nid: a-3\r\ndata:x\r\ndata: y\r\nretry: 5\r\n\r\nevent: cut";
        let event = |kind: &str, id: &str, data: &str| Event {
            kind: kind.to_owned(),
            id: Some(id.to_owned()),
            data: data.to_owned(),
        };
        let expected = [
            event("", "a-1", ""),
            event("draining", "a-2", "{\"offer\":\"demo/\u{e9}\"}"),
            event("reset", "a-3", "x\ny"),
        ];
        for size in 1..=stream.len() {
            let mut parser = Parser::default();
            let chunks = stream.as_bytes().chunks(size);
            let events: Vec<_> = chunks.flat_map(|chunk| parser.feed(chunk).unwrap()).collect();
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn a_stream_without_an_end_is_not_collected_forever() {
        let mut parser = Parser::default();
        assert!(parser.feed(&vec![b'x'; MAX_EVENT + 1]).is_err());
        let mut parser = Parser::default();
        let line = format!("data: {}\n", "x".repeat(MAX_EVENT / 2));
        assert!(parser.feed(line.repeat(3).as_bytes()).is_err());
    }
}
