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
        self.view(Coding::Identity).to_representation()
    }

    #[cfg(test)]
    pub(crate) fn gzip(&self) -> Representation {
        self.view(Coding::Gzip).to_representation()
    }

    /// The form in this content coding.
    pub(crate) fn view(&self, coding: Coding) -> View<'_> {
        match &self.0 {
            Form::Whole { bytes, identity_end } => {
                let (etag, body) = match coding {
                    Coding::Identity => {
                        (bytes.get(..TAG_BYTES), bytes.get(TAGS_BYTES..*identity_end))
                    }
                    Coding::Gzip => (bytes.get(TAG_BYTES..TAGS_BYTES), bytes.get(*identity_end..)),
                };
                let part = |part: Option<_>| Part { of: bytes, bytes: part.unwrap_or_default() };
                View { body: BodyView::Whole(part(body)), etag: part(etag) }
            }
            Form::Pieces(pieces) => match coding {
                Coding::Identity => pieces.identity.view(),
                Coding::Gzip => pieces.gzip.view(),
            },
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
        self.view(Coding::Identity).etag() == other.view(Coding::Identity).etag()
    }
}

/// A content coding (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    Gzip,
}

/// A representation where it stands. References to it are not counted: where threads send the same
/// bytes, counting costs more than sending a small answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    body: BodyView<'a>,
    etag: Part<'a>,
}

#[derive(Clone, Copy, Debug)]
enum BodyView<'a> {
    Whole(Part<'a>),
    Shared(&'a Content),
}

/// Some bytes of others.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    of: &'a Bytes,
    bytes: &'a [u8],
}

impl<'a> View<'a> {
    pub(crate) fn etag(&self) -> &'a [u8] {
        self.etag.bytes
    }

    /// The bytes, if they are in one piece.
    pub(crate) fn whole(&self) -> Option<&'a [u8]> {
        match self.body {
            BodyView::Whole(part) => Some(part.bytes),
            BodyView::Shared(_) => None,
        }
    }

    /// The size in bytes.
    pub(crate) fn len(&self) -> usize {
        match self.body {
            BodyView::Whole(part) => part.bytes.len(),
            BodyView::Shared(content) => content.len(),
        }
    }

    pub(crate) fn to_content(self) -> Content {
        match self.body {
            BodyView::Whole(part) => Content::Whole(part.of.slice_ref(part.bytes)),
            BodyView::Shared(content) => content.clone(),
        }
    }

    pub(crate) fn to_representation(self) -> Representation {
        Representation { body: self.to_content(), etag: self.etag.of.slice_ref(self.etag.bytes) }
    }
}

impl Representation {
    pub(crate) fn new(body: Vec<u8>) -> Self {
        Self { etag: tag(blake3::hash(&body)).into(), body: Content::Whole(body.into()) }
    }

    pub(crate) fn view(&self) -> View<'_> {
        let body = match &self.body {
            Content::Whole(bytes) => BodyView::Whole(Part { of: bytes, bytes }),
            content @ Content::Pieces { .. } => BodyView::Shared(content),
        };
        View { body, etag: Part { of: &self.etag, bytes: &self.etag } }
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
