//! Accept loops with limits that hold: sockets in, requests to a service, answers out.
//!
//! One thread per core has a socket, a runtime and its connections for itself, so that no request
//! crosses threads. hyper sets no timer of its own here: every half second, [`activity`] decides
//! for each connection whether it has waited too long, which costs a request nothing.

mod acceptor;
mod activity;
mod answer;
mod batch;
mod connection;
mod direct;
mod frames;
mod repeated;
mod stream;
#[cfg(test)]
mod tests;
mod tls;

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::Service};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{oneshot, watch};

pub(crate) use self::{activity::Closed, tls::Certificates};
use crate::{
    head::{AnswerHead, SimpleRequest},
    telemetry::{ListenerMetrics, Metrics},
};

/// The error of a system that has no IPv6.
const NO_IPV6: i32 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
/// How many connections may wait to be accepted. The kernel has a limit of its own.
const BACKLOG: i32 = 4_096;

/// The limits of one listener.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How many connections may be open at once, over all threads.
    pub(crate) connections: usize,
    /// How long a new connection may take until its first request is complete.
    pub(crate) first_request: Duration,
    /// How long the head of a request may take.
    pub(crate) head: Duration,
    /// How long a connection may be without a request.
    pub(crate) idle: Duration,
    /// How long a client may take no byte of an answer.
    pub(crate) stalled_write: Duration,
    /// How long open requests may take once the listener closes.
    pub(crate) drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            first_request: Duration::from_secs(5),
            head: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            stalled_write: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// How far the shutdown of a listener is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Connections are kept open between requests.
    Serving,
    /// Everything is answered, and each answer asks the client to connect elsewhere.
    Stopping,
    /// What has arrived is answered; then connections are closed.
    Closing,
}

/// Sockets that are bound to one address, one for each thread.
#[derive(Debug)]
pub(crate) struct Sockets {
    sockets: Vec<TcpListener>,
    pub(crate) address: SocketAddr,
}

impl Sockets {
    /// Binds `threads` sockets to an address. An unspecified IPv6 address takes IPv4 as well.
    ///
    /// # Errors
    ///
    /// The address is in use or not of this machine.
    pub(crate) fn bind(address: SocketAddr, threads: usize) -> io::Result<Self> {
        let is_any = address.ip() == Ipv6Addr::UNSPECIFIED;
        match Self::bind_exactly(address, threads) {
            // A machine without IPv6: the same on IPv4 alone.
            Err(error) if is_any && error.raw_os_error() == Some(NO_IPV6) => {
                Self::bind_exactly((Ipv4Addr::UNSPECIFIED, address.port()).into(), threads)
            }
            bound => bound,
        }
    }

    fn bind_exactly(address: SocketAddr, threads: usize) -> io::Result<Self> {
        if threads > 1 {
            // Sockets that share a port would also share it with another process.
            socket(address)?.bind(&address.into())?;
        }
        let mut sockets = Vec::new();
        let mut address = address;
        for _ in 0..threads.max(1) {
            let socket = socket(address)?;
            socket.set_reuse_port(threads > 1)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            let socket = TcpListener::from(socket);
            // Port 0 became a port, which the next socket shares.
            address = socket.local_addr()?;
            sockets.push(socket);
        }
        Ok(Self { sockets, address })
    }
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

/// Answers requests. Every connection has a clone.
pub(crate) trait Answers:
    Service<
        Request<Incoming>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future: Unpin + 'static,
    > + Clone
    + Send
    + Unpin
    + 'static
{
    type Body: Body<Data = Bytes, Error: Into<axum::BoxError>> + Unpin + 'static;

    /// Answers a request without waiting: writes the head, with a small body behind it, and returns the
    /// body, which is empty if it is written. `None` leaves the request to [`Service::call`], as if it
    /// had not been asked, whatever was written.
    ///
    /// The entity tag of a body names its bytes: what has the same tag, at whatever path, is the same.
    fn at_once(&self, request: &SimpleRequest<'_>, head: &mut AnswerHead<'_>)
    -> Option<Self::Body>;
}

/// A listener under way.
#[derive(Debug)]
pub(crate) struct Listener {
    stage: watch::Sender<Stage>,
    /// One for each thread: how it ended; an error if it panicked.
    ended: Vec<oneshot::Receiver<String>>,
}

/// What a listener is started with besides its sockets and its service.
#[derive(Clone)]
pub(crate) struct Settings {
    /// `public` or `admin`.
    pub(crate) name: &'static str,
    pub(crate) limits: Limits,
    /// Speak TLS with these certificates.
    pub(crate) tls: Option<Arc<Certificates>>,
}

impl Listener {
    /// Starts one thread for each socket, each with a service of its own.
    ///
    /// # Errors
    ///
    /// The system refuses a thread or a runtime.
    pub(crate) fn start<S: Answers>(
        sockets: Sockets,
        service: impl Fn() -> S,
        settings: &Settings,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let (stage, stages) = watch::channel(Stage::Serving);
        let open = Arc::new(AtomicUsize::new(0));
        let metrics: ListenerMetrics =
            metrics.listener(settings.name, Closed::ALL.map(Closed::as_str));
        let tls = settings.tls.as_ref().map(tls::acceptor);
        let mut ended = Vec::new();
        for (number, socket) in sockets.sockets.into_iter().enumerate() {
            let (end, ending) = oneshot::channel();
            let acceptor = acceptor::Acceptor {
                limits: settings.limits,
                tls: tls.clone(),
                metrics: metrics.clone(),
                open: Arc::clone(&open),
                stages: stages.clone(),
            };
            let service = service();
            std::thread::Builder::new().name(format!("{}-{number}", settings.name)).spawn(
                move || {
                    let _ = end.send(acceptor.run(socket, service));
                },
            )?;
            ended.push(ending);
        }
        Ok(Self { stage, ended })
    }

    /// Passes stages on to the threads until one of them ends, and tells why. After
    /// [`Stage::Closing`], waits for all of them, at most [`Limits::drain`].
    pub(crate) async fn run(mut self, mut stages: watch::Receiver<Stage>) -> String {
        loop {
            tokio::select! {
                ended = futures::future::select_all(&mut self.ended) => {
                    return ended.0.unwrap_or_else(|_| "a thread of it panicked".to_owned());
                }
                changed = stages.changed() => {
                    let stage = changed.map_or(Stage::Closing, |()| *stages.borrow_and_update());
                    self.stage.send_replace(stage);
                    if stage == Stage::Closing {
                        futures::future::join_all(self.ended).await;
                        return "it closed".to_owned();
                    }
                }
            }
        }
    }
}
