//! The documentation against the code: what a page lists is generated from the code.
//!
//! A generated block of a page is between `<!-- generated: NAME -->` and `<!-- end -->`. With
//! UPDATE_GOLDEN set, the tests rewrite the blocks (`make golden`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Mutex,
};

use clap::CommandFactory;

use crate::{
    anchor::AnchorReason,
    check::CheckId,
    cli::Cli,
    lint::LintCode,
    offer::{EntryCode, NETWORKS, Unlisted},
    registration::{
        OfferState, Reason,
        chains::{CHAINS, Deployment, REVIEWED_ON, Speciality},
    },
    source::SourceProblemCode,
};

/// Every generated block, by page. The tests of `http` check those in docs/http.md and
/// docs/metrics.md.
const BLOCKS: [(&str, &[&str]); 9] = [
    ("docs/anchoring.md", &["anchor-reasons"]),
    ("docs/chains.md", &["chains"]),
    ("docs/check.md", &["checks"]),
    ("docs/configuration.md", &["commands", "flags", "source-problems"]),
    ("docs/http.md", &["problem-codes"]),
    ("docs/lint.md", &["lint-codes"]),
    ("docs/metrics.md", &["metrics", "alerts"]),
    ("docs/publishing.md", &["states", "reasons", "entry-codes"]),
    ("docs/x402.md", &["x402-codes", "x402-networks"]),
];

/// Tests run in parallel, and a page may hold several blocks.
static PAGES: Mutex<()> = Mutex::new(());

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap()
}

/// A Markdown table. Cells are Markdown already, see [`plain`] and [`code`].
pub(crate) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    let mut text = line(&head) + &line(&vec!["---".to_owned(); head.len()]);
    for row in rows {
        assert_eq!(row.len(), head.len(), "{row:?}");
        text += &line(&row);
    }
    text
}

/// Text of the code as a cell, in which nothing is Markdown.
pub(crate) fn plain(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('*', "\\*").replace('<', "&lt;");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A word of the code as a cell; an empty one stays empty.
pub(crate) fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{}`", text.replace('|', "\\|")) }
}

/// Compares a generated block with its page, or rewrites it if UPDATE_GOLDEN is set.
pub(crate) fn check(page: &str, block: &str, content: &str) {
    let names = BLOCKS.iter().filter(|(known, _)| *known == page).flat_map(|(_, names)| *names);
    assert!(names.into_iter().any(|name| *name == block), "BLOCKS lacks {page} {block}");
    let _alone = PAGES.lock().unwrap();
    let text = read(page);
    let begin = format!("<!-- generated: {block} -->\n");
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page} lacks {begin}"));
    let (_, after) = rest.split_once("<!-- end -->\n").unwrap();
    let expected = format!("{before}{begin}\n{content}\n<!-- end -->\n{after}");
    if text == expected {
        return;
    }
    #[expect(clippy::disallowed_methods, reason = "the switch is for people, not for the program")]
    let update = std::env::var("UPDATE_GOLDEN").is_ok();
    assert!(update, "{page}: the block {block} is not what the code says; run `make golden`");
    fs::write(root().join(page), expected).unwrap();
}

/// Every verb that does something, by its name: `serve`, `anchor run`.
fn leaves(cli: &clap::Command) -> Vec<(String, &clap::Command)> {
    let verbs = cli.get_subcommands().filter(|verb| verb.get_name() != "help");
    verbs
        .flat_map(|verb| {
            let name = verb.get_name().to_owned();
            if !verb.has_subcommands() {
                return vec![(name, verb)];
            }
            let own = leaves(verb).into_iter();
            own.map(|(below, verb)| (format!("{name} {below}"), verb)).collect()
        })
        .collect()
}

fn commands(cli: &clap::Command) -> String {
    let row = |(_, verb): (String, &clap::Command)| {
        let usage = verb.clone().render_usage().to_string();
        let about = verb.get_about().unwrap().to_string();
        vec![code(usage.trim_start_matches("Usage: ")), plain(&about)]
    };
    table(&["usage", "what it does"], leaves(cli).into_iter().map(row))
}

/// The row of one flag.
fn flag(arg: &clap::Arg) -> Vec<String> {
    let takes_value = arg.get_action().takes_values();
    let value = takes_value.then(|| arg.get_value_names().unwrap()[0].as_str());
    let long = arg.get_long().unwrap();
    let flag = format!("--{long}{}", value.map(|v| format!(" <{v}>")).unwrap_or_default());
    let env = arg.get_env().map_or("".into(), |env| env.to_string_lossy());
    // A switch is `false` to clap, which goes without saying.
    let default = arg.get_default_values().first().filter(|_| takes_value);
    let default = default.map_or("".into(), |default| default.to_string_lossy());
    let mut help = plain(&arg.get_long_help().or(arg.get_help()).unwrap().to_string());
    let values = arg.get_possible_values();
    if takes_value && !values.is_empty() {
        let values: Vec<_> = values.iter().map(|value| code(value.get_name())).collect();
        help += &format!(" ({})", values.join(", "));
    }
    vec![code(&flag), code(&env), code(&default), help]
}

/// One table for each set of verbs that take the same flags.
fn flags(cli: &clap::Command) -> String {
    let mut rows: Vec<(Option<&str>, Vec<String>, Vec<String>)> = Vec::new();
    for (verb, command) in leaves(cli) {
        let named =
            command.get_arguments().filter(|arg| arg.get_long().is_some_and(|l| l != "help"));
        for arg in named {
            let (heading, row) = (arg.get_help_heading(), flag(arg));
            match rows.iter_mut().find(|(known, _, same)| (*known, same) == (heading, &row)) {
                Some((_, verbs, _)) => verbs.push(verb.clone()),
                None => rows.push((heading, vec![verb.clone()], row)),
            }
        }
    }
    let mut groups: Vec<(String, Vec<Vec<String>>)> = Vec::new();
    for (heading, verbs, row) in rows {
        let verbs = verbs.iter().map(|verb| code(verb)).collect::<Vec<_>>().join(", ");
        let title = heading.map_or(verbs.clone(), |heading| format!("{heading}: {verbs}"));
        match groups.iter_mut().find(|(known, _)| *known == title) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((title, vec![row])),
        }
    }
    let head = ["flag", "environment", "default", "meaning"];
    let group = |(title, rows)| format!("### {title}\n\n{}", table(&head, rows));
    groups.into_iter().map(group).collect::<Vec<_>>().join("\n")
}

#[test]
fn generated_blocks_of_the_command_line_are_what_the_binary_takes() {
    let mut cli = Cli::command();
    cli.build();
    check("docs/configuration.md", "commands", &commands(&cli));
    check("docs/configuration.md", "flags", &flags(&cli));
}

#[test]
fn generated_blocks_of_states_reasons_and_codes_are_the_closed_lists() {
    let states = OfferState::ALL.map(|state| vec![code(state.as_str()), plain(state.meaning())]);
    check("docs/publishing.md", "states", &table(&["state", "meaning"], states));
    let reasons = Reason::ALL
        .map(|reason| vec![code(reason.as_str()), plain(reason.meaning()), plain(reason.fix())]);
    check("docs/publishing.md", "reasons", &table(&["reason", "meaning", "fix"], reasons));
    let codes = EntryCode::ALL.map(|entry| vec![code(entry.as_str()), plain(entry.message())]);
    check("docs/publishing.md", "entry-codes", &table(&["code", "meaning"], codes));
    let unlisted = Unlisted::ALL
        .map(|entry| vec![code(entry.as_str()), plain(entry.meaning()), plain(entry.fix())]);
    check("docs/x402.md", "x402-codes", &table(&["code", "meaning", "fix"], unlisted));
    let problems = SourceProblemCode::ALL.map(|problem| {
        vec![code(problem.as_str()), plain(problem.meaning()), plain(problem.published())]
    });
    let head = ["code", "what happened", "what is published"];
    check("docs/configuration.md", "source-problems", &table(&head, problems));
    let anchored = AnchorReason::ALL.iter();
    let anchored = anchored.map(|reason| vec![code(reason.as_str()), plain(reason.message())]);
    check("docs/anchoring.md", "anchor-reasons", &table(&["reason", "meaning"], anchored));
}

#[test]
fn generated_block_of_checks_is_the_closed_list() {
    let rows = CheckId::ALL.map(|id| {
        let docs = id.docs().trim_start_matches("docs/");
        let (page, fix) = (docs.split('#').next().unwrap(), plain(id.fix()));
        let group = id.group().to_owned();
        vec![code(id.as_str()), group, plain(id.meaning()), fix, format!("[{page}]({docs})")]
    });
    let head = ["id", "group", "passes if", "fix", "docs"];
    check("docs/check.md", "checks", &table(&head, rows));
}

#[test]
fn generated_blocks_of_lint_codes_are_the_closed_list() {
    let rows = LintCode::ALL.map(|lint| {
        let severity = lint.severity().as_str().to_owned();
        let readers = lint.readers().collect::<Vec<_>>().join(", ");
        vec![code(lint.as_str()), severity, plain(lint.meaning()), plain(lint.fix()), readers]
    });
    let head = ["code", "severity", "meaning", "fix", "readers"];
    check("docs/lint.md", "lint-codes", &table(&head, rows));
}

#[test]
fn the_page_of_chains_holds_the_table() {
    let special = |chain: &Deployment| match chain.speciality {
        None => "",
        Some(Speciality::DataFee) => "the L1 data fee counts in budget and balance",
        Some(Speciality::GasPrice) => "`eth_gasPrice` counts where base fee and tip are 0",
        Some(Speciality::LegacyFees) => "signed as type 0 (`--legacy-fees`)",
        Some(Speciality::AccountAbstraction) => "refused: native account abstraction",
    };
    let number = |number: Option<u64>, none: &str| {
        number.map_or_else(|| none.to_owned(), |number| number.to_string())
    };
    let rows = CHAINS.iter().map(|chain| {
        let names: Vec<String> = chain.aliases.iter().map(|alias| code(alias)).collect();
        vec![
            code(&format!("eip155:{}", chain.id)),
            names.join(", "),
            number(chain.deployed, "unknown: `@BLOCK`"),
            number(chain.final_depth, "not reviewed"),
            special(chain).to_owned(),
        ]
    });
    let head = ["chain", "aliases", "first block", "least `depth:N`", "special"];
    check("docs/chains.md", "chains", &table(&head, rows));
    assert!(read("docs/chains.md").contains(REVIEWED_ON));
}

#[test]
fn generated_block_of_payment_networks_is_the_table() {
    let rows = NETWORKS.iter().map(|network| {
        let names: Vec<String> = network.names.iter().map(|name| code(name)).collect();
        let usdc = network.usdc.as_ref();
        vec![
            code(&format!("eip155:{}", network.id)),
            names.join(", "),
            usdc.map(|usdc| code(&usdc.asset.to_string())).unwrap_or_default(),
            usdc.map(|usdc| code(usdc.name)).unwrap_or_default(),
        ]
    });
    let head = ["network", "names", "USDC", "name of its EIP-712 domain (version 2)"];
    check("docs/x402.md", "x402-networks", &table(&head, rows));
}

#[test]
fn no_page_has_a_generated_block_that_no_test_checks() {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".md") {
            continue;
        }
        let page = format!("docs/{name}");
        for rest in read(&page).split("<!-- generated: ").skip(1) {
            let block = rest.split(" -->").next().unwrap().to_owned();
            found.entry(page.clone()).or_default().insert(block);
        }
    }
    let expected = BLOCKS.iter().map(|(page, names)| {
        ((*page).to_owned(), names.iter().map(|&name| name.to_owned()).collect())
    });
    assert_eq!(found, expected.collect());
}

/// The paths that docs/http.md lists.
fn listed_paths() -> BTreeSet<String> {
    let page = read("docs/http.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `/"));
    rows.flat_map(|row| row.split(" | ").next().unwrap().split(", "))
        .map(|path| format!("/{}", path.trim_matches(['`', '/'])))
        .collect()
}

#[test]
fn the_page_on_http_lists_exactly_the_paths_of_the_contract() {
    let contract = fs::read_to_string(root().join("openapi.yaml")).unwrap();
    let contract = crate::source::parse_yaml(&contract).unwrap();
    let paths = contract[0]["paths"].as_object().unwrap().keys().cloned();
    assert_eq!(listed_paths(), paths.collect());
}

/// The crates in the first column of a table, by section.
fn listed_crates(page: &str, heading: &str) -> BTreeSet<String> {
    let (_, section) = page.split_once(heading).unwrap();
    let rows = section.split("\n## ").next().unwrap().lines();
    let cells = rows.filter_map(|row| row.strip_prefix("| `")?.split(" | ").next());
    cells.flat_map(|cell| cell.split(", ")).map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn the_page_of_dependencies_lists_exactly_the_direct_ones() {
    let manifest = read("Cargo.toml");
    let declared = |table: &str| -> BTreeSet<String> {
        let (_, rest) = manifest.split_once(&format!("\n[{table}]\n")).unwrap();
        let lines = rest.split("\n[").next().unwrap().lines();
        let names = lines.filter_map(|line| line.split_once(" = "));
        names.map(|(name, _)| name.to_owned()).filter(|name| !name.starts_with('#')).collect()
    };
    let page = read("docs/dependencies.md");
    let used = declared("dependencies");
    assert_eq!(listed_crates(&page, "## In the binary"), used);
    let tests = declared("dev-dependencies").into_iter().filter(|name| !used.contains(name));
    assert_eq!(listed_crates(&page, "## In tests"), tests.collect());
}
