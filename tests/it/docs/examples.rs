//! The documents hold: every example in README.md runs, every table in it is the code's, every link leads somewhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use crate::support::process::{Printed, Server, eventually, registrar, text, unset};
use crate::{docs::runbooks::shell, support::stage::Stage};

/// The URL that `make run` serves at, and that the README's examples name.
const PUBLIC: &str = "http://127.0.0.1:8004";
const ADMIN: &str = "http://127.0.0.1:9004";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
}

/// A server on `examples/`, as `make run` starts it but for the ports.
pub async fn example_server() -> Server {
    let offers = root().join("examples");
    let server =
        Server::start(&["--offers", offers.to_str().unwrap(), "--public-url", PUBLIC]).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    server
}

/// A `sh` block that is marked as tested, and the block that says what comes out.
struct Example {
    script: String,
    expected: String,
}

/// The blocks that are marked so.
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

/// Whether `printed` is `expected`, where `…` stands for anything.
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
fn an_ellipsis_stands_for_anything_and_the_rest_for_itself() {
    for (expected, printed, same) in [
        ("304", "304\n", true),
        ("304", "3040", false),
        ("{…\"a\":1…}", "{\"b\":2,\"a\":1,\"c\":3}", true),
        ("{…\"a\":1…}", "{\"b\":2,\"a\":2}", false),
        ("{…}", "{} and more", false),
        ("fix: …", "fix: Nothing.", true),
        ("a…b…c", "a b", false),
    ] {
        assert_eq!(matches(expected, printed), same, "{expected} {printed}");
    }
}

#[tokio::test]
async fn every_tested_example_prints_what_the_readme_says() {
    let examples = examples(&readme(), "tested");
    assert!(examples.len() >= 9, "{} examples are marked as tested", examples.len());
    let server = example_server().await;
    let binary = Path::new(env!("CARGO_BIN_EXE_registrar")).parent().unwrap();
    let path = std::env::join_paths(
        [binary.to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    for example in examples {
        let script = example.script.replace(PUBLIC, &server.public).replace(ADMIN, &server.admin);
        let mut shell = tokio::process::Command::from(unset(Command::new("sh")));
        shell.args(["-euc", &script]).current_dir(root()).env("PATH", path.as_ref().unwrap());
        let Output { stdout, stderr, status } = shell.output().await.unwrap();
        let (stdout, stderr) =
            (String::from_utf8(stdout).unwrap(), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{}\n{stdout}\n{stderr}", example.script);
        assert!(
            matches(&example.expected, &stdout),
            "{}\nshould print\n{}\nbut prints\n{stdout}\n{stderr}",
            example.script,
            example.expected
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_use_of_anchoring_prints_what_the_readme_says() {
    let stage = Stage::new().await;
    let examples = examples(&readme(), "anchored");
    assert_eq!(examples.len(), 3);
    for example in examples {
        let Printed { stdout, .. } = shell(&stage, &example.script).await;
        assert!(matches(&example.expected, &stdout), "{} prints\n{stdout}", example.script);
    }
    stage.settle(&[]).await;
    let status = shell(&stage, "registrar anchor status").await.stdout;
    assert!(status.contains("default: agentId 0 Anchored: "), "{status}");
}

/// The rows of the table whose head begins with `first`, cell by cell, without marks.
fn table(markdown: &str, first: &str) -> Vec<Vec<String>> {
    let head = format!("| {first} |");
    let lines = markdown.lines().skip_while(|line| !line.starts_with(&head)).skip(2);
    let rows: Vec<Vec<String>> = lines
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells = line.trim_matches('|').split(" | ");
            cells.map(|cell| cell.trim().replace("\\|", "|")).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "there is no table {first:?}");
    rows
}

fn code(cell: &str) -> &str {
    cell.trim_matches('`')
}

/// The paths that the README says are served, one by one.
fn told_paths() -> Vec<String> {
    let readme = readme();
    let (public, admin) = readme.split_once("The admin listener, ").unwrap();
    let public = &public[public.find("The public listener:").unwrap()..];
    let rows = [table(public, "path"), table(admin, "path")].concat();
    rows.iter().flat_map(|row| row[0].split(", ")).map(|path| code(path).to_owned()).collect()
}

#[tokio::test]
async fn every_path_of_the_readme_is_served() {
    let server = example_server().await;
    for told in told_paths() {
        let path = told
            .replace("{namespace}/{name}", "llm/chat")
            .replace("{file}", "agent-registration.schema.json");
        let (public, admin) = (
            server.get(&path).await.status().as_u16(),
            server.admin(&path).await.status().as_u16(),
        );
        assert_eq!((public.min(admin), public.max(admin)), (200, 404), "{told}");
    }
}

/// Every Markdown file of ours.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
            let name = name.to_string_lossy();
            if path.is_dir() {
                let foreign = matches!(&*name, "target" | "node_modules") || name.starts_with('.');
                folders.extend((!foreign).then_some(path));
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    assert!(found.len() >= 3, "{found:?}");
    found
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for document in documents() {
        let markdown = fs::read_to_string(&document).unwrap();
        for link in markdown.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let file = link.split('#').next().unwrap();
            if link.contains("://") || link.starts_with("mailto:") || file.is_empty() {
                continue;
            }
            let target = document.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link}", document.display());
        }
    }
}

fn explained(at: &str) -> Vec<(String, String, String)> {
    let offers = root().join("examples");
    let told = registrar(&[
        "explain",
        "--offers",
        offers.to_str().unwrap(),
        "--public-url",
        PUBLIC,
        "--json",
        "--at",
        at,
    ]);
    let Printed { stdout, stderr, code } = told;
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{at}");
    let told: Vec<Value> = serde_json::from_str(&stdout).unwrap();
    let row = |told: &Value| {
        let id = format!("{}/{}", text(told, "namespace"), text(told, "name"));
        (id, text(told, "state").to_owned(), text(told, "reason").to_owned())
    };
    told.iter().map(row).collect()
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
    let (offers, profile) = (root().join("examples"), root().join("docs/profile.yaml"));
    let render = |more: &[&str]| {
        let args = ["render", "--public-url", PUBLIC, "--offers", offers.to_str().unwrap()];
        let printed = registrar(&[&args, more].concat());
        assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""), "{more:?}");
        serde_json::from_str::<Value>(&printed.stdout).unwrap()
    };
    let profile = ["--profile", profile.to_str().unwrap()];
    let document = render(&profile);
    assert_eq!(text(&document, "image"), "https://northharbour.example/logo.png");
    assert_eq!(document["provenance"]["hosting"], "own hardware, Rotterdam");
    for tombstone in
        [render(&["--agent", "host:translate.example"]), render(&["--namespace", "nobody"])]
    {
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
