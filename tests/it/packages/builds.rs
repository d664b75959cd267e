//! Two builds have the same bytes, whatever their folders. The registrar itself is compiled twice by `make test-long`; here
//! the same script compiles a small program, with what is known to differ: paths, generated code, and C that has the time.

use std::{fs, path::Path, process::Command};

use super::tools::{file, printed};
use crate::support::{process::unset, rows::for_each_row};

const BUILD: &str = r#"fn main() {
    let path = std::path::Path::new(&std::env::var_os("OUT_DIR").unwrap()).join("made.rs");
    std::fs::write(path, "pub fn made(at: usize) -> u8 { b\"abc\"[at] }").unwrap();
    println!("cargo:rustc-env=COMMIT={}", std::env::var("REGISTRAR_COMMIT").unwrap());
}
"#;

/// A clone of a program that prints `extra`, with the scripts of this repository.
fn program(folder: &Path, extra: &str) {
    let write = |path: &str, text: &str| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let ours = fs::read_to_string(file("Cargo.toml")).unwrap();
    let allocator = ours.lines().find(|line| line.starts_with("mimalloc = ")).unwrap();
    write(
        "Cargo.toml",
        &format!(
            "[package]\nname = \"registrar\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n{allocator}\n"
        ),
    );
    write("build.rs", BUILD);
    let main = "#[global_allocator]\nstatic ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;\n\
        mod made { include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\")); }\n\
        fn main() { println!(\"{} {} {} {}\", env!(\"COMMIT\"), file!(), made::made(std::env::args().count()), EXTRA) }\n";
    write("src/main.rs", &main.replace("EXTRA", extra));
    fs::create_dir_all(folder.join("scripts")).unwrap();
    for script in ["build-binary", "build-twice"] {
        fs::copy(file("scripts").join(script), folder.join("scripts").join(script)).unwrap();
    }
    fs::copy(file("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    fs::copy(file("rust-toolchain.toml"), folder.join("rust-toolchain.toml")).unwrap();
    // Leaves of the lock file what this program needs.
    let mut cargo = Command::new(env!("CARGO"));
    printed(cargo.args(["metadata", "--offline", "--format-version", "1"]).current_dir(folder));
    let committed = "git init -q . && git add -A && \
        git -c user.name=test -c user.email=test@example -c commit.gpgsign=false commit -qm program";
    printed(Command::new("sh").args(["-euc", committed]).current_dir(folder));
}

/// Whether two builds are accepted, and what is printed about them.
fn built_twice(extra: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    program(folder.path(), extra);
    let mut script = unset(Command::new(folder.path().join("scripts/build-twice")));
    // Those of this build, if it has any, are for its own folder.
    script.arg("dev").env("TMPDIR", folder.path()).env_remove("RUSTFLAGS").env_remove("CFLAGS");
    let output = script.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn builds_in_two_folders_are_equal_and_a_difference_is_found() {
    let cases = [
        ("nothing of the folder", "0", true, "equal: "),
        ("where it was built", "env!(\"CARGO_MANIFEST_DIR\")", false, "the binary names "),
    ];
    for_each_row(cases, |(case, extra, is_accepted, says)| {
        let (accepted, printed) = built_twice(extra);
        assert_eq!(accepted, is_accepted, "{case}: {printed}");
        assert!(printed.contains(says), "{case}: {printed}");
    });
}
