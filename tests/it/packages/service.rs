//! Other ways to run it: as a service of systemd, with compose, installed by cargo, and from a release archive.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

use serde_json::Value;

use super::tools::{file, printed};
use crate::{
    docs::examples::example_server,
    support::process::{Server, command, eventually, unset, yaml},
};

const BINARY: &str = env!("CARGO_BIN_EXE_registrar");

async fn serves_the_examples(server: &Server) {
    let expected = example_server().await.document().await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    let services = server.document().await["services"].as_array().unwrap().len();
    assert_eq!(services, expected["services"].as_array().unwrap().len());
}

#[test]
fn the_unit_is_valid_and_hardened() {
    let unit = fs::read_to_string(file("deploy/systemd/registrar.service")).unwrap();
    let installed = "/usr/local/bin/registrar";
    assert!(unit.contains(&format!("ExecStart={installed} serve\n")));
    // Neither the binary nor its manual is installed here.
    let lines = unit.lines().filter(|line| !line.starts_with("Documentation="));
    let unit: String = lines.map(|line| line.replace(installed, BINARY) + "\n").collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registrar.service");
    fs::write(&path, unit).unwrap();
    printed(Command::new("systemd-analyze").arg("verify").arg(&path));
    // In tenths: up to 2.0 of 10.
    let mut analyzed = Command::new("systemd-analyze");
    printed(
        analyzed.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(&path),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_of_the_unit_serve() {
    let settings = fs::read_to_string(file("deploy/systemd/registrar.env")).unwrap();
    let examples = file("examples/offers");
    let mut service = command(&["serve"]);
    for line in settings.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.split_once('=').unwrap();
        service.env(
            name,
            match value {
                "/etc/registrar/offers" => examples.to_str().unwrap(),
                "127.0.0.1:8004" | "127.0.0.1:9004" => "127.0.0.1:0",
                value => value,
            },
        );
    }
    serves_the_examples(&Server::launch(service).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_compose_runs_serves_the_examples() {
    let text = fs::read_to_string(file("examples/compose.yaml")).unwrap();
    let service = yaml(&text).remove(0)["services"]["registrar"].take();
    let mount = service["volumes"][0].as_str().unwrap();
    let (from, to) = mount.strip_suffix(":ro").unwrap().split_once(':').unwrap();
    let offers = file("examples").join(from);
    let args: Vec<&str> = service["command"].as_array().unwrap().iter().map(word).collect();
    let args = args.into_iter().map(|arg| if arg == to { offers.to_str().unwrap() } else { arg });
    let mut service = command(&args.collect::<Vec<_>>());
    // Those of the image, on free ports.
    service.env("REGISTRAR_LISTEN", "[::1]:0").env("REGISTRAR_ADMIN_LISTEN", "[::1]:0");
    serves_the_examples(&Server::launch(service).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cargo_installs_serves_the_examples() {
    let folder = tempfile::tempdir().unwrap();
    // With the debug profile in the folder of this build it compiles what `cargo build` does, so that one has it from the
    // other. Everything has been downloaded.
    let target = Path::new(BINARY).ancestors().nth(2).unwrap();
    let mut cargo = unset(Command::new(env!("CARGO")));
    // A build script is run again if these change, and each cargo would build again what the other has built.
    let of_this_build = ["CARGO_MANIFEST_", "CARGO_PKG_", "OUT_DIR", "REGISTRAR_COMMIT"];
    for (name, _) in std::env::vars_os() {
        if of_this_build.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
    cargo.args(["install", "--path", ".", "--locked", "--debug", "--offline", "--quiet"]);
    cargo.arg("--target-dir").arg(target).arg("--root").arg(folder.path());
    tokio::task::spawn_blocking(move || printed(cargo.current_dir(file("")))).await.unwrap();

    let installed = folder.path().join("bin/registrar");
    let version = |binary: &Path| printed(Command::new(binary).arg("--version"));
    assert_eq!(version(&installed), version(Path::new(BINARY)));
    let mut service = unset(Command::new(installed));
    service.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
    service.args(["--public-url", "http://127.0.0.1:8004", "--offers"]);
    service.arg(file("examples/offers"));
    serves_the_examples(&Server::launch(service).await).await;
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The names of the files in an archive.
fn names(archive: &Path) -> Vec<String> {
    let listed = printed(Command::new("tar").arg("-tzf").arg(archive));
    listed.lines().map(str::to_owned).collect()
}

#[test]
fn two_archives_of_one_commit_are_equal_and_hold_what_a_release_needs() {
    let folder = tempfile::tempdir().unwrap();
    // It is the binary, but small.
    let binary = folder.path().join("registrar");
    fs::write(&binary, format!("#!/bin/sh\nexec {BINARY} \"$@\"\n")).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let pack = |name: &str, umask: &str| {
        let out = folder.path().join(name);
        let script = format!("umask {umask} && scripts/dist \"$0\" \"$1\"");
        let mut shell = Command::new("sh");
        shell.current_dir(file("")).args(["-euc", &script]).arg(&binary).arg(&out);
        printed(&mut shell);
        let mut found = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
        let archive = found.find(|path| path.to_string_lossy().ends_with(".tar.gz")).unwrap();
        let checked = "sha256sum --check *.sha256";
        printed(Command::new("sh").current_dir(&out).args(["-euc", checked]));
        archive
    };
    let (first, second) = (pack("a", "022"), pack("b", "077"));
    assert_eq!(first.file_name(), second.file_name());
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap(), "the archives differ");
    let names = names(&first);
    let needed = [
        "/registrar",
        "/registrar.cdx.json",
        "/LICENSE",
        "/CHANGELOG.md",
        "/man/registrar.1",
        "/man/registrar-anchor-run.1",
        "/completions/registrar.bash",
        "/deploy/alerts/registrar.yaml",
        "/deploy/helm/registrar/Chart.yaml",
        "/deploy/systemd/registrar.service",
        "/examples/compose.yaml",
    ];
    for needed in needed {
        assert!(names.iter().any(|name| name.ends_with(needed)), "no {needed} in {names:?}");
    }
}

#[test]
fn the_bill_of_materials_names_the_package_and_what_is_in_it_and_nothing_of_this_machine() {
    let text = printed(&mut Command::new(file("scripts/sbom")));
    assert!(text == printed(&mut Command::new(file("scripts/sbom"))), "two differ");
    let home = std::env::home_dir().unwrap().display().to_string();
    let own = ["/tmp/", &format!("\"{home}"), &format!("{home}/"), "serialNumber"];
    assert!(own.iter().all(|own| !text.contains(own)), "it tells of this machine");

    let bill: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let package = &bill["metadata"]["component"];
    assert_eq!(package["name"], env!("CARGO_PKG_NAME"));
    assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));

    let known: BTreeMap<&str, &Value> = bill["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|component| (word(&component["bom-ref"]), component))
        .collect();
    let edges = bill["dependencies"].as_array().unwrap();
    let of_the_package = edges.iter().find(|edge| edge["ref"] == package["bom-ref"]).unwrap();
    let direct: BTreeSet<&str> = of_the_package["dependsOn"]
        .as_array()
        .unwrap()
        .iter()
        .map(|to| word(&known[word(to)]["name"]))
        .collect();
    let manifest = fs::read_to_string(file("Cargo.toml")).unwrap();
    let (_, rest) = manifest.split_once("[dependencies]\n").unwrap();
    let (dependencies, _) = rest.split_once("\n[").unwrap();
    let lines = dependencies.lines().filter(|line| !line.starts_with('#'));
    let declared: BTreeSet<&str> =
        lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    assert!(declared.len() > 40, "{declared:?}");
    assert_eq!(direct, declared);
    // Features that are off bring nothing.
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--edges", "normal", "--prefix", "none"]);
    let tree = printed(tree.current_dir(file("")));
    let built: BTreeSet<&str> = tree.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let named: BTreeSet<&str> = known.values().map(|component| word(&component["name"])).collect();
    let besides: Vec<_> = built.difference(&named).collect();
    assert_eq!(besides, [&env!("CARGO_PKG_NAME")]);
    assert!(named.is_subset(&built), "{:?}", named.difference(&built));
    for (reference, component) in &known {
        let has = |field: &str| !component[field].is_null();
        assert!(has("purl") && has("hashes") && has("licenses"), "{reference}: {component}");
    }
}
