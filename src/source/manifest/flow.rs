//! Flow collections that are nested more deeply than the YAML scanner can count are emptied, so
//! that they cost only the object that contains them.

use std::borrow::Cow;

use super::{
    ManifestDocument, SyntaxError,
    yaml::{ReadFailure, read},
};

/// How many collections the scanner accepts within one another.
const SCANNER_DEPTH: usize = 255;
/// A text is read again after each cut, so their number is bounded.
const MAX_CUTS: usize = 16;

/// Reads YAML and skips what is nested too deeply.
pub(super) fn read_flattened(text: &str) -> Result<Vec<ManifestDocument>, SyntaxError> {
    let mut text = Cow::Borrowed(text);
    let mut cuts = 0;
    loop {
        match read(&text) {
            Ok(documents) => return Ok(documents),
            Err(ReadFailure::Syntax(error)) => return Err(error),
            Err(ReadFailure::FlowTooDeep { index, .. }) if cuts < MAX_CUTS => {
                text = cut(&text, index).into();
                cuts += 1;
            }
            Err(ReadFailure::FlowTooDeep { line, .. }) => {
                let what = "nested too deeply, as in too many places above".to_owned();
                return Err(SyntaxError { line, what });
            }
        }
    }
}

/// What the text between two brackets or commas is part of.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// A token may begin here, after this character.
    Between(char),
    Plain,
    /// An anchor, an alias or a tag.
    Property,
    Single,
    Double,
    /// The character after a backslash in double quotes.
    Escaped,
    Comment,
}

/// Replaces the collections that begin at the character `index` or later, at the same or a greater
/// depth of the same outermost collection, by `~`. Lines keep their numbers.
fn cut(text: &str, index: usize) -> String {
    let start = text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    let mut cut = text[..start].to_owned();
    let mut depth = SCANNER_DEPTH;
    let mut place = Place::Between('[');
    let mut rest = text[start..].char_indices();
    for (at, c) in rest.by_ref() {
        let next = text[start + at + c.len_utf8()..].chars().next();
        let bracket = matches!(place, Place::Between(_) | Place::Plain | Place::Property);
        let was_deep = depth > SCANNER_DEPTH;
        match c {
            '[' | '{' if bracket => depth += 1,
            ']' | '}' if bracket => depth = depth.saturating_sub(1),
            _ => {}
        }
        match (was_deep, depth > SCANNER_DEPTH) {
            (false, true) => cut.push('~'),
            (true, _) => cut.push(if matches!(c, '\n' | '\r') { c } else { ' ' }),
            (false, false) => cut.push(c),
        }
        if depth == 0 {
            break;
        }
        place = after(place, c, next);
    }
    cut.push_str(rest.as_str());
    cut
}

fn after(place: Place, c: char, next: Option<char>) -> Place {
    let is_break = matches!(c, '\n' | '\r');
    let ends_token = matches!(c, '[' | ']' | '{' | '}' | ',');
    let ends_key = c == ':' && next.is_none_or(|c| c.is_whitespace() || "[]{},\"'".contains(c));
    match place {
        Place::Single if c == '\'' => Place::Between(c),
        Place::Double if c == '"' => Place::Between(c),
        Place::Double if c == '\\' => Place::Escaped,
        Place::Escaped => Place::Double,
        Place::Single | Place::Double => place,
        Place::Comment if is_break => Place::Between(c),
        Place::Comment => place,
        Place::Between(_) | Place::Plain | Place::Property if ends_token || ends_key => {
            Place::Between(c)
        }
        Place::Property if c.is_whitespace() => Place::Between(c),
        Place::Plain if c.is_whitespace() && next == Some('#') => Place::Comment,
        Place::Plain | Place::Property => place,
        Place::Between(before) => match c {
            '\'' => Place::Single,
            '"' => Place::Double,
            '&' | '*' | '!' => Place::Property,
            '#' if before.is_whitespace() => Place::Comment,
            _ if c.is_whitespace() || (c == ':' && matches!(before, '"' | '\'')) => {
                Place::Between(c)
            }
            _ => Place::Plain,
        },
    }
}
