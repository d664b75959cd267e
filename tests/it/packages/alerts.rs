//! The alerts, evaluated by the rule engine of Prometheus. `src/http/tests/alerts.rs` checks the
//! names in them, and that each has its cases.

use std::fs;

use super::tools::{file, printed, tool};

#[test]
fn every_alert_fires_in_its_case_and_only_there() {
    let rules = file("deploy/alerts/registrar.yaml");
    printed(tool("promtool").arg("check").arg("rules").arg(&rules));
    let cases = ["registrar_test.yaml", "registrar_day_test.yaml"];
    let cases = cases.map(|name| file("deploy/alerts").join(name));
    printed(tool("promtool").args(["test", "rules"]).args(cases));
}

#[test]
fn a_threshold_that_is_changed_fails_the_cases() {
    let folder = tempfile::tempdir().unwrap();
    let rules = fs::read_to_string(file("deploy/alerts/registrar.yaml")).unwrap();
    let cases = folder.path().join("registrar_test.yaml");
    fs::copy(file("deploy/alerts/registrar_test.yaml"), &cases).unwrap();
    let changes = [
        ("registrar_source_silence_seconds > 120", "registrar_source_silence_seconds > 119"),
        ("registrar_source_brake_engaged > 0", "registrar_source_brake_engaged > 1"),
        ("registrar_anchor_funds_days < 7", "registrar_anchor_funds_days <= 7"),
        ("> 0.05", "> 0.2"),
    ];
    for (expression, changed) in changes {
        assert!(rules.contains(expression), "{expression}");
        fs::write(folder.path().join("registrar.yaml"), rules.replace(expression, changed))
            .unwrap();
        let tested = tool("promtool").args(["test", "rules"]).arg(&cases).output().unwrap();
        assert!(!tested.status.success(), "{changed} passes");
    }
}
