//! Settings of anchoring in the environment, and that no message shows what may be a secret.

use super::anchor_settings::{Settings, VERBS};
use crate::support::process::{Printed, command, registrar};

/// Runs a verb with all settings in the environment, some of them replaced.
fn in_environment(settings: &Settings, verb: &[&str], more: &[(&str, &str)]) -> Printed {
    let mut command = command(verb);
    for (name, value) in &settings.given {
        let name = format!("REGISTRAR_{}", name[2..].replace('-', "_").to_uppercase());
        command.env(name, if value.is_empty() { "true" } else { value });
    }
    let output = command.envs(more.iter().copied()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Printed { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}

#[test]
fn settings_of_anchoring_can_stand_in_the_environment() {
    let settings = Settings::new();
    let several = [
        ("REGISTRAR_ANCHOR", "base-sepolia,31337"),
        (
            "REGISTRAR_RPC_URL",
            "84532=http://127.0.0.1:1,84532=http://127.0.0.1:2,31337=http://127.0.0.1:3",
        ),
        ("REGISTRAR_REGISTRY", "31337=0x1111111111111111111111111111111111111111"),
        ("REGISTRAR_MAX_FEE_GWEI", "2,31337=1"),
        ("REGISTRAR_DAILY_BUDGET_ETHER", "84532=2,31337=1"),
        ("REGISTRAR_ANCHOR_HOST", "a.example,b.example"),
        ("REGISTRAR_ADOPT", "84532=1,84532/a.example=2"),
        ("REGISTRAR_FINALITY", "84532=safe,31337=depth:1"),
        ("REGISTRAR_MINT_BESIDE", "true"),
    ];
    let printed = in_environment(&settings, &["anchor", "status"], &several);
    assert_eq!((printed.code, printed.stderr.as_str()), (Some(0), ""));
    for (variable, value, expected) in [
        ("REGISTRAR_ANCHOR", "base-sepolia,bse", "--anchor"),
        ("REGISTRAR_RPC_URL", "84532=http://127.0.0.1:1,84532=x", "--rpc-url"),
        ("REGISTRAR_REGISTRY", "x", "--registry"),
        ("REGISTRAR_MAX_FEE_GWEI", "1,84532=x", "--max-fee-gwei"),
        ("REGISTRAR_DAILY_BUDGET_ETHER", "31337=1", "--daily-budget-ether"),
        ("REGISTRAR_ANCHOR_HOST", "a.example,b_", "--anchor-host"),
        ("REGISTRAR_ADOPT", "84532=1,x", "--adopt"),
        ("REGISTRAR_FINALITY", "84532=x", "--finality"),
        ("REGISTRAR_FORMER_ACCOUNT", "x", "--former-account"),
        ("REGISTRAR_ACCEPT_REGISTRY", "x", "--accept-registry"),
        ("REGISTRAR_ANCHOR_INTERVAL", "0", "--anchor-interval"),
        ("REGISTRAR_SIGNER", "x", "--signer"),
        ("REGISTRAR_JOURNAL", "x", "--journal"),
        ("REGISTRAR_OWNER_ID", "", "--owner-id"),
        ("REGISTRAR_INCARNATION", "x", "--incarnation"),
        ("REGISTRAR_ALLOW_DEVELOPMENT_KEYS", "false", "--allow-development-keys"),
    ] {
        for verb in VERBS {
            let printed = in_environment(&settings, verb, &[(variable, value)]);
            assert_eq!(
                (printed.code, printed.stdout.as_str()),
                (Some(2), ""),
                "{variable}: {}",
                printed.stderr
            );
            assert!(printed.stderr.contains(expected), "{variable}: {}", printed.stderr);
        }
    }
}

#[test]
fn no_message_repeats_a_url_that_may_hold_a_key() {
    const SECRET: &str = "https://user:hunter2@node.example/v2/hunter2?key=hunter2";
    let pair = format!("84532={SECRET}");
    let said = |settings: &Settings, verb: &[&str], more: &[&str]| {
        let args = settings.args();
        let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let printed = registrar(&[verb, &args].concat());
        assert_eq!(printed.code, Some(2), "{more:?}: {}", printed.stderr);
        let all = printed.stdout + &printed.stderr;
        assert!(!all.contains("hunter2"), "{more:?}: {all}");
    };
    let tells: [&[&str]; 12] = [
        // The setting is right, and another is not.
        &["--rpc-url", &pair, "--finality", "x"],
        &["--rpc-url", &pair, "--anchor-interval", "0"],
        &["--rpc-url", &pair, "--no-such-setting"],
        // The setting is misspelled, doubled, or of the wrong form.
        &["--rpc-url", SECRET],
        &["--rpc-url", &pair, &pair],
        &[&pair],
        &["--rpc-urls", &pair],
        &[&format!("--rpc-urls={pair}")],
        &["--rpc-url", &format!("84532=ftp{}", &SECRET[5..])],
        &["--rpc-url", &format!("84532=wss{}", &SECRET[5..])],
        &["--rpc-url", &format!("bse={SECRET}")],
        &["--anchor", &pair],
    ];
    for more in tells {
        for verb in VERBS {
            said(&Settings::new(), verb, more);
        }
    }
    said(&Settings::new(), &[SECRET], &[]);
    said(&Settings::new(), &["anchor", SECRET], &[]);
    // What stands in the environment is no part of the help.
    for verb in VERBS {
        let help = [verb, &["--help"]].concat();
        let printed = in_environment(&Settings::new(), &help, &[("REGISTRAR_RPC_URL", &pair)]);
        assert!(
            printed.code == Some(0) && !printed.stdout.contains("hunter2"),
            "{}",
            printed.stdout
        );
        let printed = in_environment(
            &Settings::new(),
            verb,
            &[("REGISTRAR_RPC_URL", &pair), ("REGISTRAR_FINALITY", "x")],
        );
        assert!(
            printed.code == Some(2) && !printed.stderr.contains("hunter2"),
            "{}",
            printed.stderr
        );
    }
}
