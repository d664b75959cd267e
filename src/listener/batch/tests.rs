use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use proptest::prelude::*;
use tokio::io::AsyncWrite;

use super::{BATCH_BYTES, Batched};
use crate::{head::ONE_PIECE, testing::law};

/// A client that takes so many bytes and no more.
#[derive(Default)]
struct Client {
    room: usize,
    /// What each write sent.
    sent: Vec<Vec<u8>>,
    is_closed: bool,
}

impl AsyncWrite for Client {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!self.is_closed);
        let taken = bytes.len().min(self.room);
        if taken == 0 {
            return Poll::Pending;
        }
        self.room -= taken;
        self.sent.push(bytes[..taken].to_vec());
        Poll::Ready(Ok(taken))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        self.poll_write(context, &all)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.is_closed = true;
        Poll::Ready(Ok(()))
    }
}

fn with_room(room: usize) -> Batched<Client> {
    Batched::new(Client { room, ..Client::default() })
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// Writes as h2 does: a head and a payload, and a flush.
fn write(batch: &mut Batched<Client>, head: &[u8], payload: &[u8]) -> Option<usize> {
    let slices = [IoSlice::new(head), IoSlice::new(payload)];
    let written = Pin::new(&mut *batch).poll_write_vectored(&mut context(), &slices);
    assert!(Pin::new(batch).poll_flush(&mut context()).is_ready());
    match written {
        Poll::Ready(result) => Some(result.unwrap()),
        Poll::Pending => None,
    }
}

#[test]
fn the_frames_of_a_turn_are_sent_at_its_end_in_one_piece() {
    let mut batch = with_room(usize::MAX);
    for frame in [b"one", b"two"] {
        assert_eq!(write(&mut batch, b"head", frame), Some(7));
    }
    assert!(batch.0.borrow().stream.sent.is_empty());
    assert!(batch.poll_send(&mut context()).is_ready());
    assert_eq!(batch.0.borrow().stream.sent, [b"headoneheadtwo"]);
    assert_eq!(batch.0.borrow().unsent.capacity(), 0, "a connection that waits keeps no memory");
}

#[test]
fn a_large_payload_is_sent_at_once_and_with_what_waits() {
    let mut batch = with_room(usize::MAX);
    let large = [b'x'; ONE_PIECE];
    write(&mut batch, b"head", b"small");
    assert_eq!(write(&mut batch, b"head", &large), Some(4 + large.len()));
    let sent: Vec<usize> = batch.0.borrow().stream.sent.iter().map(Vec::len).collect();
    assert_eq!(sent, [9 + 4 + large.len()]);
}

#[test]
fn a_connection_whose_client_does_not_read_keeps_a_limited_number_of_bytes() {
    let mut batch = with_room(0);
    let mut kept = 0;
    while let Some(written) = write(&mut batch, b"head", &[b'x'; 1_000]) {
        kept += written;
    }
    assert!((BATCH_BYTES - 1_004..=BATCH_BYTES).contains(&kept), "{kept}");
    assert!(batch.poll_send(&mut context()).is_pending());
}

#[test]
fn a_connection_that_is_shut_down_sends_what_waits_first() {
    let mut batch = with_room(2);
    write(&mut batch, b"", b"last");
    assert!(Pin::new(&mut batch).poll_shutdown(&mut context()).is_pending());
    batch.0.borrow_mut().stream.room = 2;
    assert!(Pin::new(&mut batch).poll_shutdown(&mut context()).is_ready());
    let client = &batch.0.borrow().stream;
    assert_eq!((client.sent.concat(), client.is_closed), (b"last".to_vec(), true));
}

proptest! {
    #![proptest_config(law(400))]

    #[test]
    fn every_byte_is_sent_once_and_in_order(
        steps in prop::collection::vec((0..3_u8, prop_oneof![0..600_usize, 0..20_000_usize]), 0..60),
    ) {
        let mut batch = with_room(0);
        let mut written = Vec::new();
        for (step, size) in steps {
            match step {
                0 => batch.0.borrow_mut().stream.room += size,
                1 => drop(batch.poll_send(&mut context())),
                _ => {
                    let bytes: Vec<u8> = (0..=u8::MAX).cycle().skip(written.len() % 256).take(size).collect();
                    let (head, payload) = bytes.split_at(size / 10);
                    let taken = write(&mut batch, head, payload).unwrap_or_default();
                    written.extend_from_slice(&bytes[..taken]);
                }
            }
        }
        batch.0.borrow_mut().stream.room = usize::MAX;
        prop_assert!(batch.poll_send(&mut context()).is_ready());
        prop_assert_eq!(batch.0.borrow().stream.sent.concat(), written);
    }
}
