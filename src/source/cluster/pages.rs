//! Lists of any length, read page by page, and what bounds them.

use std::time::Duration;

use kube::{Api, api::ListParams};
use tokio::time::{Instant, timeout};

use super::{access::RawObject, limits::is_too_large};

/// How many objects a page has. What a page needs while it is read stays with the process: 500 take
/// 3 MiB more.
const PAGE_SIZE: u32 = 200;
/// A page that takes longer is given up. The client's own limit is for silence only.
const PAGE_LIMIT: Duration = Duration::from_secs(60);
/// A list that is longer, in objects or in time, has no end: a server may send pages for ever.
const MAX_OBJECTS: usize = 1_000_000;
const LIST_LIMIT: Duration = Duration::from_secs(600);

/// Why a list could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum PagesError {
    #[error(transparent)]
    Request(kube::Error),
    #[error("a list took longer than {} s", PAGE_LIMIT.as_secs())]
    Slow,
    #[error("the API server sent a list without an end")]
    Endless,
    #[error("the API server sent a list without a resourceVersion")]
    NoVersion,
}

/// Passes all objects that `params` select to `each`, and returns their resourceVersion.
pub(super) async fn read_pages(
    api: &Api<RawObject>,
    mut params: ListParams,
    mut each: impl FnMut(&RawObject),
) -> Result<String, PagesError> {
    params.limit = Some(PAGE_SIZE);
    let (began, mut count) = (Instant::now(), 0);
    loop {
        let page = timeout(PAGE_LIMIT, api.list(&params)).await.map_err(|_| PagesError::Slow)?;
        let page = match page {
            // Objects may be large, so the page is read again in smaller parts.
            Err(error) if is_too_large(&error) && params.limit > Some(1) => {
                params.limit = params.limit.map(|limit| (limit / 8).max(1));
                continue;
            }
            page => page.map_err(PagesError::Request)?,
        };
        count += page.items.len();
        page.items.iter().for_each(&mut each);
        let next = page.metadata.continue_.filter(|token| !token.is_empty());
        if next.is_none() {
            let version = page.metadata.resource_version.filter(|version| !version.is_empty());
            return version.ok_or(PagesError::NoVersion);
        }
        if next == params.continue_token || count > MAX_OBJECTS || began.elapsed() > LIST_LIMIT {
            return Err(PagesError::Endless);
        }
        params.continue_token = next;
    }
}
