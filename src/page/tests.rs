//! Pages made of segments, compared with pages that are made anew.

use std::{collections::BTreeMap, io::Read};

use bytes::Bytes;
use flate2::read::GzDecoder;
use proptest::prelude::*;

use super::{Content, Frame, Page, Segments, gzip::Checksum};
use crate::testing::law;

fn gunzipped(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = GzDecoder::new(bytes);
    decoder.read_to_end(&mut plain).unwrap();
    assert_eq!(decoder.into_inner(), b"", "nothing is left behind the member");
    plain
}

fn frame() -> Frame {
    Frame::new(br#"{"services":["#.to_vec(), br#"],"active":true}"#.to_vec())
}

/// Some fragments are natural beginnings, and some are so long that a segment is full before one.
fn fragment() -> impl Strategy<Value = Bytes> {
    let size = prop_oneof![60 => 1_usize..100, 1 => 10_000_usize..40_000];
    (any::<u16>(), size).prop_map(|(seed, size)| {
        let text = format!("{{\"name\":\"{seed}\",\"pad\":\"");
        text.bytes().chain((b'a'..b'x').cycle().take(size)).chain(*b"\"}").collect()
    })
}

type Edits = BTreeMap<u16, Option<Bytes>>;

/// The first edit sets many fragments.
fn histories() -> impl Strategy<Value = Vec<Edits>> {
    let first = prop::collection::btree_map(0..400_u16, fragment().prop_map(Some), 0..260);
    let edit = prop::option::weighted(0.6, fragment());
    let edits = prop::collection::btree_map(0..400_u16, edit, 1..12);
    (first, prop::collection::vec(edits, 0..6))
        .prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect())
}

fn sent(page: &Page) -> [(Bytes, Bytes); 2] {
    [page.identity(), page.gzip()].map(|form| (form.etag.clone(), form.body.to_bytes()))
}

proptest! {
    #![proptest_config(law(24))]

    #[test]
    fn edited_segments_are_those_of_the_same_fragments_from_the_start(history in histories()) {
        let mut segments = Segments::default();
        let mut fragments: BTreeMap<u16, Bytes> = BTreeMap::new();
        for edits in history {
            for (key, edit) in &edits {
                match edit {
                    Some(fragment) => fragments.insert(*key, fragment.clone()),
                    None => fragments.remove(key),
                };
            }
            segments.edit(edits);
            let page = segments.page(&frame());
            let mut fresh = Segments::default();
            fresh.edit(fragments.iter().map(|(key, value)| (*key, Some(value.clone()))).collect());
            prop_assert_eq!(sent(&page), sent(&fresh.page(&frame())));
            let list: Vec<_> = fragments.values().cloned().collect();
            let whole = [&frame().head[..], &list.join(&b","[..]), &frame().tail].concat();
            prop_assert_eq!(&page.identity().body.to_bytes()[..], &whole[..]);
            prop_assert_eq!(page.len(), whole.len());
            prop_assert_eq!(page.identity().body.len(), whole.len());
            let gzip = page.gzip().body;
            prop_assert_eq!(gzip.len(), gzip.to_bytes().len());
            prop_assert_eq!(gunzipped(&gzip.to_bytes()), whole);
        }
    }

    #[test]
    fn checksums_of_pieces_combine_to_that_of_the_whole(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..6),
    ) {
        let combined = pieces
            .iter()
            .map(|piece| Checksum::of(piece))
            .fold(Checksum::of(b""), Checksum::then);
        prop_assert_eq!(combined, Checksum::of(&pieces.concat()));
    }
}

#[test]
fn a_page_of_one_piece_has_both_forms_and_tags() {
    for body in [&b""[..], b"{}", &[b'x'; 100_000]] {
        let page = Page::new(body);
        assert_eq!(page.identity().body.to_bytes(), body);
        assert_eq!(gunzipped(&page.gzip().body.to_bytes()), body);
        for form in [page.identity(), page.gzip()] {
            let digest = blake3::hash(&form.body.to_bytes()).to_hex();
            assert_eq!(form.etag, format!("\"{}\"", &digest[..32]));
        }
    }
}

#[test]
fn one_change_of_a_large_document_makes_few_new_pieces() {
    let fragment =
        |at: u32, text: &str| Bytes::from(format!("{{\"at\":{at},\"text\":\"{text}\"}}"));
    let mut segments = Segments::default();
    segments.edit((0..20_000).map(|at| (at, Some(fragment(at, "before")))).collect());
    let pieces = |segments: &Segments<u32>| match segments.page(&frame()).identity().body {
        Content::Pieces { pieces, .. } => pieces,
        Content::Whole(_) => panic!("the document is large"),
    };
    let before = pieces(&segments);
    assert!(before.len() > 100, "{}", before.len());
    for at in [0, 777, 10_000, 19_999] {
        let mut edited = segments.clone();
        edited.edit([(at, Some(fragment(at, "after")))].into());
        let after = pieces(&edited);
        let is_new = |piece: &&Bytes| !before.iter().any(|old| old.as_ptr() == piece.as_ptr());
        let new: usize = after.iter().filter(is_new).map(Bytes::len).sum();
        // The frame is made anew by this test.
        assert!(new < 20_000, "{new} bytes of {}", after.concat().len());
    }
}
