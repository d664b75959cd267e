//! The exact bytes of documents: each case is a folder with manifests, an instant, and the expected
//! document.
//!
//! `UPDATE_GOLDEN=1 cargo test --lib golden` rewrites the expected files; review the diff like
//! code.

use std::{fs, path::Path};

use crate::{
    offer::{Hostname, OfferId},
    registration::tests::reference::keys_are_unique,
    registration::{Document, Projection, project},
    source::{Scope, files::Manifests},
    testing::{at, for_each_row, ids_of, public_url, rules},
};

/// The document that `agent` names: `default`, `host:NAME` or `offer:NAMESPACE/NAME`, as `registrar
/// render --agent`.
fn document<'a>(projection: &'a Projection, agent: &str) -> &'a Document {
    match agent.split_once(':') {
        None => &projection.default,
        Some(("host", host)) => &projection.hosts[&Hostname::parse(host).unwrap()].document,
        Some((_, id)) => {
            let id = OfferId::parse(id).unwrap();
            &projection.published.iter().find(|offer| offer.id == id).unwrap().document
        }
    }
}

/// The bytes that a case folder yields.
fn rendered(case: &Path) -> Vec<u8> {
    let identity = Some(OfferId::new("x402", "default"));
    let scope = Scope { identity, ..Scope::default() };
    let observed = Manifests::new(&case.join("offers.yaml"), scope, public_url())
        .read(tokio::time::Instant::now())
        .unwrap();
    assert_eq!(observed.problems, [], "{}", case.display());
    let world = observed.world.unwrap();
    let now = at(fs::read_to_string(case.join("now")).unwrap().trim());
    let projection = project(
        &world.offers,
        &ids_of(&world.identity.registrations),
        &world.public_url,
        &rules(),
        now,
    );
    let agent = fs::read_to_string(case.join("agent")).unwrap_or_default();
    document(&projection, agent.trim()).render()
}

#[test]
fn each_case_renders_its_expected_bytes() {
    let mut cases: Vec<_> = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases"))
        .unwrap()
        .map(|case| case.unwrap().path())
        .collect();
    cases.sort();
    let names: Vec<_> =
        cases.iter().map(|case| case.file_name().unwrap().to_str().unwrap()).collect();
    let expected = [
        "active",
        "drained",
        "draining",
        "host",
        "host-draining",
        "host-tombstone",
        "hostile",
        "offer",
        "tombstone",
    ];
    assert_eq!(names, expected);
    for_each_row(&cases, |case| {
        let bytes = rendered(case);
        keys_are_unique(&bytes).unwrap();
        let expected = case.join("expected.json");
        #[expect(
            clippy::disallowed_methods,
            reason = "the switch is for people, not for the program"
        )]
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            fs::write(&expected, &bytes).unwrap();
        }
        let expected = String::from_utf8(fs::read(&expected).unwrap()).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{}", case.display());
    });
}
