//! A journal in a ConfigMap. Every write depends on the resourceVersion that was read last: of two
//! processes that both anchor, one fails to record its signature, and therefore does not send it.

use std::{fmt, time::Duration};

use futures::{
    TryStreamExt,
    future::{BoxFuture, FutureExt},
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, PostParams, WatchEvent, WatchParams},
    core::GroupVersionKind,
};
use serde_json::json;

use crate::{
    anchor::{
        evidence::Accounts,
        journal::{Journal, JournalError, JournalStore},
    },
    source::cluster::{Access, AccessError, connect},
};

/// The key of the journal in the ConfigMap's data.
const KEY: &str = "journal";
/// Who the API server records as the writer of that key.
const FIELD_MANAGER: &str = "erc8004-registrar-journal";
/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);
/// A watch ends after this many seconds and is opened again.
const WATCH_SECONDS: u32 = 25;
/// What the end of a watch may take longer than asked for.
const WATCH_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait before a ConfigMap is read again.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// An object may have 1 MiB. What must not be lost, the states of accounts, takes at most a few
/// dozen KiB for each chain; the rest is for saved readings.
const READINGS_ROOM: usize = 256 * 1_024;
/// A first scan makes progress several times a second, for an hour perhaps. Each write is a new
/// version of the object in etcd.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// Which ConfigMap.
#[derive(Clone, Debug)]
pub(crate) struct ConfigMapPlace {
    pub(crate) access: Access,
    /// `None` for the namespace of the kubeconfig's context, or of the pod.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

/// A journal in a ConfigMap, as this process last read or wrote it.
pub(crate) struct JournalMap {
    place: ConfigMapPlace,
    api: Api<DynamicObject>,
    object: DynamicObject,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
enum ConfigMapError {
    #[error("the API server cannot be used")]
    Access(#[from] AccessError),
    #[error("access is forbidden: apply deploy/anchoring/rbac.yaml ({0})")]
    Forbidden(String),
    #[error("the API server did not do it")]
    Request(#[source] kube::Error),
    #[error("the API server did not answer within {} s", LIMIT.as_secs())]
    Timeout,
    #[error("the API server ended a watch: {0}")]
    Watch(String),
}

impl From<kube::Error> for ConfigMapError {
    fn from(error: kube::Error) -> Self {
        if let kube::Error::Api(status) = &error
            && status.code == 403
        {
            return Self::Forbidden(status.message.clone());
        }
        Self::Request(error)
    }
}

impl ConfigMapPlace {
    /// Reads a journal that another process may be writing. `None` if there is none yet.
    pub(crate) async fn read(&self) -> Result<Option<Journal>, JournalError> {
        let read = limited(async {
            let api = self.api().await?;
            Ok(api.get_opt(&self.name).await?)
        });
        match read.await.map_err(|error| self.failed("read", error))? {
            Some(object) => self.decode(&object),
            None => Ok(None),
        }
    }

    /// Takes a journal over: reads it, checks whose it is, and writes a first one into an empty
    /// ConfigMap. The ConfigMap itself must exist: a right to create it would be one to create any.
    pub(crate) async fn open(
        &self,
        owner_id: &str,
        accounts: &Accounts,
    ) -> Result<(JournalMap, Journal), JournalError> {
        let read = limited(async {
            let api = self.api().await?;
            let object = api.get_opt(&self.name).await?;
            Ok((api, object))
        });
        let (api, object) = read.await.map_err(|error| self.failed("read", error))?;
        let object = object.ok_or_else(|| JournalError::Missing(self.to_string()))?;
        let found = self.decode(&object)?;
        let mut map = JournalMap { place: self.clone(), api, object };
        match found {
            Some(journal) => Ok((map, journal.check_owner(owner_id, accounts, &self.to_string())?)),
            None => {
                let journal = Journal { owner_id: owner_id.to_owned(), ..Journal::default() };
                map.replace(&journal.encode()).await?;
                Ok((map, journal))
            }
        }
    }

    /// Reads a journal and follows its changes, for ever.
    pub(crate) async fn follow(
        &self,
        mut seen: impl FnMut(Result<Option<Journal>, JournalError>),
    ) -> ! {
        loop {
            if let Err(error) = self.follow_one_watch(&mut seen).await {
                seen(Err(self.failed("read", error)));
            }
            tokio::time::sleep(READ_INTERVAL).await;
        }
    }

    async fn follow_one_watch(
        &self,
        seen: &mut impl FnMut(Result<Option<Journal>, JournalError>),
    ) -> Result<(), ConfigMapError> {
        // Selected by name, so that access to this one name is enough. A list, because a watch that
        // begins at the object's own version would be refused once that is old.
        let only = format!("metadata.name={}", self.name);
        let read = limited(async {
            let api = self.api().await?;
            let list = api.list(&ListParams::default().fields(&only)).await?;
            Ok((api, list))
        });
        let (api, list) = read.await?;
        seen(list.items.first().map_or(Ok(None), |object| self.decode(object)));
        let version = list.metadata.resource_version.unwrap_or_default();
        let params = WatchParams::default().fields(&only).timeout(WATCH_SECONDS);
        let watched = async {
            let mut events = std::pin::pin!(api.watch(&params, &version).await?);
            while let Some(event) = events.try_next().await? {
                match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                        seen(self.decode(&object));
                    }
                    WatchEvent::Deleted(_) => seen(Ok(None)),
                    WatchEvent::Bookmark(_) => {}
                    WatchEvent::Error(status) => {
                        return Err(ConfigMapError::Watch(status.message.clone()));
                    }
                }
            }
            Ok(())
        };
        // A watch that is silent beyond its end is dead; what changed is read by the next list.
        tokio::time::timeout(WATCH_LIMIT, watched).await.unwrap_or(Ok(()))
    }

    fn decode(&self, object: &DynamicObject) -> Result<Option<Journal>, JournalError> {
        let place = self.to_string();
        // The API server takes nothing but text there.
        let text = object.data["data"][KEY].as_str();
        text.map(|text| Journal::decode(text.as_bytes(), &place)).transpose()
    }

    async fn api(&self) -> Result<Api<DynamicObject>, ConfigMapError> {
        let client: Client = connect(&self.access).await?;
        let namespace = self.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
        Ok(Api::namespaced_with(client, &namespace, &kind))
    }

    fn failed(&self, act: &'static str, source: ConfigMapError) -> JournalError {
        JournalError::Request { place: self.to_string(), act, source: Box::new(source) }
    }
}

impl fmt::Display for ConfigMapPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("configmap:")?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

impl fmt::Debug for JournalMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JournalMap({})", self.place)
    }
}

impl JournalMap {
    async fn write(&mut self, text: String) -> Result<(), JournalError> {
        // Whatever else the object has stays as it was read. If it has changed since, so has its
        // resourceVersion, and the write is refused.
        let mut object = self.object.clone();
        object.metadata.managed_fields = None;
        if !object.data["data"].is_object() {
            object.data["data"] = json!({});
        }
        object.data["data"][KEY] = text.into();
        let params =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let replaced =
            limited(async { Ok(self.api.replace(&self.place.name, &params, &object).await?) });
        match replaced.await {
            Ok(object) => {
                self.object = object;
                Ok(())
            }
            Err(ConfigMapError::Request(kube::Error::Api(status))) if status.code == 409 => {
                Err(JournalError::Changed(self.place.to_string()))
            }
            Err(ConfigMapError::Request(kube::Error::Api(status))) if status.code == 404 => {
                Err(JournalError::Missing(self.place.to_string()))
            }
            Err(error) => Err(self.place.failed("written", error)),
        }
    }
}

impl JournalStore for JournalMap {
    fn replace<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), JournalError>> {
        async move {
            let text = String::from_utf8_lossy(bytes);
            if self.object.data["data"][KEY] == *text {
                return Ok(());
            }
            self.write(text.into_owned()).await
        }
        .boxed()
    }

    fn readings_room(&self) -> usize {
        READINGS_ROOM
    }

    fn progress_interval(&self) -> Duration {
        PROGRESS_INTERVAL
    }
}

async fn limited<T>(
    request: impl Future<Output = Result<T, ConfigMapError>>,
) -> Result<T, ConfigMapError> {
    match tokio::time::timeout(LIMIT, request).await {
        Ok(answered) => answered,
        Err(_) => Err(ConfigMapError::Timeout),
    }
}
