//! The page of faults names tests; each of them exists.

use std::{fs, path::Path};

#[test]
fn every_test_that_the_page_of_faults_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let named: Vec<&str> =
        page.split('`').skip(1).step_by(2).filter(|code| code.contains("::")).collect();
    assert!(named.len() > 40, "{named:?}");
    for name in named {
        // Crashes are told by the files that cause them.
        if name == "anchoring::crashes" {
            continue;
        }
        let (module, test) = name.rsplit_once("::").unwrap();
        let file = root.join("tests/it").join(module.replace("::", "/")).with_extension("rs");
        let source = fs::read_to_string(&file).unwrap_or_else(|_| panic!("no {}", file.display()));
        assert!(source.contains(&format!("fn {test}(")), "no {name}");
    }
}
