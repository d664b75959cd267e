//! What remains to be done about one offer whose drain has ended. Pure: objects and a time in, a
//! list of deletions and a status out.

use serde_json::{Map, Value, json};

use crate::offer::{OfferId, ParsedOffer, Timestamp, print_seconds};

/// The reason of the conditions, as the original's controller writes it.
const DRAINED: &str = "Drained";
/// The conditions that become False, with their messages.
const CONDITIONS: [(&str, &str); 3] = [
    ("Draining", "The drain has ended"),
    ("PaymentGateReady", "The drain has ended; the offer takes no payments"),
    ("RoutePublished", "The drain has ended; the offer's routes are deleted"),
];
/// The labels by which the original marks what it makes in other namespaces for an offer.
pub(crate) const OFFER_NAMESPACE_LABEL: &str = "obol.org/serviceoffer-namespace";
pub(crate) const OFFER_NAME_LABEL: &str = "obol.org/serviceoffer-name";
pub(crate) const MANAGER_LABEL: (&str, &str) = ("obol.org/managed-by", "serviceoffer-controller");

const CHILD_PREFIX: &str = "so-";
/// The longest name of a Kubernetes object.
const MAX_NAME: usize = 253;
/// A hyphen and eight digits.
const DIGEST_LENGTH: usize = 9;

/// An offer whose drain has ended, as it is in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndedOffer {
    pub(crate) id: OfferId,
    /// `metadata.uid`.
    pub(crate) uid: String,
    /// `metadata.resourceVersion`.
    pub(crate) version: String,
    ended_at: Timestamp,
    generation: Option<i64>,
    conditions: Vec<Value>,
    list: ConditionList,
}

/// How the installed definition merges `status.conditions` in server-side apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConditionList {
    /// Each condition has an owner: we apply only ours.
    ByType,
    /// The list has one owner: whoever applies it must repeat the conditions of others.
    Atomic,
}

impl EndedOffer {
    /// The offer `object`, if its drain has ended at `now` and ending it is not another's job.
    ///
    /// An offer that is being deleted, or was refused for its path, its host or its fields, is the
    /// controller's; so is one whose drain was taken back.
    pub(crate) fn of(id: &OfferId, object: &Value, now: Timestamp) -> Option<Self> {
        let ended_at = drain_end(&ParsedOffer::parse(id, object)).filter(|end| *end <= now)?;
        let text = |pointer: &str| object.pointer(pointer)?.as_str().map(str::to_owned);
        let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
        Some(Self {
            id: id.clone(),
            uid: text("/metadata/uid")?,
            version: text("/metadata/resourceVersion")?,
            ended_at,
            generation: object.pointer("/metadata/generation").and_then(Value::as_i64),
            conditions: conditions.cloned().unwrap_or_default(),
            list: ConditionList::of(object),
        })
    }

    /// Whether a child object is this offer's: by its owner reference or, where it has none to an
    /// offer, by all three labels of the original.
    pub(crate) fn owns(&self, child: &Value) -> bool {
        let owners = child.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let mut offers = owners.into_iter().flatten().filter(|owner| {
            owner["kind"] == "ServiceOffer"
                && owner["apiVersion"].as_str().is_some_and(|it| it.starts_with("obol.org/"))
        });
        if let Some(owner) = offers.next() {
            // With two offers as its owners, it is not for us to delete.
            return owner["uid"] == self.uid.as_str() && offers.next().is_none();
        }
        let label = |key: &str| {
            let labels = child.pointer("/metadata/labels");
            labels.and_then(|labels| labels.get(key)?.as_str())
        };
        label(OFFER_NAMESPACE_LABEL) == Some(&*self.id.namespace)
            && label(OFFER_NAME_LABEL) == Some(&*self.id.name)
            && label(MANAGER_LABEL.0) == Some(MANAGER_LABEL.1)
    }

    /// Whether an HTTPRoute has the name of one of this offer's: `so-NAME` on the public URL,
    /// `so-NAME-host` on its own host.
    pub(crate) fn is_route(&self, route: &str) -> bool {
        ["", "-host"].into_iter().any(|suffix| is_child_name(route, &self.id.name, suffix))
    }

    /// The status to apply, or `None` if the conditions say it already.
    ///
    /// `metadata` names the object as it was read: the API server refuses the write if another
    /// object has taken its name and, where the list has one owner, if anything has changed.
    pub(crate) fn status(&self, now: Timestamp) -> Option<Value> {
        if CONDITIONS.iter().all(|(kind, _)| self.is_set(kind)) {
            return None;
        }
        let ours = CONDITIONS.map(|(kind, message)| self.condition(kind, message, now));
        let is_ours =
            |condition: &Value| CONDITIONS.iter().any(|(kind, _)| condition["type"] == *kind);
        let mut metadata = json!({
            "namespace": *self.id.namespace, "name": *self.id.name, "uid": self.uid,
        });
        let conditions = match self.list {
            ConditionList::ByType => ours.to_vec(),
            ConditionList::Atomic => {
                metadata["resourceVersion"] = self.version.clone().into();
                let others = self.conditions.iter().filter(|condition| !is_ours(condition));
                others.cloned().chain(ours).collect()
            }
        };
        Some(json!({
            "apiVersion": "obol.org/v1alpha1",
            "kind": "ServiceOffer",
            "metadata": metadata,
            "status": { "conditions": conditions },
        }))
    }

    /// Whether a condition is as it should be. One without `observedGeneration` is the original's,
    /// and is left alone.
    fn is_set(&self, kind: &str) -> bool {
        self.found(kind).is_some_and(|condition| {
            let observed = condition.get("observedGeneration").and_then(Value::as_i64);
            condition["status"] == "False"
                && condition["reason"] == DRAINED
                && (observed.is_none() || observed == self.generation)
        })
    }

    fn condition(&self, kind: &str, message: &str, now: Timestamp) -> Value {
        let before = self.found(kind).filter(|condition| condition["status"] == "False");
        let since = before.and_then(|condition| condition["lastTransitionTime"].as_str());
        let since = since.map_or_else(|| print_seconds(now), str::to_owned);
        let mut condition = Map::from_iter([
            ("type".to_owned(), kind.into()),
            ("status".to_owned(), "False".into()),
            ("reason".to_owned(), DRAINED.into()),
            ("message".to_owned(), format!("{message} at {}", print_seconds(self.ended_at)).into()),
            ("lastTransitionTime".to_owned(), since.into()),
        ]);
        if let Some(generation) = self.generation {
            condition.insert("observedGeneration".to_owned(), generation.into());
        }
        condition.into()
    }

    fn found(&self, kind: &str) -> Option<&Value> {
        self.conditions.iter().find(|condition| condition["type"] == kind)
    }
}

impl ConditionList {
    /// Tells from the managed fields of an object, in which the API server records what each writer
    /// owns. Without such a record there is nothing to repeat.
    fn of(object: &Value) -> Self {
        let managers = object.pointer("/metadata/managedFields").and_then(Value::as_array);
        let mut owned = managers
            .into_iter()
            .flatten()
            .filter_map(|manager| manager.pointer("/fieldsV1/f:status/f:conditions")?.as_object());
        // An atomic list is owned as a whole, so nothing stands below it.
        if owned.any(|fields| fields.keys().any(|key| key.starts_with("k:"))) {
            Self::ByType
        } else {
            Self::Atomic
        }
    }
}

/// When the drain of an offer ends, if it is valid and drains.
pub(crate) fn drain_end(offer: &ParsedOffer) -> Option<Timestamp> {
    if offer.deleting {
        return None;
    }
    let drain = offer.verdict.as_ref().ok()?.drain.as_ref().ok()?;
    drain.map(|drain| drain.ends_at())
}

/// Whether `child` is the name that the original gives to a child of the offer `name`: `so-NAME` and a
/// suffix. One that would be too long is cut and has eight digits of a digest.
fn is_child_name(child: &str, name: &str, suffix: &str) -> bool {
    if CHILD_PREFIX.len() + name.len() + suffix.len() <= MAX_NAME {
        return child.strip_prefix(CHILD_PREFIX).and_then(|rest| rest.strip_suffix(suffix))
            == Some(name);
    }
    let kept = MAX_NAME - CHILD_PREFIX.len() - suffix.len() - DIGEST_LENGTH;
    let cut = child.strip_prefix(CHILD_PREFIX).and_then(|rest| rest.strip_suffix(suffix));
    cut.zip(name.get(..kept)).is_some_and(|(cut, kept)| {
        child.len() == MAX_NAME && cut.strip_prefix(kept).is_some_and(|rest| rest.starts_with('-'))
    })
}

#[cfg(test)]
mod tests;
