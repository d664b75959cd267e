//! A listener with short limits, over real sockets.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use super::{Limits, Listener, Settings, Sockets, Stage};
use crate::{
    head::{AnswerHead, SimpleRequest},
    telemetry::{Exposition, Metrics, ScrapeValues},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// Answers `/never` never and everything else at once.
#[derive(Clone)]
struct Service;

type Answer = futures::future::Either<
    std::future::Ready<Result<Response<Full<Bytes>>, Infallible>>,
    std::future::Pending<Result<Response<Full<Bytes>>, Infallible>>,
>;

impl hyper::service::Service<Request<Incoming>> for Service {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        match request.uri().path() {
            "/never" => futures::future::Either::Right(std::future::pending()),
            _ => {
                let response = Response::new(Full::new(Bytes::from_static(b"ok")));
                futures::future::Either::Left(std::future::ready(Ok(response)))
            }
        }
    }
}

impl super::Answers for Service {
    type Body = Full<Bytes>;

    fn at_once(
        &self,
        request: &SimpleRequest<'_>,
        head: &mut AnswerHead<'_>,
    ) -> Option<Full<Bytes>> {
        (request.path == "/").then(|| {
            head.status(StatusCode::OK);
            head.end(Some(2));
            assert!(head.small_body(b"ok"));
            Full::default()
        })
    }
}

struct Running {
    address: std::net::SocketAddr,
    stage: watch::Sender<Stage>,
    listener: JoinSet<String>,
    metrics: Metrics,
}

fn start(limits: Limits) -> Running {
    let metrics = Metrics::new();
    let sockets = Sockets::bind(([127, 0, 0, 1], 0).into(), 2).unwrap();
    let address = sockets.address;
    let settings = Settings { name: "public", limits, tls: None };
    let running = Listener::start(sockets, || Service, &settings, &metrics).unwrap();
    let (stage, stages) = watch::channel(Stage::Serving);
    let mut listener = JoinSet::new();
    listener.spawn(running.run(stages));
    Running { address, stage, listener, metrics }
}

impl Running {
    async fn ask(&self, path: &str) -> TcpStream {
        let mut client = TcpStream::connect(self.address).await.unwrap();
        client
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
            .await
            .unwrap();
        client
    }

    async fn ended(mut self) -> String {
        timeout(PATIENCE, self.listener.join_next()).await.unwrap().unwrap().unwrap()
    }
}

async fn all(client: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = timeout(PATIENCE, client.read_to_end(&mut text)).await.unwrap();
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn an_idle_connection_ends_at_its_limit_whether_or_not_it_is_parked() {
    for idle in [1, 4] {
        let limits = Limits { idle: Duration::from_secs(idle), ..Limits::default() };
        let running = start(limits);
        let mut client = running.ask("/").await;
        let answer = all(&mut client).await;
        assert!(answer.ends_with("ok") && !answer.contains("close"), "{answer}");
        let text = running.metrics.scrape(&ScrapeValues::default(), Exposition::OpenMetrics);
        let closed =
            "registrar_http_connections_closed_total{listener=\"public\",reason=\"idle\"} 1\n";
        assert!(text.contains(closed), "{text}");
    }
}

#[tokio::test]
async fn an_answer_that_makes_no_progress_is_cut() {
    let limits = Limits { stalled_write: Duration::from_secs(1), ..Limits::default() };
    let running = start(limits);
    let mut client = running.ask("/never").await;
    assert_eq!(all(&mut client).await, "");
}

#[tokio::test]
async fn a_listener_ends_with_its_last_request_or_when_the_time_to_finish_is_over() {
    let running = start(Limits::default());
    let mut idle = running.ask("/").await;
    let mut first = [0; 15];
    idle.read_exact(&mut first).await.unwrap();
    running.stage.send_replace(Stage::Closing);
    assert_eq!(running.ended().await, "it closed");
    assert!(all(&mut idle).await.ends_with("ok"));

    let limits = Limits { drain: Duration::from_secs(1), ..Limits::default() };
    let running = start(limits);
    let mut never = running.ask("/never").await;
    let open = "registrar_http_connections{listener=\"public\"} 1\n";
    let is_open = || {
        let text = running.metrics.scrape(&ScrapeValues::default(), Exposition::OpenMetrics);
        text.contains(open)
    };
    timeout(PATIENCE, async {
        while !is_open() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    running.stage.send_replace(Stage::Closing);
    assert_eq!(running.ended().await, "it closed");
    assert_eq!(all(&mut never).await, "");
}
