//! A server under measurement, ours or nginx, and one second of load on it.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};

use super::Client;
use crate::{
    process::{self, addresses, binary, status_kib},
    report::quantile,
};

const WELL_KNOWN: &str = "/.well-known/agent-registration.json";
/// Cores that others may use during a sample.
const TOLERATED: f64 = 0.15;
const IDLE: usize = 2_000;
const WORDS: [&str; 24] = [
    "agent",
    "answers",
    "any",
    "chain",
    "cluster",
    "document",
    "each",
    "endpoint",
    "for",
    "identity",
    "language",
    "model",
    "of",
    "offers",
    "payment",
    "per",
    "request",
    "requests",
    "service",
    "the",
    "token",
    "translation",
    "until",
    "with",
];

/// A server under measurement.
pub struct Server {
    pub name: &'static str,
    child: Child,
    http_1: String,
    http_2: String,
    path: &'static str,
    etag: String,
    body: Vec<u8>,
    is_pinned: bool,
    _folder: tempfile::TempDir,
}

pub struct Sample {
    pub cpu_us: f64,
    pub rate: f64,
    /// Of the times until an answer is complete, in milliseconds; with [`Client::Steady`] only.
    pub p99_ms: Option<f64>,
}

impl Server {
    /// This binary, with a document of about so many bytes.
    pub fn ours(bytes: usize, threads: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = prose(bytes);
        let description = &text[..bytes.saturating_sub(300)];
        let offer = format!(
            "apiVersion: obol.org/v1alpha1\nkind: ServiceOffer\nmetadata: {{ name: chat, namespace: llm }}\n\
             spec: {{ registration: {{ enabled: true, description: '{description}' }} }}\n"
        );
        fs::write(folder.path().join("chat.yaml"), offer).unwrap();
        let threads = threads.to_string();
        let mut command = command(threads == "1");
        command.arg(binary()).args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
        ]);
        command.args([
            "--public-url",
            "https://seller.example",
            "--threads",
            &threads,
            "--max-offer-bytes",
            "200000",
        ]);
        command.arg("--offers").arg(folder.path()).env("RUST_LOG", "error");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let [address, _] = addresses(&mut child);
        let is_pinned = threads == "1";
        let server = Self {
            name: "ours",
            child,
            http_1: address.clone(),
            http_2: address,
            path: WELL_KNOWN,
            etag: String::new(),
            body: Vec::new(),
            is_pinned,
            _folder: folder,
        };
        server.fetched()
    }

    /// nginx with the same bytes in files, compressed beforehand.
    pub fn nginx(configuration: &'static str, ours: &Self, workers: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("document.json"), &ours.body).unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&ours.body).unwrap();
        fs::write(root.join("document.json.gz"), gzip.finish().unwrap()).unwrap();
        let [http_1, http_2] = [free_address(), free_address()];
        let text = configured(folder.path(), configuration, workers, &http_1, &http_2);
        let file: PathBuf = folder.path().join("nginx.conf");
        fs::write(&file, text).unwrap();
        let mut command = command(workers == 1);
        command.args(["nginx", "-p"]).arg(folder.path()).arg("-c").arg(&file);
        command.args(["-e", "stderr"]).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let server = Self {
            name: configuration,
            child,
            http_1,
            http_2,
            path: "/document.json",
            etag: String::new(),
            body: Vec::new(),
            is_pinned: workers == 1,
            _folder: folder,
        };
        server.fetched()
    }

    /// Waits until the document is served, and notes it.
    fn fetched(mut self) -> Self {
        for _ in 0..500 {
            if let Some((etag, body)) = fetch(&self.http_1, self.path) {
                (self.etag, self.body) = (etag, body);
                return self;
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{} does not serve its document", self.name);
    }

    /// One second of load; `None` if others used the machine meanwhile.
    pub fn sample(&self, client: &Client) -> Option<Sample> {
        let cores = if self.is_pinned { "1" } else { "0,1" };
        let url = |address: &str| format!("http://{address}{}", self.path);
        // Not in the folder of offers, which is watched.
        let results = tempfile::tempdir().unwrap();
        let log = results.path().join("latencies");
        let mut command = Command::new("taskset");
        command.args(["-c", cores]);
        let wrk = ["wrk", "-t1", "-c64", "-d1s", "-H"];
        match client {
            Client::Wrk(field) => command.args(wrk).args([*field, &url(&self.http_1)]),
            Client::Known => {
                let field = format!("If-None-Match: {}", self.etag);
                command.args(wrk).args([field, url(&self.http_1)])
            }
            Client::H2load(connections, streams) => {
                let (connections, streams) = (connections.to_string(), streams.to_string());
                let load = ["h2load", "-D", "1", "-c", &connections, "-m", &streams];
                command.args(load).arg(url(&self.http_2))
            }
            Client::Steady(clients, rate) => {
                let (clients, rate) = (clients.to_string(), (rate / clients).to_string());
                let load = ["h2load", "--h1", "-D", "1", "--warm-up-time", "1", "-c", &clients];
                command.args(load).args(["--rps", &rate, "--log-file"]).arg(&log);
                command.args(["-H", "Accept-Encoding: gzip"]).arg(url(&self.http_1))
            }
        };
        let (busy, cpu, began) = (busy(), self.cpu(), Instant::now());
        let output = command.output().unwrap();
        let wall = began.elapsed().as_secs_f64();
        let used = (self.cpu() - cpu).as_secs_f64();
        let others = (self::busy() - busy - used) / wall - 1.0;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let requests = requests(&text)?;
        // The client may use one core of its own. Where it shares all, nobody can be told from it.
        if self.is_pinned && others > TOLERATED && !is_forced() {
            return None;
        }
        let p99_ms = latencies(&log).map(|mut all| quantile(&mut all, 0.99));
        Some(Sample { cpu_us: used * 1e6 / requests, rate: requests / wall, p99_ms })
    }

    /// The CPU time of the process and of its children.
    fn cpu(&self) -> Duration {
        let pid = self.child.id();
        let children =
            fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        std::iter::once(pid).chain(children).map(process::cpu).sum()
    }

    /// Resident memory per connection that was used once, in kB.
    pub fn idle(&self) -> f64 {
        let resident = || status_kib(self.child.id(), "VmRSS:");
        let before = resident();
        let mut open = Vec::new();
        for _ in 0..IDLE {
            let mut stream = TcpStream::connect(&self.http_1).unwrap();
            write!(stream, "GET {} HTTP/1.1\r\nHost: seller.example\r\n\r\n", self.path).unwrap();
            let mut bytes = [0; 16_384];
            assert_ne!(stream.read(&mut bytes).unwrap(), 0);
            open.push(stream);
        }
        // Of connections that hyper served, the buffers are given up after two seconds.
        thread::sleep(Duration::from_secs(4));
        (resident() - before) * 1.024 / IDLE as f64
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx leaves its workers behind if it is killed.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn command(is_pinned: bool) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", if is_pinned { "0" } else { "0,1" }]);
    command
}

fn configured(folder: &Path, how: &str, workers: usize, http_1: &str, http_2: &str) -> String {
    let (folder, reuse) = (folder.display(), if workers > 1 { " reuseport" } else { "" });
    format!(
        "worker_processes {workers}; daemon off; pid {folder}/pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ {how} access_log off; tcp_nodelay on; keepalive_requests 100000000; default_type application/json;\n\
         client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;\n\
         uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;\n\
         open_file_cache max=1000; etag on; gzip_static on; gzip_vary on;\n\
         server {{ listen {http_1}{reuse}; listen {http_2} http2{reuse}; root {folder}/root;\n\
         add_header Cache-Control 'public, max-age=5'; add_header Access-Control-Allow-Origin '*'; }} }}\n"
    )
}

fn free_address() -> String {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// At least so many bytes of words in no order, which compress as descriptions do: to a sixth.
fn prose(bytes: usize) -> String {
    let (mut state, mut text) = (1_u32, String::new());
    while text.len() < bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = usize::try_from(state >> 16).unwrap() % WORDS.len();
        text.push_str(WORDS[word]);
        text.push(' ');
    }
    text
}

/// The entity tag and the bytes of a document, if it is served.
fn fetch(address: &str, path: &str) -> Option<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: seller.example\r\nConnection: close\r\n\r\n")
        .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let etag = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("etag").then(|| value.to_owned())
    })?;
    head.starts_with("HTTP/1.1 200").then(|| (etag, answer[end + 4..].to_vec()))
}

/// The latencies that h2load wrote down, in milliseconds: the third column.
fn latencies(log: &Path) -> Option<Vec<f64>> {
    let text = fs::read_to_string(log).ok()?;
    let all = text.lines().filter_map(|line| line.split('\t').nth(2)?.parse::<f64>().ok());
    let all: Vec<f64> = all.map(|us| us / 1e3).collect();
    (!all.is_empty()).then_some(all)
}

/// How many requests wrk or h2load says were answered.
fn requests(text: &str) -> Option<f64> {
    let wrk = text.lines().find_map(|line| line.trim().split_once(" requests in "));
    let h2load =
        || text.lines().find_map(|line| line.strip_prefix("requests: ")?.split_once(" total"));
    wrk.or_else(h2load)?.0.parse().ok().filter(|count| *count > 0.0)
}

/// Seconds that all cores were busy since the start of the machine.
fn busy() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap();
    let line = text.lines().next().unwrap();
    let ticks: Vec<f64> = line.split_whitespace().skip(1).map(|it| it.parse().unwrap()).collect();
    // All but idle and iowait; a tick is 10 ms.
    let all: f64 = ticks.iter().take(8).sum();
    (all - ticks[3] - ticks[4]) / 100.0
}

/// `NOISY=1` takes all samples. CPU per request is not much moved by others, other figures are.
fn is_forced() -> bool {
    #[expect(clippy::disallowed_methods, reason = "the switch is for people")]
    let forced = std::env::var("NOISY").is_ok();
    forced
}
