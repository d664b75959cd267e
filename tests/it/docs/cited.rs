//! docs/faults.md names tests; each of them exists.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The files that may hold a module: an integration test's under tests/it, a unit test's under src,
/// beside the code or in its file.
fn candidates(module: &str) -> [PathBuf; 3] {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = |module: &str| format!("{}.rs", module.replace("::", "/"));
    let src = root.join("src");
    let outer = module.strip_suffix("::tests").unwrap_or(module);
    [root.join("tests/it").join(file(module)), src.join(file(module)), src.join(file(outer))]
}

/// Whether the test exists, from its path `module::name`.
fn exists(test: &str) -> bool {
    let Some((module, name)) = test.rsplit_once("::") else { return false };
    let sources = candidates(module).into_iter().filter_map(|file| fs::read_to_string(file).ok());
    sources.into_iter().any(|source| source.contains(&format!("fn {name}(")))
}

#[test]
fn every_test_that_the_page_of_faults_names_exists() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let page = fs::read_to_string(page).unwrap();
    let code = page.split('`').skip(1).step_by(2);
    // `anchoring::` alone names a prefix.
    let named: Vec<&str> =
        code.filter(|code| code.contains("::") && !code.ends_with("::")).collect();
    assert!(named.len() > 40, "{named:?}");
    let missing: Vec<&str> = named.into_iter().filter(|test| !exists(test)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}
