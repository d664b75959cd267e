//! Serving, against the better of nginx's configurations on the same bytes.
//!
//! Needs nginx, wrk and h2load (Debian: nginx-light, wrk, nghttp2-client) and two cores: the server is
//! pinned to one, the client to the other. Samples of all servers alternate. One during which other
//! processes used the machine is thrown away, and a case without enough clean samples is not
//! reported.

mod server;

use std::{
    collections::BTreeMap,
    fmt,
    process::{Command, Stdio},
    slice,
};

use self::server::{Sample, Server};
use crate::report::{Report, quantile};

const ROUNDS: usize = 9;
/// With two threads: how connections fall to them differs from second to second.
const ROUNDS_OF_TWO: usize = 30;
const ENOUGH: usize = 5;

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
    /// HTTP/1.1 with so many connections, and so many requests/s on all of them together.
    Steady(u32, u32),
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

/// Whether what is needed is installed.
fn has_tools() -> bool {
    for tool in ["nginx", "wrk", "h2load", "taskset"] {
        let mut command = Command::new(tool);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().is_err() {
            eprintln!("  not measured: {tool} is not installed (nginx-light, wrk, nghttp2-client)");
            return false;
        }
    }
    true
}

/// Ours with a document of about so many bytes, and nginx in each configuration, on one core.
fn servers(bytes: usize) -> (Server, Vec<Server>) {
    let ours = Server::ours(bytes, 1);
    let nginx = CONFIGURATIONS.iter().map(|it| Server::nginx(it, &ours, 1)).collect();
    (ours, nginx)
}

pub fn run(report: &mut Report) {
    if !has_tools() {
        return;
    }
    for bytes in [2_048, 65_536] {
        let (ours, nginx) = servers(bytes);
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

/// The p99 at a rate that every server sustains, against nginx's lowest.
pub fn steady(report: &mut Report) {
    if !has_tools() {
        return;
    }
    let (ours, nginx) = servers(2_048);
    let client = Client::Steady(32, 32_000);
    let rounds = sampled(ROUNDS, &ours, &nginx, &client, |it| it.p99_ms);
    let Some(compared) = Compared::of("32,000 requests/s", &rounds, &ours, &nginx) else { return };
    let ratio = compared.ratio(|own, best| own / best);
    let what =
        format!("p99 at 32,000 requests/s, ours / nginx ({} ms, {ratio})", compared.medians());
    report.at_most(what, "×", ratio.median, [1.0, 0.85]);
}

/// CPU per request of the best nginx over ours.
fn compare(report: &mut Report, case: &Case, ours: &Server, nginx: &[Server]) {
    let rounds = sampled(ROUNDS, ours, nginx, &case.client, |it| Some(it.cpu_us));
    let Some(compared) = Compared::of(case.name, &rounds, ours, nginx) else { return };
    let ratio = compared.ratio(|own, best| best / own);
    let what = format!(
        "CPU per request, nginx / ours: {} ({} us, {ratio})",
        case.name,
        compared.medians()
    );
    report.at_least(what, "×", ratio.median, case.goals);
}

/// Requests per second with two threads or workers; the client shares their cores.
fn two_threads(report: &mut Report, ours: &Server, nginx: &Server) {
    let client = Client::Wrk("Accept-Encoding: gzip");
    let nginx = slice::from_ref(nginx);
    let rounds = sampled(ROUNDS_OF_TWO, ours, nginx, &client, |it| Some(it.rate));
    let Some(compared) = Compared::of("two threads", &rounds, ours, nginx) else { return };
    let ratio = compared.ratio(|own, nginx| own / nginx);
    let what =
        format!("requests/s, two threads against two workers ({}, {ratio})", compared.medians());
    report.at_least(what, "×", ratio.median, [1.25, 1.4]);
}

/// A figure of each server, by name, measured one after the other. Those that others disturbed are
/// missing.
type Round = BTreeMap<&'static str, f64>;

fn sampled(
    rounds: usize,
    ours: &Server,
    nginx: &[Server],
    client: &Client,
    figure: impl Fn(&Sample) -> Option<f64>,
) -> Vec<Round> {
    let servers = || std::iter::once(ours).chain(nginx);
    let sample = |server: &Server| {
        server.sample(client).as_ref().and_then(&figure).map(|figure| (server.name, figure))
    };
    (0..rounds).map(|_| servers().filter_map(sample).collect()).collect()
}

/// Our figures and those of the best nginx.
struct Compared {
    /// Of the rounds that have both.
    pairs: Vec<(f64, f64)>,
    best_name: &'static str,
}

impl Compared {
    /// The nginx with the lowest median is the best; `None`, and said so, without enough samples.
    fn of(case: &str, rounds: &[Round], ours: &Server, nginx: &[Server]) -> Option<Self> {
        let with = |it: &Server| {
            let pair = |round: &Round| Some((*round.get(ours.name)?, *round.get(it.name)?));
            Self { pairs: rounds.iter().filter_map(pair).collect(), best_name: it.name }
        };
        let enough = nginx.iter().map(with).filter(|it| it.pairs.len() >= ENOUGH);
        let best = enough.min_by(|a, b| a.median(|it| it.1).total_cmp(&b.median(|it| it.1)));
        if best.is_none() {
            eprintln!("  {case}: the machine is too noisy; nothing is reported");
        }
        best
    }

    fn median(&self, figure: impl Fn(&(f64, f64)) -> f64) -> f64 {
        quantile(&mut self.pairs.iter().map(figure).collect::<Vec<_>>(), 0.5)
    }

    fn medians(&self) -> String {
        let [own, best] = [self.median(|it| it.0), self.median(|it| it.1)];
        let digits = if own < 100.0 { 2 } else { 0 };
        format!("ours {own:.digits$}, {} {best:.digits$}", self.best_name)
    }

    /// A ratio of both, round by round: a machine that is slower for a while is so for both.
    fn ratio(&self, of: impl Fn(f64, f64) -> f64) -> Ratio {
        let mut ratios: Vec<f64> = self.pairs.iter().map(|(own, best)| of(*own, *best)).collect();
        let [low, median, high] = [0.1, 0.5, 0.9].map(|share| quantile(&mut ratios, share));
        Ratio { low, median, high }
    }
}

/// The median of ratios, and where the middle four fifths of them are.
struct Ratio {
    low: f64,
    median: f64,
    high: f64,
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} to {:.2}", self.low, self.high)
    }
}

const CONFIGURATIONS: [&str; 3] =
    ["sendfile on; tcp_nopush on;", "sendfile off;", "sendfile on; tcp_nopush off;"];
