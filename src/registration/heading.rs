//! The name and the description of a document that was rendered.

use super::document::DOCUMENT_TYPE;
use crate::page::Page;

/// Reads name and description from the beginning of a document, whatever its size.
pub(crate) fn heading(page: &Page) -> Option<(String, String)> {
    let body = page.identity().body;
    let rest = body.beginning().strip_prefix(b"{\"type\":\"")?;
    let rest = rest.strip_prefix(DOCUMENT_TYPE.as_bytes())?.strip_prefix(b"\",\"name\":")?;
    let (name, rest) = string(rest)?;
    let (description, _) = string(rest.strip_prefix(b",\"description\":")?)?;
    Some((name, description))
}

/// The JSON string at the beginning of a text, and what follows it.
fn string(text: &[u8]) -> Option<(String, &[u8])> {
    let mut strings = serde_json::Deserializer::from_slice(text).into_iter::<String>();
    let string = strings.next()?.ok()?;
    Some((string, text.get(strings.byte_offset()..)?))
}

#[cfg(test)]
mod tests;
