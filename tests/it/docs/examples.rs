//! The examples of the documentation run, and examples/offers shows what the documentation says.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::support::process::{Printed, Server, eventually, registrar, text, unset};
use crate::{
    docs::{links::documents, runbooks::shell},
    support::stage::Stage,
};

/// The URL that `make run` serves at, and that the examples of the documentation name.
const PUBLIC: &str = "http://127.0.0.1:8004";
const ADMIN: &str = "http://127.0.0.1:9004";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &Path) -> String {
    fs::read_to_string(page).unwrap()
}

/// A server on `examples/offers`, as `make run` starts it except for the ports, and with the lists for buyers.
pub async fn example_server() -> Server {
    let offers = root().join("examples/offers");
    let offers = ["--offers", offers.to_str().unwrap(), "--public-url", PUBLIC, "--x402-discovery"];
    let server = Server::start(&offers).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    server
}

/// A marked `sh` block, and the block with its expected output.
struct Example {
    script: String,
    expected: String,
}

/// The blocks of a page that are marked with `<!-- mark -->`.
fn examples(markdown: &str, mark: &str) -> Vec<Example> {
    let fenced = |text: &str, language: &str| {
        let begin = format!("```{language}\n");
        let from = text.find(&begin).unwrap_or_else(|| panic!("no {language} block in {text}"));
        let block = &text[from + begin.len()..];
        block[..block.find("```").unwrap()].to_owned()
    };
    let mark = format!("<!-- {mark} -->\n");
    let marked = markdown.split(&mark).skip(1);
    marked
        .map(|rest| Example { script: fenced(rest, "sh"), expected: fenced(rest, "text") })
        .collect()
}

/// Whether `printed` is `expected`, where `…` matches any text.
fn matches(expected: &str, printed: &str) -> bool {
    let mut parts = expected.trim().split('…');
    let Some(mut rest) = parts.next().and_then(|first| printed.trim().strip_prefix(first)) else {
        return false;
    };
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty()
        || (expected.contains('…') && (last.is_empty() || printed.trim().ends_with(last)))
}

#[test]
fn an_ellipsis_matches_any_text_and_the_rest_matches_itself() {
    let cases = [
        ("304", "304\n", true),
        ("304", "3040", false),
        ("{…\"a\":1…}", "{\"b\":2,\"a\":1,\"c\":3}", true),
        ("{…\"a\":1…}", "{\"b\":2,\"a\":2}", false),
        ("{…}", "{} and more", false),
        ("fix: …", "fix: Nothing.", true),
        ("a…b…c", "a b", false),
    ];
    let wrong: Vec<_> = cases
        .iter()
        .filter(|(expected, printed, same)| matches(expected, printed) != *same)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The pages with tested examples: all but the runbooks, whose commands need a chain.
fn pages() -> Vec<PathBuf> {
    let pages =
        documents().into_iter().filter(|page| !page.starts_with(root().join("docs/runbooks")));
    pages.collect()
}

/// The PATH on which `registrar` is the binary under test.
fn path_to_the_binary() -> OsString {
    let binary = Path::new(env!("CARGO_BIN_EXE_registrar")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap();
    std::env::join_paths([binary].into_iter().chain(std::env::split_paths(&path))).unwrap()
}

/// Runs an example against the server. The error says how its output differs.
async fn run(example: &Example, server: &Server) -> Result<(), String> {
    let script = example.script.replace(PUBLIC, &server.public).replace(ADMIN, &server.admin);
    let mut shell = tokio::process::Command::from(unset(Command::new("sh")));
    shell.args(["-euc", &script]).current_dir(root()).env("PATH", path_to_the_binary());
    let Output { stdout, stderr, status } = shell.output().await.unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    let Example { script, expected } = example;
    if status.success() && matches(expected, &stdout) {
        return Ok(());
    }
    Err(format!("{script}must print\n{expected}but prints ({status})\n{stdout}\n{stderr}"))
}

#[tokio::test]
async fn every_tested_example_prints_what_its_page_says() {
    let server = example_server().await;
    let (mut count, mut failures) = (0, Vec::new());
    for page in pages() {
        for example in examples(&read(&page), "tested") {
            count += 1;
            let result = run(&example, &server).await;
            failures.extend(result.err().map(|error| format!("{}: {error}", page.display())));
        }
    }
    assert!(count >= 9, "only {count} examples are marked as tested");
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_use_of_anchoring_prints_what_its_page_says() {
    let stage = Stage::new().await;
    let examples = examples(&read(&root().join("docs/anchoring.md")), "anchored");
    assert_eq!(examples.len(), 3);
    for example in examples {
        let Printed { stdout, .. } = shell(&stage, &example.script).await;
        assert!(matches(&example.expected, &stdout), "{} prints\n{stdout}", example.script);
    }
    stage.settle(&[]).await;
    let status = shell(&stage, "registrar anchor status").await.stdout;
    assert!(status.contains("default: agentId 0 Anchored: "), "{status}");
}

/// The paths that docs/http.md lists.
fn listed_paths() -> Vec<String> {
    let page = read(&root().join("docs/http.md"));
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `/"));
    rows.flat_map(|row| row.split(" | ").next().unwrap().split(", "))
        .map(|path| format!("/{}", path.trim_matches(['`', '/'])))
        .collect()
}

#[tokio::test]
async fn every_path_of_the_page_on_http_is_served() {
    let server = example_server().await;
    let paths = listed_paths();
    assert!(paths.len() >= 10, "{paths:?}");
    let mut wrong = Vec::new();
    for listed in paths {
        let path = listed
            .replace("{namespace}/{name}", "llm/chat")
            .replace("/docs/{file}", "/docs/page.css")
            .replace("{file}", "agent-registration.schema.json");
        let (public, admin) = (
            server.get(&path).await.status().as_u16(),
            server.admin(&path).await.status().as_u16(),
        );
        // The one path that is an action is not carried out by a GET.
        let expected = if path == "/debug/release-brake" { (404, 405) } else { (200, 404) };
        if (public.min(admin), public.max(admin)) != expected {
            wrong.push((listed, public, admin));
        }
    }
    assert_eq!(wrong, [], "path, status on the public listener, status on the admin listener");
}

fn explained(at: &str) -> Vec<(String, String, String)> {
    let offers = root().join("examples/offers");
    let explained = registrar(&[
        "explain",
        "--offers",
        offers.to_str().unwrap(),
        "--public-url",
        PUBLIC,
        "--json",
        "--at",
        at,
    ]);
    let Printed { stdout, stderr, code } = explained;
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{at}");
    let rows: Vec<Value> = serde_json::from_str(&stdout).unwrap();
    let row = |row: &Value| {
        let id = format!("{}/{}", text(row, "namespace"), text(row, "name"));
        (id, text(row, "state").to_owned(), text(row, "reason").to_owned())
    };
    rows.iter().map(row).collect()
}

#[test]
fn the_examples_show_every_state_and_stay_so_for_decades() {
    let expected = [
        ("llm/chat", "published", "Published"),
        ("llm/embeddings", "draining", "Draining"),
        ("llm/translate", "drained", "Drained"),
        ("staging/chat", "unpublished", "PathConflict"),
        ("tools/audit", "published", "Published"),
    ];
    let expected =
        expected.map(|(id, state, reason)| (id.to_owned(), state.to_owned(), reason.to_owned()));
    for at in ["2026-06-01T00:00:00Z", "2050-01-01T00:00:00Z", "2126-05-24T14:29:59Z"] {
        assert_eq!(explained(at), expected, "{at}");
    }
    let shown: BTreeSet<_> = expected.iter().map(|(_, state, _)| state.as_str()).collect();
    assert_eq!(shown, BTreeSet::from(["published", "draining", "drained", "unpublished"]));
}

#[test]
fn the_examples_profile_and_tombstones_render() {
    let (offers, profile) = (root().join("examples/offers"), root().join("docs/profile.yaml"));
    let run = |more: &[&str]| {
        let args = ["render", "--public-url", PUBLIC, "--offers", offers.to_str().unwrap()];
        let printed = registrar(&[&args, more].concat());
        assert_eq!(printed.code, Some(0), "{more:?}");
        (serde_json::from_str::<Value>(&printed.stdout).unwrap(), printed.stderr)
    };
    let render = |more: &[&str]| {
        let (document, stderr) = run(more);
        assert_eq!(stderr, "", "{more:?}");
        document
    };
    let profile = ["--profile", profile.to_str().unwrap()];
    let document = render(&profile);
    assert_eq!(text(&document, "image"), "https://northharbour.example/logo.png");
    assert_eq!(document["provenance"]["hosting"], "own hardware, Rotterdam");
    let (nobody, stderr) = run(&["--namespace", "nobody"]);
    assert!(stderr.starts_with("registrar: NothingFound: "), "{stderr}");
    for tombstone in [render(&["--agent", "host:translate.example"]), nobody] {
        assert_eq!(tombstone["active"], false);
        assert_eq!(tombstone["services"], serde_json::json!([]));
        assert_eq!(tombstone["registrations"].as_array().unwrap().len(), 2);
    }
}

#[test]
fn the_image_is_built_with_the_pinned_toolchain() {
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let channel = toolchain.split('"').nth(1).unwrap();
    let dockerfile = fs::read_to_string(root().join("Dockerfile")).unwrap();
    assert!(dockerfile.contains(&format!("ARG RUST_IMAGE=rust:{channel}-alpine\n")), "{channel}");
}

#[tokio::test]
async fn run_example_serves_the_examples_and_ends_cleanly_on_ctrl_c() {
    let mut script = unset(Command::new(root().join("scripts/run-example")));
    script.arg(env!("CARGO_BIN_EXE_registrar"));
    script.env("REGISTRAR_LISTEN", "127.0.0.1:0").env("REGISTRAR_ADMIN_LISTEN", "127.0.0.1:0");
    let server = Server::launch(script).await;
    eventually("all entries are served", async || server.endpoints().await.len() == 10).await;
    assert!(server.log().contains("curl -s -H 'Host: audit.example'"), "{}", server.log());
    server.signal("-INT");
    let ended = server.log_after_end().await;
    assert_eq!((ended.code, ended.stdout), (Some(0), vec![]), "{}", ended.stderr);
}
