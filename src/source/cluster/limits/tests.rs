use std::convert::Infallible;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{Request, Response};
use kube::{Client, api::WatchParams, client::Body};
use tower::{BoxError, Layer, service_fn};

use super::super::access::{Kind, api};
use super::{LimitAnswers, MAX_ANSWER, MAX_EVENT, is_too_large};

/// A client whose server answers every request with these parts.
fn client(parts: impl Fn() -> Vec<Bytes> + Send + Sync + 'static) -> Client {
    let answer = service_fn(move |_: Request<Body>| {
        let parts = parts().into_iter().map(Ok::<_, BoxError>);
        let body = axum::body::Body::from_stream(stream::iter(parts));
        std::future::ready(Ok::<_, Infallible>(Response::new(body)))
    });
    Client::new(LimitAnswers.layer(answer), "default")
}

fn get(uri: &str) -> Request<Vec<u8>> {
    Request::get(uri).body(Vec::new()).unwrap()
}

const PART: usize = 1 << 20;

#[tokio::test]
async fn an_answer_is_read_up_to_its_limit_and_not_further() {
    let spaces = |parts: usize| {
        client(move || {
            let mut parts = vec![Bytes::from(vec![b' '; PART]); parts];
            parts.push("{}".into());
            parts
        })
    };
    let read = |client: Client| async move {
        client.request::<serde_json::Value>(get("/apis?limit=1&watch=false")).await
    };
    assert!(read(spaces(MAX_ANSWER / PART - 1)).await.is_ok());
    let refused = read(spaces(MAX_ANSWER / PART)).await.unwrap_err();
    assert!(is_too_large(&refused), "{refused:?}");
    let refused = crate::error_chain::with_causes(&refused);
    assert!(refused.contains("more than 64 MiB in one answer"), "{refused}");
}

#[tokio::test]
async fn a_watch_may_have_any_length_and_its_events_may_not() {
    let events = |lines: usize, parts: usize| {
        client(move || {
            let mut all = vec![Bytes::from(vec![b' '; PART]); parts];
            all.push("{\"type\":\"ERROR\",\"object\":{}}\n".into());
            std::iter::repeat_n(all, lines).flatten().collect()
        })
    };
    let read = |client: Client| async move {
        let api = api(client, Kind::ServiceOffer, None);
        let events = api.watch(&WatchParams::default(), "1").await.unwrap();
        let events: Vec<_> = events.collect().await;
        let failed = events.iter().find_map(|event| event.as_ref().err());
        (events.len(), failed.map(is_too_large))
    };
    assert_eq!(read(events(6, MAX_EVENT / PART - 1)).await, (6, None), "90 MiB in all");
    assert_eq!(read(events(1, MAX_EVENT / PART)).await, (1, Some(true)));
}
