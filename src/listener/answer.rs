//! Writing an answer, and what is left of it while the client must read first.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    ops::Range,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::Body;
use tokio::{io::AsyncWrite, net::TcpStream};

use super::{
    acceptor::Thread,
    connection::Socket,
    repeated::{self, AnswerFile},
    stream::Stream,
};

/// How many pieces of a large answer are written at once.
const PIECES: usize = 64;

/// Writes an answer: these bytes, in which the entity tag stands at `tag`, and the body behind them.
/// Returns what the client must read first.
pub(super) fn write<T: Socket, B: Body<Data = Bytes> + Unpin>(
    stream: &mut Stream<T>,
    thread: &Thread,
    answer: &[u8],
    tag: Range<usize>,
    mut body: B,
    context: &mut Context<'_>,
) -> io::Result<Option<Rest<B>>> {
    let size = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let size = size.unwrap_or(usize::MAX);
    let mut written = 0;
    let mut pieces = VecDeque::new();
    if size == 0 {
        if let Poll::Ready(count) = Pin::new(&mut *stream).poll_write(context, answer) {
            written = count?;
        }
    } else if T::IS_PLAIN && repeated::SIZES.contains(&size) && !tag.is_empty() {
        let file = thread.repeated.borrow_mut().file(answer, tag, || {
            while let Poll::Ready(Ok(Some(piece))) = next(&mut body, context) {
                pieces.push_back(piece);
            }
            &pieces
        });
        if let Some(file) = file {
            let end = (answer.len() + size) as u64;
            return Rest::<B>::File { file, at: 0, end }.write(stream, context);
        }
    }
    if let Some(unwritten @ [_, ..]) = answer.get(written..) {
        pieces.push_front(Bytes::copy_from_slice(unwritten));
    }
    Rest::Pieces { pieces, body: Some(body) }.write(stream, context)
}

/// The next piece of a body; `None` at its end.
fn next<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    context: &mut Context<'_>,
) -> Poll<io::Result<Option<Bytes>>> {
    loop {
        let data = match ready!(Pin::new(&mut *body).poll_frame(context)) {
            None => return Poll::Ready(Ok(None)),
            Some(Ok(frame)) => frame.into_data().ok(),
            // The length that was promised is not reached: the client learns it by the end.
            Some(Err(_)) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
        };
        if let Some(data) = data.filter(|data| !data.is_empty()) {
            return Poll::Ready(Ok(Some(data)));
        }
    }
}

/// An answer, or what is left of it.
pub(super) enum Rest<B> {
    Pieces {
        pieces: VecDeque<Bytes>,
        /// What comes after the pieces.
        body: Option<B>,
    },
    /// The bytes of a file from `at` to `end`.
    File { file: Rc<AnswerFile>, at: u64, end: u64 },
}

impl<B: Body<Data = Bytes> + Unpin> Rest<B> {
    /// Writes what the client takes now, and returns what is left.
    fn write<T: Socket>(
        mut self,
        stream: &mut Stream<T>,
        context: &mut Context<'_>,
    ) -> io::Result<Option<Self>> {
        match self.poll_written(stream, context) {
            Poll::Ready(result) => result.map(|()| None),
            Poll::Pending => Ok(Some(self)),
        }
    }

    pub(super) fn poll_written<T: Socket>(
        &mut self,
        stream: &mut Stream<T>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Pieces { pieces, body } => poll_pieces(pieces, body, stream, context),
            Self::File { file, at, end } => {
                while let Ok(left @ 1..) = usize::try_from(end.saturating_sub(*at)) {
                    let send = |socket: &TcpStream| file.send(socket, *at, left);
                    match ready!(stream.poll_write_by(context, send)) {
                        Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        Ok(sent) => *at += sent as u64,
                        Err(error) if repeated::is_refused(&error) => {
                            let pieces = [file.read(*at, left)?].into();
                            *self = Self::Pieces { pieces, body: None };
                            return self.poll_written(stream, context);
                        }
                        Err(error) => return Poll::Ready(Err(error)),
                    }
                }
                Poll::Ready(Ok(()))
            }
        }
    }
}

fn poll_pieces<T: Socket, B: Body<Data = Bytes> + Unpin>(
    pieces: &mut VecDeque<Bytes>,
    body: &mut Option<B>,
    stream: &mut Stream<T>,
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    loop {
        while pieces.len() < PIECES
            && let Some(body) = body
            && let Some(piece) = ready!(next(body, context))?
        {
            pieces.push_back(piece);
        }
        if pieces.is_empty() {
            return Pin::new(stream).poll_flush(context);
        }
        let slices: Vec<_> = pieces.iter().take(PIECES).map(|piece| IoSlice::new(piece)).collect();
        let mut written = ready!(Pin::new(&mut *stream).poll_write_vectored(context, &slices))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        while let Some(first) = pieces.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            pieces.pop_front();
        }
    }
}
