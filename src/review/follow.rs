//! The task that checks what was published.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{CurrentReview, Reviewer};
use crate::{catalog::CurrentCatalog, registration::LiveProjection};

/// How many documents are checked between two rests.
const BATCH: usize = 64;
/// How much longer than it worked the task rests, so that it takes at most a fifth of a core from
/// what publishes and serves.
const REST: u32 = 4;
/// How long changes are collected: a burst of them is one difference.
const PAUSE: Duration = Duration::from_secs(1);

/// Checks every document after it was published and whenever it changes. Never ends.
pub(crate) async fn follow(catalog: CurrentCatalog, current: CurrentReview) {
    let mut replacements = catalog.replacements();
    let mut reviewer = Reviewer::default();
    let mut reviewed: Option<LiveProjection> = None;
    loop {
        replacements.borrow_and_update();
        if let Some(catalog) = catalog.load() {
            let changed = catalog.projection.changed_documents(reviewed.as_ref());
            reviewed = Some(catalog.projection.clone());
            drop(catalog);
            let mut changed = changed.into_iter().peekable();
            while changed.peek().is_some() {
                let began = Instant::now();
                for (document, page) in changed.by_ref().take(BATCH) {
                    reviewer.check(document, page.as_ref());
                }
                current.replace(reviewer.review.clone());
                sleep(began.elapsed() * REST).await;
            }
        }
        sleep(PAUSE).await;
        if replacements.changed().await.is_err() {
            return;
        }
    }
}
