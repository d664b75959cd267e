//! Settings of anchoring: checked before anything is listened on or signed, each missing one by its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::Duration,
};

use alloy::primitives::{Address, B256};
use clap::{Args, error::ErrorKind};
use url::Url;

use super::{refuse, seconds, without_urls};
use crate::{
    anchor::{
        Accounts, AnchorPolicy, AnchoredAgent, Owner, SpendLimits,
        evm::{Endpoint, Finality, History, RegistryClient, SnapshotCache},
        lane::ChainTarget,
        run::Anchoring,
        signer::{KeySource, Signer},
    },
    offer::{Hostname, Origin},
    registration::{AgentId, AgentRegistry, chains},
};

const GWEI: u32 = 9;
const ETHER: u32 = 18;

/// On which chains, as whom, at what cost. The same group for `serve` and every `anchor` verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Anchoring")]
pub(crate) struct AnchorArgs {
    /// Anchor on this chain: CAIP-2 id or alias, such as eip155:8453 or base-sepolia; repeatable
    #[arg(long = "anchor", value_name = "CHAIN", env = "REGISTRAR_ANCHOR", value_delimiter = ',')]
    anchors: Vec<String>,
    /// Anchor this host's agent too, besides the default agent; repeatable
    #[arg(long = "anchor-host", value_name = "HOST", env = "REGISTRAR_ANCHOR_HOST", value_delimiter = ',', value_parser = host)]
    hosts: Vec<Hostname>,
    /// This installation's own name, for ever; differs between clusters that share an account
    #[arg(long, value_name = "TEXT", env = "REGISTRAR_OWNER_ID")]
    owner_id: Option<String>,
    /// A new number asks for new identities
    #[arg(long, value_name = "N", env = "REGISTRAR_INCARNATION", default_value_t = 0)]
    incarnation: u64,
    /// Take over an existing token of the account; repeatable
    #[arg(long, value_name = "CHAIN[/HOST]=ID", env = "REGISTRAR_ADOPT", value_delimiter = ',')]
    adopt: Vec<String>,
    /// Mint although an id is known already
    #[arg(long, env = "REGISTRAR_MINT_BESIDE")]
    mint_beside: bool,
    /// An account that signed before the key was replaced: its mints still count; repeatable
    #[arg(
        long = "former-account",
        value_name = "0x…",
        env = "REGISTRAR_FORMER_ACCOUNT",
        value_delimiter = ','
    )]
    former_accounts: Vec<Address>,
    /// Accept changed registry code: the hash that the refusal names; repeatable
    #[arg(
        long,
        value_name = "CHAIN=0xHASH",
        env = "REGISTRAR_ACCEPT_REGISTRY",
        value_delimiter = ','
    )]
    accept_registry: Vec<String>,
    /// A node's JSON-RPC URL, or a file that holds one a line; several for one chain form a quorum; repeatable
    #[arg(
        long = "rpc-url",
        value_name = "CHAIN=URL|CHAIN=@FILE",
        env = "REGISTRAR_RPC_URL",
        value_delimiter = ',',
        hide_env_values = true
    )]
    rpc_urls: Vec<String>,
    /// The registry of a chain, and the block that its history begins at; needed for chains outside the table; repeatable
    #[arg(
        long = "registry",
        value_name = "CHAIN=0x…[@BLOCK]",
        env = "REGISTRAR_REGISTRY",
        value_delimiter = ','
    )]
    registries: Vec<String>,
    /// What counts as final on a chain: finalized (default), safe, or depth:N; repeatable
    #[arg(
        long = "finality",
        value_name = "CHAIN=RULE",
        env = "REGISTRAR_FINALITY",
        value_delimiter = ','
    )]
    finalities: Vec<String>,
    /// How long to rest between two decisions on a chain
    #[arg(long, value_name = "SECONDS", env = "REGISTRAR_ANCHOR_INTERVAL", default_value = "12s", value_parser = interval)]
    anchor_interval: Duration,
    /// The key: keystore:PATH (encrypted), or development-key-file:PATH
    #[arg(long, value_name = "KIND:PATH", env = "REGISTRAR_SIGNER")]
    signer: Option<String>,
    /// The account that the key must be of
    #[arg(long, value_name = "0x…", env = "REGISTRAR_ACCOUNT")]
    account: Option<Address>,
    /// The file that holds the keystore's password
    #[arg(long, value_name = "PATH", env = "REGISTRAR_KEYSTORE_PASSWORD_FILE")]
    keystore_password_file: Option<PathBuf>,
    /// Allow a raw key in a file
    #[arg(long, env = "REGISTRAR_ALLOW_DEVELOPMENT_KEYS")]
    allow_development_keys: bool,
    /// Where signed bytes and learned ids are kept; without --anchor its ids are read and nothing is done
    #[arg(long, value_name = "file:PATH", env = "REGISTRAR_JOURNAL")]
    journal: Option<String>,
    /// The most to pay for gas, gwei; per chain with CHAIN=N; repeatable
    #[arg(
        long = "max-fee-gwei",
        value_name = "[CHAIN=]N",
        env = "REGISTRAR_MAX_FEE_GWEI",
        value_delimiter = ','
    )]
    max_fees: Vec<String>,
    /// The most to sign for in one UTC day, ether; per chain with CHAIN=X; repeatable
    #[arg(
        long = "daily-budget-ether",
        value_name = "[CHAIN=]X",
        env = "REGISTRAR_DAILY_BUDGET_ETHER",
        value_delimiter = ','
    )]
    daily_budgets: Vec<String>,
}

/// What `serve` does about the chain.
#[derive(Debug, Default)]
pub(crate) enum AnchorConfig {
    /// Nothing.
    #[default]
    Off,
    /// It reads the ids that another process learned.
    Reads(PathBuf),
    /// It anchors.
    Anchors {
        /// The loop's settings.
        anchoring: Box<Anchoring>,
        /// The journal.
        journal: PathBuf,
    },
}

/// The settings of verbs that sign nothing.
#[derive(Debug)]
pub(crate) struct AnchorView {
    /// The chains.
    pub(crate) chains: Vec<ChainTarget>,
    /// Which agents, as whom.
    pub(crate) anchored: AnchorPolicy,
    /// Our accounts.
    pub(crate) accounts: Accounts,
    /// The journal.
    pub(crate) journal: PathBuf,
}

impl AnchorArgs {
    /// What `serve` does; ends the process with the name of a setting that is bad or missing.
    pub(super) fn resolve(self, public_url: Option<&Origin>) -> AnchorConfig {
        if self.anchors.is_empty() {
            return self
                .journal
                .as_deref()
                .map_or(AnchorConfig::Off, |text| AnchorConfig::Reads(journal(text)));
        }
        let (anchoring, journal) = self.anchoring(public_url);
        AnchorConfig::Anchors { anchoring: Box::new(anchoring), journal }
    }

    /// What `anchor run` does.
    pub(super) fn anchoring(self, public_url: Option<&Origin>) -> (Anchoring, PathBuf) {
        let signer = self
            .open_signer()
            .unwrap_or_else(|| missing("--signer", "a keystore:PATH to sign with"));
        let interval = self.anchor_interval;
        let AnchorView { chains, anchored, accounts, journal } =
            self.view_as(signer.account(), public_url);
        (Anchoring { chains, anchored, accounts, signer, interval }, journal)
    }

    /// What verbs that sign nothing need: an account, by name or by its key.
    pub(super) fn view(self, public_url: Option<&Origin>) -> AnchorView {
        let account = match self.account {
            Some(account) => account,
            None => self
                .open_signer()
                .map(|signer| signer.account())
                .unwrap_or_else(|| missing("--account", "an address")),
        };
        self.view_as(account, public_url)
    }

    fn view_as(self, account: Address, public_url: Option<&Origin>) -> AnchorView {
        if self.anchors.is_empty() {
            missing("--anchor", "a chain");
        }
        check_public_url(public_url);
        let id = self.owner_id.clone().filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| missing("--owner-id", "this installation's own name"));
        let journal =
            journal(&self.journal.clone().unwrap_or_else(|| missing("--journal", "file:PATH")));
        let known = self.known_chains();
        let chains: Vec<ChainTarget> =
            self.anchors.iter().map(|name| self.anchorage(name, &known)).collect();
        let listed: BTreeSet<u64> =
            chains.iter().map(|anchorage| anchorage.chain.registry.chain_id).collect();
        if listed.len() < chains.len() {
            bad("--anchor", "names one chain twice");
        }
        let adopt = self.adopt.iter().map(|text| adoption(text, &known)).collect();
        AnchorView {
            chains,
            anchored: AnchorPolicy {
                owner: Owner { id, incarnation: self.incarnation },
                hosts: self.hosts,
                adopt,
                mint_beside: self.mint_beside,
            },
            accounts: Accounts {
                current: account,
                former: self.former_accounts.into_iter().collect(),
            },
            journal,
        }
    }

    fn open_signer(&self) -> Option<Signer> {
        let (kind, path) = self.signer.as_deref()?.split_once(':').unwrap_or_else(|| {
            bad("--signer", "should be keystore:PATH or development-key-file:PATH")
        });
        let source = match kind {
            "keystore" => {
                let password = self.keystore_password_file.clone();
                let password = password.unwrap_or_else(|| {
                    missing("--keystore-password-file", "the keystore's password")
                });
                KeySource::Keystore { path: path.into(), password }
            }
            "development-key-file" if self.allow_development_keys => {
                KeySource::DevelopmentKey(path.into())
            }
            "development-key-file" => missing(
                "--allow-development-keys",
                "nothing but your word that this is no real key",
            ),
            _ => bad("--signer", "should be keystore:PATH or development-key-file:PATH"),
        };
        Some(Signer::open(&source, self.account).unwrap_or_else(|error| {
            let cause = std::error::Error::source(&error)
                .map(|cause| format!(": {cause}"))
                .unwrap_or_default();
            bad("--signer", &format!("{error}{cause}"))
        }))
    }

    /// Every chain that settings may name: the table's, and those that `--registry` adds.
    fn known_chains(&self) -> BTreeMap<u64, (Address, Option<u64>)> {
        let mut known: BTreeMap<_, _> = chains::CHAINS
            .iter()
            .map(|chain| (chain.id, (chain.registry, chain.deployed)))
            .collect();
        for text in &self.registries {
            let parsed = text.split_once('=').and_then(|(chain, place)| {
                let (address, block) = place
                    .split_once('@')
                    .map_or((place, None), |(address, block)| (address, Some(block)));
                let block = block.map_or(Some(0), |block| block.parse().ok())?;
                Some((chain_id(chain)?, (address.parse().ok()?, Some(block))))
            });
            let (id, place) = parsed.unwrap_or_else(|| {
                bad("--registry", &format!("{text:?} should be CHAIN=0x…[@BLOCK]"))
            });
            known.insert(id, place);
        }
        known
    }

    fn anchorage(&self, name: &str, known: &BTreeMap<u64, (Address, Option<u64>)>) -> ChainTarget {
        let id =
            chain_id(name).unwrap_or_else(|| bad("--anchor", &format!("{name:?} is no chain")));
        let Some((address, from_block)) = known.get(&id) else {
            missing("--registry", &format!("eip155:{id}=0x…, as the chain is not in the table"))
        };
        let from_block = from_block.unwrap_or_else(|| {
            missing(
                "--registry",
                &format!("eip155:{id}={address}@BLOCK, the registry's first block"),
            )
        });
        let endpoints: Vec<Endpoint> =
            self.urls(id).iter().enumerate().map(|(at, url)| endpoint(url, at + 1)).collect();
        if endpoints.is_empty() {
            missing("--rpc-url", &format!("eip155:{id}=URL"));
        }
        let finality =
            for_chain(&self.finalities, id, "--finality").map_or(Finality::Finalized, |rule| {
                match rule {
                    "finalized" => Finality::Finalized,
                    "safe" => Finality::Safe,
                    other => {
                        match other.strip_prefix("depth:").and_then(|depth| depth.parse().ok()) {
                            Some(depth) => Finality::Depth(depth),
                            None => bad(
                                "--finality",
                                &format!("{other:?} should be finalized, safe or depth:N"),
                            ),
                        }
                    }
                }
            });
        let accepted = for_chain(&self.accept_registry, id, "--accept-registry");
        let accepted: Option<B256> = accepted.map(|hash| {
            hash.parse()
                .unwrap_or_else(|_| bad("--accept-registry", &format!("{hash:?} is no 0x hash")))
        });
        let amount = |settings, name: &str, decimals| {
            let text = for_chain_or_all(settings, id, name)
                .unwrap_or_else(|| missing(name, "an amount; spending has no default"));
            decimal(text, decimals).unwrap_or_else(|| bad(name, &format!("{text:?} is no amount")))
        };
        let allowance = SpendLimits {
            max_fee: amount(&self.max_fees, "--max-fee-gwei", GWEI),
            daily_budget: amount(&self.daily_budgets, "--daily-budget-ether", ETHER),
        };
        let registry = AgentRegistry { chain_id: id, address: *address };
        let chain = RegistryClient { registry, endpoints, finality };
        ChainTarget {
            chain,
            allowance,
            accepted,
            history: History::since(from_block),
            notes: SnapshotCache::default(),
        }
    }

    fn urls(&self, id: u64) -> Vec<Url> {
        let mut urls = Vec::new();
        for text in &self.rpc_urls {
            let Some((chain, place)) = text.split_once('=') else {
                bad("--rpc-url", "should be CHAIN=URL or CHAIN=@FILE")
            };
            // What stands in it may be a secret, so no message repeats it.
            let chain = chain_id(chain).unwrap_or_else(|| bad("--rpc-url", "names no chain"));
            if chain != id {
                continue;
            }
            let parse = |line: &str| {
                let url = Url::parse(line.trim())
                    .ok()
                    .filter(|url| matches!(url.scheme(), "http" | "https"));
                url.unwrap_or_else(|| {
                    bad("--rpc-url", &format!("of eip155:{id} is no http or https URL"))
                })
            };
            match place.strip_prefix('@') {
                None => urls.push(parse(place)),
                Some(path) => {
                    let lines = fs::read_to_string(path)
                        .unwrap_or_else(|error| bad("--rpc-url", &format!("{path}: {error}")));
                    urls.extend(lines.lines().filter(|line| !line.trim().is_empty()).map(parse));
                }
            }
        }
        urls
    }
}

fn endpoint(url: &Url, number: usize) -> Endpoint {
    Endpoint::new(url, number)
        .unwrap_or_else(|_| bad("--rpc-url", "cannot be used: no HTTP client can be made"))
}

/// An agentURI is for ever, so it must be given, and be one that others can reach safely.
fn check_public_url(public_url: Option<&Origin>) {
    let Some(url) = public_url else {
        missing(
            "--public-url",
            "the URL under which documents are served: it is what goes on chain",
        )
    };
    if !url.is_https() && !url.is_loopback() {
        bad("--public-url", "must be https to be anchored (http only on a loopback host)");
    }
}

fn journal(text: &str) -> PathBuf {
    match text.strip_prefix("file:") {
        Some(path) if !path.is_empty() => path.into(),
        Some(_) | None => bad("--journal", "should be file:PATH"),
    }
}

fn adoption(
    text: &str,
    known: &BTreeMap<u64, (Address, Option<u64>)>,
) -> ((u64, AnchoredAgent), AgentId) {
    let parsed = text.split_once('=').and_then(|(place, id)| {
        let (chain, agent) = match place.split_once('/') {
            Some((chain, host)) => (chain, AnchoredAgent::Host(Hostname::parse(host)?)),
            None => (place, AnchoredAgent::Default),
        };
        let chain = chain_id(chain).filter(|chain| known.contains_key(chain))?;
        Some(((chain, agent), AgentId::parse(id)?))
    });
    parsed.unwrap_or_else(|| bad("--adopt", &format!("{text:?} should be CHAIN[/HOST]=ID")))
}

/// A chain by alias, CAIP-2 or decimal id, in the table or not.
fn chain_id(name: &str) -> Option<u64> {
    let known = chains::find(name).map(|chain| chain.id);
    known.or_else(|| {
        name.trim().to_ascii_lowercase().strip_prefix("eip155:").unwrap_or(name.trim()).parse().ok()
    })
}

/// The value that a `CHAIN=VALUE` list gives a chain.
fn for_chain<'a>(settings: &'a [String], id: u64, name: &str) -> Option<&'a str> {
    let pairs = settings
        .iter()
        .map(|text| text.split_once('=').unwrap_or_else(|| bad(name, "should be CHAIN=VALUE")));
    pairs.filter(|(chain, _)| named_chain(chain, name) == id).map(|(_, value)| value).next_back()
}

/// A chain that a setting must name: one that is misspelled must not leave the setting without effect.
fn named_chain(text: &str, name: &str) -> u64 {
    chain_id(text).unwrap_or_else(|| bad(name, &format!("{text:?} is no chain")))
}

/// The value for a chain of its own, else the one for all.
fn for_chain_or_all<'a>(settings: &'a [String], id: u64, name: &str) -> Option<&'a str> {
    let (own, all): (Vec<&str>, Vec<&str>) =
        settings.iter().map(String::as_str).partition(|text| text.contains('='));
    let own: Vec<&str> = own
        .into_iter()
        .filter_map(|text| text.split_once('='))
        .filter(|(chain, _)| named_chain(chain, name) == id)
        .map(|(_, value)| value)
        .collect();
    // A decimal comma reads as two amounts, and neither is the one that was meant.
    if own.len() > 1 || all.len() > 1 {
        bad(name, "names two amounts for one chain")
    }
    own.first().or(all.first()).copied()
}

/// A decimal amount in its smallest unit, exact; `None` when it is negative, unreadable, too fine or too large.
fn decimal(text: &str, decimals: u32) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let room = usize::try_from(decimals).ok()?.checked_sub(fraction.len())?;
    if !digits(whole) || !digits(fraction) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    format!("{whole}{fraction}{}", "0".repeat(room)).parse().ok()
}

/// A loop that naps for zero would only burn the node.
fn interval(text: &str) -> Result<Duration, String> {
    let interval = seconds(text)?;
    if interval.is_zero() { Err("should be a second at least".to_owned()) } else { Ok(interval) }
}

fn host(text: &str) -> Result<Hostname, &'static str> {
    Hostname::parse(text).ok_or("is no DNS name of the internet")
}

fn missing(setting: &str, what: &str) -> ! {
    let variable = setting.trim_start_matches('-').replace('-', "_").to_uppercase();
    refuse(
        ErrorKind::MissingRequiredArgument,
        &format!("{setting} (REGISTRAR_{variable}) is required: {what}"),
    )
}

fn bad(setting: &str, what: &str) -> ! {
    refuse(ErrorKind::ValueValidation, &without_urls(&format!("{setting} {what}")))
}
