use super::{warn, warn_host};
use crate::testing::{for_each_row, offer};

#[test]
fn a_word_that_looks_like_an_ascii_word_is_marked_and_no_other_one() {
    // Cyrillic, Greek, Cherokee, Armenian, Latin letters of other shapes, full width, mathematical.
    let alike = [
        ("\u{430}\u{440}\u{440}\u{4cf}\u{435}", "apple"),
        ("P\u{430}yp\u{430}l", "Paypal"),
        ("\u{391}\u{39f}\u{399}", "AOl"),
        ("\u{3bf}bol", "obol"),
        ("\u{13a0}gent", "Dgent"),
        ("ch\u{251}t", "chat"),
        ("\u{ff23}hat", "Chat"),
        ("\u{1d402}\u{1d421}\u{1d41a}\u{1d42d}", "Chat"),
        ("The \u{455}hop", "shop"),
        ("x402-\u{455}hop!", "shop"),
        ("\u{1d7d8}x", "Ox"),
        ("\u{406}nc", "lnc"),
    ];
    for_each_row(alike, |(name, look)| {
        let marked = warn("spec.registration.name", name).unwrap_or_default();
        assert!(
            marked.starts_with("LookAlike: ") && marked.contains(&format!("{look:?}")),
            "{name}: {marked}"
        );
        // It is published as it is, beside the one that it looks like.
        let parsed = offer("llm/a").set("/spec/registration/name", name).parsed();
        let parsed = parsed.verdict.unwrap();
        assert_eq!(parsed.registration.name.as_deref(), Some(name));
        assert!(parsed.warnings.contains(&marked), "{:?}", parsed.warnings);
    });
    let plain = [
        "",
        "modern Shop 10",
        "M\u{fc}nchen",
        "Caf\u{e9}",
        "Cafe\u{301}",
        "Bob\u{2019}s chat \u{2013} fast",
        "\u{65e5}\u{672c}\u{8a9e}",
        "\u{41c}\u{43e}\u{441}\u{43a}\u{432}\u{430}",
        "\u{1f980}",
        "\u{5d0}\u{5d1}\u{5d2}",
    ];
    for_each_row(plain, |name| assert_eq!(warn("spec.registration.name", name), None, "{name}"));
}

#[test]
fn a_host_is_marked_by_the_letters_that_a_browser_may_show() {
    let alike = warn_host("spec.hostname", "xn--80ak6aa92e.example").unwrap();
    assert!(alike.contains("looks like \"apple\""), "{alike}");
    assert_eq!(warn_host("spec.hostname", "xn--mnchen-3ya.example"), None);
    assert_eq!(warn_host("spec.hostname", "audit.example"), None);
    let parsed = offer("llm/a").host("xn--80ak6aa92e.example").parsed();
    assert!(parsed.verdict.unwrap().warnings[0].starts_with("LookAlike: "));
}
