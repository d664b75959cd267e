//! The pages of the repository: every relative link leads to a file and to a heading, and the
//! README stays short.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file of the repository, in order of path.
pub fn documents() -> Vec<PathBuf> {
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
    assert!(found.len() >= 15, "{found:?}");
    found.sort();
    found
}

/// The text outside fenced blocks.
fn prose(markdown: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    markdown.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The anchors of a page, as GitHub makes them from headings.
fn anchors(markdown: &str) -> Vec<String> {
    let headings = prose(markdown).filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// Why a link of the page leads nowhere, if it is a relative one that does.
fn broken(page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    if !target.exists() {
        return Some(format!("{}: {link}: no such file", page.display()));
    }
    if anchor.is_empty() {
        return None;
    }
    let known = anchors(&fs::read_to_string(target).unwrap());
    let missing = !known.iter().any(|known| known == anchor);
    missing.then(|| format!("{}: {link}: no such heading", page.display()))
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut failures = Vec::new();
    for page in documents() {
        let markdown = fs::read_to_string(&page).unwrap();
        for line in prose(&markdown) {
            let links = line.split("](").skip(1).map(|rest| rest.split(')').next().unwrap());
            failures.extend(links.filter_map(|link| broken(&page, link)));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_readme_is_at_most_180_lines() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 180, "README.md has {lines} lines; move reference material to docs/");
}

#[test]
fn every_page_of_docs_is_linked_from_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let runbooks = root().join("docs/runbooks");
    let pages = documents().into_iter().filter(|page| !page.starts_with(&runbooks));
    let missing: Vec<_> = pages
        .map(|page| page.strip_prefix(root()).unwrap().to_str().unwrap().to_owned())
        .filter(|page| page != "README.md" && !readme.contains(&format!("({page})")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
