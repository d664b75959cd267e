use std::time::Duration;

use super::*;
use crate::check::public::{Answer, HostFacts, PublicFacts, judge};

const DOCUMENT: &str = r#"{"type":"https://eips.ethereum.org/EIPS/eip-8004#registration-v1","name":"Tides","description":"Answers questions about tides.","services":[]}"#;

fn answer() -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("etag", "\"abc\""),
        ("cache-control", "public, max-age=5"),
        ("access-control-allow-origin", "*"),
        ("date", "Mon, 01 Jun 2026 12:00:00 GMT"),
        ("content-length", "142"),
    ];
    Answer {
        status: 200,
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: DOCUMENT.into(),
        took: Duration::from_millis(80),
        certificate_until: Some(now() + TimeDelta::days(60)),
    }
}

fn sound() -> PublicFacts {
    let host = HostFacts {
        host: "audit.example".to_owned(),
        get: Ok(answer()),
        expected: DOCUMENT.into(),
    };
    PublicFacts {
        url: "https://agents.example/.well-known/agent-registration.json".to_owned(),
        asked_at: now(),
        get: Ok(answer()),
        head: Ok(Answer { body: vec![], ..answer() }),
        conditional: Some(Ok(304)),
        expected: Some(DOCUMENT.into()),
        hosts: vec![host],
    }
}

fn with(change: impl FnOnce(&mut PublicFacts)) -> Report {
    let mut facts = sound();
    change(&mut facts);
    judged(|report| judge(&facts, report))
}

/// With another answer to GET.
fn answered(change: impl FnOnce(&mut Answer)) -> Report {
    with(|facts| change(facts.get.as_mut().unwrap()))
}

fn header(name: &str, value: &str) -> Report {
    answered(|get| drop(get.headers.insert(name.to_owned(), value.to_owned())))
}

fn headless(name: &str) -> Report {
    answered(|get| drop(get.headers.remove(name)))
}

fn refused() -> String {
    "connection refused".to_owned()
}

pub(super) fn rows() -> Vec<Row> {
    let host = |get: Result<Answer, String>| with(|facts| facts.hosts[0].get = get);
    let redirect = answered(|get| {
        get.status = 301;
        get.headers.insert("location".to_owned(), "https://www.agents.example/".to_owned());
    });
    let html = "<!doctype html>".as_bytes().to_vec();
    let other = DOCUMENT.replace("Tides", "Other").into_bytes();
    vec![
        (CheckId::PublicReachable, Status::Fail, with(|facts| facts.get = Err(refused()))),
        (CheckId::PublicEtag, Status::Skip, with(|facts| facts.get = Err(refused()))),
        (CheckId::PublicReachable, Status::Fail, answered(|get| get.status = 404)),
        (CheckId::PublicReachable, Status::Fail, redirect.clone()),
        (CheckId::PublicRedirect, Status::Fail, redirect),
        (CheckId::PublicDocument, Status::Fail, answered(|get| get.body = html)),
        (CheckId::PublicBytes, Status::Fail, answered(|get| get.body = other.clone())),
        (CheckId::PublicBytes, Status::Skip, with(|facts| facts.expected = None)),
        (CheckId::PublicHead, Status::Fail, with(|facts| facts.head = Err(refused()))),
        (
            CheckId::PublicHead,
            Status::Fail,
            with(|facts| facts.head.as_mut().unwrap().status = 404),
        ),
        (
            CheckId::PublicHead,
            Status::Fail,
            with(|facts| {
                let head = facts.head.as_mut().unwrap();
                head.headers.insert("etag".to_owned(), "\"of the original\"".to_owned());
            }),
        ),
        (
            CheckId::PublicHead,
            Status::Fail,
            with(|facts| {
                facts.head.as_mut().unwrap().headers.remove("cache-control");
            }),
        ),
        (
            CheckId::PublicHead,
            Status::Pass,
            with(|facts| {
                let head = facts.head.as_mut().unwrap();
                head.headers.insert("cache-control".to_owned(), "public, max-age=4".to_owned());
            }),
        ),
        (CheckId::PublicEtag, Status::Fail, headless("etag")),
        (CheckId::PublicEtag, Status::Fail, header("etag", "W/\"abc\"")),
        (CheckId::PublicConditional, Status::Fail, with(|facts| facts.conditional = Some(Ok(200)))),
        (
            CheckId::PublicConditional,
            Status::Fail,
            with(|facts| facts.conditional = Some(Err(refused()))),
        ),
        (CheckId::PublicConditional, Status::Skip, with(|facts| facts.conditional = None)),
        (CheckId::PublicCaching, Status::Fail, header("cache-control", "public, max-age=86400")),
        (CheckId::PublicCaching, Status::Fail, headless("cache-control")),
        (CheckId::PublicMediaType, Status::Fail, header("content-type", "text/html")),
        (
            CheckId::PublicMediaType,
            Status::Pass,
            header("content-type", "application/json; charset=utf-8"),
        ),
        (CheckId::PublicCors, Status::Warn, headless("access-control-allow-origin")),
        (CheckId::PublicSize, Status::Warn, answered(|get| get.body = vec![b' '; 65_537])),
        (
            CheckId::PublicSpeed,
            Status::Warn,
            answered(|get| get.took = Duration::from_millis(1_501)),
        ),
        (
            CheckId::PublicTls,
            Status::Fail,
            answered(|get| get.certificate_until = Some(now() + TimeDelta::days(13))),
        ),
        (
            CheckId::PublicTls,
            Status::Fail,
            answered(|get| get.certificate_until = Some(now() - TimeDelta::days(1))),
        ),
        (CheckId::PublicTls, Status::Skip, answered(|get| get.certificate_until = None)),
        (
            CheckId::PublicHttps,
            Status::Warn,
            with(|facts| facts.url = "http://agents.example/".to_owned()),
        ),
        (CheckId::PublicClock, Status::Fail, header("date", "Mon, 01 Jun 2026 12:00:05 GMT")),
        (CheckId::PublicClock, Status::Skip, headless("date")),
        (CheckId::PublicHosts, Status::Fail, host(Err(refused()))),
        (CheckId::PublicHosts, Status::Fail, host(Ok(Answer { status: 404, ..answer() }))),
        (CheckId::PublicHosts, Status::Fail, host(Ok(Answer { body: other, ..answer() }))),
        (CheckId::PublicHosts, Status::Skip, with(|facts| facts.hosts.clear())),
    ]
}

#[test]
fn a_sound_public_url_passes() {
    assert_eq!(troubles(with(|_| {}), "public"), vec![]);
}
