//! What stays published while files change, cannot be read or are half written.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, fs::symlink, net::UnixListener},
    process::Command,
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet, time::Instant};

use super::{codes, folder, ids, manifest, manifests, put, read};
use crate::{
    offer::{OfferId, Rejection},
    source::{
        BrakeRelease, Observation, Scope, SourceHealth,
        files::{self, Manifests},
        parse_selector,
    },
    testing::{for_each_row, public_url},
};

/// Reads at an instant and gives the offers and the codes of the problems.
fn at(manifests: &mut Manifests, now: Instant) -> (Vec<String>, Vec<&'static str>) {
    let observed = manifests.read(now).unwrap();
    (ids(&observed), codes(&observed))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[test]
fn an_object_of_any_depth_costs_only_itself_in_a_file() {
    let deep = format!("{}x{}", "[".repeat(5_000), "]".repeat(5_000));
    let yaml = |name: &str, field: &str| {
        manifest("llm", name).replace("spec: {", &format!("spec: {{{field}: {deep}, "))
    };
    let json = |name: &str, field: &str| {
        let deep = deep.replace('x', "1");
        format!(
            r#"{{"apiVersion":"obol.org/v1alpha1","kind":"ServiceOffer","metadata":{{"name":"{name}"}},"spec":{{"{field}":{deep}}}}}"#
        )
    };
    let folder = folder([
        (
            "a.yaml",
            &format!(
                "{}---\n{}---\n{}",
                yaml("unread", "future"),
                yaml("path", "path"),
                manifest("llm", "good")
            ),
        ),
        ("b.json", &format!("{}{}", json("unread", "future"), json("path", "path"))),
        (
            "c.json",
            &format!(
                r#"{{"kind":"List","items":[{},{}]}}"#,
                json("listed", "future"),
                json("listed-path", "path")
            ),
        ),
    ]);
    let observed = read(&folder);
    assert_eq!((ids(&observed).len(), codes(&observed)), (7, vec![]));
    for (id, parsed) in observed.world.unwrap().offers.iter() {
        let is_refused = matches!(&parsed.verdict, Err(Rejection::Undecodable(_)));
        assert_eq!(is_refused, id.name.ends_with("path"), "{id}: {:?}", parsed.verdict);
    }
}

#[test]
fn what_is_not_a_regular_file_is_named_and_not_read() {
    let folder = folder([("a.yaml", &manifest("llm", "a")), ("b.yaml", &manifest("llm", "b"))]);
    let mut manifests = manifests(folder.path());
    let start = Instant::now();
    assert_eq!(at(&mut manifests, start), (vec!["llm/a".into(), "llm/b".into()], vec![]));
    let path = |name: &str| folder.path().join(name);
    let replaced = path("b.yaml");
    let cases: [(&str, &dyn Fn()); 5] = [
        ("a FIFO", &|| assert!(Command::new("mkfifo").arg(&replaced).status().unwrap().success())),
        ("a socket", &|| drop(UnixListener::bind(&replaced).unwrap())),
        ("a device", &|| symlink("/dev/zero", &replaced).unwrap()),
        ("does not exist", &|| symlink("nowhere", &replaced).unwrap()),
        ("symbolic links", &|| symlink("b.yaml", &replaced).unwrap()),
    ];
    for_each_row(cases, |(what, replace)| {
        let _absent = fs::remove_file(&replaced);
        replace();
        let observed = manifests.read(start).unwrap();
        assert_eq!(ids(&observed), ["llm/a", "llm/b"], "{what}: its last content stays");
        assert_eq!(codes(&observed), ["UnreadablePath"], "{what}");
        let problem = &observed.problems[0];
        assert!(problem.about.ends_with("b.yaml"), "{problem}");
        assert!(problem.message.contains(what), "{problem}");
        assert!(!manifests.is_current(), "{what}");
        let first = read(&folder);
        assert_eq!((ids(&first), first.missing.len()), (vec!["llm/a".into()], 0), "{what}");
    });
    fs::remove_file(&replaced).unwrap();
    assert_eq!(at(&mut manifests, start), (vec!["llm/a".into()], vec![]), "removed is removed");
    assert!(
        Command::new("mkfifo").arg(path("pipe")).arg(path(".x.yaml")).status().unwrap().success()
    );
    assert_eq!(codes(&manifests.read(start).unwrap()), [""; 0], "not named like a manifest");
    let fifo = super::manifests(&path("pipe")).read(start).unwrap_err();
    assert!(fifo.source.to_string().contains("a FIFO"), "{}", fifo.source);
}

#[test]
fn an_unreadable_folder_is_named_and_keeps_what_was_below_it() {
    let folder = folder([("a.yaml", &manifest("llm", "a")), ("sub/b.yaml", &manifest("llm", "b"))]);
    let mut manifests = manifests(folder.path());
    let start = Instant::now();
    at(&mut manifests, start);
    let below = folder.path().join("sub");
    fs::set_permissions(&below, Permissions::from_mode(0o0)).unwrap();
    let is_root = fs::read_dir(&below).is_ok();
    let observed = manifests.read(start).unwrap();
    fs::set_permissions(&below, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(ids(&observed), ["llm/a", "llm/b"]);
    // Root reads everything, but a link to the folder can be broken for it too.
    assert_eq!(codes(&observed).len(), usize::from(!is_root));
    fs::rename(&below, folder.path().join(".aside")).unwrap();
    symlink("sub", &below).unwrap();
    assert_eq!(
        at(&mut manifests, start),
        (vec!["llm/a".into(), "llm/b".into()], vec!["UnreadablePath"])
    );
    fs::remove_file(&below).unwrap();
    assert_eq!(at(&mut manifests, start), (vec!["llm/a".into()], vec![]));
}

#[test]
fn a_half_written_file_keeps_its_last_content_for_five_seconds() {
    let three = ["a", "b", "c"].map(|name| manifest("llm", name)).join("---\n");
    let all = || vec!["llm/a".to_owned(), "llm/b".into(), "llm/c".into()];
    let cases = [
        ("truncated", String::new(), vec![]),
        ("cut between documents", manifest("llm", "a"), vec!["llm/a".to_owned()]),
        ("of another version", three.replace("v1alpha1", "v1beta1"), vec![]),
    ];
    for_each_row(cases, |(case, text, after)| {
        let folder = folder([("x.yaml", &three)]);
        let mut manifests = manifests(folder.path());
        let start = Instant::now();
        assert_eq!(at(&mut manifests, start), (all(), vec![]), "{case}");
        put(&folder, "x.yaml", &text);
        for second in [0, 2, 4] {
            let observed = manifests.read(start + seconds(second)).unwrap();
            assert_eq!((ids(&observed), codes(&observed)), (all(), vec!["HalfWritten"]), "{case}");
            assert!(!manifests.is_current(), "{case}");
        }
        assert_eq!(manifests.next_change(), Some(start + seconds(5)), "{case}");
        assert_eq!(at(&mut manifests, start + seconds(5)).0, after, "{case}");
        assert_eq!((manifests.next_change(), manifests.is_current()), (None, true), "{case}");
        put(&folder, "x.yaml", &three);
        assert_eq!(at(&mut manifests, start + seconds(6)), (all(), vec![]), "{case}: growing");
    });
}

#[test]
fn a_half_written_file_that_is_written_further_waits_again() {
    let offers = |names: &[&str]| -> String {
        names.iter().map(|name| format!("---\n{}", manifest("llm", name))).collect()
    };
    let folder = folder([("x.yaml", &offers(&["a", "b", "c", "d", "e"]))]);
    let mut manifests = manifests(folder.path());
    let start = Instant::now();
    at(&mut manifests, start);
    put(&folder, "x.yaml", "");
    assert_eq!(at(&mut manifests, start + seconds(1)).1, ["HalfWritten"]);
    put(&folder, "x.yaml", &offers(&["a"]));
    assert_eq!(at(&mut manifests, start + seconds(5)).1, ["HalfWritten"]);
    // Neither the same bytes written again nor time without a change begins the wait anew.
    put(&folder, "x.yaml", &offers(&["a"]));
    assert_eq!(at(&mut manifests, start + seconds(9)).0.len(), 5, "the same for 4 s only");
    put(&folder, "x.yaml", "kind: [");
    assert_eq!(at(&mut manifests, start + seconds(20)).1, ["BrokenFile"]);
    put(&folder, "x.yaml", &offers(&["a"]));
    assert_eq!(
        at(&mut manifests, start + seconds(21)),
        (["a", "b", "c", "d", "e"].map(|name| format!("llm/{name}")).to_vec(), vec!["HalfWritten"])
    );
    assert_eq!(at(&mut manifests, start + seconds(26)).0, ["llm/a"]);
}

#[test]
fn unchanged_content_keeps_its_pointers() {
    let folder = folder([("a.yaml", &manifest("llm", "a")), ("b.yaml", "{")]);
    let mut manifests = manifests(folder.path());
    let start = Instant::now();
    manifests.read(start).unwrap();
    put(&folder, "b.yaml", "");
    let offers = |observed: &Observation| Arc::clone(&observed.world.as_ref().unwrap().offers);
    let first = manifests.read(start).unwrap();
    let mut same = |case: &str| {
        for _ in 0..3 {
            let again = manifests.read(start).unwrap();
            assert!(Arc::ptr_eq(&offers(&first), &offers(&again)), "{case}");
        }
    };
    same("nothing happened");
    put(&folder, "a.yaml", &manifest("llm", "a"));
    same("the same bytes were written again");
    put(&folder, "a.yaml", &(manifest("llm", "a") + "# comment\n"));
    same("the same objects");
    put(&folder, "b.yaml", "{");
    same("another file broke");
}

#[test]
fn a_sudden_loss_of_offers_waits_for_a_second_reading() {
    let folder = folder([]);
    for index in 0..30 {
        put(&folder, &format!("{index}.yaml"), &manifest("llm", &format!("o{index}")));
    }
    let mut manifests = manifests(folder.path());
    let start = Instant::now();
    assert_eq!(at(&mut manifests, start).0.len(), 30);
    for index in 0..25 {
        fs::remove_file(folder.path().join(format!("{index}.yaml"))).unwrap();
    }
    put(&folder, "new.yaml", &manifest("llm", "new"));
    for second in [1, 2, 10] {
        let (offers, codes) = at(&mut manifests, start + seconds(second));
        assert_eq!((offers.len(), codes), (31, vec!["ShrinkBrake"]), "{second}");
    }
    assert_eq!(manifests.next_change(), Some(start + seconds(11)));
    let (offers, codes) = at(&mut manifests, start + seconds(11));
    assert_eq!((offers.len(), codes), (6, vec![]));
    fs::remove_file(folder.path().join("new.yaml")).unwrap();
    assert_eq!(at(&mut manifests, start + seconds(12)).0.len(), 5, "an ordinary removal");
}

#[test]
fn finding_nothing_says_what_was_looked_at_and_passed_over() {
    let scoped = |namespace: &str, selector: Option<&str>| Scope {
        namespaces: [namespace.to_owned()].into(),
        selector: selector.map(|text| parse_selector(text).unwrap()),
        identity: None,
        ..Scope::default()
    };
    let old = manifest("llm", "old").replace("obol.org/", "obol.network/");
    let config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n";
    let offer = manifest("llm", "a");
    let cases = [
        ("an empty folder", vec![], Scope::default(), vec!["Looked at 0 files", "*.yaml"]),
        (
            "another group",
            vec![&*old],
            Scope::default(),
            vec!["1 file ", "obol.network/v1alpha1 (llm/old)"],
        ),
        (
            "other kinds",
            vec![config, config],
            Scope::default(),
            vec!["2 files", "2 ConfigMap of v1 (c, c)"],
        ),
        (
            "another namespace",
            vec![&*offer],
            scoped("web", None),
            vec!["(llm/a), because --namespace"],
        ),
        (
            "other labels",
            vec![&*offer],
            scoped("llm", Some("x=y")),
            vec!["(llm/a), because --selector"],
        ),
    ];
    for_each_row(cases, |(case, texts, scope, parts)| {
        let folder = folder([]);
        for (index, text) in texts.iter().enumerate() {
            put(&folder, &format!("{index}.yaml"), text);
        }
        let mut manifests = Manifests::new(folder.path(), scope, public_url());
        let observed = manifests.read(Instant::now()).unwrap();
        assert!(ids(&observed).is_empty() && observed.missing.is_empty(), "{case}");
        let problem =
            observed.problems.iter().find(|problem| problem.code.as_str() == "NothingFound");
        let problem = problem.unwrap_or_else(|| panic!("{case}: {:?}", observed.problems));
        assert_eq!(problem.about, folder.path().display().to_string(), "{case}");
        for part in parts {
            assert!(problem.message.contains(part), "{case}: {part}: {problem}");
        }
    });
    let both = folder([("a.yaml", &(offer + "---\n" + &old + "---\n" + config))]);
    let mut manifests = Manifests::new(both.path(), Scope::default(), public_url());
    assert_eq!(codes(&manifests.read(Instant::now()).unwrap()), ["PassedOver"]);
    let said = manifests.passed_over().unwrap();
    assert!(said.contains("llm/old") && !said.contains("ConfigMap"), "{said}");
    assert_eq!(manifests.hidden(&OfferId::new("llm", "a")), None);
}

#[tokio::test(start_paused = true)]
async fn an_operator_releases_the_brake_of_a_sudden_loss() {
    let folder = folder([]);
    for index in 0..30 {
        put(&folder, &format!("{index}.yaml"), &manifest("llm", &format!("o{index}")));
    }
    let (sender, mut observed) = watch::channel(Observation::default());
    let release = BrakeRelease::default();
    let mut tasks = JoinSet::new();
    let files = manifests(folder.path());
    tasks.spawn(files::watch(files, sender, SourceHealth::default(), release.clone()));
    let mut next = async || {
        observed.changed().await.unwrap();
        observed.borrow_and_update().clone()
    };
    assert_eq!(ids(&next().await).len(), 30);
    for index in 0..30 {
        fs::write(folder.path().join(format!("{index}.yaml")), "").unwrap();
        fs::remove_file(folder.path().join(format!("{index}.yaml"))).unwrap();
    }
    let held = loop {
        let seen = next().await;
        if seen.held_offers > 0 {
            break seen;
        }
    };
    assert!(ids(&held).len() > 10 && codes(&held).contains(&"ShrinkBrake"));
    let held_at = Instant::now();
    release.order();
    let released = loop {
        let seen = next().await;
        if seen.held_offers == 0 {
            break seen;
        }
    };
    assert!(ids(&released).is_empty());
    assert!(held_at.elapsed().as_secs() < 10, "before a second reading confirms it");
}
