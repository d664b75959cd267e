//! A relay between a client and a server that can change servers, or fall silent without a word.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// A running relay. Dropping it closes its connections.
pub struct Relay {
    state: watch::Sender<State>,
    relaying: JoinHandle<()>,
    /// Where it listens.
    port: u16,
    folder: TempDir,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    target: Target,
    /// Nothing passes, and nothing is closed.
    is_silent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Port(u16),
    Socket(PathBuf),
}

enum Listener {
    Port(TcpListener),
    Socket(UnixListener),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Relay {
    /// Relays a free port of 127.0.0.1 to another port.
    pub async fn to_port(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        Self::start(Listener::Port(listener), own, folder, Target::Port(port))
    }

    /// Relays [`Self::socket`] to another socket.
    pub fn to_socket(socket: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("socket")).unwrap();
        Self::start(Listener::Socket(listener), 0, folder, Target::Socket(socket.to_owned()))
    }

    fn start(listener: Listener, port: u16, folder: TempDir, target: Target) -> Self {
        let state = watch::Sender::new(State { target, is_silent: false });
        let states = state.subscribe();
        #[expect(clippy::disallowed_methods, reason = "aborted when the relay is dropped")]
        let relaying = tokio::spawn(async move {
            let mut open = JoinSet::new();
            loop {
                let client = listener.accept().await;
                open.spawn(relay(client, states.clone()));
            }
        });
        Self { state, relaying, port, folder }
    }

    /// The port on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket on which it listens.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Closes all connections and relays new ones to another port.
    pub fn turn_to(&self, port: u16) {
        self.state.send_modify(|state| state.target = Target::Port(port));
    }

    /// Silent, it passes nothing on, and keeps connections open.
    pub fn set_silent(&self, is_silent: bool) {
        self.state.send_modify(|state| state.is_silent = is_silent);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The set of connections ends with the task.
        self.relaying.abort();
    }
}

impl Listener {
    async fn accept(&self) -> Box<dyn Stream> {
        match self {
            Self::Port(listener) => Box::new(listener.accept().await.unwrap().0),
            Self::Socket(listener) => Box::new(listener.accept().await.unwrap().0),
        }
    }
}

/// Relays one connection until either side ends it, or the target changes.
async fn relay(client: Box<dyn Stream>, mut states: watch::Receiver<State>) {
    let target = states.borrow_and_update().target.clone();
    let server: Box<dyn Stream> = match &target {
        Target::Port(port) => match TcpStream::connect(("127.0.0.1", *port)).await {
            Ok(stream) => Box::new(stream),
            Err(_) => return,
        },
        Target::Socket(path) => match UnixStream::connect(path).await {
            Ok(stream) => Box::new(stream),
            Err(_) => return,
        },
    };
    let (from_client, to_client) = tokio::io::split(client);
    let (from_server, to_server) = tokio::io::split(server);
    tokio::select! {
        () = pass(from_client, to_server, states.clone()) => {}
        () = pass(from_server, to_client, states.clone()) => {}
        _ = states.wait_for(|state| state.target != target) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut states: watch::Receiver<State>,
) {
    let mut bytes = [0; 16_384];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let passes = states.wait_for(|state| !state.is_silent).await.is_ok();
        if !passes || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
