//! Requests that are refused before they are routed, and what a path is taken for.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::{
    http::tests::{
        routes::{sample, stand},
        site::{Site, WELL_KNOWN, ask, document_of, is, request},
    },
    http::{self, CatalogReader, Front, admin},
    listener::{Limits, Listener, Settings, Sockets, Stage},
    testing::{NOON, for_each_row_async},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A public front with a path that panics.
fn panicking(reader: CatalogReader) -> Front {
    let router = axum::Router::new().route(
        "/panics",
        axum::routing::get(async || -> &'static str { panic!("a broken invariant") }),
    );
    Front::public(router, reader)
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_say_for_which_host_it_is_gets_400_on_every_path() {
    let site = Site::of(NOON, &stand());
    let public = http::paths().into_iter().chain(["/nothing"]);
    let public = public.map(|path| (site.public(), path, "*"));
    let admin = admin::paths().into_iter().chain(["/nothing"]);
    for (front, path, origin) in public.chain(admin.map(|path| (site.admin(), path, ""))) {
        for hosts in [&[][..], &["a b"], &["a.example/x"], &[""], &["127.0.0.1", "127.0.0.1"]] {
            for method in ["GET", "OPTIONS", "POST"] {
                let mut request = request(method, &sample(path), &[]);
                request.headers_mut().remove("host");
                for host in hosts {
                    request.headers_mut().append("host", host.parse().unwrap());
                }
                let answer = ask(front.clone(), request).await;
                assert_eq!(answer.problem(), is(400, "InvalidHost"), "{method} {path} {hosts:?}");
                assert_eq!(answer.header("access-control-allow-origin"), origin, "{path}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_refused_where_nothing_reads_it() {
    let site = Site::of(NOON, &stand());
    for path in http::paths() {
        for (method, expected) in [
            ("GET", is(413, "UnexpectedBody")),
            ("OPTIONS", is(413, "UnexpectedBody")),
            ("POST", is(405, "MethodNotAllowed")),
        ] {
            let request = request(method, &sample(path), &[]).map(|_| "a body".into());
            let answer = ask(site.public(), request).await;
            assert_eq!(answer.problem(), expected, "{method} {path}");
            assert_eq!(answer.header("connection"), "close", "{method} {path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_encoded_unreserved_character_names_the_same_path() {
    let site = Site::of(NOON, &stand());
    let rows = [
        ("/%2Ewell-known/agent-registration.json", WELL_KNOWN),
        ("/%2ewell%2Dknown/agent%2dregistration%2Ejson", WELL_KNOWN),
        ("/%6Fffers", "/offers"),
        ("/offers/d%65mo/ch%61t/agent-registration%2Ejson", &document_of("demo/chat")),
        ("/offers/demo/%63%68%61%74", "/offers/demo/chat"),
        ("/%61gents", "/agents"),
        ("/openapi%2eyaml", "/openapi.yaml"),
        ("/schema/problem%2Eschema.json", "/schema/problem.schema.json"),
        ("/agent%2Dicon.png", "/agent-icon.png"),
    ];
    for_each_row_async(rows, async |(encoded, plain)| {
        let (encoded_answer, answer) = (site.get(encoded).await, site.get(plain).await);
        assert_eq!(answer.status, 200, "{plain}");
        assert_eq!(encoded_answer.body, answer.body, "{encoded}");
        assert_eq!(encoded_answer.etag(), answer.etag(), "{encoded}");
    })
    .await;
    let metrics = ask(site.admin(), request("GET", "/%6Divez", &[("host", "127.0.0.1")])).await;
    assert_eq!(metrics.status, 404);
    let livez = ask(site.admin(), request("GET", "/%6Civez", &[("host", "127.0.0.1")])).await;
    assert_eq!(livez.text(), "ok\n");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_costs_one_500_and_is_counted() {
    let site = Site::of(NOON, &stand());
    let front = panicking(site.admin.reader.clone());
    for _ in 0..2 {
        let answer = ask(front.clone(), request("GET", "/panics", &[])).await;
        assert_eq!(answer.problem(), is(500, "Internal"));
        assert!(!answer.text().contains("invariant"), "{}", answer.text());
        assert_eq!(ask(front.clone(), request("GET", WELL_KNOWN, &[])).await.status, 200);
    }
    let scrape = site.get_admin("/metrics").await;
    assert!(scrape.text().contains("registrar_http_panics_total 2\n"), "{}", scrape.text());
}

#[tokio::test]
async fn the_connection_of_a_request_that_panicked_goes_on() {
    let site = Site::of(NOON, &stand());
    let sockets = Sockets::bind(([127, 0, 0, 1], 0).into(), 1).unwrap();
    let address = sockets.address;
    let settings = Settings { name: "public", limits: Limits::default(), tls: None };
    let reader = site.admin.reader.clone();
    let front = panicking(reader.clone());
    let listener =
        Listener::start(sockets, || front.for_thread(), &settings, &reader.metrics).unwrap();
    let (_stage, stages) = watch::channel(Stage::Serving);
    let mut serving = JoinSet::new();
    serving.spawn(listener.run(stages));

    let mut client = TcpStream::connect(address).await.unwrap();
    let paths = ["/panics", WELL_KNOWN, "/panics", WELL_KNOWN];
    for (path, last) in paths.iter().zip([false, false, false, true]) {
        let connection = if last { "Connection: close\r\n" } else { "" };
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{connection}\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
    }
    let mut answers = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut answers)).await.unwrap().unwrap();
    let answers = String::from_utf8(answers).unwrap();
    let statuses: Vec<&str> =
        answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect();
    assert_eq!(statuses, ["500", "200", "500", "200"], "{answers}");
    let scrape = site.get_admin("/metrics").await;
    assert!(scrape.text().contains("registrar_http_panics_total 2\n"), "{}", scrape.text());
}
