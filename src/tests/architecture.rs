//! The import law: who may use whom, and what those who decide may not touch.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use syn::{
    Item, ItemMod, ItemUse, Macro, UseTree,
    visit::{self, Visit},
};

/// Who may use whom. `lib.rs` and `main.rs` may use everything.
const LAW: [(&str, &[&str]); 24] = [
    ("clock", &[]),
    ("error_chain", &[]),
    ("head", &[]),
    ("telemetry", &[]),
    ("offer", &[]),
    ("page", &[]),
    ("registration", &["offer", "page"]),
    ("lint", &["offer", "registration"]),
    ("check", &["offer", "registration", "lint"]),
    ("catalog", &["offer", "page", "registration"]),
    ("review", &["offer", "page", "registration", "lint", "catalog"]),
    ("source", &["offer", "registration", "clock", "telemetry", "error_chain"]),
    ("publish", &["source", "offer", "registration", "catalog", "clock", "telemetry"]),
    (
        "http",
        &[
            "head",
            "source",
            "offer",
            "page",
            "registration",
            "lint",
            "catalog",
            "review",
            "publish",
            "clock",
            "telemetry",
        ],
    ),
    ("listener", &["head", "telemetry", "error_chain"]),
    ("anchor", &["offer", "registration", "clock", "telemetry", "error_chain"]),
    ("identity_status", &["source", "offer", "registration", "error_chain"]),
    ("offer_events", &["source", "publish", "offer", "registration", "clock", "error_chain"]),
    ("journal_place", &["anchor", "source"]),
    ("leader", &["source", "clock", "telemetry", "error_chain"]),
    ("enforce", &["source", "offer", "clock", "telemetry", "error_chain"]),
    (
        "cli",
        &[
            "offer",
            "registration",
            "source",
            "telemetry",
            "anchor",
            "journal_place",
            "lint",
            "leader",
        ],
    ),
    ("command", EVERYTHING),
    ("fuzzing", &["offer", "registration", "source"]),
];
const EVERYTHING: &[&str] = &[
    "clock",
    "error_chain",
    "head",
    "telemetry",
    "offer",
    "page",
    "registration",
    "lint",
    "check",
    "catalog",
    "review",
    "source",
    "publish",
    "http",
    "listener",
    "anchor",
    "identity_status",
    "journal_place",
    "offer_events",
    "leader",
    "enforce",
    "cli",
];
/// Where nothing is done, only decided.
const DECIDING: [&str; 17] = [
    "offer",
    "page",
    "registration",
    "lint",
    "check",
    "anchor::account",
    "anchor::desired",
    "anchor::evidence",
    "anchor::facts",
    "anchor::fees",
    "anchor::key",
    "anchor::plan",
    "anchor::reason",
    "leader::election",
    "enforce::teardown",
    "identity_status::missing",
    "offer_events::notes",
];
/// The parts of anchoring that act: what decides may not use them.
const ACTING_ANCHOR: [&str; 5] = ["evm", "journal", "reconcile", "run", "signer"];
/// What those who decide may not use: a runtime, a server, a cluster, a log.
const ACTING: [&str; 9] = [
    "tokio",
    "axum",
    "kube",
    "k8s_openapi",
    "tracing",
    "http",
    "tower",
    "reqwest",
    "prometheus_client",
];
/// The same of the standard library. An address is a value, so `net` is not among them.
const ACTING_STD: [&str; 4] = ["fs", "process", "env", "thread"];

/// Collects every path that a file spells out, in full where it begins with `crate`, `self` or
/// `super`.
pub(super) struct Spelled {
    /// The module at hand, from the crate's root.
    module: Vec<String>,
    paths: BTreeSet<String>,
}

impl Spelled {
    pub(super) fn of(source: &str, module: &[&str]) -> BTreeSet<String> {
        let file = syn::parse_file(source).unwrap();
        let module = module.iter().map(|name| (*name).to_owned()).collect();
        let mut spelled = Self { module, paths: BTreeSet::new() };
        spelled.visit_file(&file);
        spelled.paths
    }

    fn spell(&mut self, segments: &[String]) {
        let mut base = None;
        let mut rest = segments;
        while let Some((first, more)) = rest.split_first() {
            match (first.as_str(), &mut base) {
                ("crate", None) => base = Some(Vec::new()),
                ("self", None) => base = Some(self.module.clone()),
                ("super", None) => {
                    base = Some(self.module[..self.module.len().saturating_sub(1)].to_vec());
                }
                ("super", Some(base)) => drop(base.pop()),
                _ => break,
            }
            rest = more;
        }
        let full = match base {
            Some(base) => [vec!["crate".to_owned()], base, rest.to_vec()].concat(),
            None => rest.to_vec(),
        };
        self.paths.insert(full.join("::"));
    }

    fn spell_tree(&mut self, before: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.spell_tree(before, &path.tree);
                before.pop();
            }
            UseTree::Name(name) => {
                self.spell(&[before.clone(), vec![name.ident.to_string()]].concat())
            }
            UseTree::Rename(name) => {
                self.spell(&[before.clone(), vec![name.ident.to_string()]].concat())
            }
            UseTree::Glob(_) => self.spell(&[before.clone(), vec!["*".to_owned()]].concat()),
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.spell_tree(before, tree));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Spelled {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.spell_tree(&mut Vec::new(), &item.tree);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item(&mut self, item: &'ast Item) {
        if let Item::ExternCrate(item) = item {
            self.spell(&[item.ident.to_string()]);
        }
        visit::visit_item(self, item);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> =
            path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.spell(&segments);
        visit::visit_path(self, path);
    }

    /// What a macro is given is only tokens: every run of words joined by `::` counts.
    fn visit_macro(&mut self, invoked: &'ast Macro) {
        let tokens = invoked.tokens.to_string();
        // Texts between quotes are no paths.
        for code in tokens.split('"').step_by(2) {
            let words: Vec<_> = code.split_whitespace().collect();
            for start in (0..words.len()).filter(|start| *start == 0 || words[start - 1] != "::") {
                let mut segments = vec![words[start].to_owned()];
                let more = words[start + 1..].chunks(2);
                segments.extend(
                    more.take_while(|pair| pair.len() == 2 && pair[0] == "::")
                        .map(|pair| pair[1].to_owned()),
                );
                if segments.len() > 1 {
                    self.spell(&segments);
                }
            }
        }
        visit::visit_macro(self, invoked);
    }
}

/// What a file does against the law. `module` is its path from the crate's root.
fn violations(source: &str, module: &[&str]) -> Vec<String> {
    let Some((_, allowed)) = LAW.iter().find(|(name, _)| *name == module[0]) else {
        return vec![format!("{} has no place in the law", module[0])];
    };
    let whole = module.join("::");
    let within = |name: &&str| whole == **name || whole.starts_with(&format!("{name}::"));
    let decides = DECIDING.iter().any(within);
    let spelled = Spelled::of(source, module);
    let breaks = |path: &&String| {
        let segments: Vec<_> = path.split("::").collect();
        match segments[..] {
            ["crate", "anchor", part, ..] if decides && ACTING_ANCHOR.contains(&part) => true,
            ["crate", used, ..] => used != module[0] && !allowed.contains(&used),
            ["std", used, ..] => decides && ACTING_STD.contains(&used),
            // A word alone is a local name, whatever it is called.
            [used, _, ..] => decides && ACTING.contains(&used),
            _ => false,
        }
    };
    spelled.iter().filter(breaks).cloned().collect()
}

pub(super) fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// The module of a file below src.
pub(super) fn module_of(file: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        file.with_extension("").iter().map(|name| name.to_str().unwrap().to_owned()).collect();
    if names.last().is_some_and(|name| name == "mod") {
        names.pop();
    }
    names
}

#[test]
fn every_module_uses_only_what_it_may() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut modules = BTreeSet::new();
    for file in sources(root) {
        let module = module_of(file.strip_prefix(root).unwrap());
        let module: Vec<_> = module.iter().map(String::as_str).collect();
        if matches!(module[..], ["lib" | "main" | "testing"]) || module.contains(&"tests") {
            continue;
        }
        modules.insert(module[0].to_owned());
        let source = fs::read_to_string(&file).unwrap();
        assert_eq!(violations(&source, &module), Vec::<String>::new(), "{}", file.display());
    }
    assert_eq!(modules, LAW.map(|(name, _)| name.to_owned()).into());
}

#[test]
fn the_law_has_no_circle() {
    let mut settled: BTreeSet<&str> = BTreeSet::new();
    for _ in LAW {
        let free = LAW.iter().filter(|(_, uses)| uses.iter().all(|used| settled.contains(used)));
        settled.extend(free.map(|(name, _)| *name).collect::<Vec<_>>());
    }
    assert_eq!(settled.len(), LAW.len(), "{settled:?}");
}

#[test]
fn a_breach_is_found_however_it_is_spelled() {
    let planted = [
        ("a plain use", "offer", "use crate::catalog::Page;", "crate::catalog::Page"),
        ("a group", "offer", "use crate::{offer::Drain, http};", "crate::http"),
        (
            "a group in a group",
            "catalog",
            "use crate::{offer::{Drain}, source::{self, World}};",
            "crate::source::World",
        ),
        ("a new name", "offer", "use crate::publish as p;", "crate::publish"),
        ("everything", "offer", "use crate::*;", "crate::*"),
        (
            "a use in a function",
            "offer",
            "fn f() { use crate::source::World; }",
            "crate::source::World",
        ),
        ("an expression", "offer", "fn f() { crate::publish::run() }", "crate::publish::run"),
        ("a type", "offer", "fn f(page: &crate::catalog::Page) {}", "crate::catalog::Page"),
        (
            "a type in a type",
            "offer",
            "type T = Option<crate::catalog::Page>;",
            "crate::catalog::Page",
        ),
        (
            "a pattern",
            "offer",
            "fn f() { let crate::catalog::Page { .. } = p; }",
            "crate::catalog::Page",
        ),
        ("a macro's own path", "registration", "fn f() { tracing::info!(\"x\") }", "tracing::info"),
        (
            "within a macro",
            "offer",
            "fn f() { format!(\"{}\", crate::http::paths()) }",
            "crate::http::paths",
        ),
        ("super of the root", "offer", "use super::http::Reader;", "crate::http::Reader"),
        (
            "super out of a module within",
            "offer",
            "mod t { use super::super::http::Reader; }",
            "crate::http::Reader",
        ),
        ("an attribute", "offer", "#[tokio::test] async fn f() {}", "tokio::test"),
        (
            "a crate that acts",
            "registration",
            "use tokio::time::{Instant, sleep};",
            "tokio::time::Instant",
        ),
        ("with leading colons", "offer", "use ::kube::Client;", "kube::Client"),
        ("a header", "offer", "use http::HeaderValue;", "http::HeaderValue"),
        ("a file", "registration", "fn f() { std::fs::read(\"x\"); }", "std::fs::read"),
        ("a setting", "registration", "use std::env::var;", "std::env::var"),
        ("a module without a place", "util", "", "util has no place in the law"),
    ];
    for (case, module, source, found) in planted {
        let found = found.to_owned();
        assert!(
            violations(source, &[module]).contains(&found),
            "{case}: {:?}",
            violations(source, &[module])
        );
    }
    let innocent = [
        (
            "its own",
            "offer",
            "use crate::offer::Drain; use self::grace::Grace; use super::offer::X;",
        ),
        (
            "what it may",
            "http",
            "use crate::{catalog::{Catalog, Page}, clock::Clock}; use axum::Router;",
        ),
        ("a local name", "offer", "fn f(http: u8, tracing: u8) -> u8 { http + tracing }"),
        ("a text", "offer", "fn f() { format!(\"crate :: http :: x {}\", 1) }"),
        ("a comment", "offer", "// crate::http::x\n/// [`crate::http::x`]\nfn f() {}"),
        ("the shell", "command", "use crate::{http, publish, source, cli};"),
    ];
    for (case, module, source) in innocent {
        assert_eq!(violations(source, &[module]), Vec::<String>::new(), "{case}");
    }
    let nested = "use super::{super::catalog::Page, document::AgentProfile}; use super::super::offer::Drain;";
    assert_eq!(violations(nested, &["registration", "judge"]), ["crate::catalog::Page"]);
    let journal = "use super::{journal::Journal, plan::next};";
    assert_eq!(violations(journal, &["anchor", "facts"]), ["crate::anchor::journal::Journal"]);
    assert_eq!(violations(journal, &["anchor", "run"]), Vec::<String>::new());
}
