//! View calls on the registry, pinned to one block.

use alloy::{
    primitives::Bytes,
    providers::Provider,
    rpc::types::{TransactionInput, TransactionRequest},
    sol_types::SolCall,
};

use super::{
    AtBlock, RpcError,
    contract::{IdentityRegistry, X402_METADATA, X402_VALUE, number},
};
use crate::{
    anchor::{
        evidence::Token,
        key::{AnchorKey, KEY_METADATA},
    },
    registration::AgentId,
};

/// What stands at the well-known address before a registry does answers with this version.
const PLACEHOLDER_VERSION: &str = "0.0.1";

impl AtBlock<'_> {
    /// Calls the registry; `None` when it reverts or answers with something else.
    pub(super) async fn ask<C: SolCall>(&self, call: C) -> Result<Option<C::Return>, RpcError> {
        let input = TransactionInput::new(Bytes::from(call.abi_encode()));
        let request = TransactionRequest::default().to(self.registry).input(input);
        match self.endpoint.provider().call(request).block(self.id()).await {
            Ok(answer) => Ok(C::abi_decode_returns(&answer).ok()),
            Err(error) => match self.endpoint.unanswered("eth_call", &error) {
                RpcError::Refused { reverted: true, .. } => Ok(None),
                unanswered @ (RpcError::Refused { .. } | RpcError::Unreadable { .. }) => {
                    Err(unanswered)
                }
            },
        }
    }

    /// The registry's version; `None` when it is no registry, such as the placeholder that new chains begin with.
    pub(super) async fn version(&self) -> Result<Option<String>, RpcError> {
        let version = self.ask(IdentityRegistry::getVersionCall {}).await?;
        Ok(version.filter(|version| version != PLACEHOLDER_VERSION))
    }

    /// A token as it stands; `None` when it does not exist.
    pub(super) async fn token(&self, id: &AgentId) -> Result<Option<Token>, RpcError> {
        let Some(owner) = self.ask(IdentityRegistry::ownerOfCall { tokenId: number(id) }).await?
        else {
            return Ok(None);
        };
        let uri = self.ask(IdentityRegistry::tokenURICall { tokenId: number(id) }).await?;
        let uri = uri.ok_or_else(|| self.endpoint.missing("tokenURI"))?;
        let x402 = *self.metadata(id, X402_METADATA).await? == *X402_VALUE;
        let key = AnchorKey::from_metadata(&self.metadata(id, KEY_METADATA).await?);
        Ok(Some(Token { owner, uri, x402, key }))
    }

    async fn metadata(&self, id: &AgentId, key: &str) -> Result<Bytes, RpcError> {
        let call =
            IdentityRegistry::getMetadataCall { agentId: number(id), metadataKey: key.to_owned() };
        self.ask(call).await?.ok_or_else(|| self.endpoint.missing("getMetadata"))
    }
}
