//! Records the default agent's final ids in the status of the AgentIdentity, where the original system
//! and its tools look for them.
//!
//! `status.registrations` is an atomic list: whoever applies it server-side owns all of it. Therefore
//! the list is applied as it was read, with entries added, at the resourceVersion that was read.

mod missing;

use std::time::Duration;

use kube::Client;
use tokio::sync::watch;

use self::missing::{Missing, own_ids};
use crate::{
    error_chain::with_causes,
    offer::OfferId,
    registration::{OnChainFacts, chains::KnownRegistries},
    source::cluster::{Access, AccessError, apply_status, connect, identities_api},
};

/// The field manager of the status.
const FIELD_MANAGER: &str = "erc8004-registrar-identity";
/// How often the object is read again, in case somebody removed an entry.
const RECHECK: Duration = Duration::from_secs(300);
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(10);
/// The same if somebody else was faster.
const SHORT_RETRY: Duration = Duration::from_secs(1);
/// How long one attempt may take.
const LIMIT: Duration = Duration::from_secs(10);

/// What the writer reads, and where it writes.
#[derive(Clone, Debug)]
pub(crate) struct IdentityWriter {
    pub(crate) access: Access,
    /// The AgentIdentity.
    pub(crate) object: OfferId,
    pub(crate) registries: KnownRegistries,
    pub(crate) on_chain: watch::Receiver<OnChainFacts>,
}

/// Why the ids were not written.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("the API server cannot be used")]
    Access(#[from] AccessError),
    #[error("access is forbidden: apply deploy/rbac-identity.yaml ({0})")]
    Forbidden(String),
    #[error("there is no such object")]
    NotFound,
    #[error("it was changed at the same time by someone else")]
    Conflict,
    #[error("the API server did not do it")]
    Request(#[source] kube::Error),
    #[error("the API server did not answer within {} s", LIMIT.as_secs())]
    Timeout,
    #[error("{0}")]
    Unusable(String),
}

impl From<kube::Error> for WriteError {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = &error {
            match status.code {
                403 => return Self::Forbidden(status.message.clone()),
                404 => return Self::NotFound,
                409 => return Self::Conflict,
                _ => {}
            }
        }
        Self::Request(error)
    }
}

/// Writes whatever becomes final, for ever.
pub(crate) async fn run(writer: IdentityWriter) -> String {
    let IdentityWriter { access, object, registries, mut on_chain } = writer;
    // A failure that lasts is logged once.
    let mut logged = None;
    loop {
        let own = own_ids(&on_chain.borrow_and_update());
        let written = match own.is_empty() {
            true => Ok(Missing::default()),
            false => {
                let written = async {
                    let client = connect(&access).await?;
                    write(client, &object, |identity| Missing::of(identity, &own, &registries))
                        .await
                };
                tokio::time::timeout(LIMIT, written).await.unwrap_or(Err(WriteError::Timeout))
            }
        };
        let (wait, trouble) = match written {
            Ok(Missing { added, others }) => {
                for (chain, id) in added {
                    tracing::info!(identity = %object, "Recorded agentId {id} on {chain}");
                }
                (RECHECK, (!others.is_empty()).then(|| others.join("; ")))
            }
            Err(WriteError::Conflict) => (SHORT_RETRY, None),
            Err(error) => (RETRY, Some(with_causes(&error))),
        };
        if trouble.is_some() && trouble != logged {
            let trouble = trouble.as_deref().unwrap_or_default();
            tracing::warn!(identity = %object, "Not every id is recorded: {trouble}");
        }
        logged = trouble;
        tokio::select! {
            changed = on_chain.changed() => if changed.is_err() {
                return "the publisher ended".to_owned();
            },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn write(
    client: Client,
    object: &OfferId,
    missing: impl FnOnce(&serde_json::Value) -> Result<Missing, String>,
) -> Result<Missing, WriteError> {
    let api = identities_api(client, &object.namespace);
    let read = api.get(&object.name).await?;
    let identity = read.value();
    let missing = missing(identity).map_err(WriteError::Unusable)?;
    if !missing.added.is_empty() {
        apply_status(&api, &object.name, FIELD_MANAGER, &missing.applied(object, identity)).await?;
    }
    Ok(missing)
}
