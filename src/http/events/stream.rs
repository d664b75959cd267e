//! The endless body of one subscriber.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures::{Stream, stream};
use tokio::sync::broadcast::error::RecvError;

use super::feed::{Filter, Heard, Subscription};

const STILL_HERE: Bytes = Bytes::from_static(b": still here\n\n");

/// One subscriber: what it has heard so far is up to its subscription.
struct Subscriber {
    subscription: Subscription,
    filter: Filter,
    heartbeat: Duration,
}

/// Events, and heartbeats in between. Ends when the process stops or the subscriber is too slow; it
/// then connects again and resumes, or learns that it cannot.
pub(super) fn stream(
    subscription: Subscription,
    filter: Filter,
    heartbeat: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    let subscriber = Subscriber { subscription, filter, heartbeat };
    stream::unfold(subscriber, async |mut subscriber| {
        let bytes = subscriber.next().await?;
        Some((Ok(bytes), subscriber))
    })
}

impl Subscriber {
    async fn next(&mut self) -> Option<Bytes> {
        while let Some(heard) = self.subscription.first.pop_front() {
            if let Some(bytes) = wanted(heard, &self.filter) {
                return Some(bytes);
            }
        }
        let Subscription { following, is_ending, .. } = &mut self.subscription;
        let silence = tokio::time::sleep(self.heartbeat);
        tokio::pin!(silence);
        loop {
            tokio::select! {
                biased;
                () = async { let _ = is_ending.wait_for(|is_ending| *is_ending).await; } => {
                    return None;
                }
                heard = following.recv() => match heard {
                    Ok(heard) => if let Some(bytes) = wanted(heard, &self.filter) {
                        return Some(bytes);
                    },
                    Err(RecvError::Lagged(_) | RecvError::Closed) => return None,
                },
                () = &mut silence => return Some(STILL_HERE),
            }
        }
    }
}

fn wanted(heard: Heard, filter: &Filter) -> Option<Bytes> {
    match heard {
        Heard::Notice(bytes) => Some(bytes),
        Heard::Event(event) => filter.wants(&event).then(|| event.bytes.clone()),
    }
}
