//! Which fault a call meets.

use serde_json::Value;

use super::{Fault, Proxy};

type Condition = Box<dyn Fn(&Value) -> bool + Send + Sync>;

/// Builds a rule: `proxy.on("eth_call").nth(2).then(Fault::Refuse)`. By default it applies to every
/// matching call.
#[must_use = "a rule without a fault does nothing"]
pub struct Rule<'a> {
    proxy: &'a Proxy,
    method: Option<String>,
    condition: Option<Condition>,
    turn: Turn,
}

/// Which of the calls that match.
#[derive(Clone, Copy)]
enum Turn {
    Always,
    Nth(u64),
    Times(u64),
    Percent { percent: u64, seed: u64 },
}

/// The rules in force, in order.
#[derive(Default)]
pub struct Rules(Vec<Standing>);

struct Standing {
    method: Option<String>,
    condition: Option<Condition>,
    turn: Turn,
    fault: Fault,
    /// Calls that matched since the rule was made, whichever rule they fell to.
    matched: u64,
    /// Calls that fell to this rule.
    applied: u64,
}

impl<'a> Rule<'a> {
    pub(super) fn new(proxy: &'a Proxy, method: Option<&str>) -> Self {
        Self { proxy, method: method.map(str::to_owned), condition: None, turn: Turn::Always }
    }

    /// Only calls whose params are such. The condition must not ask the proxy.
    pub fn when(self, condition: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        Self { condition: Some(Box::new(condition)), ..self }
    }

    /// Only the k-th matching call from here on, counting from 1, also those that other rules take.
    pub fn nth(self, k: u64) -> Self {
        Self { turn: Turn::Nth(k), ..self }
    }

    /// Only so many calls: those that no earlier rule takes.
    pub fn times(self, n: u64) -> Self {
        Self { turn: Turn::Times(n), ..self }
    }

    /// Applies to every matching call, which is the default.
    pub fn always(self) -> Self {
        Self { turn: Turn::Always, ..self }
    }

    /// So many of a hundred matching calls; which ones, depends on the seed and on nothing else.
    pub fn probability(self, percent: u64, seed: u64) -> Self {
        Self { turn: Turn::Percent { percent, seed }, ..self }
    }

    /// Puts the rule in force, after those that are.
    pub fn then(self, fault: Fault) {
        let Self { proxy, method, condition, turn } = self;
        let standing = Standing { method, condition, turn, fault, matched: 0, applied: 0 };
        proxy.shared.ledger().rules.0.push(standing);
    }
}

impl Rules {
    /// The fault for a call: that of the first rule that applies. All rules count it.
    pub fn pick(&mut self, method: &str, params: &Value) -> Fault {
        let mut picked = None;
        for rule in &mut self.0 {
            if !rule.matches(method, params) {
                continue;
            }
            rule.matched += 1;
            if picked.is_none() && rule.has_its_turn() {
                rule.applied += 1;
                picked = Some(rule.fault.clone());
            }
        }
        picked.unwrap_or(Fault::ForwardAll)
    }
}

impl Standing {
    fn matches(&self, method: &str, params: &Value) -> bool {
        self.method.as_deref().is_none_or(|ours| ours == method)
            && self.condition.as_ref().is_none_or(|holds| holds(params))
    }

    fn has_its_turn(&self) -> bool {
        match self.turn {
            Turn::Always => true,
            Turn::Nth(k) => self.matched == k,
            Turn::Times(n) => self.applied < n,
            Turn::Percent { percent, seed } => drawn(seed, self.matched) % 100 < percent,
        }
    }
}

/// The n-th number of the sequence that a seed begins (SplitMix64, Steele et al. 2014).
fn drawn(seed: u64, n: u64) -> u64 {
    let mut mixed = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
