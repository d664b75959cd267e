//! Serving, against the better of nginx's configurations on the same bytes.
//!
//! Needs nginx, wrk and h2load (Debian: nginx-light, wrk, nghttp2-client) and two cores: the server is
//! pinned to one, the client to the other. Samples of all servers alternate. One during which other
//! processes used the machine is thrown away, and a case without enough clean samples is not
//! reported.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use flate2::{Compression, write::GzEncoder};

use crate::{
    process::binary,
    report::{Report, quantile},
};

const WELL_KNOWN: &str = "/.well-known/agent-registration.json";
const ROUNDS: usize = 9;
const ENOUGH: usize = 5;
/// Cores that others may use during a sample.
const TOLERATED: f64 = 0.15;
const IDLE: usize = 2_000;

/// What clients send: the name of the case, the tool with its arguments, and limit and aim.
struct Case {
    name: &'static str,
    bytes: usize,
    client: Client,
    goals: [f64; 2],
}

enum Client {
    /// HTTP/1.1 with 64 connections, and this header field.
    Wrk(&'static str),
    /// The same, with the entity tag of the server.
    Known,
    /// HTTP/2 with so many connections and streams on each.
    H2load(u32, u32),
}

const CASES: [Case; 7] = [
    Case {
        name: "2 KiB, gzip",
        bytes: 2_048,
        client: Client::Wrk("Accept-Encoding: gzip"),
        goals: [1.4, 1.6],
    },
    Case {
        name: "2 KiB, identity",
        bytes: 2_048,
        client: Client::Wrk("Accept: */*"),
        goals: [1.1, 1.25],
    },
    Case { name: "304", bytes: 2_048, client: Client::Known, goals: [1.0, 1.2] },
    Case {
        name: "HTTP/2 8×32, 2 KiB",
        bytes: 2_048,
        client: Client::H2load(8, 32),
        goals: [1.4, 2.0],
    },
    Case {
        name: "HTTP/2 64×1, 2 KiB",
        bytes: 2_048,
        client: Client::H2load(64, 1),
        goals: [1.0, 1.2],
    },
    Case {
        name: "64 KiB, identity",
        bytes: 65_536,
        client: Client::Wrk("Accept: */*"),
        goals: [1.0, 1.2],
    },
    Case {
        name: "64 KiB, gzip",
        bytes: 65_536,
        client: Client::Wrk("Accept-Encoding: gzip"),
        goals: [1.2, 1.5],
    },
];

pub fn run(report: &mut Report) {
    for tool in ["nginx", "wrk", "h2load", "taskset"] {
        if Command::new(tool)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            eprintln!("  not measured: {tool} is not installed (nginx-light, wrk, nghttp2-client)");
            return;
        }
    }
    for bytes in [2_048, 65_536] {
        let ours = Server::ours(bytes, 1);
        let nginx: Vec<Server> =
            CONFIGURATIONS.iter().map(|it| Server::nginx(it, &ours, 1)).collect();
        for case in CASES.iter().filter(|case| case.bytes == bytes) {
            compare(report, case, &ours, &nginx);
        }
        if bytes == 2_048 {
            report.at_most(
                "idle connection, memory beside the kernel's",
                "kB",
                ours.idle(),
                [10.0, 2.0],
            );
        }
    }
    let ours = Server::ours(2_048, 2);
    let nginx = Server::nginx(CONFIGURATIONS[1], &ours, 2);
    two_threads(report, &ours, &nginx);
}

/// CPU per request of the best nginx over ours, sample by sample.
fn compare(report: &mut Report, case: &Case, ours: &Server, nginx: &[Server]) {
    let mut costs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for server in std::iter::once(ours).chain(nginx) {
            costs
                .entry(server.name)
                .or_default()
                .extend(server.sample(&case.client).map(|it| it.cpu_us));
        }
    }
    let medians: Vec<(&str, f64)> = costs
        .iter_mut()
        .filter(|(_, costs)| costs.len() >= ENOUGH)
        .map(|(name, costs)| (*name, quantile(costs, 0.5)))
        .collect();
    let own = medians.iter().find(|(name, _)| *name == ours.name).map(|(_, cost)| *cost);
    let best = medians.iter().filter(|(name, _)| *name != ours.name);
    let best = best.min_by(|(_, a), (_, b)| a.total_cmp(b));
    let (Some(own), Some((best_name, best))) = (own, best) else {
        eprintln!("  {}: the machine is too noisy; nothing is reported", case.name);
        return;
    };
    let own_costs = costs.get_mut(ours.name).unwrap();
    let spread = (quantile(own_costs, 0.9) - quantile(own_costs, 0.1)) / own * 100.0;
    let what = format!(
        "CPU per request, nginx / ours: {} (ours {own:.2} us ±{:.0} %, {best_name} {best:.2} us)",
        case.name,
        spread / 2.0
    );
    report.at_least(what, "×", best / own, case.goals);
}

/// Requests per second with two threads or workers; the client shares their cores.
fn two_threads(report: &mut Report, ours: &Server, nginx: &Server) {
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (server, rates) in [ours, nginx].into_iter().zip(&mut rates) {
            rates.extend(server.sample(&Client::Wrk("Accept-Encoding: gzip")).map(|it| it.rate));
        }
    }
    if rates.iter().any(|rates| rates.len() < ENOUGH) {
        eprintln!("  two threads: the machine is too noisy; nothing is reported");
        return;
    }
    let [own, nginx] = rates.each_mut().map(|rates| quantile(rates, 0.5));
    let what = format!("requests/s, two threads against two workers ({own:.0} and {nginx:.0})");
    report.at_least(what, "×", own / nginx, [1.25, 1.4]);
}

const CONFIGURATIONS: [&str; 3] =
    ["sendfile on; tcp_nopush on;", "sendfile off;", "sendfile on; tcp_nopush off;"];

/// A server under measurement.
struct Server {
    name: &'static str,
    child: Child,
    http_1: String,
    http_2: String,
    path: &'static str,
    etag: String,
    body: Vec<u8>,
    is_pinned: bool,
    _folder: tempfile::TempDir,
}

struct Sample {
    cpu_us: f64,
    rate: f64,
}

impl Server {
    /// This binary, with a document of about so many bytes.
    fn ours(bytes: usize, threads: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Text that compresses as descriptions do, not as repetitions.
        let words: String = (0..bytes * 2)
            .map(|at| char::from(b'a' + u8::try_from((at * at / 7 + at / 5) % 23).unwrap()))
            .collect();
        let description = &words[..bytes.saturating_sub(300)];
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
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("public http://").unwrap().to_owned();
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
    fn nginx(configuration: &'static str, ours: &Self, workers: usize) -> Self {
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
    fn sample(&self, client: &Client) -> Option<Sample> {
        let cores = if self.is_pinned { "1" } else { "0,1" };
        let url = |address: &str| format!("http://{address}{}", self.path);
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
        Some(Sample { cpu_us: used * 1e6 / requests, rate: requests / wall })
    }

    /// The CPU time of the process and of its children.
    fn cpu(&self) -> Duration {
        let pid = self.child.id();
        let children =
            fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let pids =
            std::iter::once(pid.to_string()).chain(children.split_whitespace().map(str::to_owned));
        let nanos = pids.flat_map(|pid| {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.filter_map(|task| {
                let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
                text.split_whitespace().next()?.parse::<u64>().ok()
            })
        });
        Duration::from_nanos(nanos.sum())
    }

    /// Resident memory per connection that was used once, in kB.
    fn idle(&self) -> f64 {
        let resident = || {
            let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
            let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap()
        };
        let before = resident();
        let mut open = Vec::new();
        for _ in 0..IDLE {
            let mut stream = TcpStream::connect(&self.http_1).unwrap();
            write!(stream, "GET {} HTTP/1.1\r\nHost: seller.example\r\n\r\n", self.path).unwrap();
            let mut bytes = [0; 16_384];
            assert_ne!(stream.read(&mut bytes).unwrap(), 0);
            open.push(stream);
        }
        // Connections give up their buffers after two seconds.
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
