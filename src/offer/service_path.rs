//! The path of an offer on the public URL.

use std::sync::Arc;

/// Matches `^/[A-Za-z0-9/_.-]*$` without `//`, `.` or `..` segments, and is not reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServicePath(Arc<str>);

/// Why a text is not a usable path. Both cases carry the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathError {
    Invalid(String),
    /// The path belongs to this service, or to the system that it replaces.
    Reserved(String),
}

/// Paths that no offer may have; paths below them are free.
const RESERVED_EXACTLY: [&str; 2] = ["/", "/services"];
/// Paths that no offer may have, including everything below them.
const RESERVED_ROOTS: [&str; 13] = [
    "/api",
    "/openapi.json",
    "/skill.md",
    "/rpc",
    "/.well-known",
    "/offers",
    "/agents",
    "/events",
    "/docs",
    "/schema",
    "/openapi.yaml",
    "/agent-icon.png",
    "/discovery",
];
impl ServicePath {
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '_' | '.' | '-');
        let clean = text.starts_with('/')
            && text.chars().all(allowed)
            && !text.contains("//")
            && !text.split('/').any(|segment| matches!(segment, "." | ".."));
        if !clean {
            return Err(PathError::Invalid(text.to_owned()));
        }
        let path = Self(text.into());
        let key = path.key();
        let below = |root: &str| {
            key.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if RESERVED_EXACTLY.contains(&key) || RESERVED_ROOTS.into_iter().any(below) {
            return Err(PathError::Reserved(text.to_owned()));
        }
        Ok(path)
    }

    /// The path as written, which is also how documents print it.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which paths are compared: without one trailing slash.
    pub(crate) fn key(&self) -> &str {
        match self.0.strip_suffix('/') {
            Some("") | None => &self.0,
            Some(shorter) => shorter,
        }
    }
}
