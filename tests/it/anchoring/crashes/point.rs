//! Where a process is killed, as far as it can be seen from outside: by what it asks and by its
//! journal.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::draw::Life;
use crate::support::proxy::{Exchange, Fault, Proxy};

/// The crash points of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Point {
    /// X1, and X2: nothing is signed yet. A nonce is not reserved apart from signing.
    Estimating,
    /// X3: somewhere between the estimate's answer and the sending. From outside it can't be told
    /// where.
    Signing,
    /// X4: written down, not sent.
    Stored,
    /// X5: the node has it, and its answer did not come.
    Sent,
    /// X6: its answer came, and was not written down.
    Answered,
    /// X7: mined, not noticed.
    Included,
    /// X8: final, the id not written down.
    Settled,
    /// X9: the id written down, not in a document perhaps.
    Learned,
    /// X10: the slot closed, the next not opened.
    Closed,
    /// X11: a higher fee is due, and not written down.
    BeforeBump,
    /// X11: a higher fee is written down.
    AfterBump,
    /// X13: the whole history is read, with no journal.
    Scanning,
}

/// What the truth node says; rules of a proxy cannot ask it.
#[derive(Debug, Default)]
pub struct Levels {
    /// The account's count in the newest block.
    pub mined: AtomicU64,
    /// The account's count in the final block.
    pub settled: AtomicU64,
    /// The newest block's base fee, wei.
    pub base_fee: AtomicU64,
}

/// When a process that came to its point is stopped there.
#[derive(Clone, Copy, PartialEq)]
enum Moment {
    Arrived,
    Delivered,
    Answered,
}

/// What a process falls into.
pub struct Trap {
    method: &'static str,
    fault: Fault,
    moment: Moment,
}

const ESTIMATE: &str = "eth_estimateGas";
const SEND: &str = "eth_sendRawTransaction";
const LOOK_UP: &str = "eth_getTransactionByHash";

impl Point {
    pub const ALL: [Self; 12] = [
        Self::Estimating,
        Self::Signing,
        Self::Stored,
        Self::Sent,
        Self::Answered,
        Self::Included,
        Self::Settled,
        Self::Learned,
        Self::Closed,
        Self::BeforeBump,
        Self::AfterBump,
        Self::Scanning,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Estimating => "X1/X2",
            Self::Signing => "X3",
            Self::Stored => "X4",
            Self::Sent => "X5",
            Self::Answered => "X6",
            Self::Included => "X7",
            Self::Settled => "X8",
            Self::Learned => "X9",
            Self::Closed => "X10",
            Self::BeforeBump => "X11 before",
            Self::AfterBump => "X11 after",
            Self::Scanning => "X13",
        }
    }

    /// The trap for a life; none where the journal alone tells.
    pub fn trap(self, way: u64) -> Option<Trap> {
        let held = |method| Trap { method, fault: Fault::Stall, moment: Moment::Arrived };
        // The answer is as it was; it is marked in the ledger, and the process goes on.
        let marked =
            |method| Trap { method, fault: Fault::rewrite(|same| same), moment: Moment::Answered };
        let refused = Trap { method: SEND, fault: Fault::Refuse, moment: Moment::Arrived };
        let delivered = |fault| Trap { method: SEND, fault, moment: Moment::Delivered };
        Some(match (self, way) {
            (Self::Estimating, _) => held(ESTIMATE),
            (Self::Signing, _) => marked(ESTIMATE),
            (Self::Stored | Self::AfterBump, 0 | 1) => held(LOOK_UP),
            (Self::Stored, 2) => refused,
            (Self::Stored, _) => held(SEND),
            (Self::AfterBump, 2 | 3) => held(SEND),
            (Self::Sent, 0 | 1) => delivered(Fault::LoseReply),
            (Self::Sent | Self::AfterBump, _) => delivered(Fault::Delay),
            (Self::Answered, _) => marked(SEND),
            (Self::Included, _) => held("eth_getTransactionCount"),
            (Self::Settled, 0..=2) => held("eth_getTransactionReceipt"),
            (Self::Settled | Self::Scanning, _) => held("eth_getLogs"),
            (Self::Learned, _) => return None,
            (Self::Closed, _) => held("eth_chainId"),
            (Self::BeforeBump, _) => marked("eth_maxPriorityFeePerGas"),
        })
    }

    /// Whether a call means that the point is reached, by the journal as it stands.
    pub fn is_reached(self, lane: &Value, levels: &Levels, params: &Value) -> bool {
        let slot = &lane["slot"];
        let nonce = slot["nonce"].as_u64();
        let attempts = slot["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
        let level = |level: &AtomicU64| level.load(Ordering::Relaxed);
        let asks_for_last = || match attempts.last() {
            // Also true of the bytes themselves, which no lane holds under this name.
            Some(last) => {
                params[0].as_str().is_some_and(|text| text.len() > 66) || last["hash"] == params[0]
            }
            None => false,
        };
        match self {
            Self::Estimating | Self::Signing | Self::Sent | Self::Answered => true,
            Self::Stored => asks_for_last(),
            Self::AfterBump => attempts.len() > 1 && asks_for_last(),
            Self::Included => {
                nonce.is_some_and(|n| n < level(&levels.mined) && n >= level(&levels.settled))
            }
            Self::Settled => nonce.is_some_and(|n| n < level(&levels.settled)),
            Self::Closed => lane["step"] == "forget",
            Self::BeforeBump => {
                let fee = attempts.last().and_then(|last| last["maxFee"].as_str()?.parse().ok());
                slot["decisions"].as_u64() >= Some(10)
                    || fee.is_some_and(|fee: u64| fee < level(&levels.base_fee))
            }
            Self::Scanning => lane.is_null(),
            Self::Learned => false,
        }
    }
}

impl Trap {
    /// Whether the process is held in it, or goes on.
    pub fn holds(&self) -> bool {
        self.moment == Moment::Arrived && matches!(self.fault, Fault::Stall)
            || matches!(self.fault, Fault::Delay)
    }

    pub fn set(
        &self,
        proxy: &Proxy,
        life: &Life,
        is_reached: impl Fn(&Value) -> bool + Send + Sync + 'static,
    ) {
        proxy.on(self.method).when(is_reached).nth(life.hit).then(self.fault.clone());
    }

    /// Whether a call has fallen into it.
    pub fn has(&self, call: &Exchange) -> bool {
        let came = match self.moment {
            Moment::Arrived => true,
            Moment::Delivered => call.delivered > 0,
            Moment::Answered => call.answer.is_some(),
        };
        came && call.method == self.method && call.fault == self.fault.name()
    }
}
