//! Settings of anchoring. Each one that is missing or invalid is named before anything is listened
//! on, signed or sent.

mod agent_uri;
mod journal;
mod signer;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use alloy::primitives::{Address, B256};
use clap::{Args, error::ErrorKind};
use url::Url;

pub(super) use self::values::{AgentOnChain, ForChain, RegistryPlace};
use self::{
    agent_uri::AgentUriArgs,
    signer::SignerArgs,
    values::{AdoptedToken, Amount, ChainId, PerChain, for_chain, per_chain},
};
use super::{OfferConfig, refuse, seconds, without_urls};
use crate::{
    anchor::{
        desired::AnchorPolicy,
        evm::{Endpoint, Finality, Histories, RegistryClient, SnapshotCache},
        fees::SpendLimits,
        key::Owner,
        reconcile::ChainTarget,
        signer::KeySource,
    },
    journal_place::JournalPlace,
    offer::{Hostname, Origin},
    registration::{
        AgentRegistry,
        chains::{self, Speciality},
    },
};

type Gwei = Amount<9>;
type Ether = Amount<18>;

/// On which chains, as whom, at what cost. `serve` and every `anchor` verb take these.
#[derive(Debug, Args)]
#[command(next_help_heading = "Anchoring")]
pub(crate) struct AnchorArgs {
    /// Anchor on this chain: a CAIP-2 id or alias, such as eip155:8453 or base-sepolia; repeatable
    #[arg(long = "anchor", value_name = "CHAIN", env = "REGISTRAR_ANCHOR", value_delimiter = ',')]
    anchors: Vec<ChainId>,
    /// Anchor this host's agent too, in addition to the default agent; repeatable
    #[arg(long = "anchor-host", value_name = "HOST", env = "REGISTRAR_ANCHOR_HOST", value_delimiter = ',', value_parser = host)]
    hosts: Vec<Hostname>,
    /// The permanent name of this installation. It is part of every anchor key: never change it,
    /// and never share it between installations that use one account
    #[arg(long, value_name = "TEXT", env = "REGISTRAR_OWNER_ID")]
    owner_id: Option<String>,
    /// Request new identities by a new number
    #[arg(long, value_name = "N", env = "REGISTRAR_INCARNATION", default_value_t = 0)]
    incarnation: u64,
    /// Adopt an existing token of the account for the default agent, or for a host's; repeatable
    #[arg(long, value_name = "CHAIN[/HOST]=ID", env = "REGISTRAR_ADOPT", value_delimiter = ',')]
    adopt: Vec<AdoptedToken>,
    /// Mint although an id is known already
    #[arg(long, env = "REGISTRAR_MINT_BESIDE")]
    mint_beside: bool,
    /// An account that signed before a key rotation: its mints still count; repeatable
    #[arg(
        long = "former-account",
        value_name = "0x…",
        env = "REGISTRAR_FORMER_ACCOUNT",
        value_delimiter = ','
    )]
    former_accounts: Vec<Address>,
    /// Accept changed registry code by the hash that the log names; repeatable
    #[arg(
        long,
        value_name = "CHAIN=0xHASH",
        env = "REGISTRAR_ACCEPT_REGISTRY",
        value_delimiter = ','
    )]
    accept_registry: Vec<ForChain<B256>>,
    /// A node's JSON-RPC URL, or a file with one URL per line (# begins a comment); several for one
    /// chain form a quorum; repeatable
    #[arg(
        long = "rpc-url",
        value_name = "CHAIN=URL|CHAIN=@FILE",
        env = "REGISTRAR_RPC_URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    rpc_urls: Vec<String>,
    /// Which block counts as final on a chain: finalized (default), safe, or depth:N; repeatable
    #[arg(
        long = "finality",
        value_name = "CHAIN=RULE",
        env = "REGISTRAR_FINALITY",
        value_delimiter = ','
    )]
    finalities: Vec<ForChain<Finality>>,
    /// Sign with a gas price (type 0) on a chain without EIP-1559; the built-in table knows some
    /// such chains; repeatable
    #[arg(
        long = "legacy-fees",
        value_name = "CHAIN",
        env = "REGISTRAR_LEGACY_FEES",
        value_delimiter = ','
    )]
    legacy_fees: Vec<ChainId>,
    /// How long to wait between two decisions on a chain, at least 1 s
    #[arg(long, value_name = "SECONDS", env = "REGISTRAR_ANCHOR_INTERVAL", default_value = "12s", value_parser = interval)]
    anchor_interval: Duration,
    #[command(flatten)]
    signer: SignerArgs,
    /// Where signed transactions and learned ids are kept; without --anchor, serve only reads the
    /// ids
    #[arg(long, value_name = "file:PATH|configmap:[NAMESPACE/]NAME", env = "REGISTRAR_JOURNAL")]
    journal: Option<String>,
    /// The highest fee per gas to sign for, in gwei; per chain with CHAIN=N; repeatable
    #[arg(
        long = "max-fee-gwei",
        value_name = "[CHAIN=]N",
        env = "REGISTRAR_MAX_FEE_GWEI",
        value_delimiter = ','
    )]
    max_fees: Vec<PerChain<Gwei>>,
    /// The most to sign for in one UTC day, in ether; per chain with CHAIN=X; repeatable
    #[arg(
        long = "daily-budget-ether",
        value_name = "[CHAIN=]X",
        env = "REGISTRAR_DAILY_BUDGET_ETHER",
        value_delimiter = ','
    )]
    daily_budgets: Vec<PerChain<Ether>>,
    #[command(flatten)]
    agent_uri: AgentUriArgs,
}

/// What `serve` does about the chain.
#[derive(Debug)]
pub(crate) enum AnchorConfig {
    Off,
    /// Read the ids that another process records in this journal.
    ReadJournal(JournalPlace),
    Anchor(Box<AnchorSettings>),
}

/// The settings of anchoring, checked. The key has not been read yet.
#[derive(Debug)]
pub(crate) struct AnchorSettings {
    pub(crate) targets: Vec<ChainTarget>,
    pub(crate) policy: AnchorPolicy,
    pub(crate) former_accounts: BTreeSet<Address>,
    /// `--account`
    pub(crate) account: Option<Address>,
    pub(crate) signer: Option<KeySource>,
    pub(crate) interval: Duration,
    pub(crate) journal: JournalPlace,
}

impl AnchorArgs {
    /// What `serve` does.
    pub(super) fn resolve(self, offers: &OfferConfig) -> AnchorConfig {
        match (self.anchors.is_empty(), &self.journal) {
            (true, None) => AnchorConfig::Off,
            (true, Some(journal)) => AnchorConfig::ReadJournal(journal::place(journal, offers)),
            (false, _) => AnchorConfig::Anchor(Box::new(self.signing(offers))),
        }
    }

    /// The settings of verbs that sign.
    pub(super) fn signing(self, offers: &OfferConfig) -> AnchorSettings {
        if !self.signer.is_given() {
            missing("--signer", "a keystore:PATH to sign with");
        }
        self.settings(offers)
    }

    /// The settings of verbs that do not sign: an account is enough.
    pub(super) fn reporting(self, offers: &OfferConfig) -> AnchorSettings {
        if self.signer.account.is_none() && !self.signer.is_given() {
            missing("--account", "an address");
        }
        self.settings(offers)
    }

    fn settings(self, offers: &OfferConfig) -> AnchorSettings {
        let signer = self.signer.resolve();
        if self.anchors.is_empty() {
            missing("--anchor", "a chain");
        }
        check_public_url(offers.source.public_url());
        let id = self.owner_id.clone().filter(|id| !id.is_empty());
        let id =
            id.unwrap_or_else(|| missing("--owner-id", "a permanent name of this installation"));
        let journal = self.journal.as_deref();
        let journal = journal
            .unwrap_or_else(|| missing("--journal", "file:PATH or configmap:[NAMESPACE/]NAME"));
        let journal = journal::place(journal, offers);
        let registries = known_registries(&offers.registries);
        let targets: Vec<ChainTarget> =
            self.anchors.iter().map(|chain| self.target(*chain, &registries)).collect();
        if self.anchors.iter().collect::<BTreeSet<_>>().len() < targets.len() {
            bad_setting("--anchor", "names one chain twice");
        }
        if let Some(target) = targets.iter().find(|target| target.client.legacy_fees)
            && signer.as_ref().is_some_and(KeySource::signs_type_2_only)
        {
            let chain = ChainId(target.client.registry.chain_id);
            bad_setting(
                "--signer",
                &format!(
                    "remote:URL signs no transactions with a gas price, which {chain} needs; use web3signer:URL or a keystore"
                ),
            );
        }
        let data_uris = self.anchors.iter().filter(|chain| self.agent_uri.is_data(**chain));
        let adopt = self.adopt.into_iter().map(|adoption| {
            let AdoptedToken { of: AgentOnChain { chain, agent }, id } = adoption;
            if !registries.contains_key(&chain) {
                bad_setting(
                    "--adopt",
                    &format!("{chain} is not a known chain; name its --registry"),
                );
            }
            ((chain.0, agent), id)
        });
        AnchorSettings {
            policy: AnchorPolicy {
                owner: Owner { id, incarnation: self.incarnation },
                hosts: self.hosts,
                adopt: adopt.collect(),
                mint_beside: self.mint_beside,
                data_uris: data_uris.map(|chain| chain.0).collect(),
                uri_settle: self.agent_uri.settle,
            },
            targets,
            former_accounts: self.former_accounts.into_iter().collect(),
            account: self.signer.account,
            signer,
            interval: self.anchor_interval,
            journal,
        }
    }

    fn target(
        &self,
        chain: ChainId,
        registries: &BTreeMap<ChainId, (Address, Option<u64>)>,
    ) -> ChainTarget {
        let Some((address, first_block)) = registries.get(&chain) else {
            missing("--registry", &format!("{chain}=0x…, as the chain is not in the table"))
        };
        let first_block = first_block.unwrap_or_else(|| {
            missing(
                "--registry",
                &format!("{chain}={address}@BLOCK, with the block of the registry's deployment"),
            )
        });
        if chains::has_account_abstraction(chain.0) {
            bad_setting(
                "--anchor",
                &format!(
                    "{chain} has native account abstraction: an account may act there without using one of its nonces, so nothing could rule out a second mint; anchor on another chain"
                ),
            );
        }
        let endpoints = self.endpoints(chain);
        if endpoints.is_empty() {
            missing("--rpc-url", &format!("{chain}=URL"));
        }
        let registry = AgentRegistry { chain_id: chain.0, address: *address };
        let finality = for_chain(&self.finalities, chain).copied().unwrap_or(Finality::Finalized);
        let known = chains::CHAINS.iter().find(|known| known.id == chain.0);
        let is_legacy = known.is_some_and(|known| known.speciality == Some(Speciality::LegacyFees));
        let legacy_fees = is_legacy || self.legacy_fees.contains(&chain);
        let warnings = depth_warning(chain, finality, known).into_iter().collect();
        ChainTarget {
            client: RegistryClient { registry, endpoints, finality, legacy_fees },
            warnings,
            limits: SpendLimits {
                max_fee: amount(&self.max_fees, chain, "--max-fee-gwei"),
                daily_budget: amount(&self.daily_budgets, chain, "--daily-budget-ether"),
                uri_budget: self.agent_uri.budget(chain),
            },
            accepted_code: for_chain(&self.accept_registry, chain).copied(),
            histories: Histories::since(first_block),
            snapshots: SnapshotCache::default(),
            last_blocked: None,
            settled: None,
            duplicates: 0,
        }
    }

    /// The endpoints of one chain. No message repeats a value: it may contain an API key.
    fn endpoints(&self, chain: ChainId) -> Vec<Endpoint> {
        let mut urls = Vec::new();
        for text in &self.rpc_urls {
            let Some((name, place)) = text.split_once('=') else {
                bad_setting("--rpc-url", "must be CHAIN=URL or CHAIN=@FILE")
            };
            let named: ChainId =
                name.parse().unwrap_or_else(|_| bad_setting("--rpc-url", "does not name a chain"));
            if named != chain {
                continue;
            }
            match place.strip_prefix('@') {
                None => urls.push((place.to_owned(), None)),
                Some(path) => {
                    let text = fs::read_to_string(path).unwrap_or_else(|error| {
                        bad_setting("--rpc-url", &format!("cannot read {path}: {error}"))
                    });
                    let lines = text.lines().map(without_comment).zip(1..);
                    let lines = lines.filter(|(line, _)| !line.is_empty());
                    urls.extend(lines.map(|(line, number)| {
                        (line.to_owned(), Some(format!("line {number} of {path}")))
                    }));
                }
            }
        }
        let numbered = urls.iter().zip(1..);
        numbered
            .map(|((url, place), number)| endpoint(chain, url, place.as_deref(), number))
            .collect()
    }
}

/// Every registry that settings may refer to: the table's, and those that `--registry` names. The
/// first block is `None` where the table does not know it.
fn known_registries(
    registries: &[ForChain<RegistryPlace>],
) -> BTreeMap<ChainId, (Address, Option<u64>)> {
    let table =
        chains::CHAINS.iter().map(|chain| (ChainId(chain.id), (chain.registry, chain.deployed)));
    let named = registries
        .iter()
        .map(|ForChain { chain, value }| (*chain, (value.address, Some(value.first_block))));
    table.chain(named).collect()
}

/// A line without its comment: a `#` at its beginning or after white space. Anywhere else it is part
/// of the URL.
fn without_comment(line: &str) -> &str {
    let begins = |at: &usize| *at == 0 || line[..*at].ends_with(char::is_whitespace);
    let comment = line.match_indices('#').map(|(at, _)| at).find(begins);
    line[..comment.unwrap_or(line.len())].trim()
}

/// What to review if fewer blocks are taken for final than the chain's rule asks for.
fn depth_warning(
    chain: ChainId,
    finality: Finality,
    known: Option<&chains::Deployment>,
) -> Option<String> {
    let Finality::Depth(depth) = finality else { return None };
    let reviewed = known.and_then(|known| known.final_depth);
    match reviewed {
        Some(reviewed) if depth >= reviewed => None,
        Some(reviewed) => Some(format!(
            "--finality {chain}=depth:{depth} is less than the reviewed value, {reviewed} blocks ({}): a block that is undone later could lead to a second mint",
            chains::REVIEWED_ON
        )),
        None => Some(format!(
            "--finality {chain}=depth:{depth} has not been reviewed for this chain: a block that is undone later could lead to a second mint"
        )),
    }
}

/// `place` says where the URL is written, if not on the command line.
fn endpoint(chain: ChainId, url: &str, place: Option<&str>, number: usize) -> Endpoint {
    let url = Url::parse(url.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let url = url.unwrap_or_else(|| {
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        bad_setting("--rpc-url", &format!("of {chain} is not an http or https URL{place}"))
    });
    Endpoint::new(&url, number)
        .unwrap_or_else(|_| bad_setting("--rpc-url", "cannot be used: no HTTP client can be made"))
}

fn amount<const DECIMALS: usize>(
    settings: &[PerChain<Amount<DECIMALS>>],
    chain: ChainId,
    name: &str,
) -> u128 {
    match per_chain(settings, chain) {
        Ok(Some(Amount(amount))) => amount,
        Ok(None) => missing(name, "an amount; spending has no default"),
        Err(error) => bad_setting(name, error),
    }
}

/// An agentURI is permanent, so it must be explicit, and a URL that others can reach safely.
fn check_public_url(public_url: Option<&Origin>) {
    let Some(url) = public_url else {
        missing("--public-url", "the origin of all documents, which is written on chain")
    };
    if !url.is_https() && !url.is_loopback() {
        bad_setting("--public-url", "must be https to be anchored (http only on a loopback host)");
    }
}

/// Without a pause the loop would only load the node.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    if interval.is_zero() { Err("must be at least 1 s".to_owned()) } else { Ok(interval) }
}

fn host(text: &str) -> Result<Hostname, &'static str> {
    Hostname::parse(text).ok_or("is not a public DNS name")
}

fn missing(setting: &str, what: &str) -> ! {
    let variable = setting.trim_start_matches('-').replace('-', "_").to_uppercase();
    refuse(
        ErrorKind::MissingRequiredArgument,
        &format!("{setting} (REGISTRAR_{variable}) is required: {what}"),
    )
}

/// Ends the process as bad usage, naming a setting.
pub(crate) fn bad_setting(setting: &str, what: &str) -> ! {
    refuse(ErrorKind::ValueValidation, &without_urls(&format!("{setting} {what}")))
}
