//! Connections in: accepted, cut without a word, or refused while down.

use std::{
    future::poll_fn,
    net::{Shutdown, SocketAddr},
    sync::{Arc, Mutex, Weak},
    task::{Context, Poll, Waker},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

/// A listener that can be taken down and up again on the same port.
#[derive(Clone)]
pub struct Door {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

struct State {
    /// Bound and never listening: keeps the port ours while down, and the operating system refuses
    /// connections to it.
    _holder: TcpSocket,
    listener: Option<TcpListener>,
    lines: Vec<Weak<std::net::TcpStream>>,
    /// The accepting task, woken when there is a new listener.
    waker: Option<Waker>,
}

/// The other handle of a connection, to cut it.
#[derive(Clone, Debug)]
pub struct Line(Arc<std::net::TcpStream>);

impl Door {
    /// Listens on a free port.
    pub fn open() -> Self {
        let holder = bound(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = holder.local_addr().unwrap();
        let listener = Some(bound(address).listen(1_024).unwrap());
        let state = State { _holder: holder, listener, lines: Vec::new(), waker: None };
        Self { address, state: Arc::new(Mutex::new(state)) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set_down(&self, is_down: bool) {
        let mut state = self.state.lock().unwrap();
        if is_down {
            state.listener = None;
            cut(&mut state.lines);
        } else if state.listener.is_none() {
            state.listener = Some(listening(self.address));
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
    }

    /// Closes all connections and goes on accepting new ones.
    pub fn cut_all(&self) {
        cut(&mut self.state.lock().unwrap().lines);
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<(TcpStream, Line)> {
        let mut state = self.state.lock().unwrap();
        state.waker = Some(cx.waker().clone());
        while let Some(listener) = &state.listener {
            let Poll::Ready(accepted) = listener.poll_accept(cx) else { break };
            // A client may have gone before it was accepted.
            let Ok((stream, line)) = accepted.and_then(|(stream, _)| doubled(stream)) else {
                continue;
            };
            state.lines.retain(|line| line.strong_count() > 0);
            state.lines.push(Arc::downgrade(&line.0));
            return Poll::Ready((stream, line));
        }
        Poll::Pending
    }
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = Line;

    async fn accept(&mut self) -> (TcpStream, Line) {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn local_addr(&self) -> std::io::Result<Line> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl Line {
    /// Closes the connection for both sides, with nothing more said.
    pub fn cut(&self) {
        // It may be closed already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Connected<IncomingStream<'_, Door>> for Line {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().clone()
    }
}

fn cut(lines: &mut Vec<Weak<std::net::TcpStream>>) {
    for line in lines.drain(..).filter_map(|line| line.upgrade()) {
        Line(line).cut();
    }
}

/// Listens again on an address. A child process that another test is just starting holds a copy of
/// the listener before until it runs its program.
fn listening(address: SocketAddr) -> TcpListener {
    let listen = || {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(1_024)
    };
    for _ in 0..5_000 {
        match listen() {
            Ok(listener) => return listener,
            Err(_) => std::thread::park_timeout(std::time::Duration::from_millis(1)),
        }
    }
    listen().unwrap()
}

/// A socket on an address that others of ours may be bound to, as long as one listens at most.
fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

fn doubled(stream: TcpStream) -> std::io::Result<(TcpStream, Line)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let line = Line(Arc::new(stream.try_clone()?));
    Ok((TcpStream::from_std(stream)?, line))
}
