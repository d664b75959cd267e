//! Serving, against the better of nginx's configurations on the same bytes.
//!
//! Needs nginx, wrk and h2load (Debian: nginx-light, wrk, nghttp2-client) and two cores: the server is
//! pinned to one, the client to the other. Samples of all servers alternate. One during which other
//! processes used the machine is thrown away, and a case without enough clean samples is not
//! reported.

mod server;

use std::{
    collections::BTreeMap,
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
    let mut figures = sampled(ROUNDS, &ours, &nginx, &client, |it| it.p99_ms);
    let Some((own, best, name)) = best("32,000 requests/s", &mut figures, &ours) else { return };
    let what =
        format!("p99 at 32,000 requests/s, ours / nginx ({own:.2} and {best:.2} ms, {name})");
    report.at_most(what, "×", own / best, [1.0, 0.85]);
}

/// CPU per request of the best nginx over ours, sample by sample.
fn compare(report: &mut Report, case: &Case, ours: &Server, nginx: &[Server]) {
    let mut costs = sampled(ROUNDS, ours, nginx, &case.client, |it| Some(it.cpu_us));
    let Some((own, best, best_name)) = best(case.name, &mut costs, ours) else { return };
    let own_costs = costs.get_mut(ours.name).unwrap();
    let spread = (quantile(own_costs, 0.9) - quantile(own_costs, 0.1)) / own * 100.0;
    let what = format!(
        "CPU per request, nginx / ours: {} (ours {own:.2} us ±{:.0} %, {best_name} {best:.2} us)",
        case.name,
        spread / 2.0
    );
    report.at_least(what, "×", best / own, case.goals);
}

/// A figure of all servers, by name; their samples alternate.
fn sampled(
    rounds: usize,
    ours: &Server,
    nginx: &[Server],
    client: &Client,
    figure: impl Fn(&Sample) -> Option<f64>,
) -> BTreeMap<&'static str, Vec<f64>> {
    let mut figures: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for _ in 0..rounds {
        for server in std::iter::once(ours).chain(nginx) {
            let sample = server.sample(client);
            figures.entry(server.name).or_default().extend(sample.as_ref().and_then(&figure));
        }
    }
    figures
}

/// Our median, and the lowest of nginx with its configuration; `None`, and said so, without enough
/// samples.
fn best(
    case: &str,
    figures: &mut BTreeMap<&'static str, Vec<f64>>,
    ours: &Server,
) -> Option<(f64, f64, &'static str)> {
    let enough = figures.iter_mut().filter(|(_, figures)| figures.len() >= ENOUGH);
    let medians: Vec<_> = enough.map(|(name, them)| (*name, quantile(them, 0.5))).collect();
    let own = medians.iter().find(|(name, _)| *name == ours.name);
    let nginx = medians.iter().filter(|(name, _)| *name != ours.name);
    let best = nginx.min_by(|(_, a), (_, b)| a.total_cmp(b));
    let (Some((_, own)), Some((name, best))) = (own, best) else {
        eprintln!("  {case}: the machine is too noisy; nothing is reported");
        return None;
    };
    Some((*own, *best, *name))
}

/// Requests per second with two threads or workers; the client shares their cores.
fn two_threads(report: &mut Report, ours: &Server, nginx: &Server) {
    let client = Client::Wrk("Accept-Encoding: gzip");
    let nginx = slice::from_ref(nginx);
    let mut rates = sampled(ROUNDS_OF_TWO, ours, nginx, &client, |it| Some(it.rate));
    let Some((own, nginx, _)) = best("two threads", &mut rates, ours) else { return };
    let what = format!("requests/s, two threads against two workers ({own:.0} and {nginx:.0})");
    report.at_least(what, "×", own / nginx, [1.25, 1.4]);
}

const CONFIGURATIONS: [&str; 3] =
    ["sendfile on; tcp_nopush on;", "sendfile off;", "sendfile on; tcp_nopush off;"];
