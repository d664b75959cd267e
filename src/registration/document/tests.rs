//! The bytes of documents: key order, escapes, compactness, and the cut of an aggregate that grows
//! too large.

use crate::{
    registration::{
        Identity, OfferState, Projection, Reason, Rules, SizeLimits, chains::KnownRegistries,
        encode, project,
    },
    testing::{
        Resource, at, explanation, for_each_row, ids_of, json_of, listed, offer, offers, projected,
        public_url, published, rules, state_and_reason,
    },
};
use serde_json::json;

const NOW: &str = "2026-02-01T00:00:00Z";

#[test]
fn keys_stand_in_one_order_and_nothing_between_them() {
    let chat = offer("llm/chat")
        .host("chat.example")
        .set("/spec/registration", json!({
            "domains": ["ai"], "skills": ["text"], "enabled": true, "name": "Chat", "description": "Chats.",
            "metadata": { "z": "2", "a": "1" }, "supportedTrust": ["reputation"], "image": "ipfs://i",
            "services": [{
                "a2aSkills": ["s"], "mcpTools": ["t"], "version": "0.2.1",
                "endpoint": "https://chat.example/a2a", "name": "A2A",
            }],
        }))
        .set("/spec/provenance", json!({ "framework": "x" }))
        .draining("2026-02-01T00:00:00Z", "1h");
    let identity = Identity::parse(
        &json!({ "status": { "registrations": [{ "chain": "base", "agentId": "42" }] } }),
        &KnownRegistries::default(),
    );
    let projection = project(
        &offers([&chat]),
        &ids_of(&identity.registrations),
        &public_url(),
        &rules(),
        at(NOW),
    );
    let expected = |web: &str| {
        [
            r#"{"type":"https://eips.ethereum.org/EIPS/eip-8004#registration-v1","#,
            r#""name":"Chat","description":"Chats.","image":"ipfs://i","services":["#,
            r#"{"name":"web","endpoint":""#, web, r#"","available":false,"drainEndsAt":"2026-02-01T01:00:00Z"},"#,
            r#"{"name":"OASF","endpoint":"https://github.com/agntcy/oasf/","version":"0.8.0","#,
            r#""skills":["text"],"domains":["ai"]},"#,
            r#"{"name":"A2A","endpoint":"https://chat.example/a2a","version":"0.2.1","#,
            r#""mcpTools":["t"],"a2aSkills":["s"],"#,
            r#""available":false,"drainEndsAt":"2026-02-01T01:00:00Z"}],"#,
            r#""x402Support":true,"active":true,"#,
            r#""registrations":[{"agentId":42,"#,
            r#""agentRegistry":"eip155:8453:0x8004A169FB4a3325136EB29fA0ceB6D2e539a432"}],"#,
            r#""supportedTrust":["reputation"],"metadata":{"a":"1","z":"2"},"provenance":{"framework":"x"}}"#,
        ]
        .concat()
    };
    let text =
        |document: &crate::registration::Document| String::from_utf8(document.render()).unwrap();
    assert_eq!(text(&projection.default), expected("https://seller.example/services/chat"));
    assert_eq!(
        text(&projection.published[0].document),
        expected("https://seller.example/services/chat")
    );
    let host = projection.hosts.values().next().unwrap();
    assert_eq!(text(&host.document), expected("https://chat.example"));
}

#[test]
fn what_could_end_a_script_is_escaped_and_nothing_else_is() {
    let cases = [
        ("a tag", "</script>", r#""\u003c/script>""#),
        ("several", "<<a<", r#""\u003c\u003ca\u003c""#),
        ("line separators", "a\u{2028}b\u{2029}", r#""a\u2028b\u2029""#),
        ("their neighbours", "\u{2027}\u{202a}", "\"\u{2027}\u{202a}\""),
        ("quotes and backslashes", "\"\\<", r#""\"\\\u003c""#),
        ("control characters", "\u{0}\n\u{1f}", r#""\u0000\n\u001f""#),
        ("the rest of HTML", ">&'/", r#"">&'/""#),
        ("other scripts", "\u{e9}\u{1f916}", "\"\u{e9}\u{1f916}\""),
        ("a byte order mark", "\u{feff}", "\"\u{feff}\""),
        ("nothing", "", r#""""#),
    ];
    for_each_row(cases, |(case, text, json)| {
        assert_eq!(String::from_utf8(encode(text)).unwrap(), json, "{case}");
        assert_eq!(serde_json::from_slice::<String>(&encode(text)).unwrap(), text, "{case}");
    });
    let hostile = "</script>\u{2028}x";
    let chat = offer("llm/chat")
        .set("/spec/registration", json!({
            "enabled": true, "name": hostile, "description": hostile, "skills": [hostile], "domains": [hostile],
            "metadata": { hostile: hostile }, "supportedTrust": [hostile],
        }))
        .set("/spec/provenance", json!({ hostile: hostile }))
        .set("/spec/registration/services", json!([
            { "name": hostile, "endpoint": "https://a.example/b", "mcpTools": [hostile], "a2aSkills": ["<b>"] },
        ]));
    let rendered = projected([&chat], &rules(), NOW).default.render();
    let text = String::from_utf8(rendered).unwrap();
    assert!(!text.contains('<') && !text.contains('\u{2028}'), "{text}");
    assert_eq!(text.matches("\\u003c/script>\\u2028x").count(), 11);
    assert_eq!(text.matches("\\u003cb>").count(), 1);
    assert!(text.starts_with('{') && text.ends_with('}'));
}

/// Five offers, oldest first.
fn five() -> [Resource; 5] {
    ["e", "d", "c", "b", "a"].map(|name| {
        let day = 5 - (name.as_bytes()[0] - b'a');
        offer(&format!("llm/{name}"))
            .created(&format!("2026-01-0{day}T00:00:00Z"))
            .host(&format!("{name}.example"))
    })
}

fn limited(resources: &[Resource], document: usize) -> Projection {
    let limits = SizeLimits { document, ..rules().limits };
    projected(resources, &Rules { limits, ..rules() }, NOW)
}

#[test]
fn the_aggregate_is_cut_exactly_at_its_limit_newest_first_and_never_to_nothing() {
    let all = five();
    for_each_row(1..=5, |kept| {
        let size = projected(&all[..kept], &rules(), NOW).default.render().len();
        let at_limit = limited(&all, size);
        assert_eq!(listed(&at_limit.default).len(), kept, "{kept} fit exactly");
        assert_eq!(at_limit.default.render().len(), size);
        let below = limited(&all, size - 1);
        assert_eq!(listed(&below.default).len(), (kept - 1).max(1), "{kept} do not fit");
    });
    for_each_row([0, 1, 100], |tiny| {
        assert_eq!(
            listed(&limited(&all, tiny).default),
            listed(&projected(&all[..1], &rules(), NOW).default)
        );
    });
}

#[test]
fn what_is_cut_keeps_its_state_its_host_and_its_own_document() {
    let all = five();
    let whole = projected(&all, &rules(), NOW);
    let cut = limited(&all, 1);
    assert_eq!(cut.hosts, whole.hosts);
    assert_eq!(published(&cut), ["llm/e", "llm/d", "llm/c", "llm/b", "llm/a"]);
    let documents = |projection: &Projection| {
        projection.published.iter().map(|offer| offer.document.clone()).collect::<Vec<_>>()
    };
    assert_eq!(documents(&cut), documents(&whole));
    assert_eq!(state_and_reason(&cut, "llm/e"), (OfferState::Published, Reason::Published));
    for_each_row(cut.published.iter().skip(1).zip(["d", "c", "b", "a"]), |(offer, name)| {
        let id = format!("llm/{name}");
        assert_eq!(state_and_reason(&cut, &id), (OfferState::Published, Reason::DocumentFull));
        assert_eq!(offer.reason, Reason::DocumentFull);
        let explained = explanation(&cut, &id);
        assert_eq!(explained.fix, Reason::DocumentFull.fix());
        assert!(explained.message.contains("is full"), "{}", explained.message);
    });
    assert_eq!(cut.published[0].reason, Reason::Published);
    assert!(cut.default.active);
}

#[test]
fn the_cut_comes_after_the_fold() {
    let mut all = five();
    all[1] = all[1].clone().disabled();
    let two = projected([&all[0], &all[2]], &rules(), NOW).default.render();
    let cut = limited(&all, two.len());
    assert_eq!(cut.default.render(), two, "an unpublished offer takes no room");
    let draining = [all[0].clone(), all[2].clone().draining("2026-02-01T00:00:00Z", "1h")];
    let cut = limited(&draining, 1);
    assert_eq!(state_and_reason(&cut, "llm/c"), (OfferState::Draining, Reason::DocumentFull));
    assert_eq!(cut.next_change, Some(at("2026-02-01T01:00:00Z")));
}

#[test]
fn an_offer_whose_entries_are_all_left_out_costs_no_comma() {
    let rules = Rules { service_names: Some(["A2A".to_owned()].into()), ..rules() };
    let resources = [
        offer("a/a"),
        offer("b/b").service("A2A", "https://b.example"),
        offer("c/c"),
        offer("d/d").service("A2A", "https://d.example"),
        offer("e/e"),
    ];
    let projection = projected(&resources, &rules, NOW);
    let rendered = projection.default.render();
    let entries = [("A2A", "https://b.example"), ("A2A", "https://d.example")];
    assert_eq!(
        listed(&projection.default),
        entries.map(|(name, url)| (name.to_owned(), url.to_owned()))
    );
    assert!(projection.default.active && published(&projection).len() == 5);
    let limited =
        |document| Rules { limits: SizeLimits { document, ..rules.limits }, ..rules.clone() };
    let exact = limited(rendered.len());
    assert_eq!(projected(&resources, &exact, NOW), projection, "at its own size it is whole");
    let short = limited(rendered.len() - 1);
    let cut = projected(&resources, &short, NOW);
    assert_eq!(state_and_reason(&cut, "c/c").1, Reason::Published);
    assert_eq!(state_and_reason(&cut, "d/d").1, Reason::DocumentFull);
}

/// An offer with entries of at least `bytes` bytes.
fn sized(id: &str, day: u8, bytes: usize) -> Resource {
    let endpoint = format!("https://a.example/{}", "x".repeat(bytes / 4));
    let resource = offer(id).created(&format!("2026-01-0{day}T00:00:00Z"));
    (0..4).fold(resource, |resource, _| resource.service("A2A", &endpoint))
}

#[test]
fn large_offers_leave_a_full_document_first_newest_first_and_only_as_many_as_needed() {
    let all = [
        sized("a/a", 1, 2_000),
        sized("b/b", 2, 0),
        sized("c/c", 3, 2_000),
        sized("d/d", 4, 0),
        sized("e/e", 5, 2_000),
        sized("f/f", 6, 0),
    ];
    let size = |kept: &[usize]| {
        let kept: Vec<_> = kept.iter().map(|at| &all[*at]).collect();
        projected(kept, &rules(), NOW).default.render().len()
    };
    let [none, large, full] = [Reason::Published, Reason::OfferTooLarge, Reason::DocumentFull];
    let rows = [
        ("everything fits", size(&[0, 1, 2, 3, 4, 5]), [none; 6]),
        ("one byte too many", size(&[0, 1, 2, 3, 4, 5]) - 1, [none, none, none, none, large, none]),
        ("room for two large ones", size(&[0, 1, 2, 3, 5]), [none, none, none, none, large, none]),
        ("for one", size(&[0, 1, 3, 5]), [none, none, large, none, large, none]),
        ("for none", size(&[1, 3, 5]), [large, none, large, none, large, none]),
        ("for two small ones", size(&[1, 3]), [large, none, large, none, large, full]),
        ("for one", size(&[1]), [large, none, large, full, large, full]),
        ("for nothing", 1, [large, none, large, full, large, full]),
    ];
    for_each_row(rows, |(case, document, expected)| {
        let rules = Rules { limits: SizeLimits { document, offer: 2_000 }, ..rules() };
        let projection = projected(&all, &rules, NOW);
        let reasons: Vec<_> = projection.published.iter().map(|offer| offer.reason).collect();
        assert_eq!(reasons, expected, "{case}");
        let kept: Vec<_> = (0..6).filter(|at| expected[*at] == none).collect();
        // The profile is that of the oldest published offer, listed or not.
        let profile = &projected(&all, &self::rules(), NOW).default.profile;
        assert_eq!(projection.default.profile, *profile, "{case}");
        assert_eq!(projection.default.services.len(), kept.len(), "{case}");
        for (at, own) in projection.published.iter().enumerate() {
            let alone = &projected([&all[at]], &self::rules(), NOW).published[0].document;
            assert_eq!(&own.document, alone, "{case}: its own document is complete");
            let state = state_and_reason(&projection, &own.id.to_string()).0;
            assert_eq!(state, OfferState::Published, "{case}");
        }
    });
    let only = Rules { limits: SizeLimits { document: 1, offer: 1 }, ..rules() };
    assert_eq!(published(&projected(&all[..1], &only, NOW)), ["a/a"]);
    assert_eq!(listed(&projected(&all[..1], &only, NOW).default).len(), 5, "the last one stays");
}

#[test]
fn x402_support_is_claimed_only_while_an_offer_takes_x402() {
    let card = |id: &str| offer(id).set("/spec/payment/method", "card").host(&id.replace('/', "."));
    let crypto = |id: &str| offer(id).set("/spec/payment/method", "crypto");
    let supports = |resources: &[Resource], now| {
        let document = json_of(&projected(resources, &rules(), now).default);
        (document["active"].as_bool().unwrap(), document["x402Support"].as_bool().unwrap())
    };
    let rows = [
        ("nothing", vec![], (false, false)),
        ("a card", vec![card("a/a")], (true, false)),
        ("no method", vec![offer("a/a")], (true, true)),
        ("crypto", vec![crypto("a/a")], (true, true)),
        ("another method", vec![offer("a/a").set("/spec/payment/method", "Card")], (true, true)),
        ("an unreadable method", vec![offer("a/a").set("/spec/payment/method", 5)], (true, true)),
        ("an unreadable payment", vec![offer("a/a").set("/spec/payment", "card")], (true, true)),
        ("a card and crypto", vec![card("a/a"), crypto("b/b")], (true, true)),
        ("disabled crypto", vec![card("a/a"), crypto("b/b").disabled()], (true, false)),
        ("draining crypto", vec![card("a/a"), crypto("b/b").draining(NOW, "1h")], (true, true)),
        ("drained crypto", vec![card("a/a"), crypto("b/b").draining(NOW, "0s")], (true, false)),
    ];
    for_each_row(rows, |(case, resources, expected)| {
        assert_eq!(supports(&resources, NOW), expected, "{case}");
    });
    let projection = projected(&[card("a/a"), crypto("b/b")], &rules(), NOW);
    let host = projection.hosts.values().next().unwrap();
    let support = |document| json_of(document)["x402Support"].clone();
    assert_eq!(support(&host.document), false, "of the host's own offer");
    let own: Vec<_> = projection.published.iter().map(|offer| support(&offer.document)).collect();
    assert_eq!(own, [false, true], "of each offer");
}
