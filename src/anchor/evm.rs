//! The chain over JSON-RPC: one final block agreed on, everything read at it, bytes sent to all.

mod contract;
mod endpoint;
mod history;
mod notes;
mod reading;
mod transport;

use alloy::{
    consensus::constants::KECCAK_EMPTY,
    eips::{BlockId, BlockNumberOrTag},
    primitives::{Address, B256, Bytes, U256, b256, keccak256},
    providers::Provider,
    rpc::types::{TransactionInput, TransactionRequest},
};

pub(super) use self::contract::calldata;
pub(crate) use self::{
    endpoint::{Endpoint, RpcError},
    history::History,
    notes::{Snapshot, SnapshotCache},
};
use super::{
    evidence::{Accounts, Block, Evidence},
    journal::CodeHashes,
    plan::Head,
};
use crate::registration::{AgentId, AgentRegistry};

/// ERC-1967: where a proxy keeps its implementation's address.
const IMPLEMENTATION_SLOT: B256 =
    b256!("0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc");

/// What counts as final on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finality {
    /// The node's `finalized` tag.
    Finalized,
    /// The node's `safe` tag.
    Safe,
    /// So many blocks below the newest one.
    Depth(u64),
}

/// One chain's registry, and the nodes that are asked about it.
#[derive(Clone, Debug)]
pub(crate) struct RegistryClient {
    /// Which registry.
    pub(crate) registry: AgentRegistry,
    /// The nodes; the first is asked first.
    pub(crate) endpoints: Vec<Endpoint>,
    /// What counts as final.
    pub(crate) finality: Finality,
}

/// Why nothing was decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// A node gave no usable answer.
    #[error(transparent)]
    RpcError(#[from] RpcError),
    /// The nodes call no common block final.
    #[error("{agreeing} of {all} endpoints agree on a final block")]
    NoQuorum {
        /// How many agree.
        agreeing: usize,
        /// How many there are.
        all: usize,
    },
    /// A node serves another chain.
    #[error("{endpoint} serves chain {theirs}, not {ours}")]
    ChainMismatch {
        /// Which endpoint.
        endpoint: String,
        /// Its chain.
        theirs: u64,
        /// The configured one.
        ours: u64,
    },
    /// Nothing at the registry's address, or nothing that answers as one.
    #[error("no registry answers at {0}")]
    RegistryMissing(Address),
    /// Our account has code.
    #[error("the account {0} has code")]
    AccountHasCode(Address),
    /// A block that was final before is not in the chain.
    #[error(
        "block {0} was final with another hash: this is another chain, or its history was rewritten"
    )]
    Rewritten(u64),
    /// The node keeps no state at the final block, and nothing noted at the head is final yet.
    #[error(
        "no state is kept at the final block; what was noted at the head is used once it is final"
    )]
    StatePruned,
}

/// A node at a block that cannot be undone: every read of one decision goes through one of these.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtBlock<'a> {
    endpoint: &'a Endpoint,
    registry: Address,
    block: Block,
}

/// The head, and what a transaction would cost there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeadState {
    /// Counts and base fee.
    pub(crate) head: Head,
    /// The tip that the node suggests, wei per gas.
    pub(crate) tip: u128,
    /// The account's balance, wei.
    pub(crate) balance: u128,
}

/// What to read besides the account's own history.
#[derive(Clone, Debug)]
pub(crate) struct ReadRequest<'a> {
    /// Our accounts.
    pub(crate) accounts: &'a Accounts,
    /// Tokens that the operator or an AgentIdentity names.
    pub(crate) named: Vec<AgentId>,
}

impl RegistryClient {
    /// The final block that a majority of the nodes agree on, at a node that does.
    pub(crate) async fn at_final(&self) -> Result<AtBlock<'_>, SnapshotError> {
        let majority = self.endpoints.len() / 2 + 1;
        let mut claims = Vec::new();
        let mut silent = None;
        for endpoint in &self.endpoints {
            match self.claim(endpoint).await {
                Ok(block) => claims.push((endpoint, block)),
                Err(SnapshotError::RpcError(error)) => silent = Some(error),
                Err(other) => return Err(other),
            }
        }
        // A majority calls this height final: it is the lowest of the majority's highest claims.
        claims.sort_by_key(|(_, block)| std::cmp::Reverse(block.number));
        let Some((_, lowest)) = claims.get(majority - 1) else {
            let no_quorum =
                SnapshotError::NoQuorum { agreeing: claims.len(), all: self.endpoints.len() };
            return Err(silent.map_or(no_quorum, SnapshotError::from));
        };
        let number = lowest.number;
        let mut agreeing: Vec<(&Endpoint, B256)> = Vec::new();
        for (endpoint, block) in claims.iter().filter(|(_, block)| block.number >= number) {
            if block.number == number {
                agreeing.push((endpoint, block.hash));
            } else if let Ok(hash) = hash_at(endpoint, number).await {
                // One that does not answer has no vote; the others may still agree.
                agreeing.push((endpoint, hash));
            }
        }
        let votes = |hash: B256| agreeing.iter().filter(|(_, other)| *other == hash).count();
        match agreeing.iter().find(|(_, hash)| votes(*hash) >= majority) {
            Some((endpoint, hash)) => Ok(AtBlock {
                endpoint,
                registry: self.registry.address,
                block: Block { number, hash: *hash },
            }),
            None => {
                let most = agreeing.iter().map(|(_, hash)| votes(*hash)).max().unwrap_or_default();
                Err(SnapshotError::NoQuorum { agreeing: most, all: self.endpoints.len() })
            }
        }
    }

    /// What one node calls final, if it serves the right chain.
    async fn claim(&self, endpoint: &Endpoint) -> Result<Block, SnapshotError> {
        let chain_id = endpoint.provider().get_chain_id().await;
        let theirs = chain_id.map_err(|error| endpoint.unanswered("eth_chainId", &error))?;
        if theirs != self.registry.chain_id {
            let ours = self.registry.chain_id;
            return Err(SnapshotError::ChainMismatch {
                endpoint: endpoint.to_string(),
                theirs,
                ours,
            });
        }
        let tag = match self.finality {
            Finality::Finalized => BlockNumberOrTag::Finalized,
            Finality::Safe => BlockNumberOrTag::Safe,
            Finality::Depth(depth) => {
                let newest = endpoint.provider().get_block_number().await;
                let newest =
                    newest.map_err(|error| endpoint.unanswered("eth_blockNumber", &error))?;
                BlockNumberOrTag::Number(newest.saturating_sub(depth))
            }
        };
        let block = endpoint.provider().get_block_by_number(tag).await;
        let block = block.map_err(|error| endpoint.unanswered("the final block", &error))?;
        let header = block.ok_or_else(|| endpoint.missing("the final block"))?.header;
        Ok(Block { number: header.number, hash: header.hash })
    }

    /// Reads everything at the final block, or, where the node keeps no state there, takes what was noted of a block
    /// that is final by now.
    pub(crate) async fn read(
        &self,
        at: AtBlock<'_>,
        history: &mut History,
        notes: &mut SnapshotCache,
        question: &ReadRequest<'_>,
    ) -> Result<Snapshot, SnapshotError> {
        history.extend(&at, question.accounts).await?;
        match at.read(history, question).await {
            // The node answers, but not about this block.
            Err(SnapshotError::RpcError(RpcError::Refused { reverted: false, .. })) => {}
            read => return read,
        }
        let newest = at.endpoint.provider().get_block_by_number(BlockNumberOrTag::Latest).await;
        let newest = newest.map_err(|error| at.endpoint.unanswered("the newest block", &error))?;
        let header = newest.ok_or_else(|| at.endpoint.missing("the newest block"))?.header;
        let head = AtBlock { block: Block { number: header.number, hash: header.hash }, ..at };
        // Events up to the head are no part of the history: they may still be undone.
        let mut ahead = history.clone();
        ahead.extend(&head, question.accounts).await?;
        notes.keep(head.read(&mut ahead, question).await?);
        notes.settled(&at).await?.ok_or(SnapshotError::StatePruned)
    }

    /// Looks at the head. Nothing here is believed, only used to tell what is worth doing.
    pub(crate) async fn outlook(
        &self,
        at: AtBlock<'_>,
        account: Address,
    ) -> Result<HeadState, RpcError> {
        let endpoint = at.endpoint;
        let provider = endpoint.provider();
        let newest = provider.get_block_by_number(BlockNumberOrTag::Latest).await;
        let newest = newest.map_err(|error| endpoint.unanswered("the newest block", &error))?;
        let header = newest.ok_or_else(|| endpoint.missing("the newest block"))?.header;
        let count = async |block: BlockId| {
            let count = provider.get_transaction_count(account).block_id(block).await;
            count.map_err(|error| endpoint.unanswered("eth_getTransactionCount", &error))
        };
        let head = Head {
            mined: count(BlockId::hash(header.hash)).await?,
            pending: count(BlockId::pending()).await?,
            base_fee: header.base_fee_per_gas.unwrap_or_default().into(),
        };
        let balance = provider.get_balance(account).block_id(BlockId::hash(header.hash)).await;
        let balance = balance.map_err(|error| endpoint.unanswered("eth_getBalance", &error))?;
        // A node without an opinion gets a tip that no proposer refuses.
        let tip = provider.get_max_priority_fee_per_gas().await.unwrap_or(1_000_000_000);
        Ok(HeadState { head, tip, balance: u128::try_from(balance).unwrap_or(u128::MAX) })
    }

    /// The gas that a call needs at the head, with a quarter to spare; a revert comes back as its words.
    pub(crate) async fn estimate(
        &self,
        at: AtBlock<'_>,
        from: Address,
        data: &Bytes,
    ) -> Result<u64, RpcError> {
        let request = TransactionRequest::default()
            .from(from)
            .to(self.registry.address)
            .input(TransactionInput::new(data.clone()));
        let gas = at.endpoint.provider().estimate_gas(request).await;
        let gas = gas.map_err(|error| at.endpoint.unanswered("eth_estimateGas", &error))?;
        Ok(gas.saturating_add(gas / 4))
    }

    /// Hands signed bytes to every node; what they say changes nothing here.
    pub(crate) async fn broadcast(&self, raw: &Bytes) -> Vec<RpcError> {
        let mut refusals = Vec::new();
        for endpoint in &self.endpoints {
            if let Err(error) = endpoint.provider().send_raw_transaction(raw).await {
                refusals.push(endpoint.unanswered("eth_sendRawTransaction", &error));
            }
        }
        refusals
    }

    /// Whether some node knows one of these transactions, pending or mined: a reason not to send again, and no more.
    pub(crate) async fn is_known(&self, hash: B256) -> bool {
        for endpoint in &self.endpoints {
            if let Ok(Some(_)) = endpoint.provider().get_transaction_by_hash(hash).await {
                return true;
            }
        }
        false
    }

    /// Whether a settled transaction succeeded; `None` when no node knows such a one. One may lag, so each is asked.
    pub(crate) async fn outcome(&self, hash: B256) -> Result<Option<bool>, RpcError> {
        for endpoint in &self.endpoints {
            let receipt = endpoint.provider().get_transaction_receipt(hash).await;
            let receipt = receipt
                .map_err(|error| endpoint.unanswered("eth_getTransactionReceipt", &error))?;
            if let Some(receipt) = receipt {
                return Ok(Some(receipt.status()));
            }
        }
        Ok(None)
    }
}

async fn hash_at(endpoint: &Endpoint, number: u64) -> Result<B256, RpcError> {
    let block = endpoint.provider().get_block_by_number(BlockNumberOrTag::Number(number)).await;
    let block = block.map_err(|error| endpoint.unanswered("a block", &error))?;
    Ok(block.ok_or_else(|| endpoint.missing("a block"))?.header.hash)
}

impl AtBlock<'_> {
    /// Whether a block that was final before is in this block's chain.
    pub(crate) async fn stands_on(&self, earlier: Block) -> Result<bool, RpcError> {
        if earlier.number > self.block.number {
            return Err(self
                .endpoint
                .wrong("the final block", "it is older than one that was final before"));
        }
        Ok(hash_at(self.endpoint, earlier.number).await? == earlier.hash)
    }

    /// Everything that a decision needs of this block. Its events were read before.
    async fn read(
        &self,
        history: &mut History,
        question: &ReadRequest<'_>,
    ) -> Result<Snapshot, SnapshotError> {
        let code = self.check(question.accounts.current).await?;
        Ok(Snapshot { code, evidence: self.evidence(history, question).await? })
    }

    /// Checks the registry and the account, and says which code answers for the registry.
    async fn check(&self, account: Address) -> Result<CodeHashes, SnapshotError> {
        let code = self.code(self.registry).await?;
        if code.is_empty() || self.version().await?.is_none() {
            return Err(SnapshotError::RegistryMissing(self.registry));
        }
        if !self.code(account).await?.is_empty() {
            return Err(SnapshotError::AccountHasCode(account));
        }
        let provider = self.endpoint.provider();
        let slot = provider
            .get_storage_at(self.registry, IMPLEMENTATION_SLOT.into())
            .block_id(self.id())
            .await;
        let slot = slot.map_err(|error| self.endpoint.unanswered("eth_getStorageAt", &error))?;
        let implementation = Address::from_word(slot.into());
        let implementation = match implementation.is_zero() {
            true => KECCAK_EMPTY,
            false => keccak256(self.code(implementation).await?),
        };
        Ok(CodeHashes { proxy: keccak256(code), implementation })
    }

    fn id(&self) -> BlockId {
        BlockId::hash(self.block.hash)
    }

    async fn code(&self, address: Address) -> Result<Bytes, RpcError> {
        let code = self.endpoint.provider().get_code_at(address).block_id(self.id()).await;
        code.map_err(|error| self.endpoint.unanswered("eth_getCode", &error))
    }

    /// Everything that one decision needs, read at this block.
    async fn evidence(
        &self,
        history: &mut History,
        question: &ReadRequest<'_>,
    ) -> Result<Evidence, RpcError> {
        let account = question.accounts.current;
        let count =
            self.endpoint.provider().get_transaction_count(account).block_id(self.id()).await;
        let count =
            count.map_err(|error| self.endpoint.unanswered("eth_getTransactionCount", &error))?;
        let mut evidence = history.evidence(self.block, count);
        for account in question.accounts.all() {
            evidence.balances.insert(account, self.balance_of(account).await?);
        }
        let owned = evidence.owned(question.accounts);
        evidence.adoptions = history.adoptions(self, &owned).await?;
        let minted = evidence.mints.iter().map(|mint| mint.id);
        let ids: std::collections::BTreeSet<AgentId> =
            owned.into_iter().chain(minted).chain(question.named.iter().copied()).collect();
        for id in ids {
            if let Some(token) = self.token(&id).await? {
                evidence.tokens.insert(id, token);
            }
        }
        Ok(evidence)
    }

    async fn balance_of(&self, account: Address) -> Result<U256, RpcError> {
        let answered =
            self.ask(contract::IdentityRegistry::balanceOfCall { owner: account }).await?;
        answered.ok_or_else(|| self.endpoint.missing("balanceOf"))
    }
}
