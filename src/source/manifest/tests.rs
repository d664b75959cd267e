//! YAML as kubectl reads it, and errors that name their line.

use super::{Lines, ManifestDocument, read_json, read_yaml};
use crate::{
    source::{
        lossless_json::{DEPTH_LIMIT, too_deep},
        parse_yaml,
    },
    testing::{for_each_row, law},
};
use proptest::{prelude::*, sample};
use serde_json::{Value, json};

fn exact(digits: &str) -> Value {
    serde_json::from_str(digits).unwrap()
}

/// The one document of a text.
fn one(text: &str) -> Value {
    let mut documents = parse_yaml(text).unwrap();
    assert_eq!(documents.len(), 1, "{text:?}");
    documents.remove(0)
}

#[test]
fn plain_scalars_are_what_kubectl_takes_them_for() {
    let cases = [
        ("yes", json!(true)),
        ("Yes", json!(true)),
        ("YES", json!(true)),
        ("on", json!(true)),
        ("On", json!(true)),
        ("ON", json!(true)),
        ("y", json!(true)),
        ("Y", json!(true)),
        ("true", json!(true)),
        ("True", json!(true)),
        ("TRUE", json!(true)),
        ("no", json!(false)),
        ("No", json!(false)),
        ("NO", json!(false)),
        ("off", json!(false)),
        ("Off", json!(false)),
        ("OFF", json!(false)),
        ("n", json!(false)),
        ("N", json!(false)),
        ("false", json!(false)),
        ("False", json!(false)),
        ("FALSE", json!(false)),
        ("yEs", json!("yEs")),
        ("tRUE", json!("tRUE")),
        ("yes!", json!("yes!")),
        ("null", Value::Null),
        ("Null", Value::Null),
        ("NULL", Value::Null),
        ("~", Value::Null),
        ("", Value::Null),
        ("nULL", json!("nULL")),
        ("None", json!("None")),
        ("0", json!(0)),
        ("42", json!(42)),
        ("-42", json!(-42)),
        ("+42", json!(42)),
        ("1_000", json!(1000)),
        ("017", json!(15)),
        ("0o17", json!(15)),
        ("-017", json!(-15)),
        ("0x1F", json!(31)),
        ("0b101", json!(5)),
        ("1.5", json!(1.5)),
        (".5", json!(0.5)),
        ("-1.5", json!(-1.5)),
        ("1e3", json!(1000.0)),
        ("1.5e-3", json!(0.0015)),
        ("18446744073709551616", exact("18446744073709551616")),
        (
            "115792089237316195423570985008687907853269984665640564039457584007913129639935",
            exact("115792089237316195423570985008687907853269984665640564039457584007913129639935"),
        ),
        ("-9223372036854775809", exact("-9223372036854775809")),
        ("2026-05-24T14:00:00Z", json!("2026-05-24T14:00:00Z")),
        ("2026-05-24", json!("2026-05-24")),
        ("2026-05-24 14:00:00", json!("2026-05-24 14:00:00")),
        ("14:30", json!("14:30")),
        ("1:30:00", json!("1:30:00")),
        ("30m", json!("30m")),
        ("1h30m", json!("1h30m")),
        ("0s", json!("0s")),
        ("1.2.3", json!("1.2.3")),
        ("0.8.0", json!("0.8.0")),
        ("0x", json!("0x")),
        ("0xZZ", json!("0xZZ")),
        ("0x+1", json!("0x+1")),
        ("0o+7", json!("0o+7")),
        ("0b2", json!("0b2")),
        ("--1", json!("--1")),
        ("+", json!("+")),
        (".", json!(".")),
        ("..", json!("..")),
        ("1e", json!("1e")),
        ("1-2", json!("1-2")),
        ("-.inf", json!("-.inf")),
        ("/services/chat", json!("/services/chat")),
        ("https://a.example/x#y", json!("https://a.example/x#y")),
        ("a # comment", json!("a")),
        ("\"yes\"", json!("yes")),
        ("'42'", json!("42")),
        ("\"\"", json!("")),
        ("\"\\u00e9\\n\"", json!("\u{e9}\n")),
        ("!!str 42", json!("42")),
        ("!!str yes", json!("yes")),
        ("!!int \"42\"", json!(42)),
        ("!!bool \"true\"", json!(true)),
        ("!!float 1.5", json!(1.5)),
        ("!!null ''", Value::Null),
        ("! 42", json!("42")),
        ("!custom 42", json!("42")),
        ("|\n  a\n  b\n", json!("a\nb\n")),
        (">-\n  a\n  b\n", json!("a b")),
        ("[a, 1, yes]", json!(["a", 1, true])),
        ("{a: 1, b: {c: no}}", json!({ "a": 1, "b": { "c": false } })),
    ];
    for_each_row(cases, |(text, value)| {
        assert_eq!(one(&format!("key: {text}")), json!({ "key": value }), "{text:?}");
    });
}

#[test]
fn keys_are_texts() {
    let cases = [
        ("a: 1", json!({ "a": 1 })),
        ("yes: 1", json!({ "true": 1 })),
        ("42: 1", json!({ "42": 1 })),
        ("'yes': 1", json!({ "yes": 1 })),
        ("? a\n: 1", json!({ "a": 1 })),
        ("a:", json!({ "a": null })),
    ];
    for_each_row(cases, |(text, value)| {
        assert_eq!(one(text), value, "{text:?}");
    });
    for_each_row(["~: 1", "? [a]\n: 1", "{a: 1}: 1"], |text| {
        assert!(parse_yaml(text).is_err(), "{text:?}");
    });
}

#[test]
fn anchors_and_merge_keys_are_expanded() {
    let cases = [
        ("an alias", "a: &x [1, 2]\nb: *x", json!({ "a": [1, 2], "b": [1, 2] })),
        ("an anchored scalar", "a: &x yes\nb: *x", json!({ "a": true, "b": true })),
        ("an anchor set again", "a: &x 1\nb: &x 2\nc: *x", json!({ "a": 1, "b": 2, "c": 2 })),
        (
            "a merge",
            "a: &x {k: 1, l: 2}\nb: {<<: *x, m: 3}",
            json!({ "a": { "k": 1, "l": 2 }, "b": { "k": 1, "l": 2, "m": 3 } }),
        ),
        (
            "what is said itself wins",
            "a: &x {k: 1}\nb: {k: 9, <<: *x}",
            json!({ "a": { "k": 1 }, "b": { "k": 9 } }),
        ),
        (
            "even when said later",
            "a: &x {k: 1}\nb: {<<: *x, k: 9}",
            json!({ "a": { "k": 1 }, "b": { "k": 9 } }),
        ),
        (
            "the earlier merged wins",
            "a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc: {<<: [*x, *y]}",
            json!({ "a": { "k": 1 }, "b": { "k": 2, "l": 2 }, "c": { "k": 1, "l": 2 } }),
        ),
        ("a quoted merge key is a key", "{'<<': {k: 1}}", json!({ "<<": { "k": 1 } })),
    ];
    for_each_row(cases, |(case, text, value)| {
        assert_eq!(one(text), value, "{case}");
    });
    assert!(parse_yaml("a: &x 1\n---\nb: *x").is_err(), "an anchor ends with its document");
    assert!(parse_yaml("a: *nowhere").is_err());
    assert!(parse_yaml("a: &x [*x]").is_err(), "an anchor inside itself");
    assert!(parse_yaml("a: &x {b: {c: *x}}").is_err(), "deeper inside itself");
}

#[test]
fn a_text_holds_any_number_of_documents() {
    let cases = [
        ("none", "", vec![]),
        ("white space", "\n\n", vec![]),
        ("a comment", "# nothing\n", vec![]),
        ("a separator", "---\n", vec![]),
        (
            "empty ones are left out",
            "---\n---\na: 1\n---\n# x\n---\nnull\n---\nb: 2\n...\n",
            vec![json!({ "a": 1 }), json!({ "b": 2 })],
        ),
        ("a byte order mark", "\u{feff}a: 1", vec![json!({ "a": 1 })]),
        ("a mark and a separator", "\u{feff}---\na: 1", vec![json!({ "a": 1 })]),
        ("a directive", "%YAML 1.1\n---\na: yes", vec![json!({ "a": true })]),
        ("Windows line ends", "a: 1\r\nb:\r\n  - x\r\n", vec![json!({ "a": 1, "b": ["x"] })]),
        (
            "JSON",
            r#"{"a": [1, {"b": null}], "c": "\u00e9\/"}"#,
            vec![json!({ "a": [1, { "b": null }], "c": "\u{e9}/" })],
        ),
        ("JSON over lines with tabs", "{\n\t\"a\": 1\n}", vec![json!({ "a": 1 })]),
        ("a scalar", "hello", vec![json!("hello")]),
    ];
    for_each_row(cases, |(case, text, documents)| {
        assert_eq!(parse_yaml(text), Ok(documents), "{case}");
    });
}

#[test]
fn a_syntax_error_names_its_line() {
    let cases = [
        ("a tab as indentation", "a:\n\tb: 1", 2),
        ("an open bracket", "a: 1\nb: [1, 2\n", 3),
        ("an open quote", "a: 1\nb: \"x\n", 2),
        ("bad indentation", "a:\n    b: 1\n  c: 2\n", 3),
        ("two values", "a: b: c\n", 1),
        ("a key twice", "a: 1\nb: 2\na: 3\n", 3),
        ("a key twice, written otherwise", "yes: 1\n'true': 2\n", 2),
        ("a key twice within", "x:\n- {k: 1, k: 2}\n", 2),
        ("a key twice after a second document began", "a: 1\n---\nb: 1\nb: 2\n", 4),
        ("an unknown alias", "a: 1\nb: *x\n", 2),
        ("a tag that does not fit", "a: 1\nb: !!int x\n", 2),
    ];
    for_each_row(cases, |(case, text, line)| {
        let error = parse_yaml(text).unwrap_err();
        assert_eq!(error.line, line, "{case}: {error}");
        assert!(error.to_string().starts_with(&format!("line {line}: ")), "{case}: {error}");
    });
}

/// How many collections are within one another.
fn height(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(height).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(height).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[test]
fn what_is_nested_too_deeply_is_skipped_and_its_neighbours_are_read() {
    let flow =
        |depth: usize, inner: &str| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
    let maps = |depth: usize| format!("{}x{}", "{\"k\": ".repeat(depth), "}".repeat(depth));
    let dashes = |depth: usize| format!("\n  {}x", "- ".repeat(depth));
    let block = |depth: usize| -> String {
        (1..=depth).map(|depth| format!("\n{}a:", " ".repeat(depth))).collect()
    };
    let quoted = r#""]]\"}" , ']]''}' , it's, a "b , {"k":"[[", 'l':'{'} # ]]]]"#;
    let cases = [
        ("flow, as deep as is read", flow(60, "x")),
        ("flow", flow(100, "x")),
        ("flow, more than the scanner counts", flow(1_000, "x")),
        ("flow, a million", flow(1_000_000, "")),
        ("brackets in quotes and comments", flow(300, &format!("{quoted}\n "))),
        ("siblings", flow(254, &vec!["[[1]], {a: [b]}"; 50].join(", "))),
        ("an anchor before", flow(300, "&a \"[\", !t '{', *a")),
        ("flow mappings", maps(1_000)),
        ("sequences in one line", dashes(3_000)),
        ("block mappings", block(1_000)),
    ];
    for_each_row(cases, |(case, deep)| {
        let text = format!("before: 1\ndeep: {deep}\nafter: 2\n---\nsecond: 3\n");
        let documents = read_yaml(&text).unwrap_or_else(|error| panic!("{case}: {error}"));
        let [first, second] = &documents[..] else { panic!("{case}: {documents:?}") };
        assert_eq!(
            (&first.value["before"], &first.value["after"]),
            (&json!(1), &json!(2)),
            "{case}"
        );
        assert_eq!(second.value, json!({ "second": 3 }), "{case}");
        assert!(height(&first.value) <= DEPTH_LIMIT + 2, "{case}: {}", height(&first.value));
        let lines = text.lines().position(|line| line == "second: 3").unwrap() + 1;
        assert_eq!(second.lines.line, lines, "{case}");
    });
    let json = |deep: &str| format!(r#"{{"before":1,"deep":{deep},"after":2}} {{"second":3}}"#);
    let pairs = format!("{}1{}", r#"{"k":"#.repeat(100_000), "}".repeat(100_000));
    for_each_row([flow(60, ""), flow(100_000, ""), pairs], |deep| {
        let documents = read_json(&json(&deep)).unwrap();
        assert_eq!((documents.len(), &documents[0].value["after"]), (2, &json!(2)));
        assert!(height(&documents[0].value) <= DEPTH_LIMIT + 2);
    });
}

#[test]
fn aliases_do_not_nest_more_deeply_than_is_read() {
    let deep = format!("{}x{}", "[".repeat(40), "]".repeat(40));
    let mut chain = format!("a0: &a0 {deep}\n");
    for link in 1..400 {
        chain += &format!("a{link}: &a{link} {}\n", deep.replace('x', &format!("*a{}", link - 1)));
    }
    assert!(height(&one(&chain)) <= DEPTH_LIMIT + 2);
    let skipped = format!("a: {}&x y{}\nb: *x", "[".repeat(100), "]".repeat(100));
    assert_eq!(one(&skipped)["b"], too_deep(), "never a value that was not read");
}

#[test]
fn expansion_is_bounded_and_its_error_names_the_line() {
    let mut powers = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        powers += &format!("a{level}: &a{level} [{below}]\n");
    }
    let anchors =
        |count: usize| -> String { (0..count).map(|index| format!("- &a{index} x\n")).collect() };
    let scalar =
        |aliases: usize| format!("a: &a {}\nb:\n{}", "x".repeat(1 << 20), "- *a\n".repeat(aliases));
    let nested = format!("a: {}{}{}", "&a [".repeat(60), "x, ".repeat(30_000), "]".repeat(60));
    let cases = [
        ("powers of ten", powers, Some(6)),
        ("10,000 anchors", anchors(10_000), None),
        ("160,000 anchors", anchors(160_000), Some(10_001)),
        ("anchors of two documents", format!("{0}---\n{0}", anchors(6_000)), Some(10_002)),
        ("30 MiB", scalar(30), None),
        ("20,000 aliases of 1 MiB", scalar(20_000), Some(33)),
        ("anchors within anchors", nested, Some(1)),
        ("a large file without aliases", format!("a: {}", "x".repeat(40 << 20)), None),
        ("a few merges", format!("a: &a {{k: 1}}\nb: [{}]", "{<<: *a}, ".repeat(50)), None),
    ];
    for_each_row(cases, |(case, text, line)| {
        let error = parse_yaml(&text).err();
        assert_eq!(error.as_ref().map(|error| error.line), line, "{case}: {error:?}");
    });
}

#[test]
fn documents_and_the_items_of_lists_have_lines() {
    let yaml =
        "# x\nkind: List\nitems:\n- a: 1\n  items: [{b: 2},\n    {c: 3}]\n-\n  d: 4\n---\n\ne: 5\n";
    let json = "\n{\"items\": [\n{\"items\": [{},\n{}]},\n{}]}\n\n{}";
    let lines = |documents: Vec<ManifestDocument>| -> Vec<_> {
        fn all(lines: &Lines) -> Vec<usize> {
            [lines.line].into_iter().chain(lines.items.iter().flat_map(all)).collect()
        }
        documents.iter().map(|document| all(&document.lines)).collect()
    };
    assert_eq!(lines(read_yaml(yaml).unwrap()), [vec![2, 4, 5, 6, 8], vec![11]]);
    assert_eq!(lines(read_json(json).unwrap()), [vec![2, 3, 3, 4, 5], vec![7]]);
    assert_eq!(read_json("{}\n{\n\"a\" 1}").unwrap_err().line, 3);
}

proptest! {
    #![proptest_config(law(1_000))]

    #[test]
    fn any_text_is_documents_or_an_error_on_one_of_its_lines(text in any::<String>()) {
        if let Err(error) = parse_yaml(&text) {
            let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
            prop_assert!(error.line <= lines + 1, "{}", error);
        }
    }

    #[test]
    fn almost_yaml_is_documents_or_an_error(text in almost_yaml()) {
        let _never_panics = parse_yaml(&text);
    }

    #[test]
    fn json_means_in_yaml_what_it_means_itself(value in small_json()) {
        let compact = value.to_string();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let expected: Vec<_> = [value].into_iter().filter(|value| !value.is_null()).collect();
        prop_assert_eq!(parse_yaml(&compact), Ok(expected.clone()), "{}", compact);
        prop_assert_eq!(parse_yaml(&pretty), Ok(expected), "{}", pretty);
    }
}

fn small_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~\u{e9}\u{4e2d}]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[ -~]{1,6}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Texts of what YAML is made of, in any order.
fn almost_yaml() -> impl Strategy<Value = String> {
    let signs = "[-:?&*!|>%@`\\[\\]{},#'\"a0~<\\\\ \n\t]";
    let words = sample::select(&["a: ", "- ", "&a ", "*a ", "<<: ", "---\n", "!!int ", "? "][..]);
    let piece = prop_oneof![signs, words.prop_map(str::to_owned)];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}
