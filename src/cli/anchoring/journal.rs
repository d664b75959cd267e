//! The setting that names the journal.

use super::{
    super::{OfferConfig, OfferSource, leadership::ObjectName},
    bad_setting,
};
use crate::journal_place::{ConfigMapPlace, JournalPlace};

/// Reads `--journal`. Exits the process with code 2 if it names no place.
pub(super) fn place(text: &str, offers: &OfferConfig) -> JournalPlace {
    match text.split_once(':') {
        Some(("file", path)) if !path.is_empty() => JournalPlace::File(path.into()),
        Some(("configmap", name)) => {
            let ObjectName { namespace, name } = ObjectName::parse(name).unwrap_or_else(|error| {
                bad_setting("--journal", &format!("{error} after configmap:"))
            });
            let OfferSource::Cluster { access, .. } = &offers.source else {
                bad_setting("--journal", "in a ConfigMap needs a cluster, not --offers");
            };
            JournalPlace::ConfigMap(ConfigMapPlace { access: access.clone(), namespace, name })
        }
        Some(_) | None => {
            bad_setting("--journal", "must be file:PATH or configmap:[NAMESPACE/]NAME");
        }
    }
}
