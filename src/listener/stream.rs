//! A connection's bytes, and what they tell about it.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Buf, Bytes};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

use super::{
    acceptor::Thread,
    activity::{Activity, Closed, Phase},
    connection::Socket,
    frames::{FrameMeter, GO_AWAY, PREFACE},
};
use crate::head::ONE_PIECE;

/// A stream that tells its connection's [`Activity`] what passes.
pub(super) struct Stream<T> {
    io: T,
    activity: Rc<Activity>,
    thread: Rc<Thread>,
    /// Bytes that were read ahead, to be read first.
    ahead: Bytes,
    /// Present for HTTP/2.
    frames: Option<Box<FrameMeter>>,
    written: u64,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream<T> {
    pub(super) fn new(io: T, activity: Rc<Activity>, thread: Rc<Thread>) -> Self {
        Self { io, activity, thread, ahead: Bytes::new(), frames: None, written: 0 }
    }

    pub(super) fn io(&self) -> &T {
        &self.io
    }

    pub(super) fn io_mut(&mut self) -> &mut T {
        &mut self.io
    }

    /// Puts bytes back that were read, so that they are read again. They are copied: what they are
    /// cut from is a whole buffer, which a connection that waits must not keep.
    pub(super) fn put_back(&mut self, ahead: &[u8]) {
        self.ahead = Bytes::copy_from_slice(ahead);
    }

    /// Reads until the bytes can be told from the preface of HTTP/2, and puts them back. Returns
    /// whether they are the preface; false at the end of the stream.
    pub(super) async fn is_http_2(&mut self) -> io::Result<bool> {
        let mut seen = [0; PREFACE.len()];
        let mut filled = 0;
        loop {
            let free = seen.get_mut(filled..).unwrap_or_default();
            let count = tokio::io::AsyncReadExt::read(self, free).await?;
            filled += count;
            let read = seen.get(..filled).unwrap_or_default();
            let is_possible = PREFACE.starts_with(read);
            if count == 0 || !is_possible || filled == PREFACE.len() {
                self.ahead = [read, &self.ahead].concat().into();
                return Ok(is_possible && filled == PREFACE.len());
            }
        }
    }

    /// Counts HTTP/2 frames from here on.
    pub(super) fn meter_frames(&mut self) {
        let now = self.now();
        self.activity.is_http_2.set(true);
        self.frames = Some(Box::new(FrameMeter::new(now)));
    }

    fn now(&self) -> Instant {
        self.thread.tick.get()
    }

    /// Writes by an operation on the socket itself, which returns how many bytes it took.
    pub(super) fn poll_write_by(
        &mut self,
        context: &mut Context<'_>,
        operation: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>>
    where
        T: Socket,
    {
        let socket = self.io.socket();
        let written = loop {
            match socket.poll_write_ready(context) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
            match socket.try_io(Interest::WRITABLE, || operation(socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => break Poll::Ready(result),
            }
        };
        self.wrote(&written);
        written
    }

    /// Takes note of what was read.
    fn note(&mut self, context: &mut Context<'_>, read: &[u8]) -> io::Result<()> {
        let now = self.now();
        let Some(frames) = &mut self.frames else {
            self.activity.read(now);
            return Ok(());
        };
        if frames.read(read, self.written, now).is_err() {
            self.thread.metrics.closed(Closed::Flood.as_str());
            if !self.activity.is_blocked() {
                // Between two frames of ours; a client that reads learns why.
                let _ = Pin::new(&mut self.io).poll_write(context, &GO_AWAY);
            }
            return Err(io::Error::new(io::ErrorKind::InvalidData, "too many control frames"));
        }
        match (frames.open_block(), self.activity.phase()) {
            (Some(since), Phase::Idle) => self.activity.enter(Phase::Head, since),
            (None, Phase::Head) => self.activity.enter(Phase::Idle, now),
            (Some(_) | None, _) => {}
        }
        Ok(())
    }

    fn wrote(&mut self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Ready(Ok(count)) => {
                self.written += *count as u64;
                self.activity.wrote(false, self.now());
                if self.frames.is_none() {
                    self.activity.progress(self.now());
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.activity.wrote(true, self.now()),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let before = buffer.filled().len();
        if stream.ahead.is_empty() {
            ready!(Pin::new(&mut stream.io).poll_read(context, buffer))?;
        } else {
            let count = stream.ahead.len().min(buffer.remaining());
            buffer.put_slice(stream.ahead.get(..count).unwrap_or_default());
            stream.ahead.advance(count);
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        if !read.is_empty() {
            stream.note(context, read)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let written = Pin::new(&mut stream.io).poll_write(context, bytes);
        stream.wrote(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = self.get_mut();
        let size: usize = slices.iter().map(|slice| slice.len()).sum();
        let written = if slices.len() > 1 && size <= ONE_PIECE {
            let mut piece = stream.thread.piece.borrow_mut();
            piece.clear();
            slices.iter().for_each(|slice| piece.extend_from_slice(slice));
            Pin::new(&mut stream.io).poll_write(context, &piece)
        } else {
            Pin::new(&mut stream.io).poll_write_vectored(context, slices)
        };
        stream.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}
