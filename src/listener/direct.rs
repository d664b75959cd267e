//! Requests that are answered without hyper.
//!
//! The answer to most requests is known when they have arrived. Such an answer is written in the same
//! turn in which its request was read, through buffers of the thread: a connection that waits holds
//! none. Whatever is not as simple goes to hyper from its first byte on.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf, Bytes};
use http::Response;
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
    head,
    stream::{ONE_PIECE, Stream},
};

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
    let mut heads = thread.heads.borrow_mut();
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
            let simple = match is_closing {
                true => None,
                false => head::parse(unread, thread.spare.take(), &mut heads),
            };
            let answered = simple.and_then(|(request, length)| {
                let response = service.at_once(request)?;
                let size = response.body().size_hint().exact()?;
                Some((response, size, length))
            });
            let Some((response, size, length)) = answered else {
                stream.put_back(unread);
                return Poll::Ready(Turn::Left(Left::Other));
            };
            unread = unread.get(length..).unwrap_or_default();
            activity.begin(thread.tick.get());
            match write(stream, thread, response, size, context) {
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

/// Writes an answer, and returns what the client must read first.
fn write<T: Socket, B: Body<Data = Bytes> + Unpin>(
    stream: &mut Stream<T>,
    thread: &Thread,
    response: Response<B>,
    size: u64,
    context: &mut Context<'_>,
) -> io::Result<Option<Rest<B>>> {
    let mut answer = thread.piece.borrow_mut();
    answer.clear();
    let (mut parts, mut body) = response.into_parts();
    head::write(&parts, size, &thread.date.borrow(), &mut answer);
    let mut headers = std::mem::take(&mut parts.headers);
    headers.clear();
    thread.spare.set(headers);
    let is_small = usize::try_from(size).is_ok_and(|size| answer.len() + size <= ONE_PIECE);
    let mut pieces = VecDeque::new();
    if is_small {
        while let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(context) {
            answer.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        let written = match Pin::new(&mut *stream).poll_write(context, &answer) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        answer.drain(..written);
    }
    if !answer.is_empty() {
        pieces.push_back(Bytes::copy_from_slice(&answer));
    }
    // The stream puts pieces together in it.
    drop(answer);
    let mut rest = Rest { pieces, body };
    match rest.poll_written(stream, context) {
        Poll::Ready(result) => result.map(|()| None),
        Poll::Pending => Ok(Some(rest)),
    }
}

/// An answer, or what is left of it.
struct Rest<B> {
    pieces: VecDeque<Bytes>,
    /// What comes after the pieces.
    body: B,
}

impl<B: Body<Data = Bytes> + Unpin> Rest<B> {
    fn poll_written<T: Socket>(
        &mut self,
        stream: &mut Stream<T>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.pieces.len() < PIECES && !self.body.is_end_stream() {
                match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                    Some(Ok(frame)) => {
                        let data = frame.into_data().ok();
                        self.pieces.extend(data.filter(|data| !data.is_empty()));
                    }
                    // The length that was promised is not reached: the client learns it by the end.
                    Some(Err(_)) => return Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
                    None => break,
                }
            }
            if self.pieces.is_empty() {
                return Pin::new(stream).poll_flush(context);
            }
            let slices: Vec<_> =
                self.pieces.iter().take(PIECES).map(|piece| IoSlice::new(piece)).collect();
            let mut written = ready!(Pin::new(&mut *stream).poll_write_vectored(context, &slices))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            while let Some(first) = self.pieces.front_mut() {
                if written < first.len() {
                    first.advance(written);
                    break;
                }
                written -= first.len();
                self.pieces.pop_front();
            }
        }
    }
}
