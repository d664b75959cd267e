//! Tests against a real kube-apiserver with etcd, and the harness that starts one.
//!
//! All tests share one instance and take a namespace each; those that stop, freeze or starve the
//! server start their own. With `REGISTRAR_TEST_KUBECONFIG` set, the shared tests run against that
//! cluster instead.

mod bounds;
mod check;
pub mod deploy;
mod deploy_anchoring;
mod drains;
mod failover;
mod faults;
mod history;
mod identity_status;
pub mod journal;
mod leader;
mod lifecycle;
mod load;
mod newer_offers;
mod nothing;
mod offer_events;
mod replicas;
mod restore;
mod retire;
mod scope;
mod tenancy;
mod watching;

use std::{
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use kube::{
    Api, Client, Config,
    api::{DynamicObject, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::{
    support::leash::Leash,
    support::process::{Server, eventually, registrar, yaml},
    support::resource::Resource,
};

/// A running kube-apiserver.
pub struct Cluster {
    dir: PathBuf,
    users: &'static str,
    /// Flags of the API server besides those that it always has.
    flags: &'static [&'static str],
    /// The socket of another instance's etcd, in place of an own one.
    etcd: Option<PathBuf>,
    /// `None` for the cluster of `REGISTRAR_TEST_KUBECONFIG`.
    server: Option<Running>,
}

/// The server's process. It ends when its stdin is closed; the leash also ends a frozen one.
struct Running {
    _leash: Leash,
    child: Child,
    stdin: ChildStdin,
}

/// Numbers for names that no two tests share.
static NAMES: AtomicU32 = AtomicU32::new(0);

/// The instance that tests share unless they stop it. It ends with the test process, which closes
/// its stdin.
pub async fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    static READY: tokio::sync::OnceCell<()> = tokio::sync::OnceCell::const_new();
    let start = || match std::env::var_os("REGISTRAR_TEST_KUBECONFIG") {
        Some(kubeconfig) => {
            Cluster { dir: kubeconfig.into(), users: "", flags: &[], etcd: None, server: None }
        }
        None => Cluster::start(""),
    };
    let cluster = tokio::task::spawn_blocking(move || SHARED.get_or_init(start)).await.unwrap();
    READY.get_or_init(|| cluster.install_crds()).await;
    cluster
}

impl Cluster {
    /// Starts an instance of its own, without CRDs, with these users besides `admin`.
    pub fn start(users: &'static str) -> Self {
        Self::start_with(users, &[])
    }

    /// The same, with these flags of the API server.
    pub fn start_with(users: &'static str, flags: &'static [&'static str]) -> Self {
        let mut cluster = Self { dir: new_folder(), users, flags, etcd: None, server: None };
        cluster.run();
        cluster
    }

    /// Starts another API server for the same objects: it reaches etcd through a socket, behind which
    /// is [`Self::etcd`].
    pub fn beside(&self, socket: &Path) -> Self {
        let (dir, etcd) = (new_folder(), Some(socket.to_owned()));
        std::fs::create_dir(&dir).unwrap();
        for file in std::fs::read_dir(&self.dir).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() && file.file_name() != "port" {
                std::fs::copy(file.path(), dir.join(file.file_name())).unwrap();
            }
        }
        let mut cluster = Self { dir, users: self.users, flags: self.flags, etcd, server: None };
        cluster.run();
        cluster
    }

    /// The socket of etcd.
    pub fn etcd(&self) -> PathBuf {
        self.dir.join("etcd.sock")
    }

    /// The port of the API server.
    pub fn port(&self) -> u16 {
        std::fs::read_to_string(self.dir.join("port")).unwrap().parse().unwrap()
    }

    /// Has the next start make a new CA, with new certificates, tokens and kubeconfigs in the places of
    /// the old ones.
    pub fn forget_certificates(&self) {
        std::fs::remove_file(self.dir.join("minted")).unwrap();
    }

    /// Starts the server in its folder, again after [`Self::kill`]: same port, same data.
    pub fn run(&mut self) {
        let etcd = self.etcd.iter().flat_map(|socket| ["-etcd".as_ref(), socket.as_os_str()]);
        let mut child = Command::new(binary())
            .arg("-dir")
            .arg(&self.dir)
            .args(etcd)
            .args(["-users", self.users, "-temporary", "--"])
            .args(self.flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        assert!(line.contains("\"ready\":true"), "kube-testd did not start: {line:?}");
        let stdin = child.stdin.take().unwrap();
        self.server = Some(Running { _leash: Leash::on(child.id()), child, stdin });
    }

    /// Kills the server as a power cut would.
    pub fn kill(&mut self) {
        let Running { _leash, mut child, stdin: _stdin } = self.server.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Copies what etcd holds, while the server is down.
    pub fn snapshot(&self) -> PathBuf {
        let copy = self.dir.join("snapshot");
        copy_folder(&self.dir.join("etcd"), &copy);
        copy
    }

    /// Puts a copy back, while the server is down.
    pub fn restore(&self, snapshot: &Path) {
        std::fs::remove_dir_all(self.dir.join("etcd")).unwrap();
        copy_folder(snapshot, &self.dir.join("etcd"));
    }

    /// Stops the process in its tracks; its connections stay open and silent.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.server.as_ref().unwrap().child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// The kubeconfig of a user.
    pub fn kubeconfig(&self, user: &str) -> PathBuf {
        if self.dir.is_file() {
            self.dir.clone()
        } else {
            self.dir.join(format!("{user}.kubeconfig"))
        }
    }

    /// A server of one namespace's offers that competes for the Lease `registrar` there.
    pub async fn replica(&self, namespace: &str, more: &[&str]) -> Server {
        let (kubeconfig, lease) = (self.kubeconfig("admin"), format!("{namespace}/registrar"));
        let kubeconfig = kubeconfig.to_str().unwrap();
        let settings = ["--kubeconfig", kubeconfig, "--namespace", namespace, "--lease", &lease];
        let general = ["--public-url", "https://seller.example", "--identity", "none"];
        Server::start(&[&settings[..], &general, more].concat()).await
    }

    /// A client with all rights.
    pub async fn client(&self) -> Client {
        client(&self.kubeconfig("admin")).await
    }

    /// Applies one definition of those that `registrar crds` prints.
    pub async fn install_crd(&self, name: &str) {
        let printed = registrar(&["crds"]);
        let mut all = yaml(&printed.stdout).into_iter();
        self.apply(&all.find(|crd| crd["metadata"]["name"] == name).unwrap()).await;
        let kind = if name.starts_with("agent") { "AgentIdentity" } else { "ServiceOffer" };
        let api: Api<DynamicObject> =
            Api::all_with(self.client().await, &resource("obol.org", "v1alpha1", kind));
        let served = async || api.list(&Default::default()).await.is_ok();
        eventually(&format!("{kind} is served"), served).await;
    }

    /// Applies what `registrar crds` prints, and waits until the kinds are served.
    pub async fn install_crds(&self) {
        for name in ["serviceoffers.obol.org", "agentidentities.obol.org"] {
            self.install_crd(name).await;
        }
    }

    /// Server-side applies an object of any kind, strictly.
    pub async fn apply(&self, object: &Value) {
        let (api, name) = self.api_of(object).await;
        let params = PatchParams { force: true, ..PatchParams::apply("test").validation_strict() };
        api.patch(&name, &params, &Patch::Apply(object))
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// The API of the kind and namespace of an object, and the object's name.
    pub async fn api_of(&self, object: &Value) -> (Api<DynamicObject>, String) {
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (group, version) = match text("/apiVersion").split_once('/') {
            Some((group, version)) => (group.to_owned(), version.to_owned()),
            None => (String::new(), text("/apiVersion")),
        };
        let resource = resource(&group, &version, &text("/kind"));
        let client = self.client().await;
        let namespace = text("/metadata/namespace");
        let api = if namespace.is_empty() {
            Api::all_with(client, &resource)
        } else {
            Api::namespaced_with(client, &namespace, &resource)
        };
        (api, text("/metadata/name"))
    }

    /// A namespace of a test's own.
    pub async fn namespace(&self, stem: &str) -> String {
        let number = NAMES.fetch_add(1, Ordering::Relaxed);
        let name = format!("{stem}-{}-{number}", std::process::id());
        self.ensure_namespace(&name).await;
        name
    }

    /// A namespace that may be there already.
    pub async fn ensure_namespace(&self, name: &str) {
        self.apply(
            &json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } }),
        )
        .await;
    }

    /// Creates an offer, then sets its status, as a controller would.
    pub async fn create(&self, offer: &Resource) {
        let (api, name) = self.api_of(&offer.0).await;
        let object: DynamicObject = serde_json::from_value(offer.0.clone()).unwrap();
        api.create(&PostParams::default(), &object)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(status) = offer.0.get("status") {
            self.set_status(offer, status.clone()).await;
        }
    }

    /// Replaces the status of an object.
    pub async fn set_status(&self, object: &Resource, status: Value) {
        let (api, name) = self.api_of(&object.0).await;
        let patch = Patch::Merge(json!({ "status": status }));
        api.patch_status(&name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Merges into an object.
    pub async fn patch(&self, object: &Resource, patch: Value) {
        let (api, name) = self.api_of(&object.0).await;
        api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }

    /// Deletes an object.
    pub async fn delete(&self, object: &Value) {
        let (api, name) = self.api_of(object).await;
        api.delete(&name, &Default::default()).await.unwrap();
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(Running { _leash, mut child, stdin }) = self.server.take() {
            drop(stdin);
            let _ = child.kill();
            let _ = child.wait();
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// The condition types that a published offer needs in a cluster.
pub const READY: [&str; 4] =
    ["ModelReady", "UpstreamHealthy", "PaymentGateReady", "RoutePublished"];

/// A client for a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config =
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// The name of a folder that no two instances share.
fn new_folder() -> PathBuf {
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("registrar-kube-{}-{number}", std::process::id()))
}

fn copy_folder(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

pub fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

/// An offer as a real API server takes it: with the payment that its schema asks for.
pub fn sold(id: &str) -> Resource {
    let offer = crate::support::resource::offer(id).set(
        "/spec/payment",
        json!({
            "network": "base",
            "payTo": "0x2222222222222222222222222222222222222222",
            "price": { "perRequest": "0.001" },
        }),
    );
    let mut offer = offer.ready(&READY);
    offer.0["metadata"].as_object_mut().unwrap().remove("creationTimestamp");
    offer
}

/// Builds kube-testd, or finds it built; the first time on a machine takes about ten minutes.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kube-testd/build.sh");
        let built = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
        assert!(built.status.success(), "tests/kube-testd/build.sh failed");
        PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
    })
}
