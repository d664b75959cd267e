//! One connection from its first byte to its last.

use std::{
    convert::Infallible,
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::{Body, Frame, SizeHint};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::Service,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Answers,
    acceptor::Thread,
    activity::{Activity, Order, Phase},
    batch::Batched,
    direct::{self, Left},
    stream::Stream,
};

/// A larger head is 431; it is also what hyper reads of a body ahead.
pub(super) const HEAD_BYTES: usize = 32 * 1_024;
/// The window of request bodies. No path reads one, so a client sends at most this much.
const HTTP_2_WINDOW: u32 = 65_535;
/// Requests that one HTTP/2 connection may have open.
const HTTP_2_STREAMS: u32 = 128;
/// Streams that a client reset before they were answered, and that we reset.
const HTTP_2_RESETS: usize = 64;
/// How much is read and thrown away after the last answer, so that a client which is still sending
/// gets to read it.
const LINGER_BYTES: usize = 64 * 1_024;

/// How connections are served.
pub(super) struct Protocols {
    http_1: http1::Builder,
    http_2: http2::Builder<LocalExecutor>,
}

impl Protocols {
    pub(super) fn new() -> Self {
        let mut http_1 = http1::Builder::new();
        // Limits of time are those of `Activity`. The limit of 100 fields is hyper's default, which
        // unlike a limit of our own costs no allocation.
        http_1.max_buf_size(HEAD_BYTES).header_read_timeout(None);
        let mut http_2 = http2::Builder::new(LocalExecutor);
        http_2
            .max_concurrent_streams(HTTP_2_STREAMS)
            .max_pending_accept_reset_streams(HTTP_2_RESETS)
            .max_local_error_reset_streams(HTTP_2_RESETS)
            .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
            .initial_stream_window_size(HTTP_2_WINDOW)
            .initial_connection_window_size(HTTP_2_WINDOW);
        Self { http_1, http_2 }
    }
}

/// Runs HTTP/2 streams on the thread of their connection.
#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future<Output = ()> + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, stream: F) {
        let mut stream = Box::pin(stream);
        // Most answers are known at once, and need no task. One that panics ends its stream alone.
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll(&mut context)));
        if let Ok(Poll::Pending) = polled {
            // hyper owns the stream: it ends with its connection.
            tokio::task::spawn_local(stream);
        }
    }
}

/// A stream of which data that has arrived can be seen without reading it.
pub(super) trait Socket: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Whether what is written are the bytes that are sent, and nothing is buffered in between.
    const IS_PLAIN: bool;

    fn socket(&self) -> &TcpStream;

    /// Whether HTTP/2 was agreed upon; `None` if the first bytes tell.
    fn is_http_2(&self) -> Option<bool>;
}

impl Socket for TcpStream {
    const IS_PLAIN: bool = true;

    fn socket(&self) -> &TcpStream {
        self
    }

    fn is_http_2(&self) -> Option<bool> {
        None
    }
}

impl Socket for TlsStream<TcpStream> {
    const IS_PLAIN: bool = false;

    fn socket(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn is_http_2(&self) -> Option<bool> {
        Some(self.get_ref().1.alpn_protocol() == Some(b"h2"))
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<T: Socket, S: Answers>(
    io: T,
    activity: Rc<Activity>,
    thread: Rc<Thread>,
    service: S,
) {
    let mut stream = Stream::new(io, Rc::clone(&activity), Rc::clone(&thread));
    let agreed = stream.io().is_http_2();
    let mut service =
        Tracked { service, activity: Rc::clone(&activity), thread: Rc::clone(&thread) };
    if agreed == Some(true) {
        return serve_http_2(stream, &activity, &thread, service).await;
    }
    loop {
        let left = direct::serve(&mut stream, &activity, &thread, &service.service).await;
        if left == Left::Ended {
            return;
        }
        if agreed.is_none() && activity.phase() == Phase::New {
            let mut sniff = Box::pin(stream.is_http_2());
            let sniffed = until_aborted(&activity, |context| sniff.as_mut().poll(context)).await;
            drop(sniff);
            match sniffed {
                Some(Ok(true)) => return serve_http_2(stream, &activity, &thread, service).await,
                Some(Ok(false)) => {}
                Some(Err(_)) | None => return,
            }
        }
        match serve_http_1(stream, &activity, &thread, service).await {
            Some(parts) => (stream, service) = parts,
            None => return,
        }
    }
}

/// Agrees on TLS. `None` if that fails or takes too long.
pub(super) async fn handshake(
    tls: TlsAcceptor,
    stream: TcpStream,
    activity: &Activity,
) -> Option<TlsStream<TcpStream>> {
    let mut handshake = Box::pin(tls.accept(stream).into_fallible());
    let agreed = until_aborted(activity, |context| handshake.as_mut().poll(context)).await;
    agreed?.ok()
}

/// Waits for something, unless the connection is told to end. Nothing was asked on it.
async fn until_aborted<V>(
    activity: &Activity,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<V>,
) -> Option<V> {
    poll_fn(|context| {
        let order = activity.take_order(context.waker());
        if let Poll::Ready(value) = poll(context) {
            return Poll::Ready(Some(value));
        }
        match order {
            Some(Order::Abort | Order::Finish) => Poll::Ready(None),
            Some(Order::Park) | None => Poll::Pending,
        }
    })
    .await
}

type Http1<T, S> = http1::Connection<TokioIo<Stream<T>>, Tracked<S>>;

/// Serves a connection until it ends, or is idle and is to wait without hyper's buffers or to finish.
/// Returns what goes on.
async fn serve_http_1<T: Socket, S: Answers>(
    stream: Stream<T>,
    activity: &Rc<Activity>,
    thread: &Rc<Thread>,
    service: Tracked<S>,
) -> Option<(Stream<T>, Tracked<S>)> {
    let mut connection: Pin<Box<Http1<T, S>>> =
        Box::pin(thread.protocols.http_1.serve_connection(TokioIo::new(stream), service));
    activity.can_park.set(T::IS_PLAIN);
    let ended = poll_fn(|context| {
        let order = activity.take_order(context.waker());
        if let Poll::Ready(result) = connection.poll_without_shutdown(context) {
            return Poll::Ready(End::Complete(result.is_ok()));
        }
        let is_quiet = activity.is_idle() && !activity.is_blocked();
        match order {
            Some(Order::Abort) => Poll::Ready(End::Aborted),
            Some(Order::Finish | Order::Park) if is_quiet => Poll::Ready(End::Quiet),
            // The answer on its way asks the client to close.
            Some(Order::Finish) => {
                connection.as_mut().graceful_shutdown();
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Order::Park) | None => Poll::Pending,
        }
    })
    .await;
    let (mut stream, ahead, service) = apart(connection);
    match ended {
        End::Aborted => None,
        End::Complete(is_ok) => {
            if activity.has_unread_body.get() || !is_ok {
                linger(stream.io_mut(), activity, thread).await;
            } else {
                let _ = stream.shutdown().await;
            }
            None
        }
        End::Quiet => {
            stream.put_back(&ahead);
            Some((stream, service))
        }
    }
}

/// What remains of a connection without hyper and its buffers: the stream, what was read ahead, and
/// the service. Not inline, because a task has room for all that it ever holds while it waits.
fn apart<T: Socket, S: Answers>(
    connection: Pin<Box<Http1<T, S>>>,
) -> (Stream<T>, Bytes, Tracked<S>) {
    let parts = Pin::into_inner(connection).into_parts();
    (parts.io.into_inner(), parts.read_buf, parts.service)
}

/// How a connection left hyper.
enum End {
    /// The last answer is written, or the client left; false if its bytes were no HTTP.
    Complete(bool),
    /// It was idle, and is to wait without buffers or to finish.
    Quiet,
    Aborted,
}

/// Closes our side, and throws away what the client still sends: closing with unread bytes would
/// reset the connection, and the client might lose the answer.
async fn linger<T: Socket>(io: &mut T, activity: &Activity, thread: &Thread) {
    activity.enter(Phase::Lingering, thread.tick.get());
    let mut lingering = Box::pin(async {
        io.shutdown().await?;
        let mut scratch = [0; 4_096];
        let mut left = LINGER_BYTES;
        while left > 0 {
            let count = io.read(&mut scratch).await?;
            if count == 0 {
                break;
            }
            left = left.saturating_sub(count);
        }
        io::Result::Ok(())
    });
    let _ = until_aborted(activity, |context| lingering.as_mut().poll(context)).await;
}

async fn serve_http_2<T: Socket, S: Answers>(
    mut stream: Stream<T>,
    activity: &Rc<Activity>,
    thread: &Rc<Thread>,
    service: Tracked<S>,
) {
    stream.meter_frames();
    let batch = Batched::new(stream);
    let io = TokioIo::new(batch.clone());
    let mut connection = Box::pin(thread.protocols.http_2.serve_connection(io, service));
    poll_fn(|context| {
        let order = activity.take_order(context.waker());
        match order {
            Some(Order::Abort) => return Poll::Ready(()),
            // GOAWAY; streams that the client has opened by then are answered.
            Some(Order::Finish) => connection.as_mut().graceful_shutdown(),
            Some(Order::Park) | None => {}
        }
        let polled = connection.as_mut().poll(context).map(|_| ());
        match batch.poll_send(context) {
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Ready(Ok(())) | Poll::Pending => polled,
        }
    })
    .await;
}

/// A service whose requests its connection's [`Activity`] knows.
struct Tracked<S> {
    service: S,
    activity: Rc<Activity>,
    thread: Rc<Thread>,
}

impl<S: Answers> Service<Request<Incoming>> for Tracked<S> {
    type Response = Response<Answer<S::Body>>;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let now = self.thread.tick.get();
        self.activity.begin(now);
        let is_http_2 = request.version() == Version::HTTP_2;
        let is_stopping = self.thread.is_stopping.get();
        if !is_http_2 && !request.body().is_end_stream() {
            self.activity.has_unread_body.set(true);
        }
        if is_http_2 && is_stopping && !self.activity.is_finishing() {
            self.activity.order(Order::Finish, now);
        }
        let open = Open { activity: Rc::clone(&self.activity), thread: Rc::clone(&self.thread) };
        Answering {
            future: self.service.call(request),
            open: Some(open),
            closes: (is_stopping || self.activity.is_finishing()) && !is_http_2,
        }
    }
}

/// A request whose answer is not complete.
struct Open {
    activity: Rc<Activity>,
    thread: Rc<Thread>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.activity.end(self.thread.tick.get());
    }
}

struct Answering<F> {
    future: F,
    open: Option<Open>,
    /// Whether the answer asks the client to close the connection.
    closes: bool,
}

impl<F: Future<Output = Result<Response<B>, Infallible>> + Unpin, B> Future for Answering<F> {
    type Output = Result<Response<Answer<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answering = self.get_mut();
        let Poll::Ready(Ok(mut response)) = Pin::new(&mut answering.future).poll(context) else {
            return Poll::Pending;
        };
        if answering.closes {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let open = answering.open.take();
        Poll::Ready(Ok(response.map(|body| Answer { body, open })))
    }
}

/// The body of an answer. Its request ends with it.
struct Answer<B> {
    body: B,
    open: Option<Open>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Answer<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let answer = self.get_mut();
        let polled = Pin::new(&mut answer.body).poll_frame(context);
        if let (Poll::Ready(_), Some(open)) = (&polled, &answer.open) {
            open.activity.progress(open.thread.tick.get());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
