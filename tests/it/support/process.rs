//! The real binary: start it, send it requests, stop it.

use std::{
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::Response;
use serde::Deserialize;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::leash::Leash;

const BINARY: &str = env!("CARGO_BIN_EXE_registrar");
/// The limit of every wait in these tests. Even a busy machine needs less.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What a finished command printed.
pub struct Printed {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

/// Runs a verb to its end.
pub fn registrar(args: &[&str]) -> Printed {
    finish(command(args))
}

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Printed {
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        // A command that should have been refused may be serving; it must not hang the whole run.
        let _ = Command::new("kill").args(["-KILL", &pid]).status();
        panic!("{command:?} does not end");
    };
    finished(output.unwrap())
}

/// The binary with arguments, without the settings in the environment of the tests.
pub fn command(args: &[&str]) -> Command {
    let mut command = unset(Command::new(BINARY));
    command.args(args);
    command
}

/// Removes the settings in the environment of the tests from a command.
pub fn unset(mut command: Command) -> Command {
    let settings =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REGISTRAR_"));
    // REGISTRAR_COMMIT is a setting of the build, not of the binary.
    for (name, _) in settings.filter(|(name, _)| name != "REGISTRAR_COMMIT") {
        command.env_remove(name);
    }
    command.env_remove("KUBECONFIG").env_remove("RUST_LOG");
    command
}

/// `registrar serve` on free ports, which ends at once when it is asked to.
pub fn serving(args: &[&str]) -> Command {
    let ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    command(&[&["serve", "--shutdown-delay", "0"], &ports[..], args].concat())
}

fn finished(output: Output) -> Printed {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Printed { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}

/// How a server ended.
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<String>,
    pub stderr: String,
}

/// A `registrar serve` under test. Killed when dropped, and when the test process ends.
pub struct Server {
    _leash: Leash,
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    log: Arc<Mutex<String>>,
    logging: JoinHandle<()>,
    pub public: String,
    pub admin: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts `registrar serve` on free ports and waits until it prints its addresses.
    pub async fn start(args: &[&str]) -> Self {
        Self::launch(serving(args)).await
    }

    /// Starts a command that serves, and waits until it prints its addresses.
    pub async fn launch(command: Command) -> Self {
        let mut child = tokio::process::Command::from(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let leash = Leash::on(child.id().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        let mut stderr = child.stderr.take().unwrap();
        let written = Arc::clone(&log);
        // Ends with the process whose stderr it reads.
        #[expect(clippy::disallowed_methods, reason = "a test ends with its runtime")]
        let logging = tokio::spawn(async move {
            let mut bytes = [0; 4_096];
            while let Ok(count @ 1..) = stderr.read(&mut bytes).await {
                written.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut address = async |name: &str| {
            let line = timeout(PATIENCE, stdout.next_line()).await.unwrap().unwrap();
            let address =
                line.as_deref().and_then(|line| line.strip_prefix(name)).map(str::to_owned);
            address.unwrap_or_else(|| panic!("no {name:?} line; stderr:\n{}", log.lock().unwrap()))
        };
        let public = address("public ").await;
        let admin = address("admin ").await;
        Self { _leash: leash, child, stdout, log, logging, public, admin, http: http() }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.public)).send().await.unwrap()
    }

    pub async fn admin(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.admin)).send().await.unwrap()
    }

    /// Whether it holds its Lease.
    pub async fn leads(&self) -> bool {
        let scraped = self.admin("/metrics").await.text().await.unwrap();
        scraped.lines().any(|line| line == "registrar_leader 1")
    }

    /// The default agent's document, or the problem document returned instead.
    pub async fn document(&self) -> Value {
        json(self.get("/.well-known/agent-registration.json").await).await
    }

    /// The endpoints of the default agent's document.
    pub async fn endpoints(&self) -> Vec<String> {
        endpoints(&self.document().await)
    }

    /// The entry of `/debug/offers` for one offer, if there is one.
    pub async fn explained(&self, id: &str) -> Option<Value> {
        let all = json(self.admin("/debug/offers?limit=1000").await).await;
        let mut offers = all["offers"].as_array()?.iter();
        offers
            .find(|offer| format!("{}/{}", text(offer, "namespace"), text(offer, "name")) == id)
            .cloned()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Resident memory, MiB.
    pub fn resident_mib(&self) -> u64 {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
    }

    /// The process id.
    pub fn pid(&self) -> String {
        self.child.id().unwrap().to_string()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        assert!(Command::new("kill").args([signal, &self.pid()]).status().unwrap().success());
    }

    /// Waits for the end. The output does not include the two lines with the addresses.
    pub async fn log_after_end(mut self) -> Ended {
        let mut stdout = Vec::new();
        while let Some(line) = timeout(PATIENCE, self.stdout.next_line()).await.unwrap().unwrap() {
            stdout.push(line);
        }
        let code = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().code();
        timeout(PATIENCE, &mut self.logging).await.unwrap().unwrap();
        Ended { code, stdout, stderr: self.log() }
    }
}

/// The endpoints of a document's services, in order.
pub fn endpoints(document: &Value) -> Vec<String> {
    let services = document["services"].as_array().into_iter().flatten();
    services.map(|entry| text(entry, "endpoint").to_owned()).collect()
}

/// An HTTP client. As in the binary, one TLS provider is installed for the whole process first.
pub fn http() -> reqwest::Client {
    http_builder().build().unwrap()
}

/// The same, to be configured further.
pub fn http_builder() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// A member that is a string; empty if it is absent.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The body as JSON.
pub async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Waits until a condition holds, checking it every few milliseconds, and returns how long that
/// took. Panics with `what` after [`PATIENCE`].
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_millis(2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        ticks.tick().await;
    }
    began.elapsed()
}

/// Every document of a YAML text, parsed by another library than the binary uses.
pub fn yaml(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    documents.map(|document| Value::deserialize(document).unwrap()).collect()
}
