//! A stand-in API server, for the faults and lies that a real one does not produce on demand.
//!
//! It holds ServiceOffers in memory, answers lists (paged, also of the past) and watches (with
//! bookmarks), and misbehaves as a test tells it to. Its other kinds are empty.

mod answer;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::Router;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle, time::Instant};

use super::{
    proxy::door::{Door, Line},
    resource::Resource,
};

/// What the server does instead of answering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Every watch is answered with this status and body.
    WatchStatus(u16, String),
    /// Every watch is answered with 200 and this body, and then ends.
    WatchBody(String),
    /// Watches are opened and stay silent.
    SilentWatches,
    /// Events are dropped; bookmarks go on as if they had been sent.
    DropEvents,
    /// The connection breaks after so many bytes of the next event.
    CutEvents(usize),
    /// Every list is answered with this status.
    ListStatus(u16),
    /// The next list holds only its first so many objects.
    ShortList(usize),
    /// The second page of every list fails.
    SecondPageFails,
    /// The tunnel's ConfigMap is answered with this status.
    TunnelStatus(u16),
    /// Every watch begins an event and never ends it.
    EndlessEvent,
    /// Every list begins a page and never ends it.
    EndlessPage,
    /// Every list is answered with an error whose text never ends.
    EndlessError,
    /// Every page of a list says that there is another one.
    EndlessPages,
    /// Nothing is answered at all.
    Frozen,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Asked {
    pub at: Instant,
    pub is_watch: bool,
    pub query: BTreeMap<String, String>,
    pub token: String,
}

/// A kubeconfig for the API server at a URL.
pub fn kubeconfig(url: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{ "name": "c", "cluster": { "server": url } }],
        "users": [{ "name": "u", "user": { "token": token } }],
        "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
    })
}

type Objects = BTreeMap<String, Arc<Value>>;

pub struct ApiServer {
    shared: Arc<Shared>,
    door: Door,
    folder: TempDir,
    serving: JoinHandle<()>,
}

struct Shared {
    state: Mutex<State>,
    /// Wakes watches whenever something changed.
    changed: watch::Sender<u64>,
}

struct State {
    revision: u64,
    /// The objects as of each revision.
    worlds: BTreeMap<u64, Objects>,
    events: Vec<(u64, &'static str, Arc<Value>)>,
    /// Watches from an older revision are answered 410.
    oldest: u64,
    faults: Vec<Fault>,
    asked: Vec<Asked>,
    shortened_at: Option<Instant>,
    /// The bearer token that is accepted; any if `None`.
    token: Option<String>,
}

impl ApiServer {
    pub async fn start() -> Self {
        let state = State {
            revision: 1_000,
            worlds: BTreeMap::from([(1_000, Objects::new())]),
            events: Vec::new(),
            oldest: 0,
            faults: Vec::new(),
            asked: Vec::new(),
            shortened_at: None,
            token: None,
        };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: watch::Sender::new(0) });
        let router = Router::new().fallback(answer::answer).with_state(Arc::clone(&shared));
        let door = Door::open();
        // The connect info keeps the handle of a connection, by which the door cuts it.
        let service = router.into_make_service_with_connect_info::<Line>();
        let served = axum::serve(door.clone(), service);
        #[expect(clippy::disallowed_methods, reason = "aborted when the server is dropped")]
        let serving = tokio::spawn(async { served.await.unwrap() });
        let server = Self { shared, door, folder: tempfile::tempdir().unwrap(), serving };
        server.write_kubeconfig("first");
        server
    }

    /// Writes a kubeconfig with this token, in place of the one before.
    pub fn write_kubeconfig(&self, token: &str) {
        let config = kubeconfig(&format!("http://{}", self.door.address()), token);
        std::fs::write(self.kubeconfig(), config.to_string()).unwrap();
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Accepts only this token from now on.
    pub fn require_token(&self, token: &str) {
        self.state().token = Some(token.to_owned());
    }

    pub fn put(&self, offer: &Resource) {
        self.change(offer, true);
    }

    pub fn delete(&self, offer: &Resource) {
        self.change(offer, false);
    }

    fn change(&self, offer: &Resource, is_put: bool) {
        let mut state = self.state();
        state.revision += 1;
        let revision = state.revision;
        let mut objects = state.worlds.last_key_value().unwrap().1.clone();
        let mut object = offer.0.clone();
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let object = Arc::new(object);
        let (namespace, name) = offer.key();
        let key = format!("{namespace}/{name}");
        let kind = match (is_put, objects.contains_key(&key)) {
            (true, true) => "MODIFIED",
            (true, false) => "ADDED",
            (false, _) => "DELETED",
        };
        if is_put {
            objects.insert(key, Arc::clone(&object));
        } else {
            objects.remove(&key);
        }
        state.worlds.insert(revision, objects);
        state.events.push((revision, kind, object));
        drop(state);
        self.wake();
    }

    /// Adds a fault to those that are in force.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.push(fault);
        self.wake();
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.state().faults.clear();
        self.door.set_down(false);
        self.wake();
    }

    /// Down, connections are refused and open ones are closed.
    pub fn set_down(&self, is_down: bool) {
        self.door.set_down(is_down);
    }

    /// As a restart does: closes all connections and forgets the history of events.
    pub fn restart(&self) {
        let mut state = self.state();
        state.oldest = state.revision;
        drop(state);
        self.door.cut_all();
    }

    /// Closes all connections without a word, as a proxy in between does.
    pub fn cut(&self) {
        self.door.cut_all();
    }

    /// Goes back to an earlier revision, as a restored snapshot does.
    pub fn restore(&self, revision: u64) {
        let mut state = self.state();
        state.worlds.retain(|at, _| *at <= revision);
        state.events.retain(|(at, ..)| *at <= revision);
        state.revision = revision;
        state.oldest = revision;
        drop(state);
        self.cut();
    }

    pub fn revision(&self) -> u64 {
        self.state().revision
    }

    /// The names of the offers, in order.
    pub fn names(&self) -> Vec<String> {
        self.state().worlds.last_key_value().unwrap().1.keys().cloned().collect()
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// How many lists of everything, or watches, came in.
    pub fn count(&self, is_watch: bool) -> usize {
        self.state().asked.iter().filter(|asked| asked.is_watch == is_watch).count()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }

    fn wake(&self) {
        self.shared.changed.send_modify(|count| *count += 1);
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        self.serving.abort();
        self.door.set_down(true);
    }
}
