use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::testing::for_each_row;

fn gzip(bytes: &[u8]) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    STANDARD.encode(encoder.finish().unwrap())
}

fn decoded(uri: &str) -> (Option<String>, Vec<&'static str>) {
    let Some(AgentUri::Embedded(Embedded { document, findings })) = AgentUri::parse(uri) else {
        panic!("{uri} is not embedded");
    };
    let document = document.map(|bytes| String::from_utf8(bytes).unwrap());
    (document, findings.iter().map(|finding| finding.code.as_str()).collect())
}

#[test]
fn every_form_of_a_data_uri_is_decoded_and_its_form_judged() {
    let gzip = gzip(b"{\"a\":1}");
    let rows = [
        ("exact", "data:application/json;base64,eyJhIjoxfQ==".to_owned(), vec![]),
        ("spaces around", " data:application/json;base64,eyJhIjoxfQ==\n".to_owned(), vec![]),
        (
            "no padding",
            "data:application/json;base64,eyJhIjoxfQ".to_owned(),
            vec!["DataBase64Form"],
        ),
        (
            "URL-safe",
            "data:application/json;base64,eyJhIjoxfQ%3D%3D".to_owned(),
            vec!["DataBase64Form"],
        ),
        (
            "line feeds",
            "data:application/json;base64,eyJh\nIjoxfQ==".to_owned(),
            vec!["DataBase64Form"],
        ),
        (
            "a charset",
            "data:application/json;charset=utf-8;base64,eyJhIjoxfQ==".to_owned(),
            vec!["DataParameters"],
        ),
        ("no media type", "data:;base64,eyJhIjoxfQ==".to_owned(), vec!["DataMediaType"]),
        ("percent", "data:application/json,%7B%22a%22%3A1%7D".to_owned(), vec!["DataNotBase64"]),
        ("plain", "data:application/json,{\"a\":1}".to_owned(), vec!["DataNotBase64"]),
        (
            "gzip",
            format!("data:application/json;enc=gzip;base64,{gzip}"),
            vec!["DataParameters", "DataCompressed"],
        ),
        (
            "gzip, not declared",
            format!("data:application/json;base64,{gzip}"),
            vec!["DataCompressed"],
        ),
    ];
    for_each_row(rows, |(case, uri, codes)| {
        assert_eq!(decoded(&uri), (Some("{\"a\":1}".to_owned()), codes), "{case}");
    });
}

#[test]
fn what_cannot_be_decoded_is_a_finding() {
    let bomb = gzip(&vec![b' '; EVERY_READER_BYTES + 1]);
    let truncated = &gzip(b"{\"a\":1}")[..16];
    let rows = [
        "data:application/json".to_owned(),
        "data:application/json;base64,e".to_owned(),
        "data:application/json;base64,e30=e30=".to_owned(),
        format!("data:application/json;enc=gzip;base64,{bomb}"),
        format!("data:application/json;enc=gzip;base64,{truncated}"),
        "data:application/json;enc=br;base64,e30=".to_owned(),
    ];
    for_each_row(rows, |uri| {
        let (document, codes) = decoded(&uri);
        assert_eq!(document, None, "{uri}");
        assert!(codes.contains(&"DataUnreadable"), "{uri}: {codes:?}");
    });
}

#[test]
fn a_text_is_an_agent_uri_by_its_scheme() {
    let web = |text: &str| Some(AgentUri::Web(Url::parse(text).unwrap()));
    let ipfs = |text: &str| Some(AgentUri::Ipfs(text.to_owned()));
    let unsupported = |scheme: &str| Some(AgentUri::Unsupported { scheme: scheme.to_owned() });
    let rows = [
        ("https://agents.example/a.json", web("https://agents.example/a.json")),
        ("HTTP://agents.example", web("http://agents.example")),
        ("ipfs://bafy/a.json", ipfs("bafy/a.json")),
        ("ipfs://ipfs/bafy", ipfs("bafy")),
        ("ar://abc", unsupported("ar")),
        ("https://", unsupported("https://")),
        ("agent.json", None),
        ("./a:b.json", None),
        ("C:agent.json", None),
        ("-", None),
        ("", None),
    ];
    for_each_row(rows, |(text, uri)| assert_eq!(AgentUri::parse(text), uri, "{text}"));
}
