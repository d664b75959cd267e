//! The documentation against the code: every table that lists something closed is the code's own list.

use std::{collections::BTreeSet, fs, path::Path};

use clap::CommandFactory;

use crate::{
    anchor::AnchorReason,
    cli::Cli,
    offer::EntryCode,
    registration::{OfferState, Reason},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    fs::read_to_string(root().join("README.md")).unwrap()
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

fn first_column(name: &str) -> Vec<String> {
    table(&readme(), name).iter().map(|row| code(&row[0]).to_owned()).collect()
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

#[test]
fn the_settings_table_is_what_the_binary_takes() {
    let mut real = BTreeSet::new();
    let mut cli = Cli::command();
    cli.build();
    for (name, verb) in leaves(&cli) {
        for arg in verb.get_arguments().filter(|arg| !arg.is_positional()) {
            let Some(long) = arg.get_long().filter(|long| *long != "help") else { continue };
            let takes_value = arg.get_action().takes_values();
            let value = takes_value.then(|| arg.get_value_names().unwrap()[0].as_str());
            let flag = format!("--{long}{}", value.map(|v| format!(" <{v}>")).unwrap_or_default());
            let env = arg.get_env().map_or("none".into(), |env| env.to_string_lossy().into_owned());
            // A switch is `false` to clap, which the table calls off.
            let default = arg.get_default_values().first().filter(|_| takes_value);
            let default = default.map(|default| default.to_string_lossy().into_owned());
            real.insert((name.clone(), flag, env, default));
        }
    }
    let told: BTreeSet<_> = table(&readme(), "flag")
        .iter()
        .flat_map(|row| {
            let [flag, env, default, verbs, _] = row.as_slice() else { panic!("{row:?}") };
            // Clap's own defaults stand as code; what depends on the rest is said in words.
            let literal = default.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
            let default = literal.filter(|text| !text.contains('`')).map(str::to_owned);
            verbs.split(", ").map(move |verb| {
                (verb.to_owned(), code(flag).to_owned(), code(env).to_owned(), default.clone())
            })
        })
        .collect();
    let missing: Vec<_> = real.difference(&told).collect();
    let wrong: Vec<_> = told.difference(&real).collect();
    assert!(missing.is_empty() && wrong.is_empty(), "not told: {missing:#?}\nwrong: {wrong:#?}");
}

#[test]
fn the_verbs_table_is_every_verb_with_its_usage() {
    let mut cli = Cli::command();
    cli.build();
    let verbs = leaves(&cli).into_iter().map(|(_, verb)| verb.clone().render_usage().to_string());
    let usages: Vec<String> =
        verbs.map(|usage| usage.trim_start_matches("Usage: ").to_owned()).collect();
    assert_eq!(first_column("usage"), usages);
}

#[test]
fn states_reasons_and_codes_are_the_closed_lists() {
    assert_eq!(first_column("state"), OfferState::ALL.map(OfferState::as_str));
    assert_eq!(first_column("reason"), Reason::ALL.map(Reason::as_str));
    assert_eq!(first_column("code"), EntryCode::ALL.map(EntryCode::as_str));
    let anchored: Vec<&str> = AnchorReason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(first_column("anchoring"), anchored);
    let states: BTreeSet<&str> = OfferState::ALL.map(OfferState::as_str).into();
    for row in table(&readme(), "reason") {
        assert!(row[1].split(" or ").all(|state| states.contains(code(state))), "{row:?}");
    }
}

/// The paths that the README says are served, one by one.
fn told_paths() -> Vec<String> {
    let readme = readme();
    let (public, admin) = readme.split_once("The admin listener, ").unwrap();
    let public = &public[public.find("The public listener:").unwrap()..];
    let rows = [table(public, "path"), table(admin, "path")].concat();
    rows.iter().flat_map(|row| row[0].split(", ")).map(|path| code(path).to_owned()).collect()
}

#[test]
fn every_path_of_the_contract_stands_in_the_readme() {
    let contract = fs::read_to_string(root().join("openapi.yaml")).unwrap();
    let contract = crate::source::parse_yaml(&contract).unwrap();
    let told = told_paths();
    for path in contract[0]["paths"].as_object().into_iter().flat_map(|paths| paths.keys()) {
        assert!(told.contains(path), "{path}");
    }
}
