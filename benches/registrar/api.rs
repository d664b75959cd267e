//! A stand-in API server that is as fast as the wire: it has one kind, no history, and a thread for
//! each connection.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

const FIRST_REVISION: u64 = 1_000;

pub struct Api {
    shared: Arc<Shared>,
    address: SocketAddr,
    folder: TempDir,
}

struct Shared {
    /// Each object as it is listed.
    objects: Mutex<Vec<String>>,
    watches: Mutex<Vec<TcpStream>>,
    revision: AtomicU64,
    /// How many lists were answered to the end.
    lists: AtomicUsize,
}

impl Api {
    pub fn start(objects: Vec<Value>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            objects: Mutex::new(objects.iter().map(Value::to_string).collect()),
            watches: Mutex::default(),
            revision: AtomicU64::new(FIRST_REVISION),
            lists: AtomicUsize::new(0),
        });
        let served = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&served);
                // A client that goes away ends its thread.
                thread::spawn(move || drop(serve(&shared, stream)));
            }
        });
        let bookmarked = Arc::clone(&shared);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(5));
                let bookmark = json!({
                    "kind": "ServiceOffer", "apiVersion": "obol.org/v1alpha1", "metadata": {},
                });
                bookmarked.send("BOOKMARK", bookmark, 0);
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{ "name": "c", "cluster": { "server": format!("http://{address}") } }],
            "users": [{ "name": "u", "user": {} }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
        });
        std::fs::write(folder.path().join("kubeconfig"), config.to_string()).unwrap();
        Self { shared, address, folder }
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Waits until the process watches.
    pub fn await_watch(&self) {
        while self.shared.watches.lock().unwrap().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Sends a change. Returns when its line was handed to the kernel.
    pub fn modify(&self, object: Value) -> Instant {
        self.shared.send("MODIFIED", object, 1)
    }

    /// Makes the process list everything again, and waits until it has.
    pub fn relist(&self) {
        let before = self.shared.lists.load(Ordering::SeqCst);
        let status = json!({
            "kind": "Status", "status": "Failure", "reason": "Expired", "code": 410, "message": "expired",
        });
        self.shared.send("ERROR", status, 0);
        self.shared.watches.lock().unwrap().clear();
        while self.shared.lists.load(Ordering::SeqCst) == before {
            thread::sleep(Duration::from_millis(1));
        }
        self.await_watch();
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shared.watches.lock().unwrap().clear();
        // Wakes the listener, whose thread ends with the program.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    /// Sends an event after so many new revisions. Returns when its line was handed to the kernel.
    fn send(&self, kind: &str, mut object: Value, revisions: u64) -> Instant {
        // One at a time: a bookmark behind a later event is a server that goes back.
        let mut watches = self.watches.lock().unwrap();
        let revision = self.revision.fetch_add(revisions, Ordering::SeqCst) + revisions;
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let line = format!("{}\n", json!({ "type": kind, "object": object }));
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        let began = Instant::now();
        watches.retain_mut(|watch| watch.write_all(chunk.as_bytes()).is_ok());
        began
    }
}

fn serve(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    loop {
        let mut request = String::new();
        if lines.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut header = String::new();
        while lines.read_line(&mut header)? > 2 {
            header.clear();
        }
        let target = request.split_whitespace().nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let field = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        if !path.ends_with("/serviceoffers") {
            respond(
                &mut out,
                "404 Not Found",
                &json!({ "kind": "Status", "code": 404 }).to_string(),
            )?;
        } else if field("watch").is_some() {
            out.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
            )?;
            shared.watches.lock().unwrap().push(out.try_clone()?);
        } else {
            let from: usize = field("continue").and_then(|at| at.parse().ok()).unwrap_or(0);
            let limit: usize = field("limit").and_then(|at| at.parse().ok()).unwrap_or(500);
            let (items, next) = {
                let objects = shared.objects.lock().unwrap();
                let to = objects.len().min(from + limit);
                (objects[from.min(to)..to].join(","), (to < objects.len()).then_some(to))
            };
            let revision = shared.revision.load(Ordering::SeqCst);
            let token = next.map(|next| next.to_string()).unwrap_or_default();
            let body = format!(
                r#"{{"kind":"ServiceOfferList","apiVersion":"obol.org/v1alpha1","metadata":{{"resourceVersion":"{revision}","continue":"{token}"}},"items":[{items}]}}"#
            );
            respond(&mut out, "200 OK", &body)?;
            if next.is_none() {
                shared.lists.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

fn respond(out: &mut TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    out.write_all(head.as_bytes())?;
    out.write_all(body.as_bytes())
}

/// An offer as a cluster holds it: one document, one entry, no host. `marker` is part of its
/// description, and of its path, so that another marker also changes what the aggregate lists.
pub fn offer(number: usize, marker: &str) -> Value {
    let step: String =
        marker.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = match step.is_empty() {
        true => format!("/services/{number}"),
        false => format!("/services/{number}/{step}"),
    };
    let conditions = ["ModelReady", "UpstreamHealthy", "PaymentGateReady", "RoutePublished"];
    let conditions = conditions.map(|kind| {
        json!({
            "type": kind, "status": "True", "reason": "Reconciled", "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    });
    json!({
        "apiVersion": "obol.org/v1alpha1", "kind": "ServiceOffer",
        "metadata": {
            "namespace": format!("tenant-{}", number % 97), "name": format!("offer-{number:06}"),
            "uid": format!("3f9afb18-0000-4000-8000-{number:012}"), "generation": 3,
            "resourceVersion": FIRST_REVISION.to_string(),
            "creationTimestamp": format!("2026-01-{:02}T{:02}:{:02}:00Z", 1 + number % 28, number % 24, number % 60),
            "labels": { "app": format!("offer-{number}") },
            "managedFields": [{
                "manager": "obol", "operation": "Update", "apiVersion": "obol.org/v1alpha1",
                "fieldsType": "FieldsV1", "fieldsV1": { "f:spec": { "f:path": {}, "f:type": {}, "f:registration": {
                    "f:enabled": {}, "f:name": {}, "f:description": {} }, "f:payment": { "f:payTo": {}, "f:price": {} } } },
            }],
        },
        "spec": {
            "type": "http", "path": path,
            "upstream": { "service": "chat", "port": 8080 },
            "payment": { "payTo": format!("0x{:040x}", number), "network": "base", "price": { "perRequest": "0.001" } },
            "registration": {
                "enabled": true, "name": format!("Offer {number}"),
                "description": format!("Sells the answers of model {number} to whoever pays for them. {marker}"),
            },
        },
        "status": { "conditions": conditions },
    })
}

/// The id of [`offer`].
pub fn id(number: usize) -> String {
    format!("tenant-{}/offer-{number:06}", number % 97)
}
