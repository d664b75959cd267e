//! The real binary: started, asked over HTTP, stopped.

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

const BINARY: &str = env!("CARGO_BIN_EXE_registrar");
/// Nothing that is waited for takes this long, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a finished command printed.
pub struct Printed {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
}

/// Runs a verb to its end.
pub fn registrar(args: &[&str]) -> Printed {
    let mut command = command(args);
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || done.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(PATIENCE) else {
        // One that should have been refused serves instead: it must not hang the whole run.
        let _ = Command::new("kill").args(["-KILL", &pid]).status();
        panic!("registrar {args:?} does not end");
    };
    finished(output.unwrap())
}

/// The binary with arguments, and none of the caller's settings.
pub fn command(args: &[&str]) -> Command {
    let mut command = unset(Command::new(BINARY));
    command.args(args);
    command
}

/// A command that sees none of the caller's settings.
pub fn unset(mut command: Command) -> Command {
    let settings =
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("REGISTRAR_"));
    // The commit is none: a change of it would build everything again.
    for (name, _) in settings.filter(|(name, _)| name != "REGISTRAR_COMMIT") {
        command.env_remove(name);
    }
    command.env_remove("KUBECONFIG").env_remove("RUST_LOG");
    command
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

/// A `registrar serve` under test. Killed when dropped.
pub struct Server {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    log: Arc<Mutex<String>>,
    logging: JoinHandle<()>,
    pub public: String,
    pub admin: String,
    http: reqwest::Client,
}

impl Server {
    /// Starts `registrar serve` on free ports and waits until it says where.
    pub async fn start(args: &[&str]) -> Self {
        let ports = [
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--shutdown-delay",
            "0",
        ];
        Self::launch(command(&[&ports[..], args].concat())).await
    }

    /// Starts a command that serves, and waits until it says where.
    pub async fn launch(command: Command) -> Self {
        let mut child = tokio::process::Command::from(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
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
        Self { child, stdout, log, logging, public, admin, http: crate::support::process::http() }
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.public)).send().await.unwrap()
    }

    pub async fn admin(&self, path: &str) -> Response {
        self.http.get(format!("{}{path}", self.admin)).send().await.unwrap()
    }

    /// The default agent's document, or the problem that stands in its place.
    pub async fn document(&self) -> Value {
        json(self.get("/.well-known/agent-registration.json").await).await
    }

    /// The endpoints of the default agent's document.
    pub async fn endpoints(&self) -> Vec<String> {
        endpoints(&self.document().await)
    }

    /// What `/debug/offers` says of one offer, if it was seen.
    pub async fn explained(&self, id: &str) -> Option<Value> {
        let all = json(self.admin("/debug/offers").await).await;
        let mut offers = all["offers"].as_array()?.iter();
        offers
            .find(|told| format!("{}/{}", text(told, "namespace"), text(told, "name")) == id)
            .cloned()
    }

    /// What was logged so far.
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

    /// Waits for the end and gives the exit code and all that was printed after the two lines.
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

/// The same, with more to say.
pub fn http_builder() -> reqwest::ClientBuilder {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
}

/// A member that is a text.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The body as JSON.
pub async fn json(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Waits until something is so, looking every few milliseconds; panics with its name if it never is.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) -> Duration {
    within(PATIENCE, what, holds).await
}

/// The same, with a limit of its own. Says how long it took.
pub async fn within(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_millis(2));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !holds().await {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        ticks.tick().await;
    }
    began.elapsed()
}

/// Every document of a YAML text, as another implementation than ours reads it.
pub fn yaml(text: &str) -> Vec<Value> {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    documents.map(|document| Value::deserialize(document).unwrap()).collect()
}
