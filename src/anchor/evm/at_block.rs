//! Reads that are pinned to one block: the registry, the account, and tokens.

use std::collections::{BTreeMap, BTreeSet};

use alloy::{
    consensus::constants::KECCAK_EMPTY,
    primitives::{Address, B256, Bytes, U64, U256, b256, keccak256},
    sol_types::SolCall,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    Endpoint, History, Refusal, RpcError, SnapshotError,
    contract::{IdentityRegistry, L1_FEE_ORACLES, X402_METADATA, X402_VALUE, l1_fee, l1_fee_call},
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
    /// What the journal records: evidence that lacks any of it is not believed.
    pub(crate) minted: &'a BTreeMap<AnchorKey, AgentId>,
    /// Tokens that the operator or an AgentIdentity names.
    pub(crate) named: Vec<AgentId>,
    /// A block that was finalized before: the chain must contain it.
    pub(crate) checkpoint: Option<Block>,
}

impl<'a> AtBlock<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, registry: Address, block: Block) -> Self {
        Self { endpoint, registry, block }
    }

    pub(in crate::anchor) fn endpoint(&self) -> &'a Endpoint {
        self.endpoint
    }

    pub(super) fn registry(&self) -> Address {
        self.registry
    }

    pub(crate) fn block(&self) -> Block {
        self.block
    }

    /// The same endpoint at another block.
    pub(super) fn at(&self, block: Block) -> Self {
        Self { block, ..*self }
    }

    /// The same endpoint at its newest block.
    pub(super) async fn at_head(&self) -> Result<Self, RpcError> {
        let header = self.endpoint.header("the newest block", "latest").await?;
        Ok(self.at(Block { number: header.number(), hash: header.hash }))
    }

    /// Whether the chain of this block contains a block that was finalized earlier.
    pub(crate) async fn contains(&self, earlier: Block) -> Result<bool, RpcError> {
        if earlier.number > self.block.number {
            let message = "it is older than a block that was finalized before";
            return Err(self.endpoint.invalid("the finalized block", message));
        }
        if earlier.number == self.block.number {
            return Ok(earlier.hash == self.block.hash);
        }
        Ok(self.endpoint.block_hash(earlier.number).await? == earlier.hash)
    }

    /// Whether the accounts have sent nothing and hold nothing at this block, so that the registry
    /// has no event about them.
    pub(super) async fn is_unused(&self, accounts: &Accounts) -> Result<bool, RpcError> {
        for account in accounts.all() {
            if self.count(account).await? > 0 || !self.balance_of(account).await?.is_zero() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the node has the block, but not its state any more.
    pub(super) async fn is_pruned(&self) -> bool {
        match self.code(self.registry).await {
            Ok(_) => false,
            Err(error) => self.lacks_state(&error).await,
        }
    }

    /// Whether a read failed because the node has the block, but not its state any more. A node
    /// that does not have the block is another matter: behind a balancer, the next request may
    /// reach one that does.
    pub(super) async fn lacks_state(&self, error: &RpcError) -> bool {
        let is_about_logs = match error {
            RpcError::Refused { what, .. } | RpcError::Unreadable { what, .. } => {
                *what == "eth_getLogs"
            }
        };
        if error.refusal() != Some(Refusal::Other) || is_about_logs {
            return false;
        }
        let params = json!([self.block.hash, false]);
        let block = self.endpoint.ask::<Value>("eth_getBlockByHash", params).await;
        block.is_ok_and(|block| block.is_object())
    }

    /// Checks the registry and the account; returns the hashes of the registry's code.
    pub(super) async fn check(&self, account: Address) -> Result<CodeHashes, SnapshotError> {
        let code = self.code(self.registry).await?;
        if code.is_empty() || self.version().await?.is_none() {
            return Err(SnapshotError::RegistryMissing(self.registry));
        }
        if !self.code(account).await?.is_empty() {
            return Err(SnapshotError::AccountHasCode(account));
        }
        let params = json!([self.registry, IMPLEMENTATION_SLOT]);
        let implementation = Address::from_word(self.state("eth_getStorageAt", params).await?);
        let implementation = match implementation.is_zero() {
            true => KECCAK_EMPTY,
            false => keccak256(self.code(implementation).await?),
        };
        Ok(CodeHashes { proxy: keccak256(code), implementation })
    }

    /// The events, counts, balances and tokens at this block.
    pub(super) async fn evidence(
        &self,
        history: &mut History,
        request: &ReadRequest<'_>,
    ) -> Result<Evidence, RpcError> {
        let accounts = request.accounts;
        let mut evidence = history.evidence(self, accounts).await?;
        evidence.count = self.count(accounts.current).await?;
        for former in &accounts.former {
            evidence.former_counts.insert(*former, self.count(*former).await?);
        }
        for account in accounts.all() {
            evidence.balances.insert(account, self.balance_of(account).await?);
        }
        let minted = evidence.mints.iter().map(|mint| mint.id);
        let claimed = evidence.key_events.iter().filter(|event| evidence.is_claim(event, accounts));
        let ids: BTreeSet<AgentId> = minted
            .chain(claimed.map(|event| event.id))
            .chain(request.named.iter().copied())
            .collect();
        for id in ids {
            if let Some(token) = self.token(&id).await? {
                evidence.tokens.insert(id, token);
            }
        }
        Ok(evidence)
    }

    pub(super) async fn count(&self, account: Address) -> Result<u64, RpcError> {
        let count: U64 = self.state("eth_getTransactionCount", json!([account])).await?;
        Ok(count.to())
    }

    /// κ in a token's current metadata, if it carries one.
    pub(super) async fn key_of(&self, id: &AgentId) -> Result<Option<AnchorKey>, RpcError> {
        Ok(AnchorKey::from_metadata(&self.metadata(id, KEY_METADATA).await?))
    }

    /// The registry's first token: ids are given in ascending order from 0 or 1. `None` if it has
    /// none yet.
    pub(super) async fn eldest(&self) -> Result<Option<AgentId>, RpcError> {
        for id in [0_u64, 1].map(|number| AgentId::new(U256::from(number))) {
            let owner = IdentityRegistry::ownerOfCall { tokenId: id.number() };
            if self.call(owner).await?.is_some() {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    async fn code(&self, address: Address) -> Result<Bytes, RpcError> {
        self.state("eth_getCode", json!([address])).await
    }

    /// Reads state at this block. The block is named by its hash in the object form, since some
    /// nodes refuse a bare hash; `requireCanonical` excludes a block that the node has abandoned.
    async fn state<R: DeserializeOwned>(
        &self,
        method: &'static str,
        mut params: Value,
    ) -> Result<R, RpcError> {
        if let Some(params) = params.as_array_mut() {
            params.push(json!({ "blockHash": self.block.hash, "requireCanonical": true }));
        }
        self.endpoint.ask(method, params).await
    }

    /// What the data of a transaction costs on the chain below, wei; `None` where no known oracle
    /// answers.
    pub(super) async fn data_fee(&self, unsigned: &Bytes) -> Option<u128> {
        let input = l1_fee_call(unsigned);
        for oracle in L1_FEE_ORACLES {
            let params = json!([{ "to": oracle, "input": input }]);
            let answer = self.state::<Bytes>("eth_call", params).await;
            if let Some(fee) = answer.ok().as_ref().and_then(l1_fee) {
                return Some(fee);
            }
        }
        None
    }

    /// Calls the registry; `None` if it reverts or answers with another type.
    async fn call<C: SolCall>(&self, call: C) -> Result<Option<C::Return>, RpcError> {
        let input = Bytes::from(call.abi_encode());
        let params = json!([{ "to": self.registry, "input": input }]);
        match self.state::<Bytes>("eth_call", params).await {
            Ok(answer) => Ok(C::abi_decode_returns(&answer).ok()),
            Err(error) if error.refusal() == Some(Refusal::Reverted) => Ok(None),
            Err(error) => Err(error),
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
        let key = self.key_of(id).await?;
        Ok(Some(Token { owner, uri, x402, key }))
    }

    async fn metadata(&self, id: &AgentId, key: &str) -> Result<Bytes, RpcError> {
        let (agent_id, key) = (id.number(), key.to_owned());
        let call = IdentityRegistry::getMetadataCall { agentId: agent_id, metadataKey: key };
        self.call(call).await?.ok_or_else(|| self.endpoint.missing("getMetadata"))
    }
}
