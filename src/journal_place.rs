//! Where a journal is kept: in a file, or in a ConfigMap.

mod config_map;

use std::{fmt, path::PathBuf, time::Duration};

pub(crate) use self::config_map::ConfigMapPlace;
use crate::anchor::{
    evidence::Accounts,
    journal::{
        Journal, JournalError, JournalStore,
        file::{self, JournalFile},
    },
};

/// How often a file that another process writes is read.
const READ_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(crate) enum JournalPlace {
    File(PathBuf),
    ConfigMap(ConfigMapPlace),
}

impl JournalPlace {
    /// Reads a journal that another process may be writing. `None` if there is none yet.
    pub(crate) async fn read(&self) -> Result<Option<Journal>, JournalError> {
        match self {
            Self::File(path) => file::read(path),
            Self::ConfigMap(place) => place.read().await,
        }
    }

    /// The same, and checks whose it is.
    pub(crate) async fn read_own(
        &self,
        owner_id: &str,
        accounts: &Accounts,
    ) -> Result<Option<Journal>, JournalError> {
        let read = self.read().await?;
        read.map(|journal| journal.check_owner(owner_id, accounts, &self.to_string())).transpose()
    }

    /// Takes a journal over in order to write it, and checks whose it is.
    pub(crate) async fn open(
        &self,
        owner_id: &str,
        accounts: &Accounts,
    ) -> Result<(Box<dyn JournalStore>, Journal), JournalError> {
        match self {
            Self::File(path) => {
                let (file, journal) = JournalFile::open(path, owner_id, accounts)?;
                Ok((Box::new(file), journal))
            }
            Self::ConfigMap(place) => {
                let (map, journal) = place.open(owner_id, accounts).await?;
                Ok((Box::new(map), journal))
            }
        }
    }

    /// Reads a journal that another process writes, again whenever it may have changed, for ever.
    pub(crate) async fn follow(
        &self,
        mut seen: impl FnMut(Result<Option<Journal>, JournalError>),
    ) -> ! {
        match self {
            Self::File(path) => loop {
                seen(file::read(path));
                tokio::time::sleep(READ_INTERVAL).await;
            },
            Self::ConfigMap(place) => place.follow(seen).await,
        }
    }
}

impl fmt::Display for JournalPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::ConfigMap(place) => place.fmt(f),
        }
    }
}
