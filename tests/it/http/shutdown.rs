//! Rolling restarts of two replicas, behind a balancer that follows readiness, lose no request.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::support::{
    process::{Server, command, eventually},
    wire::{Wire, field, frame, get_block, preface, status},
};

use super::ground::{WELL_KNOWN, offers};

const CLIENTS: usize = 16;

/// Replicas that take new connections, by their addresses.
type Ready = Arc<Mutex<Vec<String>>>;

/// How many restarts: a few in each run, more by hand.
fn restarts() -> usize {
    #[expect(clippy::disallowed_methods, reason = "settings of the tests, not of the binary")]
    let asked = std::env::var("REGISTRAR_RESTARTS").ok();
    asked.map_or(4, |count| count.parse().unwrap())
}

async fn replica(dir: &TempDir) -> Server {
    let ports = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let more = ["--shutdown-delay", "1s", "--threads", "2", "--offers"];
    let offers = [dir.path().to_str().unwrap(), "--public-url", "https://seller.example"];
    let server = Server::launch(command(&[&ports[..], &more, &offers].concat())).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    server
}

fn address(server: &Server) -> String {
    server.public.strip_prefix("http://").unwrap().to_owned()
}

/// Passes each connection to the next ready replica.
async fn balance(listener: TcpListener, ready: Ready) {
    let mut connections = JoinSet::new();
    for turn in 0.. {
        let (mut client, _) = listener.accept().await.unwrap();
        let to = {
            let ready = ready.lock().unwrap();
            ready[turn % ready.len()].clone()
        };
        connections.spawn(async move {
            if let Ok(mut replica) = TcpStream::connect(to).await {
                let _ = copy_bidirectional(&mut client, &mut replica).await;
            }
        });
    }
}

/// Sends requests one after the other until told to stop, and counts those without an answer.
/// Connects again only when an answer asks for it.
async fn ask(balancer: String, stop: Arc<AtomicBool>, answered: Arc<AtomicUsize>) -> usize {
    let mut failures = 0;
    let mut wire = Wire::to(&balancer).await;
    while !stop.load(Ordering::Relaxed) {
        wire.send(format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let head = wire.try_response().await;
        let is_last = match &head {
            Some(head) if status(head) == 200 => {
                answered.fetch_add(1, Ordering::Relaxed);
                field(head, "connection") == Some("close")
            }
            Some(_) | None => {
                failures += 1;
                true
            }
        };
        if is_last {
            wire = Wire::to(&balancer).await;
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_restarts_lose_no_request() {
    let dir = offers(3);
    let mut replicas = [replica(&dir).await, replica(&dir).await];
    let ready: Ready = Arc::new(Mutex::new(replicas.iter().map(address).collect()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let balancer = format!("http://{}", listener.local_addr().unwrap());
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut balancing = JoinSet::new();
    balancing.spawn(balance(listener, Arc::clone(&ready)));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask(balancer.clone(), Arc::clone(&stop), Arc::clone(&answered)));
    }
    for restart in 0..restarts() {
        let slot = restart % 2;
        let before = answered.load(Ordering::Relaxed);
        eventually("there is load", async || answered.load(Ordering::Relaxed) > before + 500).await;
        replicas[slot].signal("-TERM");
        eventually("readiness is off", async || {
            replicas[slot].admin("/readyz").await.status() == 503
        })
        .await;
        let other = address(&replicas[1 - slot]);
        ready.lock().unwrap().retain(|address| *address == other);
        let old = std::mem::replace(&mut replicas[slot], replica(&dir).await);
        ready.lock().unwrap().push(address(&replicas[slot]));
        assert_eq!(old.log_after_end().await.code, Some(0));
    }
    stop.store(true, Ordering::Relaxed);
    let failures: usize = clients.join_all().await.into_iter().sum();
    assert_eq!(failures, 0, "of {answered:?} requests");
}

#[tokio::test]
async fn after_sigterm_answers_ask_their_clients_to_leave_and_new_connections_are_served() {
    let dir = offers(1);
    let ports = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let more = ["--shutdown-delay", "600s", "--threads", "1", "--offers"];
    let offers = [dir.path().to_str().unwrap(), "--public-url", "https://seller.example"];
    let server = Server::launch(command(&[&ports[..], &more, &offers].concat())).await;
    let request = "GET /openapi.yaml HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut old = Wire::to(&server.public).await;
    old.send(request).await;
    assert_eq!(field(&old.response().await.0, "connection"), None);
    let mut http_2 = Wire::to(&server.public).await;
    http_2.send([preface(), frame(1, 0x5, 1, &get_block("/agent-icon.png"))].concat()).await;
    http_2.frame().await;

    server.signal("-TERM");
    eventually("readiness is off", async || server.admin("/readyz").await.status() == 503).await;
    old.send(request).await;
    let (head, _) = old.response().await;
    assert_eq!((status(&head), field(&head, "connection")), (200, Some("close")), "{head}");
    assert!(old.is_closed().await);
    let mut new = Wire::to(&server.public).await;
    new.send(request).await;
    assert_eq!(field(&new.response().await.0, "connection"), Some("close"));
    const GOAWAY: u8 = 7;
    while http_2.frame().await.0 != GOAWAY {}

    let mut half = Wire::to(&server.public).await;
    half.send("GET /openapi.yaml HTTP/1.1\r\n").await;
    server.signal("-INT");
    half.send("Host: a\r\n\r\n").await;
    assert_eq!(status(&half.response().await.0), 200, "a request on its way");
    assert_eq!(server.log_after_end().await.code, Some(0));
}
