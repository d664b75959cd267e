//! The bytes of a document in each content coding, with their entity tags.
//!
//! Both forms and both tags of a page are made together and never change.

mod gzip;
mod segments;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;

pub(crate) use self::segments::{Frame, Segments};

/// The length of an entity tag with its quotes.
const TAG_BYTES: usize = 34;
/// The length of both tags of a page.
const TAGS_BYTES: usize = 2 * TAG_BYTES;

/// One document in each content coding.
#[derive(Clone, Debug)]
pub(crate) struct Page(Form);

#[derive(Clone, Debug)]
enum Form {
    /// Both tags, the identity form and the gzip form one after another: one allocation, because
    /// there is a page for every offer.
    Whole {
        bytes: Bytes,
        identity_end: usize,
    },
    Pieces(Arc<Pieces>),
}

/// A large document. Its pieces are shared with the pages before and after it.
#[derive(Debug)]
struct Pieces {
    identity: Representation,
    gzip: Representation,
}

/// Bytes and their strong entity tag (RFC 9110, section 8.8.3).
#[derive(Clone, Debug)]
pub(crate) struct Representation {
    pub(crate) body: Content,
    /// ASCII text with the quotes.
    pub(crate) etag: Bytes,
}

/// The bytes of one form. Clones share them.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Whole(Bytes),
    Pieces {
        pieces: Arc<[Bytes]>,
        /// The sum of the lengths of the pieces.
        len: usize,
    },
}

impl Page {
    pub(crate) fn new(identity: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(TAGS_BYTES + 2 * identity.len());
        bytes.resize(TAGS_BYTES, 0);
        bytes.extend_from_slice(identity);
        let identity_end = bytes.len();
        gzip::append_whole(identity, &mut bytes);
        let tags = [blake3::hash(identity), blake3::hash(&bytes[identity_end..])].map(tag);
        bytes[..TAGS_BYTES].copy_from_slice(tags.concat().as_bytes());
        // Without spare capacity no second allocation counts references.
        Self(Form::Whole { bytes: bytes.into_boxed_slice().into(), identity_end })
    }

    pub(crate) fn identity(&self) -> Representation {
        match &self.0 {
            Form::Whole { bytes, identity_end } => Representation {
                body: Content::Whole(bytes.slice(TAGS_BYTES..*identity_end)),
                etag: bytes.slice(..TAG_BYTES),
            },
            Form::Pieces(pieces) => pieces.identity.clone(),
        }
    }

    pub(crate) fn gzip(&self) -> Representation {
        match &self.0 {
            Form::Whole { bytes, identity_end } => Representation {
                body: Content::Whole(bytes.slice(*identity_end..)),
                etag: bytes.slice(TAG_BYTES..TAGS_BYTES),
            },
            Form::Pieces(pieces) => pieces.gzip.clone(),
        }
    }

    /// The size of the identity form in bytes.
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Form::Whole { identity_end, .. } => identity_end - TAGS_BYTES,
            Form::Pieces(pieces) => pieces.identity.body.len(),
        }
    }

    /// Whether both pages have the same identity form.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.identity().etag == other.identity().etag
    }
}

impl Representation {
    pub(crate) fn new(body: Vec<u8>) -> Self {
        Self { etag: tag(blake3::hash(&body)).into(), body: Content::Whole(body.into()) }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes.into())
    }
}

impl Content {
    /// Whether both are clones of one content. Equal contents need not be.
    pub(crate) fn is_shared(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Whole(own), Self::Whole(others)) => {
                (own.as_ptr(), own.len()) == (others.as_ptr(), others.len())
            }
            (Self::Pieces { pieces: own, .. }, Self::Pieces { pieces: others, .. }) => {
                Arc::ptr_eq(own, others)
            }
            (Self::Whole(_) | Self::Pieces { .. }, _) => false,
        }
    }

    fn of(pieces: Vec<Bytes>) -> Self {
        let len = pieces.iter().map(Bytes::len).sum();
        Self::Pieces { pieces: pieces.into(), len }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Pieces { len, .. } => *len,
        }
    }

    /// The first piece.
    pub(crate) fn beginning(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Pieces { pieces, .. } => pieces.first().map_or(&[], |piece| piece),
        }
    }

    /// The whole content in one piece. Copies a large one.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Self::Whole(bytes) => bytes.clone(),
            Self::Pieces { pieces, .. } => pieces.concat().into(),
        }
    }
}

/// The tag of bytes with this digest.
fn tag(digest: blake3::Hash) -> String {
    format!("\"{}\"", &digest.to_hex()[..32])
}
