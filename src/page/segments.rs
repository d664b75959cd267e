//! A document made of fragments in order, of which one change touches few.
//!
//! Fragments are cut into segments, and each segment keeps its bytes, its compressed form, its
//! checksum and its digest. Where segments begin follows from the fragments alone, so that replicas
//! with the same fragments have the same bytes and tags, whatever happened to them before.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use bytes::Bytes;
use imbl::OrdMap;

use super::{Content, Form, Page, Pieces, Representation, gzip, tag};

/// One of so many fragments begins a segment, as its digest has it.
const ONE_IN: u8 = 32;
/// A segment that would be longer ends before the next fragment.
const MAX_FRAGMENTS: usize = 128;
const MAX_BYTES: usize = 32_768;
/// A smaller document is compressed in one piece, which is shorter.
const SMALL_BYTES: usize = 16_384;

/// Fragments by key, in segments by the key of their first fragment.
#[derive(Clone, Debug)]
pub(crate) struct Segments<K: Ord + Clone>(OrdMap<K, Arc<Segment<K>>>);

#[derive(Debug)]
struct Segment<K> {
    fragments: Vec<(K, Bytes)>,
    /// Whether its first fragment begins a segment wherever it is.
    is_natural: bool,
    /// A comma, and the fragments with commas between them.
    body: Bytes,
    /// The same, compressed; the comma is a block of its own.
    deflated: Bytes,
    /// Without and with the comma.
    checksums: [gzip::Checksum; 2],
    /// Of both forms, without the comma.
    digests: [blake3::Hash; 2],
}

/// What is before the first fragment and after the last, with its compressed forms.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) head: Bytes,
    pub(crate) tail: Bytes,
    compressed: Arc<[Bytes; 2]>,
}

impl Frame {
    pub(crate) fn new(head: Vec<u8>, tail: Vec<u8>) -> Self {
        let mut start = gzip::HEADER.to_vec();
        start.extend_from_slice(&gzip::deflate_piece(&head));
        let compressed = Arc::new([start.into(), gzip::deflate_piece(&tail).into()]);
        Self { head: head.into(), tail: tail.into(), compressed }
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

impl<K: Ord + Clone> Default for Segments<K> {
    fn default() -> Self {
        Self(OrdMap::new())
    }
}

impl<K: Ord + Clone> Segments<K> {
    /// Sets or removes fragments. None of them may be empty.
    pub(crate) fn edit(&mut self, mut edits: BTreeMap<K, Option<Bytes>>) {
        while let Some(first) = edits.first_key_value().map(|(key, _)| key.clone()) {
            let run = self.run_at(&first);
            let last = run.last().map(|(_, segment)| Arc::clone(segment));
            let end = match &last {
                Some(last) => self.after(last),
                None => self.0.get_min().map(|(key, _)| key.clone()),
            };
            let rest = end.map(|end| edits.split_off(&end)).unwrap_or_default();
            let mut fragments: BTreeMap<K, Bytes> =
                run.iter().flat_map(|(_, segment)| segment.fragments.iter().cloned()).collect();
            for (key, edit) in std::mem::replace(&mut edits, rest) {
                match edit {
                    Some(fragment) => fragments.insert(key, fragment),
                    None => fragments.remove(&key),
                };
            }
            let old: BTreeMap<K, Arc<Segment<K>>> = run.into_iter().collect();
            for key in old.keys() {
                self.0.remove(key);
            }
            self.insert(fragments, &old);
        }
    }

    /// The segments that a change of the fragment at `key` may concern: from the last natural
    /// beginning before it to the next one after it.
    fn run_at(&self, key: &K) -> Vec<(K, Arc<Segment<K>>)> {
        let before = self.0.range(..key.clone()).rev();
        let mut start = None;
        for (key, segment) in before {
            start = Some(key);
            if segment.is_natural {
                break;
            }
        }
        let start = start.map_or(Bound::Unbounded, |start| Bound::Included(start.clone()));
        self.0
            .range((start, Bound::Unbounded))
            .take_while(|(start, segment)| *start <= key || !segment.is_natural)
            .map(|(start, segment)| (start.clone(), Arc::clone(segment)))
            .collect()
    }

    /// The key of the segment after `segment`.
    fn after(&self, segment: &Segment<K>) -> Option<K> {
        let (last, _) = segment.fragments.last()?;
        // Its own start is at most `last`, so the next start is behind it.
        let behind = (Bound::Excluded(last.clone()), Bound::Unbounded);
        self.0.range(behind).next().map(|(key, _)| key.clone())
    }

    /// Cuts the fragments of a run into segments. Those that are as in `old` are taken from there.
    fn insert(&mut self, fragments: BTreeMap<K, Bytes>, old: &BTreeMap<K, Arc<Segment<K>>>) {
        let mut open = Vec::new();
        let mut bytes = 0;
        let mut opened_naturally = false;
        for (key, fragment) in fragments {
            let is_natural = is_natural(&fragment);
            let is_full = open.len() == MAX_FRAGMENTS || bytes + fragment.len() > MAX_BYTES;
            if is_natural || is_full {
                self.close(std::mem::take(&mut open), opened_naturally, old);
                bytes = 0;
            }
            if open.is_empty() {
                opened_naturally = is_natural;
            }
            bytes += fragment.len() + 1;
            open.push((key, fragment));
        }
        self.close(open, opened_naturally, old);
    }

    fn close(
        &mut self,
        fragments: Vec<(K, Bytes)>,
        is_natural: bool,
        old: &BTreeMap<K, Arc<Segment<K>>>,
    ) {
        let Some((key, _)) = fragments.first() else { return };
        let key = key.clone();
        let kept = old.get(&key).filter(|old| old.fragments == fragments);
        let segment =
            kept.cloned().unwrap_or_else(|| Arc::new(Segment::new(fragments, is_natural)));
        self.0.insert(key, segment);
    }

    /// The document with these fragments.
    pub(crate) fn page(&self, frame: &Frame) -> Page {
        let segments = || self.0.values();
        let body = segments().map(|segment| segment.body.len()).sum::<usize>().saturating_sub(1);
        let mut identity = vec![frame.head.clone()];
        identity.extend(segments().enumerate().map(|(at, segment)| match at {
            0 => segment.body.slice(1..),
            _ => segment.body.clone(),
        }));
        identity.push(frame.tail.clone());
        if frame.len() + body <= SMALL_BYTES {
            return Page::new(&identity.concat());
        }
        let [start, end] = &*frame.compressed;
        let mut gzip = vec![start.clone()];
        let mut tags = [Tag::default(), Tag::default()];
        tags[0].add(blake3::hash(&frame.head));
        tags[1].add(blake3::hash(start));
        let mut checksum = gzip::Checksum::of(&frame.head);
        for (at, segment) in segments().enumerate() {
            let [first, later] = segment.checksums;
            let (deflated, own) = match at {
                0 => (segment.deflated.slice(gzip::COMMA.len()..), first),
                _ => (segment.deflated.clone(), later),
            };
            gzip.push(deflated);
            checksum = checksum.then(own);
            tags.iter_mut().zip(segment.digests).for_each(|(tag, digest)| tag.add(digest));
        }
        gzip.push(end.clone());
        gzip.push(checksum.then(gzip::Checksum::of(&frame.tail)).trailer().into());
        tags[0].add(blake3::hash(&frame.tail));
        tags[1].add(blake3::hash(end));
        let [plain, packed] = tags.map(Tag::finish);
        Page(Form::Pieces(Arc::new(Pieces {
            identity: Representation { body: Content::of(identity), etag: plain.into() },
            gzip: Representation { body: Content::of(gzip), etag: packed.into() },
        })))
    }
}

/// The tag of a form, from the digests of its parts.
#[derive(Default)]
struct Tag(blake3::Hasher);

impl Tag {
    fn add(&mut self, digest: blake3::Hash) {
        self.0.update(digest.as_bytes());
    }

    fn finish(self) -> String {
        tag(self.0.finalize())
    }
}

impl<K> Segment<K> {
    fn new(fragments: Vec<(K, Bytes)>, is_natural: bool) -> Self {
        let mut body = Vec::new();
        for (_, fragment) in &fragments {
            body.push(b',');
            body.extend_from_slice(fragment);
        }
        let bare = body.get(1..).unwrap_or_default();
        let mut deflated = gzip::COMMA.to_vec();
        deflated.extend_from_slice(&gzip::deflate_piece(bare));
        let checksum = gzip::Checksum::of(bare);
        Self {
            is_natural,
            digests: [blake3::hash(bare), blake3::hash(&deflated)],
            deflated: deflated.into(),
            checksums: [checksum, gzip::Checksum::of(b",").then(checksum)],
            body: body.into(),
            fragments,
        }
    }
}

/// Whether a fragment begins a segment wherever it is.
fn is_natural(fragment: &[u8]) -> bool {
    blake3::hash(fragment).as_bytes()[0].is_multiple_of(ONE_IN)
}
