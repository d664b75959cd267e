use http::{HeaderMap, HeaderValue, Uri, Version, header, uri::Authority};

use super::{check_host, decoded, decoded_path};
use crate::testing::for_each_row;

fn checked(version: Version, uri: &str, hosts: &[&[u8]]) -> bool {
    let mut headers = HeaderMap::new();
    for host in hosts {
        headers.append(header::HOST, HeaderValue::from_bytes(host).unwrap());
    }
    let uri = uri.parse::<Uri>().unwrap();
    check_host(version, uri.authority().map(Authority::as_str), &headers).is_ok()
}

#[test]
fn a_host_is_valid_as_the_rfc_has_it() {
    let rows: [(&[u8], bool); 41] = [
        (b"seller.example", true),
        (b"SELLER.example", true),
        (b"seller.example:8004", true),
        (b"seller.example:", true),
        (b"seller.example.", true),
        (b"seller.example..", true),
        (b"under_score.example", true),
        (b"localhost", true),
        (b"192.0.2.1", true),
        (b"192.0.2.1:80", true),
        (b"[2001:db8::1]", true),
        (b"[2001:db8::1]:80", true),
        (b"[2001:db8::1]:", true),
        (b"[::ffff:192.0.2.1]", true),
        (b"[v1.fe80::a+en1]", true),
        (b"a%20b.example", true),
        (b"a!$&'()*+,;=b", true),
        (b"", false),
        (b":80", false),
        (b" ", false),
        (b"a b", false),
        (b"a\tb", false),
        (b"seller.example/", false),
        (b"seller.example/path", false),
        (b"seller.example?", false),
        (b"seller.example#x", false),
        (b"http://seller.example", false),
        (b"someone@seller.example", false),
        (b"seller.example:http", false),
        (b"seller.example:80:80", false),
        (b"seller.example:-1", false),
        (b"seller.example, other.example", false),
        (b"[2001:db8::1", false),
        (b"[2001:db8::1]80", false),
        (b"[seller.example]", false),
        (b"[]", false),
        (b"2001:db8::1", false),
        (b"a%2", false),
        (b"a%zz", false),
        (b"a\"b", false),
        ("\u{fc}.example".as_bytes(), false),
    ];
    for_each_row(rows, |(host, is_valid)| {
        assert_eq!(checked(Version::HTTP_11, "/", &[host]), is_valid, "{}", host.escape_ascii());
    });
}

#[test]
fn each_version_has_its_own_rules_for_naming_the_host() {
    let (old, one, two) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
    /// A case, the version, the target, the Host fields, and whether they are valid.
    type Row<'a> = (&'a str, Version, &'a str, &'a [&'a [u8]], bool);
    let rows: [Row<'_>; 18] = [
        ("one", one, "/", &[b"a.example"], true),
        ("none", one, "/", &[], false),
        ("two", one, "/", &[b"a.example", b"b.example"], false),
        ("the same twice", one, "/", &[b"a.example", b"a.example"], false),
        ("absolute form", one, "http://a.example/", &[b"a.example"], true),
        ("absolute form for another host", one, "http://a.example/", &[b"b.example"], true),
        ("absolute form without a field", one, "http://a.example/", &[], false),
        ("absolute form with user-info", one, "http://u@a.example/", &[b"a.example"], false),
        ("absolute form with a bad field", one, "http://a.example/", &[b"a b"], false),
        ("HTTP/1.0 without a field", old, "/", &[], true),
        ("HTTP/1.0 with a field", old, "/", &[b"a.example"], true),
        ("HTTP/1.0 with two", old, "/", &[b"a.example", b"a.example"], false),
        ("HTTP/1.0 with a bad one", old, "/", &[b"a/b"], false),
        ("an authority", two, "http://a.example/", &[], true),
        ("only a field", two, "/", &[b"a.example"], true),
        ("the same in both", two, "http://a.example/", &[b"A.example"], true),
        ("different ones", two, "http://a.example/", &[b"b.example"], false),
        ("neither", two, "/", &[], false),
    ];
    for_each_row(rows, |(case, version, uri, hosts, is_valid)| {
        assert_eq!(checked(version, uri, hosts), is_valid, "{case}");
    });
}

#[test]
fn only_unreserved_characters_are_equivalent_to_their_encoded_form() {
    let rows = [
        ("/offers", "/offers"),
        ("/%2Ewell-known/agent-registration.json", "/.well-known/agent-registration.json"),
        ("/%2ewell%2Dknown", "/.well-known"),
        ("/%6f%66%66%65%72%73", "/offers"),
        ("/%7Ea%5F", "/~a_"),
        ("/%41%5a%61%7a%30%39", "/AZaz09"),
        ("/offers%2Fdemo", "/offers%2Fdemo"),
        ("/%252e", "/%252e"),
        ("/a%00b", "/a%00b"),
        ("/a%zzb", "/a%zzb"),
        ("/a%", "/a%"),
        ("/a%2", "/a%2"),
        ("/a%c3%bc", "/a%c3%bc"),
        ("/%2e%2e/%2e", "/../."),
        ("/a;b%3bc", "/a;b%3bc"),
    ];
    for_each_row(rows, |(path, expected)| {
        assert_eq!(decoded_path(path), expected, "{path}");
        let target = format!("http://a.example{path}?q=%2E");
        let expected = format!("http://a.example{expected}?q=%2E");
        assert_eq!(decoded(target.parse().unwrap()).to_string(), expected, "{path}");
    });
}
