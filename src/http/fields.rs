//! The fields of a request, whoever read them.

use http::{HeaderMap, HeaderName};

use crate::head::SimpleRequest;

/// The fields of a request head.
pub(super) trait Fields {
    /// The values of a field, in the order of its lines.
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]>;
}

impl Fields for HeaderMap {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name).iter().map(|value| value.as_bytes())
    }
}

impl Fields for SimpleRequest<'_> {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        SimpleRequest::values(self, name)
    }
}

/// A value as text. `None` for bytes that are not visible ASCII, a space or a tab.
pub(super) fn text(value: &[u8]) -> Option<&str> {
    let is_text = value.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    std::str::from_utf8(value).ok().filter(|_| is_text)
}
