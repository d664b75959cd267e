//! Requests that are answered without hyper.
//!
//! The answer to most requests is known when they have arrived. Such an answer is written in the same
//! turn in which its request was read, through buffers of the thread: a connection that waits holds
//! none. Whatever is not as simple goes to hyper from its first byte on.

use std::{
    future::poll_fn,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};

use super::{
    Answers,
    acceptor::Thread,
    activity::{Activity, Order},
    answer::{self, Rest},
    connection::Socket,
    stream::Stream,
};
use crate::head::{AnswerHead, Lines, SimpleRequest};

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
            match answer::write(stream, thread, &answer, tag, body, context) {
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
