//! How the stand-in answers: lists page by page, watches as streams, and faults in their place.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Query, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{Asked, Fault, Shared};

/// A real server sends a bookmark at the end of each watch; this one sooner, so that tests are quick.
const BOOKMARK_EVERY: Duration = Duration::from_millis(500);

type Fields = BTreeMap<String, String>;

pub async fn answer(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<Fields>,
    request: Request,
) -> Response {
    if request.uri().path().ends_with("/configmaps/obol-stack-config") {
        let faults = shared.state.lock().unwrap().faults.clone();
        let code = faults.iter().find_map(|fault| {
            if let Fault::TunnelStatus(code) = fault { Some(*code) } else { None }
        });
        return status(code.unwrap_or(404), "the tunnel's ConfigMap");
    }
    if !request.uri().path().ends_with("/serviceoffers") {
        return status(404, "not served here");
    }
    let token = request.headers().get(header::AUTHORIZATION).and_then(|token| token.to_str().ok());
    let token = token.unwrap_or_default().trim_start_matches("Bearer ").to_owned();
    let is_watch = query.contains_key("watch");
    let (faults, accepted) = {
        let mut state = shared.state.lock().unwrap();
        let accepted = state.token.as_ref().is_none_or(|accepted| *accepted == token);
        let asked = Asked { at: Instant::now(), is_watch, query: query.clone(), token };
        state.asked.push(asked);
        (state.faults.clone(), accepted)
    };
    let mut changed = shared.changed.subscribe();
    while shared.state.lock().unwrap().faults.contains(&Fault::Frozen) {
        let _ = changed.changed().await;
    }
    if !accepted {
        return status(401, "Unauthorized");
    }
    if is_watch { watch(shared, &query, faults) } else { list(&shared, &query, &faults) }
}

fn status(code: u16, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": code, "reason": if code == 404 { "NotFound" } else { "" },
        "details": { "retryAfterSeconds": if code == 429 { 86_400 } else { 0 } },
    });
    let code = StatusCode::from_u16(code).unwrap();
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::RETRY_AFTER, "86400")];
    (code, headers, body.to_string()).into_response()
}

fn list(shared: &Shared, query: &Fields, faults: &[Fault]) -> Response {
    let failing = faults
        .iter()
        .find_map(|fault| if let Fault::ListStatus(code) = fault { Some(*code) } else { None });
    if let Some(code) = failing {
        return status(code, "the list is refused");
    }
    if faults.contains(&Fault::EndlessPage) {
        return endless(200, r#"{"kind":"ServiceOfferList","metadata":{},"items":[{"spec":""#);
    }
    if faults.contains(&Fault::EndlessError) {
        return endless(500, r#"{"kind":"Status","code":500,"message":""#);
    }
    let token = query.get("continue").and_then(|token| token.split_once(':'));
    if token.is_some() && faults.contains(&Fault::SecondPageFails) {
        return status(500, "the page is lost");
    }
    let mut state = shared.state.lock().unwrap();
    let number = |text: &str| text.parse::<u64>().unwrap();
    let (revision, from) = match token {
        Some((revision, from)) => (number(revision), number(from)),
        None => (query.get("resourceVersion").map_or(state.revision, |text| number(text)), 0),
    };
    let Some((_, world)) = state.worlds.range(..=revision).next_back() else {
        return status(410, "too old resource version");
    };
    let (from, limit) = (usize::try_from(from).unwrap(), number(&query["limit"]));
    let mut limit = usize::try_from(limit).unwrap();
    let mut more = world.len() > from + limit;
    if let Some(index) = state.faults.iter().position(|f| matches!(f, Fault::ShortList(_)))
        && let Fault::ShortList(count) = state.faults[index]
    {
        state.faults.remove(index);
        // Two that agree would be believed.
        if state.shortened_at.is_none_or(|at| at.elapsed() > Duration::from_secs(45)) {
            (limit, more) = (count, false);
            state.shortened_at = Some(Instant::now());
        }
    }
    let (_, world) = state.worlds.range(..=revision).next_back().unwrap();
    let items: Vec<&Value> =
        world.values().map(|object| &**object).skip(from).take(limit).collect();
    let is_endless = faults.contains(&Fault::EndlessPages);
    let next = if is_endless {
        format!("{revision}:{from}")
    } else if more {
        format!("{revision}:{}", from + limit)
    } else {
        String::new()
    };
    let body = json!({
        "kind": "ServiceOfferList", "apiVersion": "obol.org/v1alpha1", "items": items,
        "metadata": { "resourceVersion": revision.to_string(), "continue": next },
    });
    ([(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// A beginning, and then one letter for ever.
fn endless(code: u16, begin: &'static str) -> Response {
    let more = futures::stream::repeat_with(|| Bytes::from(vec![b'x'; 65_536]));
    let parts = futures::stream::once(async move { Bytes::from(begin) }).chain(more);
    let code = StatusCode::from_u16(code).unwrap();
    (code, Body::from_stream(parts.map(Ok::<_, std::io::Error>))).into_response()
}

fn watch(shared: Arc<Shared>, query: &Fields, faults: Vec<Fault>) -> Response {
    for fault in faults {
        match fault {
            Fault::WatchStatus(429, body) => return status(429, &body),
            Fault::WatchStatus(code, body) => {
                return (StatusCode::from_u16(code).unwrap(), body).into_response();
            }
            Fault::WatchBody(body) => return body.into_response(),
            Fault::EndlessEvent => {
                return endless(200, r#"{"type":"ADDED","object":{"spec":""#);
            }
            Fault::SilentWatches
            | Fault::DropEvents
            | Fault::CutEvents(_)
            | Fault::ListStatus(_)
            | Fault::ShortList(_)
            | Fault::SecondPageFails
            | Fault::TunnelStatus(_)
            | Fault::EndlessPage
            | Fault::EndlessError
            | Fault::EndlessPages
            | Fault::Frozen => {}
        }
    }
    let from = query["resourceVersion"].parse().unwrap();
    let seconds = query["timeoutSeconds"].parse().unwrap();
    let (sender, receiver) = mpsc::channel(16);
    #[expect(clippy::disallowed_methods, reason = "ends with the watch, which is 25 s")]
    tokio::spawn(send_events(shared, from, Duration::from_secs(seconds), sender));
    let stream = futures::stream::unfold(receiver, async |mut receiver| {
        let next = receiver.recv().await?;
        Some((next, receiver))
    });
    Body::from_stream(Box::pin(stream)).into_response()
}

type Line = Result<Bytes, std::io::Error>;

/// Sends events from a revision on, until the watch ends or the client is gone.
async fn send_events(
    shared: Arc<Shared>,
    mut revision: u64,
    lasts: Duration,
    sender: mpsc::Sender<Line>,
) {
    let ends = Instant::now() + lasts;
    let mut changed = shared.changed.subscribe();
    let mut bookmarks = tokio::time::interval(BOOKMARK_EVERY);
    bookmarks.reset();
    loop {
        let (lines, cut) = due(&shared, &mut revision);
        for line in lines {
            if sender.send(Ok(line)).await.is_err() {
                return;
            }
        }
        if cut {
            let _ = sender.send(Err(std::io::Error::other("cut"))).await;
            return;
        }
        tokio::select! {
            _ = changed.changed() => {}
            _ = bookmarks.tick() => {
                let (state_faults, newest) = {
                    let state = shared.state.lock().unwrap();
                    (state.faults.clone(), state.revision)
                };
                let bookmark = json!({ "type": "BOOKMARK", "object": {
                    "kind": "ServiceOffer", "apiVersion": "obol.org/v1alpha1",
                    "metadata": { "resourceVersion": revision.min(newest).to_string() },
                }});
                let silent = [Fault::SilentWatches, Fault::Frozen];
                if silent.iter().any(|fault| state_faults.contains(fault)) {
                    continue;
                }
                if sender.send(Ok(format!("{bookmark}\n").into())).await.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep_until(ends) => return,
        }
    }
}

/// The lines that are due after a revision, and whether the connection breaks after them.
fn due(shared: &Shared, revision: &mut u64) -> (Vec<Bytes>, bool) {
    let state = shared.state.lock().unwrap();
    if *revision < state.oldest {
        let gone = json!({ "type": "ERROR", "object": {
            "kind": "Status", "status": "Failure", "reason": "Expired", "code": 410,
            "message": format!("too old resource version: {revision} ({})", state.oldest),
        }});
        *revision = u64::MAX;
        return (vec![format!("{gone}\n").into()], true);
    }
    let faults = &state.faults;
    if faults.contains(&Fault::SilentWatches) || faults.contains(&Fault::Frozen) {
        return (Vec::new(), false);
    }
    let mut lines: Vec<Bytes> = Vec::new();
    let after = *revision;
    for (at, kind, object) in state.events.iter().filter(|(at, ..)| *at > after) {
        let line = format!("{}\n", json!({ "type": kind, "object": object }));
        if let Some(bytes) = faults
            .iter()
            .find_map(|fault| if let Fault::CutEvents(bytes) = fault { Some(*bytes) } else { None })
        {
            let line = Bytes::from(line);
            lines.push(line.slice(..bytes.min(line.len())));
            return (lines, true);
        }
        if !faults.contains(&Fault::DropEvents) {
            lines.push(line.into());
        }
        *revision = *at;
    }
    (lines, false)
}
