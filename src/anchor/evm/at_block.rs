//! Reads that are pinned to one block: the registry, the account, and tokens.

use std::collections::BTreeSet;

use alloy::{
    consensus::constants::KECCAK_EMPTY,
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256, Bytes, U256, b256, keccak256},
    providers::Provider,
    rpc::types::{TransactionInput, TransactionRequest},
    sol_types::SolCall,
};

use super::{
    Endpoint, History, RpcError, Snapshot, SnapshotError,
    contract::{IdentityRegistry, X402_METADATA, X402_VALUE},
};
use crate::{
    anchor::{
        account::CodeHashes,
        evidence::{Accounts, Block, Evidence, Token},
        key::{AnchorKey, KEY_METADATA},
    },
    registration::AgentId,
};

/// ERC-1967: where a proxy keeps its implementation's address.
const IMPLEMENTATION_SLOT: B256 =
    b256!("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");
/// The version of the placeholder that is deployed at the well-known address before a registry is.
const PLACEHOLDER_VERSION: &str = "0.0.1";

/// An endpoint at one block: every read of one decision goes through one of these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtBlock<'a> {
    endpoint: &'a Endpoint,
    registry: Address,
    block: Block,
}

/// What to read in addition to the accounts' own history.
#[derive(Clone, Debug)]
pub(crate) struct ReadRequest<'a> {
    pub(crate) accounts: &'a Accounts,
    /// Tokens that the operator or an AgentIdentity names.
    pub(crate) named: Vec<AgentId>,
}

impl<'a> AtBlock<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, registry: Address, block: Block) -> Self {
        Self { endpoint, registry, block }
    }

    pub(super) fn endpoint(&self) -> &'a Endpoint {
        self.endpoint
    }

    pub(super) fn registry(&self) -> Address {
        self.registry
    }

    pub(crate) fn block(&self) -> Block {
        self.block
    }

    /// The same endpoint at its newest block.
    pub(super) async fn at_head(&self) -> Result<Self, RpcError> {
        let header = self.endpoint.header("the newest block", BlockNumberOrTag::Latest).await?;
        Ok(Self { block: Block { number: header.number, hash: header.hash }, ..*self })
    }

    /// Whether the chain of this block contains a block that was finalized earlier.
    pub(crate) async fn contains(&self, earlier: Block) -> Result<bool, RpcError> {
        if earlier.number > self.block.number {
            let message = "it is older than a block that was finalized before";
            return Err(self.endpoint.invalid("the finalized block", message));
        }
        Ok(self.endpoint.block_hash(earlier.number).await? == earlier.hash)
    }

    /// Everything that a decision needs of this block. Its events must have been read into
    /// `history`.
    pub(super) async fn read(
        &self,
        history: &mut History,
        request: &ReadRequest<'_>,
    ) -> Result<Snapshot, SnapshotError> {
        let code = self.check(request.accounts.current).await?;
        Ok(Snapshot { code, evidence: self.evidence(history, request).await? })
    }

    /// Checks the registry and the account; returns the hashes of the registry's code.
    async fn check(&self, account: Address) -> Result<CodeHashes, SnapshotError> {
        let code = self.code(self.registry).await?;
        if code.is_empty() || self.version().await?.is_none() {
            return Err(SnapshotError::RegistryMissing(self.registry));
        }
        if !self.code(account).await?.is_empty() {
            return Err(SnapshotError::AccountHasCode(account));
        }
        let provider = self.endpoint.provider();
        let slot =
            provider.get_storage_at(self.registry, IMPLEMENTATION_SLOT.into()).block_id(self.id());
        let slot = self.endpoint.request("eth_getStorageAt", slot).await?;
        let implementation = Address::from_word(slot.into());
        let implementation = match implementation.is_zero() {
            true => KECCAK_EMPTY,
            false => keccak256(self.code(implementation).await?),
        };
        Ok(CodeHashes { proxy: keccak256(code), implementation })
    }

    async fn evidence(
        &self,
        history: &mut History,
        request: &ReadRequest<'_>,
    ) -> Result<Evidence, RpcError> {
        let provider = self.endpoint.provider();
        let count = provider.get_transaction_count(request.accounts.current).block_id(self.id());
        let count = self.endpoint.request("eth_getTransactionCount", count).await?;
        let mut evidence = history.evidence(self.block, count);
        for account in request.accounts.all() {
            evidence.balances.insert(account, self.balance_of(account).await?);
        }
        let owned = evidence.owned(request.accounts);
        evidence.adoptions = history.adoptions(self, &owned).await?;
        let minted = evidence.mints.iter().map(|mint| mint.id);
        let ids: BTreeSet<AgentId> =
            owned.into_iter().chain(minted).chain(request.named.iter().copied()).collect();
        for id in ids {
            if let Some(token) = self.token(&id).await? {
                evidence.tokens.insert(id, token);
            }
        }
        Ok(evidence)
    }

    fn id(&self) -> BlockId {
        BlockId::hash(self.block.hash)
    }

    async fn code(&self, address: Address) -> Result<Bytes, RpcError> {
        let code = self.endpoint.provider().get_code_at(address).block_id(self.id());
        self.endpoint.request("eth_getCode", code).await
    }

    /// Calls the registry; `None` if it reverts or answers with another type.
    async fn call<C: SolCall>(&self, call: C) -> Result<Option<C::Return>, RpcError> {
        let input = TransactionInput::new(Bytes::from(call.abi_encode()));
        let request = TransactionRequest::default().to(self.registry).input(input);
        let answer = self.endpoint.provider().call(request).block(self.id());
        match self.endpoint.request("eth_call", answer).await {
            Ok(answer) => Ok(C::abi_decode_returns(&answer).ok()),
            Err(RpcError::Refused { reverted: true, .. }) => Ok(None),
            Err(error @ (RpcError::Refused { .. } | RpcError::Unreadable { .. })) => Err(error),
        }
    }

    /// The registry's version; `None` if it is not a registry, such as the placeholder that new
    /// chains begin with.
    async fn version(&self) -> Result<Option<String>, RpcError> {
        let version = self.call(IdentityRegistry::getVersionCall {}).await?;
        Ok(version.filter(|version| version != PLACEHOLDER_VERSION))
    }

    async fn balance_of(&self, account: Address) -> Result<U256, RpcError> {
        let balance = self.call(IdentityRegistry::balanceOfCall { owner: account }).await?;
        balance.ok_or_else(|| self.endpoint.missing("balanceOf"))
    }

    /// A token; `None` if it does not exist.
    async fn token(&self, id: &AgentId) -> Result<Option<Token>, RpcError> {
        let token_id = id.number();
        let owner = self.call(IdentityRegistry::ownerOfCall { tokenId: token_id }).await?;
        let Some(owner) = owner else { return Ok(None) };
        let uri = self.call(IdentityRegistry::tokenURICall { tokenId: token_id }).await?;
        let uri = uri.ok_or_else(|| self.endpoint.missing("tokenURI"))?;
        let x402 = *self.metadata(id, X402_METADATA).await? == *X402_VALUE;
        let key = AnchorKey::from_metadata(&self.metadata(id, KEY_METADATA).await?);
        Ok(Some(Token { owner, uri, x402, key }))
    }

    async fn metadata(&self, id: &AgentId, key: &str) -> Result<Bytes, RpcError> {
        let (agent_id, key) = (id.number(), key.to_owned());
        let call = IdentityRegistry::getMetadataCall { agentId: agent_id, metadataKey: key };
        self.call(call).await?.ok_or_else(|| self.endpoint.missing("getMetadata"))
    }
}
