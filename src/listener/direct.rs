//! Requests that are answered without hyper.
//!
//! The answer to most requests is known when they have arrived. Such an answer is written in the same
//! turn in which its request was read, through buffers of the thread: a connection that waits holds
//! none. Whatever is not as simple goes to hyper from its first byte on.

use std::{
    collections::VecDeque,
    fs::File,
    future::poll_fn,
    io::{self, IoSlice},
    mem::MaybeUninit,
    ops::Range,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http_body::Body;
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

use super::{
    Answers,
    acceptor::Thread,
    activity::{Activity, Order},
    connection::Socket,
    repeated,
    stream::Stream,
};
use crate::head::{AnswerHead, Lines, ONE_PIECE, SimpleRequest};

/// How many pieces of a large answer are written at once.
const PIECES: usize = 64;

/// How a connection left the loop of simple requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It has ended.
    Ended,
    /// What arrives next is hyper's.
    Other,
}

/// What came of what has arrived.
enum Turn<B> {
    Left(Left),
    /// Nobody wants anything more.
    Quiet,
    /// The client must read before the rest of an answer can be written.
    Unwritten(Box<Rest<B>>),
}

/// Answers simple requests until another arrives or the connection ends.
pub(super) async fn serve<T: Socket, S: Answers>(
    stream: &mut Stream<T>,
    activity: &Activity,
    thread: &Thread,
    service: &S,
) -> Left {
    activity.can_park.set(false);
    loop {
        let turn = poll_fn(|context| {
            let order = activity.take_order(context.waker());
            if let Poll::Ready(turn) = answer_arrived(stream, activity, thread, service, context) {
                return Poll::Ready(turn);
            }
            if order == Some(Order::Abort) {
                return Poll::Ready(Turn::Left(Left::Ended));
            }
            // It may have been told to finish while an answer was under way.
            match activity.is_finishing() {
                true => Poll::Ready(finish(stream)),
                false => Poll::Pending,
            }
        })
        .await;
        match turn {
            Turn::Left(left) => return left,
            Turn::Quiet => {
                let _ = stream.shutdown().await;
                return Left::Ended;
            }
            Turn::Unwritten(mut rest) => {
                let is_written = poll_fn(|context| {
                    let order = activity.take_order(context.waker());
                    match rest.poll_written(stream, context) {
                        Poll::Ready(result) => Poll::Ready(result.is_ok()),
                        Poll::Pending if order == Some(Order::Abort) => Poll::Ready(false),
                        Poll::Pending => Poll::Pending,
                    }
                })
                .await;
                if !is_written {
                    return Left::Ended;
                }
                activity.end(thread.tick.get());
            }
        }
    }
}

/// What an order to finish comes to while nothing is answered.
fn finish<T: Socket, B>(stream: &Stream<T>) -> Turn<B> {
    match has_arrived(stream.io().socket()) {
        true => Turn::Left(Left::Other),
        false => Turn::Quiet,
    }
}

/// Whether bytes have arrived that the runtime does not know of yet. A request on its way when a
/// connection is closed would be lost.
fn has_arrived(socket: &TcpStream) -> bool {
    let mut byte = [MaybeUninit::uninit()];
    SockRef::from(socket).peek(&mut byte).is_ok_and(|count| count > 0)
}

/// Reads, and answers every simple request that has arrived. Pending if all of them are answered.
fn answer_arrived<T: Socket, S: Answers>(
    stream: &mut Stream<T>,
    activity: &Activity,
    thread: &Thread,
    service: &S,
    context: &mut Context<'_>,
) -> Poll<Turn<S::Body>> {
    let mut input = thread.input.borrow_mut();
    let mut answer = thread.answer.borrow_mut();
    loop {
        let mut buffer = ReadBuf::new(&mut input);
        if ready!(Pin::new(&mut *stream).poll_read(context, &mut buffer)).is_err() {
            return Poll::Ready(Turn::Left(Left::Ended));
        }
        let mut unread = buffer.filled();
        if unread.is_empty() {
            return Poll::Ready(Turn::Quiet);
        }
        while !unread.is_empty() {
            // An answer that asks its client to connect elsewhere is hyper's.
            let is_closing = thread.is_stopping.get() || activity.is_finishing();
            let mut lines = Lines::new();
            let simple = match is_closing {
                true => None,
                false => SimpleRequest::parse(unread, &mut lines),
            };
            answer.clear();
            let answered = simple.and_then(|(request, length)| {
                let date = thread.date.borrow();
                let mut head = AnswerHead::new(&mut answer, &date);
                let body = service.at_once(&request, &mut head)?;
                Some((body, head.tag(), length))
            });
            let Some((body, tag, length)) = answered else {
                stream.put_back(unread);
                return Poll::Ready(Turn::Left(Left::Other));
            };
            unread = unread.get(length..).unwrap_or_default();
            activity.begin(thread.tick.get());
            match write(stream, thread, &mut answer, tag, body, context) {
                Ok(None) => activity.end(thread.tick.get()),
                Ok(Some(rest)) => {
                    stream.put_back(unread);
                    return Poll::Ready(Turn::Unwritten(Box::new(rest)));
                }
                Err(_) => return Poll::Ready(Turn::Left(Left::Ended)),
            }
        }
    }
}

/// Writes an answer, of which the head is written and has an entity tag at `tag`. Returns what the
/// client must read first.
fn write<T: Socket, B: Body<Data = Bytes> + Unpin>(
    stream: &mut Stream<T>,
    thread: &Thread,
    answer: &mut Vec<u8>,
    tag: Range<usize>,
    mut body: B,
    context: &mut Context<'_>,
) -> io::Result<Option<Rest<B>>> {
    let size = body.size_hint().exact().and_then(|size| usize::try_from(size).ok());
    let size = size.unwrap_or(usize::MAX);
    let mut written = 0;
    let mut pieces = VecDeque::new();
    if answer.len().saturating_add(size) <= ONE_PIECE {
        while let Poll::Ready(Some(piece)) = next(&mut body, context)? {
            answer.extend_from_slice(&piece);
        }
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
enum Rest<B> {
    Pieces {
        pieces: VecDeque<Bytes>,
        /// What comes after the pieces.
        body: Option<B>,
    },
    /// The bytes of a file from `at` to `end`.
    File { file: Rc<File>, at: u64, end: u64 },
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

    fn poll_written<T: Socket>(
        &mut self,
        stream: &mut Stream<T>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Pieces { pieces, body } => poll_pieces(pieces, body, stream, context),
            Self::File { file, at, end } => {
                while let Ok(left @ 1..) = usize::try_from(end.saturating_sub(*at)) {
                    let send = |socket: &TcpStream| repeated::send(socket, file, *at, left);
                    match ready!(stream.poll_write_by(context, send)) {
                        Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        Ok(sent) => *at += sent as u64,
                        Err(error) if repeated::is_refused(&error) => {
                            let pieces = [repeated::read(file, *at, left)?].into();
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
