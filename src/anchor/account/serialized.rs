//! How the journal writes numbers that JSON readers would round, and instants: as text.

/// An amount of wei as decimal text. Empty text, which earlier versions wrote for "not read yet",
/// is 0.
pub(super) mod wei {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(wei: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(wei)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        match String::deserialize(from)?.as_str() {
            "" => Ok(0),
            text => {
                text.parse().map_err(|_| D::Error::custom(format!("{text:?} is not an amount")))
            }
        }
    }
}

/// As [`wei`], but an unreadable amount is the largest one.
pub(super) mod spent_wei {
    use serde::{Deserialize, Deserializer};

    pub(crate) use super::wei::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let text = String::deserialize(from)?;
        Ok(if text.is_empty() { 0 } else { text.parse().unwrap_or(u128::MAX) })
    }
}

/// An instant in whole seconds as RFC 3339 text, or empty text.
pub(super) mod instant {
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(
        at: &Option<DateTime<Utc>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        serializer.serialize_str(text.as_deref().unwrap_or_default())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        let text = String::deserialize(from)?;
        if text.is_empty() {
            return Ok(None);
        }
        let at = DateTime::parse_from_rfc3339(&text).map_err(D::Error::custom)?;
        Ok(Some(at.to_utc()))
    }
}

/// Tokens by κ, with ids in decimal text.
pub(super) mod ids {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::{anchor::key::AnchorKey, registration::AgentId};

    pub(crate) fn serialize<S: Serializer>(
        ids: &BTreeMap<AnchorKey, AgentId>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(ids.iter().map(|(key, id)| (key, id.to_string())))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BTreeMap<AnchorKey, AgentId>, D::Error> {
        let texts = BTreeMap::<AnchorKey, String>::deserialize(from)?;
        let ids = texts.into_iter().map(|(key, text)| match AgentId::parse(&text) {
            Some(id) => Ok((key, id)),
            None => Err(D::Error::custom(format!("{text:?} is not an agentId"))),
        });
        ids.collect()
    }
}
