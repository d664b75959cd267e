//! The objects that the original makes for an offer: found, checked and deleted.

use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Preconditions},
    core::GroupVersionKind,
};

use super::{
    EnforceError,
    teardown::{EndedOffer, MANAGER_LABEL, OFFER_NAME_LABEL, OFFER_NAMESPACE_LABEL},
};

/// Where the original makes its ReferenceGrants.
pub(crate) const GRANTS_NAMESPACE: &str = "x402";

/// A longer name cannot be the value of a label, so such an offer has no ReferenceGrant.
const MAX_LABEL_VALUE: usize = 63;

/// Deletes what belongs to the offer, and returns how many objects that were.
///
/// Each object is deleted only as it was read: if it has changed since, that is a conflict, and the
/// next attempt looks again. What does not exist, or a kind that is not installed, is fine.
pub(super) async fn delete(client: &Client, offer: &EndedOffer) -> Result<usize, EnforceError> {
    let namespace = &*offer.id.namespace;
    let labels = format!(
        "{OFFER_NAMESPACE_LABEL}={namespace},{OFFER_NAME_LABEL}={},{}={}",
        offer.id.name, MANAGER_LABEL.0, MANAGER_LABEL.1
    );
    let all = ListParams::default();
    let kinds = [
        (gvk("gateway.networking.k8s.io", "v1", "HTTPRoute"), namespace, all.clone()),
        (gvk("traefik.io", "v1alpha1", "Middleware"), namespace, all.clone()),
        (
            gvk("gateway.networking.k8s.io", "v1beta1", "ReferenceGrant"),
            GRANTS_NAMESPACE,
            all.labels(&labels),
        ),
    ];
    let mut deleted = 0;
    for (kind, namespace, params) in kinds {
        if kind.kind == "ReferenceGrant" && offer.id.name.len() > MAX_LABEL_VALUE {
            continue;
        }
        let is_route = kind.kind == "HTTPRoute";
        let api: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk(&kind));
        let listed = match api.list(&params).await {
            Ok(listed) => listed.items,
            Err(kube::Error::Api(status)) if status.code == 404 => continue,
            Err(error) => return Err(error.into()),
        };
        for object in listed {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            let is_named = !is_route || offer.is_route(name);
            let metadata = serde_json::json!({ "metadata": object.metadata });
            if is_named && object.metadata.deletion_timestamp.is_none() && offer.owns(&metadata) {
                deleted += usize::from(delete_one(&api, name, &object).await?);
            }
        }
    }
    Ok(deleted)
}

/// Returns whether it existed.
async fn delete_one(
    api: &Api<DynamicObject>,
    name: &str,
    object: &DynamicObject,
) -> Result<bool, EnforceError> {
    let preconditions = Preconditions {
        uid: object.metadata.uid.clone(),
        resource_version: object.metadata.resource_version.clone(),
    };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    match api.delete(name, &params).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn gvk(group: &str, version: &str, kind: &str) -> GroupVersionKind {
    GroupVersionKind::gvk(group, version, kind)
}
