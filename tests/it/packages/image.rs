//! The last stage of the Dockerfile. No builder runs here, so it is assembled by hand: what its COPY
//! lines say, in an empty folder that becomes the root of a process without rights.

use std::{fs, path::Path, process::Command};

use super::tools::{file, printed};
use crate::support::process::{Server, eventually, unset};

const BINARY: &str = env!("CARGO_BIN_EXE_registrar");

/// The instructions of the last stage, continued lines joined.
fn last_stage() -> Vec<String> {
    let text = fs::read_to_string(file("Dockerfile")).unwrap().replace("\\\n", " ");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let from = lines.iter().rposition(|line| line.starts_with("FROM ")).unwrap();
    lines[from..].iter().map(|line| (*line).to_owned()).collect()
}

/// What follows each instruction of a name.
fn each<'a>(stage: &'a [String], name: &'a str) -> impl Iterator<Item = &'a str> {
    stage.iter().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(' '))
}

/// The words of an instruction in JSON.
fn words(stage: &[String], name: &str) -> Vec<String> {
    serde_json::from_str(each(stage, name).next().unwrap()).unwrap()
}

/// A file as it is in the image, under the root.
fn put(root: &Path, from: &Path, to: &str) {
    let to = root.join(to.trim_start_matches('/'));
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap();
}

/// The loader and the libraries that this build needs; that of the image is static and has none.
fn libraries() -> Vec<String> {
    let listed = Command::new("ldd").arg(BINARY).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let paths = listed.lines().filter_map(|line| {
        let path = line.split_whitespace().find(|word| word.starts_with('/'))?;
        Some(path.to_owned())
    });
    paths.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_stage_alone_serves_on_both_families_without_rights_on_a_root_that_it_cannot_write()
 {
    if printed(Command::new("id").arg("-u")).trim() != "0" {
        eprintln!("SKIPPED: only root may change the root of a process");
        return;
    }
    let stage = last_stage();
    assert_eq!(stage[0], "FROM scratch");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for copied in each(&stage, "COPY") {
        let [from, to] =
            copied.strip_prefix("--from=build ").unwrap().split(' ').collect::<Vec<_>>()[..]
        else {
            panic!("{copied}");
        };
        match from {
            "/registrar" => put(root, Path::new(BINARY), to),
            "/etc/ssl/certs/ca-certificates.crt" => put(root, Path::new(from), to),
            other => panic!("the test does not know {other}"),
        }
    }
    for library in libraries() {
        put(root, Path::new(&library), &library);
    }
    // What is mounted into it.
    let offers = root.join("offers");
    fs::create_dir(&offers).unwrap();
    fs::copy(file("examples/offers/chat.yaml"), offers.join("chat.yaml")).unwrap();
    printed(Command::new("chmod").args(["-R", "a+rX,a-w"]).arg(root));

    let [user, group] = each(&stage, "USER").next().unwrap().split(':').collect::<Vec<_>>()[..]
    else {
        panic!("USER has no group");
    };
    assert_ne!((user, group), ("0", "0"));
    let inside = || {
        let mut inside = unset(Command::new("/usr/sbin/chroot"));
        inside.env_clear().arg(format!("--userspec={user}:{group}")).arg(root);
        inside
    };
    let mut image = inside();
    image.args(words(&stage, "ENTRYPOINT")).args(words(&stage, "CMD"));
    image.args(["--offers", "/offers", "--public-url", "https://agents.example"]);
    image.args(["--shutdown-delay", "0"]);
    let listeners = each(&stage, "ENV").next().unwrap().split(' ');
    for (name, address) in listeners.map(|set| set.split_once('=').unwrap()) {
        let (host, port) = address.rsplit_once(':').unwrap();
        assert_eq!(host, "[::]", "{name}");
        assert!(each(&stage, "EXPOSE").any(|ports| ports.split(' ').any(|it| it == port)));
        image.env(name, "[::]:0");
    }

    let server = Server::launch(image).await;
    eventually("it is ready", async || server.admin("/readyz").await.status() == 200).await;
    for path in ["/livez", "/startupz", "/metrics"] {
        assert_eq!(server.admin(path).await.status(), 200, "{path}");
    }
    let check = each(&stage, "HEALTHCHECK").next().unwrap().split_once(" CMD ").unwrap().1;
    let check: Vec<String> = serde_json::from_str(check).unwrap();
    let is_healthy = |admin: &str| {
        let mut checked = inside();
        checked.args(&check).args(["--admin-url", admin]).output().unwrap().status.success()
    };
    assert!(is_healthy(&server.admin));
    assert!(!is_healthy("http://127.0.0.1:1"));
    for host in ["127.0.0.1", "[::1]"] {
        let port = server.public.rsplit(':').next().unwrap();
        let url = format!("http://{host}:{port}/.well-known/agent-registration.json");
        let document = crate::support::process::http().get(&url).send().await.unwrap();
        assert_eq!(document.status(), 200, "{url}");
    }
}

#[test]
fn labels_of_the_image_say_what_it_is() {
    let stage = last_stage();
    let labels = each(&stage, "LABEL").next().unwrap();
    for label in ["title", "description", "licenses", "revision"] {
        assert!(labels.contains(&format!("org.opencontainers.image.{label}=")), "{label}");
    }
}
