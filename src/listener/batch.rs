//! What an HTTP/2 connection writes in one turn, sent together.
//!
//! h2 writes and flushes each DATA frame by itself. Sending a small one costs the system more than
//! everything else about its request, so frames wait here until their connection has nothing more to
//! say for now.

use std::{
    cell::RefCell,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::head::ONE_PIECE;

/// How many bytes wait at most. A client that does not read makes its connection keep them.
const BATCH_BYTES: usize = 16 * 1_024;

/// A stream whose writes wait for [`Batched::poll_send`]. Clones are the same.
pub(super) struct Batched<S>(Rc<RefCell<Waiting<S>>>);

struct Waiting<S> {
    stream: S,
    unsent: BytesMut,
}

impl<S> Batched<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Rc::new(RefCell::new(Waiting { stream, unsent: BytesMut::new() })))
    }
}

impl<S> Clone for Batched<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Batched<S> {
    /// Ends the turn: sends what waits. To be called whenever something may have been written.
    pub(super) fn poll_send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_send(context)
    }
}

impl<S: AsyncWrite + Unpin> Waiting<S> {
    fn poll_send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.unsent))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.unsent.advance(sent),
            }
        }
        // A connection that waits keeps no memory for it.
        self.unsent = BytesMut::new();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let size: usize = slices.iter().map(|slice| slice.len()).sum();
        if size > ONE_PIECE {
            return self.poll_write_large(context, slices);
        }
        if self.unsent.len() + size > BATCH_BYTES {
            ready!(self.poll_send(context))?;
        }
        if self.unsent.capacity() == 0 {
            self.unsent.reserve(BATCH_BYTES);
        }
        slices.iter().for_each(|slice| self.unsent.extend_from_slice(slice));
        Poll::Ready(Ok(size))
    }

    /// Sends what waits and these bytes, which are not copied.
    fn poll_write_large(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let waiting = self.unsent.len();
            let all = [IoSlice::new(&self.unsent)].into_iter().chain(slices.iter().copied());
            let all: Vec<IoSlice<'_>> = all.collect();
            let sent = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, &all))?;
            self.unsent.advance(sent.min(waiting));
            if sent == 0 || sent > waiting {
                return Poll::Ready(Ok(sent.saturating_sub(waiting)));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Batched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Batched<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_write(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Done at once: what was written is sent at the end of the turn.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.0.borrow_mut();
        ready!(waiting.poll_send(context))?;
        Pin::new(&mut waiting.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
