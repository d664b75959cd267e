//! Manifests in folders: which files and objects are read, and what remains when a file breaks.

use std::{fs, os::unix::fs::symlink, path::Path};

use crate::{
    offer::OfferId,
    source::{
        BrakeRelease, Observation, Scope, SourceHealth, files, files::Manifests, parse_selector,
    },
    testing::{for_each_row, public_url},
};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinSet, time::Instant};

mod changes;

fn manifest(namespace: &str, name: &str) -> String {
    format!(
        "apiVersion: obol.org/v1alpha1\nkind: ServiceOffer\nmetadata: {{namespace: {namespace}, name: {name}}}\n\
         spec: {{registration: {{enabled: true}}}}\n"
    )
}

fn folder<const N: usize>(files: [(&str, &str); N]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        put(&folder, path, text);
    }
    folder
}

fn put(folder: &TempDir, path: &str, text: &str) {
    let path = folder.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn manifests(root: &Path) -> Manifests {
    Manifests::new(root, Scope::default(), public_url())
}

fn read(folder: &TempDir) -> Observation {
    manifests(folder.path()).read(Instant::now()).unwrap()
}

fn ids(observed: &Observation) -> Vec<String> {
    observed.world.as_ref().unwrap().offers.keys().map(OfferId::to_string).collect()
}

fn codes(observed: &Observation) -> Vec<&'static str> {
    observed.problems.iter().map(|problem| problem.code.as_str()).collect()
}

#[test]
fn a_folder_is_read_with_all_below_it_and_by_the_endings_of_manifests() {
    let json =
        r#"{"apiVersion":"obol.org/v1alpha1","kind":"ServiceOffer","metadata":{"name":"json"}}"#;
    let two = format!("{json}\n{}", json.replace("\"json\"", "\"second\""));
    let folder = folder([
        ("a.yaml", &manifest("llm", "yaml")),
        ("b.yml", &manifest("llm", "yml")),
        ("c.json", &two),
        ("deep/er/d.yaml", &manifest("llm", "deep")),
        ("e.txt", &manifest("llm", "txt")),
        ("f.YAML", &manifest("llm", "capitals")),
        ("yaml", &manifest("llm", "bare")),
        ("g.yaml.bak", &manifest("llm", "backup")),
        (".hidden.yaml", &manifest("llm", "hidden")),
        (".git/h.yaml", &manifest("llm", "git")),
    ]);
    let observed = read(&folder);
    assert_eq!(
        ids(&observed),
        ["default/json", "default/second", "llm/deep", "llm/yaml", "llm/yml"]
    );
    assert_eq!((codes(&observed), observed.missing), (vec![], vec![]));
}

#[test]
fn a_single_file_is_read_whatever_its_name() {
    let folder =
        folder([("offers", &manifest("llm", "chat")), ("other.yaml", &manifest("llm", "other"))]);
    let observed = manifests(&folder.path().join("offers")).read(Instant::now()).unwrap();
    assert_eq!(ids(&observed), ["llm/chat"]);
}

#[test]
fn an_empty_folder_is_a_complete_world_without_offers() {
    let observed = read(&folder([]));
    assert!(ids(&observed).is_empty() && observed.missing.is_empty());
    assert_eq!(observed.world.unwrap().public_url, public_url());
}

#[test]
fn lists_are_unfolded_and_other_kinds_ignored() {
    let list = "apiVersion: v1\nkind: List\nitems:\n\
        - {apiVersion: obol.org/v1alpha1, kind: ServiceOffer, metadata: {namespace: a, name: one}}\n\
        - kind: List\n  items: [{apiVersion: obol.org/v1alpha1, kind: ServiceOffer, metadata: {name: two}}]\n\
        - {apiVersion: v1, kind: Secret, metadata: {name: three}}\n\
        ---\n{apiVersion: obol.org/v1alpha1, kind: Agent, metadata: {name: four}}\n\
        ---\n{apiVersion: obol.org/v1beta1, kind: ServiceOffer, metadata: {name: five}}\n\
        ---\n{kind: List}\n---\n{apiVersion: v1, kind: ConfigMap}\n";
    let observed = read(&folder([("list.yaml", list)]));
    assert_eq!(ids(&observed), ["a/one", "default/two"]);
    assert_eq!(codes(&observed), ["PassedOver"], "five: {:?}", observed.problems);
}

#[test]
fn a_bad_object_costs_only_itself_and_is_reported() {
    let bad = "hello\n---\n[1]\n---\n{a: 1}\n\
        ---\n{apiVersion: obol.org/v1alpha1, kind: ServiceOffer}\n\
        ---\n{apiVersion: obol.org/v1alpha1, kind: ServiceOffer, metadata: x}\n\
        ---\n{apiVersion: obol.org/v1alpha1, kind: ServiceOffer, metadata: {name: 5}}\n\
        ---\n{apiVersion: obol.org/v1alpha1, kind: ServiceOffer, metadata: {name: ''}}\n\
        ---\n{apiVersion: obol.org/v1alpha1, kind: ServiceOffer, metadata: {name: x, namespace: []}}\n\
        ---\n{apiVersion: obol.org/v1alpha1, kind: ServiceOffer, metadata: {name: typo}, spec: {path: 5}}\n---\n";
    let observed = read(&folder([("a.yaml", &format!("{bad}{}", manifest("llm", "good")))]));
    assert_eq!(ids(&observed), ["default/typo", "llm/good"]);
    assert_eq!(codes(&observed), ["RefusedObject"; 8]);
    assert!(
        observed.problems[3].message.contains("line 7: ServiceOffer without a name"),
        "{}",
        observed.problems[3]
    );
    let offers = observed.world.unwrap().offers;
    assert!(offers[&OfferId::new("default", "typo")].verdict.is_err());
    assert!(offers[&OfferId::new("llm", "good")].verdict.is_ok());
}

#[test]
fn no_json_content_breaks_its_whole_file() {
    let offer = |name: &str, spec: &str| {
        let head = r#"{"apiVersion":"obol.org/v1alpha1","kind":"ServiceOffer","metadata":"#;
        format!("{head}{{\"name\":\"{name}\"}},\"spec\":{spec}}}\n")
    };
    let secret = r#""$serde_json::private::Number""#;
    let text = offer("text", &format!(r#"{{"registration":{{"metadata":{{{secret}:"x"}}}}}}"#))
        + &offer("number", &format!(r#"{{"registration":{{"metadata":{{{secret}:"1"}}}}}}"#))
        + &offer("two", &format!(r#"{{"provenance":{{{secret}:"1","a":"b"}}}}"#))
        + &offer("list", &format!(r#"{{"path":{{{secret}:[]}}}}"#))
        + &offer(
            "plain",
            r#"{"ignored":[null,true,-1,1.5,1e400,115792089237316195423570985008687907853]}"#,
        )
        + r#"{"kind":"Other","deep":[{"a":[[]]}]}"#;
    let observed = read(&folder([("a.json", &format!("\u{feff}{text}"))]));
    assert_eq!((ids(&observed).len(), codes(&observed)), (5, vec![]));
    let offers = observed.world.unwrap().offers;
    let verdict = |name: &str| offers[&OfferId::new("default", name)].verdict.as_ref();
    let metadata = &verdict("text").unwrap().registration.metadata;
    assert_eq!(metadata.get("$serde_json::private::Number").map(String::as_str), Some("x"));
    assert_eq!(verdict("two").unwrap().registration.provenance.len(), 2);
    assert!(verdict("number").is_err() && verdict("list").is_err() && verdict("plain").is_ok());
}

#[test]
fn an_integer_id_in_json_is_read_exactly() {
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let identity = format!(
        r#"{{"apiVersion":"obol.org/v1alpha1","kind":"AgentIdentity","metadata":{{"namespace":"x402","name":"default"}},
        "status":{{"registrations":[{{"chain":"base","agentId":{largest}}}]}}}}"#
    );
    let scope = Scope { identity: Some(OfferId::new("x402", "default")), ..Scope::default() };
    let observed = chosen(scope, &folder([("a.json", &identity)]));
    let registrations = &observed.world.as_ref().unwrap().identity.registrations;
    assert_eq!(registrations.values().map(ToString::to_string).collect::<Vec<_>>(), [largest]);
}

#[test]
fn of_an_offer_given_twice_the_first_by_path_is_used_and_the_second_reported() {
    let marked = |path: &str| {
        manifest("llm", "chat")
            + &format!("status: {{conditions: [{{type: {path}, status: 'True'}}]}}\n")
    };
    let folder = folder([
        ("b.yaml", &marked("b")),
        ("a/z.yaml", &(marked("az") + "---\n" + &marked("twice"))),
        ("a/z.yml", &marked("yml")),
        ("c.yaml", &manifest("other", "chat")),
    ]);
    let observed = read(&folder);
    assert_eq!(ids(&observed), ["llm/chat", "other/chat"]);
    let offers = &observed.world.as_ref().unwrap().offers;
    let kept = offers[&OfferId::new("llm", "chat")].verdict.as_ref().unwrap();
    assert_eq!(Vec::from_iter(kept.conditions.iter()), ["az"]);
    assert_eq!(codes(&observed), ["DuplicateObject"; 3]);
    let files: Vec<_> = observed.problems.iter().map(|problem| problem.about.clone()).collect();
    let path = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(files, ["a/z.yaml", "a/z.yml", "b.yaml"].map(path));
    assert!(observed.problems[2].message.contains(&path("a/z.yaml")), "{}", observed.problems[2]);
}

#[test]
fn a_broken_file_at_the_start_is_missing_and_named_with_its_line() {
    let cases = [
        ("bad.yaml", "a: 1\nb: [\n".as_bytes(), "line 3"),
        ("bad.json", b"{\"a\": 1,\n \"b\" 2}", "line 2"),
        ("bad.yml", b"a: 1\n---\nk: 1\nk: 2\n", "line 4"),
        ("bad.yaml", b"\xff\xfe", "UTF-8"),
    ];
    for_each_row(cases, |(name, bytes, expected)| {
        let folder = folder([("good.yaml", &manifest("llm", "chat"))]);
        fs::write(folder.path().join(name), bytes).unwrap();
        let mut manifests = manifests(folder.path());
        let observed = manifests.read(Instant::now()).unwrap();
        assert_eq!(observed.world, None, "{name}");
        assert_eq!(observed.missing, observed.problems, "{name}");
        let problem = &observed.missing[0];
        assert!(
            problem.about.ends_with(name) && problem.code.as_str() == "BrokenFile",
            "{problem}"
        );
        assert!(
            problem.message.contains(expected) && !problem.message.contains("last valid"),
            "{problem}"
        );
        fs::write(folder.path().join(name), "").unwrap();
        let fixed = manifests.read(Instant::now()).unwrap();
        assert_eq!(
            (ids(&fixed), fixed.missing.len(), fixed.problems.len()),
            (vec!["llm/chat".into()], 0, 0)
        );
    });
}

#[test]
fn a_file_that_breaks_later_keeps_its_last_good_content_and_is_reported() {
    let folder = folder([("a.yaml", &manifest("llm", "old")), ("b.yaml", &manifest("llm", "b"))]);
    let mut manifests = manifests(folder.path());
    assert_eq!(ids(&manifests.read(Instant::now()).unwrap()), ["llm/b", "llm/old"]);
    put(&folder, "a.yaml", "kind: [\n");
    put(&folder, "b.yaml", &manifest("llm", "changed"));
    let broken = manifests.read(Instant::now()).unwrap();
    assert_eq!(ids(&broken), ["llm/changed", "llm/old"]);
    assert_eq!((codes(&broken), broken.missing.len()), (vec!["BrokenFile"], 0));
    let problem = &broken.problems[0];
    assert!(
        problem.message.contains("line 2") && problem.message.contains("last valid content stays"),
        "{problem}"
    );
    assert_eq!(
        manifests.read(Instant::now()).unwrap(),
        broken,
        "reported for as long as it is broken"
    );
    put(&folder, "c.yaml", "{");
    put(&folder, "b.yaml", &manifest("llm", "changed-again"));
    let more = manifests.read(Instant::now()).unwrap();
    assert_eq!(
        (ids(&more), codes(&more)),
        (vec!["llm/changed-again".into(), "llm/old".into()], vec!["BrokenFile"; 2])
    );
    assert!(
        !more.problems[1].message.contains("last valid"),
        "a new broken file has none: {}",
        more.problems[1]
    );
    put(&folder, "a.yaml", &manifest("llm", "fixed"));
    fs::remove_file(folder.path().join("c.yaml")).unwrap();
    let fixed = manifests.read(Instant::now()).unwrap();
    assert_eq!(
        (ids(&fixed), codes(&fixed)),
        (vec!["llm/changed-again".into(), "llm/fixed".into()], vec![])
    );
}

#[test]
fn a_file_that_is_restored_is_not_broken() {
    let folder = folder([("a.yaml", &manifest("llm", "a"))]);
    let mut manifests = manifests(folder.path());
    let before = manifests.read(Instant::now()).unwrap();
    let (path, aside) = (folder.path().join("a.yaml"), folder.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    put(&folder, "a.yaml", "{");
    assert_eq!(codes(&manifests.read(Instant::now()).unwrap()), ["BrokenFile"]);
    fs::rename(&aside, &path).unwrap();
    assert_eq!(manifests.read(Instant::now()).unwrap(), before);
}

#[test]
fn a_removed_file_takes_its_offers_with_it_even_when_it_was_broken() {
    let folder = folder([("a.yaml", &manifest("llm", "a")), ("b.yaml", &manifest("llm", "b"))]);
    let mut manifests = manifests(folder.path());
    manifests.read(Instant::now()).unwrap();
    put(&folder, "b.yaml", "{");
    assert_eq!(ids(&manifests.read(Instant::now()).unwrap()), ["llm/a", "llm/b"]);
    fs::remove_file(folder.path().join("b.yaml")).unwrap();
    let observed = manifests.read(Instant::now()).unwrap();
    assert_eq!((ids(&observed), codes(&observed)), (vec!["llm/a".into()], vec![]));
    fs::remove_file(folder.path().join("a.yaml")).unwrap();
    assert!(ids(&manifests.read(Instant::now()).unwrap()).is_empty());
}

#[test]
fn a_missing_path_is_an_error_that_names_it_and_keeps_what_was_known() {
    let folder = folder([("offers/a.yaml", &manifest("llm", "a"))]);
    let root = folder.path().join("offers");
    let mut manifests = manifests(&root);
    let before = manifests.read(Instant::now()).unwrap();
    fs::rename(&root, folder.path().join("elsewhere")).unwrap();
    let error = manifests.read(Instant::now()).unwrap_err();
    assert_eq!(error.to_string(), format!("cannot read {}", root.display()));
    assert_eq!(error.source.kind(), std::io::ErrorKind::NotFound);
    fs::rename(folder.path().join("elsewhere"), &root).unwrap();
    assert_eq!(manifests.read(Instant::now()).unwrap(), before);
}

#[tokio::test(start_paused = true)]
async fn a_watched_path_that_vanishes_keeps_its_world_and_is_reported() {
    let folder = folder([("offers/a.yaml", &manifest("llm", "a"))]);
    let (root, aside) = (folder.path().join("offers"), folder.path().join("aside"));
    fs::rename(&root, &aside).unwrap();
    let (sender, mut observed) = watch::channel(Observation::default());
    let mut tasks = JoinSet::new();
    tasks.spawn(files::watch(
        manifests(&root),
        sender,
        SourceHealth::default(),
        BrakeRelease::default(),
    ));
    let mut next = async || {
        observed.changed().await.unwrap();
        observed.borrow_and_update().clone()
    };
    let missing = next().await;
    assert_eq!((missing.world.is_none(), missing.missing.len()), (true, 1));
    assert_eq!(
        (missing.missing[0].code.as_str(), &missing.missing[0].about),
        ("UnreadablePath", &root.display().to_string())
    );
    fs::rename(&aside, &root).unwrap();
    let whole = next().await;
    assert_eq!(
        (ids(&whole), codes(&whole), whole.missing.len()),
        (vec!["llm/a".into()], vec![], 0)
    );
    fs::rename(&root, &aside).unwrap();
    let kept = next().await;
    assert_eq!(
        (ids(&kept), codes(&kept), kept.missing.len()),
        (vec!["llm/a".into()], vec!["UnreadablePath"], 0)
    );
    drop(observed);
    assert!(tasks.join_next().await.unwrap().is_ok(), "it ends when nobody listens");
}

#[test]
fn a_mounted_config_map_changes_by_a_swap_of_links() {
    let folder = folder([
        ("..2026_01/offers.yaml", &manifest("llm", "old")),
        ("..2026_02/offers.yaml", &manifest("llm", "new")),
    ]);
    symlink("..2026_01", folder.path().join("..data")).unwrap();
    symlink("..data/offers.yaml", folder.path().join("offers.yaml")).unwrap();
    let mut manifests = manifests(folder.path());
    let observed = manifests.read(Instant::now()).unwrap();
    assert_eq!((ids(&observed), codes(&observed)), (vec!["llm/old".into()], vec![]));
    symlink("..2026_02", folder.path().join("..next")).unwrap();
    fs::rename(folder.path().join("..next"), folder.path().join("..data")).unwrap();
    assert_eq!(
        ids(&manifests.read(Instant::now()).unwrap()),
        ["llm/new"],
        "same length, same times, another target"
    );
}

#[test]
fn links_are_followed_loops_are_walked_once_and_dangling_ones_named() {
    let outside = folder([
        ("shared.yaml", &manifest("llm", "shared")),
        ("deep/d.yaml", &manifest("llm", "deep")),
    ]);
    let folder = folder([("a/a.yaml", &manifest("llm", "a"))]);
    symlink(folder.path(), folder.path().join("a/loop")).unwrap();
    symlink(outside.path().join("deep"), folder.path().join("linked")).unwrap();
    symlink(outside.path().join("shared.yaml"), folder.path().join("linked.yaml")).unwrap();
    symlink("nowhere.yaml", folder.path().join("dangling.yaml")).unwrap();
    symlink("self.yaml", folder.path().join("self.yaml")).unwrap();
    let observed = read(&folder);
    assert_eq!(
        (ids(&observed), codes(&observed)),
        (vec!["llm/a".into(), "llm/deep".into(), "llm/shared".into()], vec!["UnreadablePath"; 2])
    );
    let names: Vec<_> = observed.problems.iter().map(|problem| problem.about.clone()).collect();
    let path = |name: &str| folder.path().join(name).display().to_string();
    assert_eq!(names, ["dangling.yaml", "self.yaml"].map(path));
    assert!(observed.missing.is_empty(), "they hold back nothing");
}

fn chosen(scope: Scope, folder: &TempDir) -> Observation {
    Manifests::new(folder.path(), scope, public_url()).read(Instant::now()).unwrap()
}

#[test]
fn the_agent_identity_is_the_one_that_was_named_wherever_it_lives() {
    let identity = |namespace: &str, id: &str| {
        format!(
            "apiVersion: obol.org/v1alpha1\nkind: AgentIdentity\nmetadata: {{namespace: {namespace}, name: default}}\n\
             status: {{registrations: [{{chain: base, agentId: '{id}'}}, {{chain: mars, agentId: '1'}}]}}\n"
        )
    };
    let folder = folder([
        ("a.yaml", &identity("other", "1")),
        ("b.yaml", &identity("x402", "42")),
        ("c.yaml", &identity("x402", "43")),
    ]);
    let ids = |named: Option<OfferId>| {
        // Namespaces and selectors choose offers, never the identity.
        let selector = Some(parse_selector("tier=gold").unwrap());
        let observed = chosen(
            Scope {
                namespaces: ["llm".to_owned()].into(),
                selector,
                identity: named,
                ..Scope::default()
            },
            &folder,
        );
        let registrations = &observed.world.as_ref().unwrap().identity.registrations;
        (registrations.values().map(ToString::to_string).collect::<Vec<_>>(), codes(&observed))
    };
    let (read, problems) = ids(Some(OfferId::new("x402", "default")));
    assert_eq!(
        (read, problems),
        (vec!["42".to_owned()], vec!["DuplicateObject", "UnknownChain", "NothingFound"])
    );
    assert_eq!(ids(Some(OfferId::new("x402", "missing"))), (vec![], vec!["NothingFound"]));
    assert_eq!(ids(None), (vec![], vec!["NothingFound"]));
}
