//! Hostile endpoints, and ordinary ones that resemble them.

use crate::{
    offer::{EntryCode::*, Service},
    testing::for_each_row,
};

#[test]
fn an_endpoint_that_is_not_https_is_rejected() {
    let urls = [
        "http://a.example",
        "HTTP://a.example",
        "ftp://a.example",
        "wss://a.example",
        "javascript:alert(1)",
        "javascript://a.example/%0aalert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:https://a.example/x",
        "mailto:help@a.example",
        "did:web:a.example",
        "ipfs://bafy",
        "a.example",
        "//a.example/x",
        "/x",
        "?x",
        "https",
        "https:",
        "https:a.example",
        "https:/a.example",
        "https;//a.example",
        "https//a.example",
        "httpss://a.example",
        " https://a.example",
        "https://a.example ",
        "https ://a.example",
        "https://a example/",
        "https://a.example/x y",
        "https://a.example/\u{a0}",
        "https://a.example/\u{3000}x",
        "https://a.example/\u{2028}",
        "https://a.example\\@b.example",
        "https:\\\\a.example",
        "https://\\a.example",
        "https://a.example/\\x",
        "https://a.example/?\\",
        "https://",
        "https:///",
        "https://?x",
        "https://#x",
        "https://:443/",
        "https://a.example:99999/",
        "https://a.example:port/",
        "https://a.example:-1/",
        "https://[::1",
        "https://[a.example]/",
        "https://a.example%00/",
        "https://a.example%2f.b.example/",
        "https://a^b.example/",
        "https://exa%20mple.example/",
        "https://1.2.3.4.5/",
        "https://256.256.256.256/",
        "https://a.example.1/",
        "https://a.0x/",
        "\u{ff48}ttps://a.example",
        "htt\u{17f}ps://a.example",
        "\u{e9}\u{e9}\u{e9}\u{e9}://a.example",
    ];
    for_each_row(urls, |url| {
        assert_eq!(Service::new("A2A", url, "").refusal, Some(NotHttps), "{url:?}");
    });
}

#[test]
fn userinfo_is_rejected_even_if_empty() {
    let urls = [
        "https://user@a.example",
        "https://user:secret@a.example/x",
        "https://:secret@a.example",
        "https://@a.example",
        "https://:@a.example",
        "https://@@a.example",
        "https://a.example@b.example",
        "https://a.example:443@b.example/",
        "https://a.example%2f@b.example/",
        "https://127.0.0.1@a.example",
        "https://%40@a.example",
        "HTTPS://user@a.example",
        "https://user@127.0.0.1",
        "https://user@localhost",
        "https:///user@a.example",
        "https:///@a.example",
        "https:////@a.example/x",
    ];
    for_each_row(urls, |url| {
        assert_eq!(Service::new("A2A", url, "").refusal, Some(UserInfo), "{url:?}");
    });
}

#[test]
fn a_host_that_is_not_public_is_rejected() {
    let urls = [
        "https://127.0.0.1",
        "https://127.1",
        "https://2130706433",
        "https://0x7f.1",
        "https://0x7F000001",
        "https://0177.0.0.1",
        "https://0",
        "https://8.8.8.8",
        "https://8.8.8.8.",
        "https://10.0.0.1:8443/x",
        "https://169.254.169.254/latest/meta-data",
        "https://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
        "https://127\u{3002}0\u{3002}0\u{3002}1/",
        "https://%31%32%37.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fd00::1]:8443/",
        "https://[2606:4700::1111]/",
        "https://localhost",
        "https://localhost.",
        "https://LocalHost:8443/x",
        "https://%6cocalhost/",
        "https://loc\u{ad}alhost/",
        "https://a.localhost",
        "https://intranet",
        "https://com.",
        "https:///intranet",
        "https://svc",
        "https://chat.llm.svc",
        "https://chat.llm.SVC.",
        "https://chat.llm.svc:443/x",
        "https://chat.llm%2Esvc/",
        "https://chat.llm\u{3002}svc/",
        "https://chat.llm.svc.cluster.local/x",
        "https://cluster.local",
        "https://printer.local",
        "https://printer\u{ff0e}local/",
        "https://metadata.google.internal",
        "https://metadata.google.internal./computeMetadata",
        "https://a..example",
        "https://.a.example",
        "https://a.example..",
        "https://a.local..",
    ];
    for_each_row(urls, |url| {
        assert_eq!(Service::new("A2A", url, "").refusal, Some(NotPublicHost), "{url:?}");
    });
}

#[test]
fn ordinary_urls_pass_unchanged() {
    let urls = [
        "https://a.example",
        "https://a.example/",
        "HTTPS://A.Example/X",
        "hTTpS://a.example",
        "https://a.example.",
        "https://a.example:443/x",
        "https://a.example:8443/x?y=z#f",
        "https://a.example/../x",
        "https://a.example/@user",
        "https://a.example?to=me@b.example",
        "https://a.example#@",
        "https://a.example/?next=https://127.0.0.1/",
        "https://a.example//x",
        "https://b\u{fc}cher.example/\u{fc}",
        "https://xn--bcher-kva.example",
        "https://svc.example",
        "https://local.example/svc",
        "https://notlocal.agents",
        "https://my-svc.xsvc",
        "https://internal.example.com",
        "https://localhost.example",
        "https://1.2.3.4.example/",
        "https://0x7f.example",
        "https://123.example",
    ];
    for_each_row(urls, |url| {
        let service = Service::new("A2A", url, "");
        assert_eq!((service.refusal, service.endpoint.as_str()), (None, url));
    });
}
