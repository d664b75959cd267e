//! What lint finds in the documents that are published.
//!
//! Documents are checked after they were published, on a thread of their own, and only those that
//! changed. No request and no publication waits for it.

mod follow;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use imbl::OrdMap;
use serde::Serialize;
use tokio::sync::watch;

pub(crate) use self::follow::follow;
use crate::{
    lint::{Finding, LintCode, lint},
    offer::OfferId,
    page::Page,
    registration::{AgentName, DocumentName, Explanation},
};

/// How many findings of one document are kept.
const KEPT: usize = 16;

/// The findings of every document that has some. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Review {
    documents: OrdMap<DocumentName, Arc<[Finding]>>,
    /// The number of documents that have a code at least once.
    counts: BTreeMap<LintCode, usize>,
}

/// The latest review. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct CurrentReview(Arc<watch::Sender<Arc<Review>>>);

/// An offer with its reason, and what lint finds in its own document.
#[derive(Debug, Serialize)]
pub(crate) struct ExplainedOffer {
    #[serde(flatten)]
    pub(crate) explanation: Explanation,
    /// At most 16, the worst first; empty if the offer is not published.
    pub(crate) findings: Arc<[Finding]>,
    /// What lint finds in the documents of the agents that sell it, where it was asked for by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) agents: Vec<ReviewedAgent>,
}

/// What lint finds in an agent's document.
#[derive(Debug, Serialize)]
pub(crate) struct ReviewedAgent {
    pub(crate) agent: AgentName,
    pub(crate) findings: Arc<[Finding]>,
}

/// What lint finds in one document, the worst first.
pub(crate) fn findings(document: &[u8]) -> Vec<Finding> {
    let mut findings = lint(document, Vec::new()).findings;
    findings.truncate(KEPT);
    findings
}

impl CurrentReview {
    pub(crate) fn load(&self) -> Arc<Review> {
        Arc::clone(&self.0.borrow())
    }

    pub(crate) fn replace(&self, review: Review) {
        self.0.send_replace(Arc::new(review));
    }
}

impl Review {
    /// Checks every document at once.
    #[cfg(test)]
    pub(crate) fn of_all(projection: &crate::registration::LiveProjection) -> Self {
        let mut reviewer = Reviewer::default();
        for (document, page) in projection.changed_documents(None) {
            reviewer.check(document, page.as_ref());
        }
        reviewer.review
    }

    /// The findings of one document; empty until it has been checked.
    pub(crate) fn of(&self, document: &DocumentName) -> Arc<[Finding]> {
        self.documents.get(document).map(Arc::clone).unwrap_or_default()
    }

    pub(crate) fn of_offer(&self, id: &OfferId) -> Arc<[Finding]> {
        self.of(&DocumentName::Offer(id.clone()))
    }

    /// The agents whose documents have findings, in order.
    pub(crate) fn agents(&self) -> impl Iterator<Item = (&AgentName, &Arc<[Finding]>)> {
        self.documents.iter().map_while(|(document, findings)| match document {
            DocumentName::Agent(agent) => Some((agent, findings)),
            // They follow the agents.
            DocumentName::Offer(_) => None,
        })
    }

    /// The number of documents that have each code; codes that none has are absent.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (LintCode, usize)> {
        self.counts.iter().map(|(code, documents)| (*code, *documents))
    }

    fn set(&mut self, document: DocumentName, findings: Arc<[Finding]>) {
        for code in codes(&self.of(&document)) {
            let count = self.counts.entry(code).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&code);
            }
        }
        for code in codes(&findings) {
            *self.counts.entry(code).or_default() += 1;
        }
        match findings.is_empty() {
            true => drop(self.documents.remove(&document)),
            false => drop(self.documents.insert(document, findings)),
        }
    }
}

fn codes(findings: &[Finding]) -> BTreeSet<LintCode> {
    findings.iter().map(|finding| finding.code).collect()
}

/// How many lists of findings are compared with a new one, to share it.
const SHARED: usize = 16;

/// Keeps a review up to date.
#[derive(Debug, Default)]
struct Reviewer {
    review: Review,
    /// Lists that documents had lately: most documents of one shape have the same findings.
    lately: Vec<Arc<[Finding]>>,
}

impl Reviewer {
    /// Checks a document; `None` if it is not published any more.
    fn check(&mut self, document: DocumentName, page: Option<&Page>) {
        let findings = page.map(|page| findings(&page.identity().body.to_bytes()));
        let findings = self.shared(findings.unwrap_or_default());
        self.review.set(document, findings);
    }

    fn shared(&mut self, findings: Vec<Finding>) -> Arc<[Finding]> {
        if let Some(known) = self.lately.iter().find(|known| known[..] == findings[..]) {
            return Arc::clone(known);
        }
        let new: Arc<[Finding]> = findings.into();
        if self.lately.len() == SHARED {
            self.lately.remove(0);
        }
        self.lately.push(Arc::clone(&new));
        new
    }
}
