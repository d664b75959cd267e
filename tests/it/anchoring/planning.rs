//! The decision by itself: the step and the reasons of every situation, and the laws that hold in all of them.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, U256};
use proptest::prelude::*;
use registrar::{
    anchor::{
        AnchorKey, AnchoredAgent, Block, Call, Decision, Head, Intent, PAID_FAILURES, PATIENCE,
        Purpose, Readiness, Slot, Step, Token, View, Wanted, next,
    },
    offer::Hostname,
    registration::AgentId,
};

use crate::world::law;

const URI: &str = "https://seller.example/a";
const HOST_URI: &str = "https://audit.example/a";

const US: Address = Address::repeat_byte(0x11);
const FORMER: Address = Address::repeat_byte(0x22);
const STRANGER: Address = Address::repeat_byte(0xee);

fn key(number: u8) -> AnchorKey {
    AnchorKey::from_metadata(&[number; 20]).unwrap()
}

fn id(number: u64) -> AgentId {
    AgentId::new(U256::from(number))
}

fn token(owner: Address, uri: &str) -> Token {
    Token { owner, uri: uri.to_owned(), x402: true, key: None }
}

/// Everything that a decision sees.
#[derive(Clone, Debug)]
struct Situation {
    intent: Intent,
    slot: Option<Slot>,
    view: View,
    head: Head,
    waited: u32,
}

/// The default agent is wanted, nothing is on chain, five transactions are final and none is under way.
fn quiet() -> Situation {
    let wanted = Wanted {
        agent: AnchoredAgent::Default,
        key: key(1),
        earlier_keys: vec![key(8), key(9)],
        uri: URI.to_owned(),
        readiness: Readiness::Ready,
        adopt: None,
        known: None,
        failed: 0,
    };
    Situation {
        intent: Intent { account: US, agents: vec![wanted], mint_beside: false },
        slot: None,
        view: View {
            block: Block { number: 9, hash: B256::repeat_byte(9) },
            count: 5,
            agents: BTreeMap::new(),
            unkeyed: BTreeMap::new(),
            tokens: BTreeMap::new(),
        },
        head: Head { mined: 5, pending: 5, base_fee: 10 },
        waited: 0,
    }
}

impl Situation {
    fn decide(&self) -> Decision {
        next(&self.intent, self.slot.as_ref(), &self.view, &self.head, self.waited)
    }

    fn agent(&mut self) -> &mut Wanted {
        &mut self.intent.agents[0]
    }

    /// Adds a second agent, of a host.
    fn with_host(&mut self) -> &mut Wanted {
        let host = Wanted {
            agent: AnchoredAgent::Host(Hostname::parse("audit.example").unwrap()),
            key: key(2),
            uri: HOST_URI.to_owned(),
            ..quiet().intent.agents.remove(0)
        };
        self.intent.agents.push(host);
        self.intent.agents.last_mut().unwrap()
    }

    fn slot(&mut self, nonce: u64, decisions: u32, max_fee: u128) {
        self.slot = Some(Slot { nonce, decisions, max_fee });
    }

    /// Gives the default agent's κ to a token.
    fn on_chain(&mut self, number: u64, token: Token) {
        self.view.agents.insert(key(1), id(number));
        self.view.tokens.insert(id(number), token);
    }
}

/// A decision in words: the step, then each agent's reason.
fn told(decision: &Decision) -> String {
    let step = match &decision.step {
        Step::Rest => "rest".to_owned(),
        Step::Broadcast => "broadcast".to_owned(),
        Step::Forget => "forget".to_owned(),
        Step::Sign(reservation) => {
            let what = match reservation.purpose() {
                Purpose::Bump => "bump".to_owned(),
                Purpose::Open { agent, call } => {
                    let call = match call {
                        Call::Mint { uri, key } => format!("mint {uri} {key}"),
                        Call::Adopt { id, key } => format!("adopt {id} {key}"),
                        Call::SetUri { id, uri } => format!("uri {id} {uri}"),
                        Call::SetX402 { id } => format!("x402 {id}"),
                    };
                    let call = call.replace(&key(1).to_string(), "k1");
                    format!("{agent} {}", call.replace(&key(2).to_string(), "k2"))
                }
            };
            format!("sign@{} {what}", reservation.nonce())
        }
    };
    let reasons = decision.agents.iter().map(|(agent, reason)| format!("; {agent} {reason}"));
    step + &reasons.collect::<String>()
}

type Case = (&'static str, fn(&mut Situation), &'static str);

fn holds(cases: &[Case]) {
    for (name, change, expected) in cases {
        let mut situation = quiet();
        change(&mut situation);
        assert_eq!(told(&situation.decide()), *expected, "{name}");
    }
}

const MINTS: &str = "sign@5 default mint https://seller.example/a k1; default Pending";

#[test]
fn what_is_in_flight_goes_before_what_is_wanted() {
    holds(&[
        ("nothing is wanted", |s| s.intent.agents.clear(), "rest"),
        ("below the final count", |s| s.slot(4, 0, 99), "forget; default Pending"),
        ("below it, and out of patience", |s| s.slot(4, PATIENCE, 0), "forget; default Pending"),
        ("above the final count: an old view", |s| s.slot(6, PATIENCE, 0), "rest; default Pending"),
        ("neither mined nor final", |s| s.slot(5, 0, 99), "broadcast; default Pending"),
        (
            "mined, not final",
            |s| (s.head.mined, s.slot) = (6, Some(Slot { nonce: 5, decisions: 0, max_fee: 99 })),
            "rest; default Pending",
        ),
        (
            "mined, not final, out of patience and underpriced",
            |s| (s.head.mined, s.slot) = (6, Some(Slot { nonce: 5, decisions: 99, max_fee: 0 })),
            "rest; default Pending",
        ),
        (
            "pending at the node, too",
            |s| (s.head.pending, s.slot) = (6, Some(Slot { nonce: 5, decisions: 0, max_fee: 99 })),
            "broadcast; default Pending",
        ),
        ("one decision short of patience", |s| s.slot(5, 9, 99), "broadcast; default Pending"),
        ("out of patience", |s| s.slot(5, 10, 99), "sign@5 bump; default Pending"),
        ("long out of patience", |s| s.slot(5, 11, 99), "sign@5 bump; default Pending"),
        ("the base fee meets the cap", |s| s.slot(5, 0, 10), "broadcast; default Pending"),
        ("the base fee passes the cap", |s| s.slot(5, 0, 9), "sign@5 bump; default Pending"),
        (
            "nothing is wanted any more, and bytes are out",
            |s| {
                s.intent.agents.clear();
                s.slot(5, 10, 99);
            },
            "sign@5 bump",
        ),
    ]);
}

#[test]
fn a_new_call_waits_for_quiet_but_not_for_ever() {
    holds(&[
        ("quiet", |_| {}, MINTS),
        ("a head behind the final block", |s| (s.head.mined, s.head.pending) = (4, 4), MINTS),
        (
            "mined, not final",
            |s| (s.head.mined, s.head.pending) = (6, 6),
            "rest; default WaitingForFinality",
        ),
        (
            "mined, not final, waited long",
            |s| (s.head.mined, s.head.pending, s.waited) = (6, 7, 99),
            "rest; default WaitingForFinality",
        ),
        (
            "mined, and nothing is wanted",
            |s| {
                s.intent.agents.clear();
                s.head.mined = 6;
            },
            "rest",
        ),
    ]);
    for waited in 0..=12 {
        let mut situation = quiet();
        (situation.head.pending, situation.waited) = (6, waited);
        let expected = if waited < 10 { "rest; default PendingUnknown" } else { MINTS };
        assert_eq!(told(&situation.decide()), expected, "waited {waited}");
    }
    assert_eq!(PATIENCE, 10);
}

#[test]
fn an_agent_on_chain_is_kept_as_it_should_be() {
    holds(&[
        ("as it should be", |s| s.on_chain(7, token(US, URI)), "rest; default Anchored"),
        (
            "its URI drifted, and x402 is missing",
            |s| s.on_chain(7, Token { x402: false, ..token(US, "https://old.example") }),
            "sign@5 default uri 7 https://seller.example/a; default Pending",
        ),
        (
            "x402 is missing",
            |s| s.on_chain(7, Token { x402: false, ..token(US, URI) }),
            "sign@5 default x402 7; default Pending",
        ),
        (
            "a former account has it",
            |s| s.on_chain(7, token(FORMER, "https://old.example")),
            "rest; default NotOwner",
        ),
        ("a stranger has it", |s| s.on_chain(7, token(STRANGER, URI)), "rest; default NotOwner"),
        (
            "the view names it and does not hold it",
            |s| {
                s.view.agents.insert(key(1), id(7));
            },
            "rest; default ViewShort",
        ),
        (
            "nothing of it is published",
            |s| {
                s.on_chain(7, token(US, URI));
                s.agent().readiness = Readiness::Tombstone;
            },
            "rest; default Anchored",
        ),
        (
            "a tombstone's URI drifted",
            |s| {
                s.on_chain(7, token(US, "https://old.example"));
                s.agent().readiness = Readiness::Tombstone;
            },
            "sign@5 default uri 7 https://seller.example/a; default Pending",
        ),
        (
            "other ids are known besides",
            |s| {
                s.on_chain(7, token(US, URI));
                s.view.tokens.insert(id(3), token(US, URI));
                s.view.unkeyed.insert(URI.to_owned(), id(3));
                (s.agent().adopt, s.agent().known) = (Some(id(3)), Some(id(4)));
            },
            "rest; default Anchored",
        ),
        (
            "another agent's κ is on chain",
            |s| {
                s.view.agents.insert(key(2), id(7));
            },
            MINTS,
        ),
    ]);
}

#[test]
fn an_id_that_is_known_is_adopted_or_waived_first() {
    holds(&[
        (
            "named and ours",
            |s| {
                s.view.tokens.insert(id(7), token(US, "https://old.example"));
                s.agent().adopt = Some(id(7));
            },
            "sign@5 default adopt 7 k1; default Pending",
        ),
        (
            "named, ours, and a tombstone's",
            |s| {
                s.view.tokens.insert(id(0), token(US, URI));
                (s.agent().adopt, s.agent().readiness) = (Some(id(0)), Readiness::Tombstone);
            },
            "sign@5 default adopt 0 k1; default Pending",
        ),
        (
            "named and a stranger's, mint beside or not",
            |s| {
                s.view.tokens.insert(id(7), token(STRANGER, URI));
                (s.agent().adopt, s.intent.mint_beside) = (Some(id(7)), true);
            },
            "rest; default NotOwner",
        ),
        (
            "named and a former account's",
            |s| {
                s.view.tokens.insert(id(7), token(FORMER, URI));
                s.agent().adopt = Some(id(7));
            },
            "rest; default NotOwner",
        ),
        ("named and missing", |s| s.agent().adopt = Some(id(7)), "rest; default NotOwner"),
        ("an AgentIdentity's", |s| s.agent().known = Some(id(0)), "rest; default AdoptFirst"),
        (
            "minted without κ at this URI",
            |s| {
                s.view.unkeyed.insert(URI.to_owned(), id(3));
            },
            "rest; default AdoptFirst",
        ),
        (
            "minted without κ at another URI",
            |s| {
                s.view.unkeyed.insert(HOST_URI.to_owned(), id(3));
            },
            MINTS,
        ),
        (
            "mint beside what an AgentIdentity names",
            |s| (s.agent().known, s.intent.mint_beside) = (Some(id(0)), true),
            MINTS,
        ),
        (
            "mint beside what has no κ",
            |s| {
                s.view.unkeyed.insert(URI.to_owned(), id(3));
                s.intent.mint_beside = true;
            },
            MINTS,
        ),
        (
            "known, of an earlier incarnation",
            |s| {
                s.view.agents.insert(key(9), id(7));
                s.agent().known = Some(id(7));
            },
            MINTS,
        ),
        (
            "known, beside an earlier incarnation's",
            |s| {
                s.view.agents.insert(key(9), id(7));
                s.agent().known = Some(id(6));
            },
            "rest; default AdoptFirst",
        ),
        (
            "known of an earlier incarnation, and another without κ",
            |s| {
                s.view.agents.insert(key(9), id(7));
                s.agent().known = Some(id(7));
                s.view.unkeyed.insert(URI.to_owned(), id(3));
            },
            "rest; default AdoptFirst",
        ),
        (
            "known, of another agent",
            |s| {
                s.view.agents.insert(key(2), id(7));
                s.agent().known = Some(id(7));
            },
            "rest; default AdoptFirst",
        ),
        (
            "held before it is looked at whether it sells",
            |s| (s.agent().known, s.agent().readiness) = (Some(id(0)), Readiness::Tombstone),
            "rest; default AdoptFirst",
        ),
        (
            "nothing is published",
            |s| s.agent().readiness = Readiness::Tombstone,
            "rest; default Tombstone",
        ),
        (
            "everything winds down",
            |s| s.agent().readiness = Readiness::Draining,
            "rest; default Draining",
        ),
    ]);
}

#[test]
fn what_was_paid_for_and_failed_three_times_waits_for_a_person() {
    assert_eq!(PAID_FAILURES, 3);
    holds(&[
        ("twice", |s| s.agent().failed = 2, MINTS),
        ("three times", |s| s.agent().failed = 3, "rest; default Reverted"),
        ("more often", |s| s.agent().failed = 4, "rest; default Reverted"),
        (
            "a change of URI",
            |s| {
                s.on_chain(7, token(US, "https://old.example"));
                s.agent().failed = 3;
            },
            "rest; default Reverted",
        ),
        (
            "nothing more is needed",
            |s| {
                s.on_chain(7, token(US, URI));
                s.agent().failed = 3;
            },
            "rest; default Anchored",
        ),
        (
            "another reason stands",
            |s| (s.agent().failed, s.agent().readiness) = (3, Readiness::Draining),
            "rest; default Draining",
        ),
        (
            "another agent goes on",
            |s| {
                s.agent().failed = 3;
                s.with_host();
            },
            "sign@5 host:audit.example mint https://audit.example/a k2; default Reverted; host:audit.example Pending",
        ),
    ]);
}

#[test]
fn agents_are_served_in_order_one_at_a_time() {
    holds(&[
        (
            "both are missing",
            |s| {
                s.with_host();
            },
            "sign@5 default mint https://seller.example/a k1; default Pending; host:audit.example Pending",
        ),
        (
            "the host stands first",
            |s| {
                s.with_host();
                s.intent.agents.reverse();
            },
            "sign@5 host:audit.example mint https://audit.example/a k2; default Pending; host:audit.example Pending",
        ),
        (
            "the first is as it should be",
            |s| {
                s.with_host();
                s.on_chain(7, token(US, URI));
            },
            "sign@5 host:audit.example mint https://audit.example/a k2; default Anchored; host:audit.example Pending",
        ),
        (
            "the first is held",
            |s| {
                s.with_host();
                s.agent().known = Some(id(7));
            },
            "sign@5 host:audit.example mint https://audit.example/a k2; default AdoptFirst; host:audit.example Pending",
        ),
        (
            "only the one in turn waits for finality",
            |s| {
                s.with_host();
                s.head.mined = 6;
            },
            "rest; default WaitingForFinality; host:audit.example Pending",
        ),
        (
            "only the one in turn waits for what is pending",
            |s| {
                s.with_host();
                s.on_chain(7, token(US, URI));
                s.head.pending = 6;
            },
            "rest; default Anchored; host:audit.example PendingUnknown",
        ),
    ]);
}

#[test]
fn no_words_of_a_node_are_an_input() {
    // Numbers, keys and URIs that the operator or final evidence gave: an error's text has no way in.
    let _: fn(&Intent, Option<&Slot>, &View, &Head, u32) -> Decision = next;
    let Situation { slot, head, .. } =
        Situation { slot: Some(Slot { nonce: 0, decisions: 0, max_fee: 0 }), ..quiet() };
    let Head { mined, pending, base_fee } = head;
    let Some(Slot { nonce, decisions, max_fee }) = slot else { panic!("there is one") };
    let _: ([u64; 3], u32, [u128; 2]) = ([mined, pending, nonce], decisions, [base_fee, max_fee]);
}

fn any_wanted(agent: AnchoredAgent, own: u8, uri: &'static str) -> impl Strategy<Value = Wanted> {
    let readiness =
        prop::sample::select(vec![Readiness::Ready, Readiness::Tombstone, Readiness::Draining]);
    let some_id = || prop::option::of((0_u64..3).prop_map(id));
    (readiness, some_id(), some_id(), 0_u32..5).prop_map(
        move |(readiness, adopt, known, failed)| {
            let (key, earlier_keys, uri) = (key(own), vec![key(9)], uri.to_owned());
            Wanted { agent: agent.clone(), key, earlier_keys, uri, readiness, adopt, known, failed }
        },
    )
}

fn any_situation() -> impl Strategy<Value = Situation> {
    let uri = || prop::sample::select(vec![URI, HOST_URI]);
    let owner = prop::sample::select(vec![US, US, FORMER, STRANGER]);
    let token = (owner, uri(), any::<bool>())
        .prop_map(|(owner, uri, x402)| Token { x402, ..token(owner, uri) });
    let keys = prop::sample::select(vec![key(1), key(2), key(9)]);
    let view = (
        0_u64..3,
        prop::collection::btree_map(keys, (0_u64..3).prop_map(id), 0..3),
        prop::collection::btree_map(uri().prop_map(str::to_owned), (0_u64..3).prop_map(id), 0..2),
        prop::collection::btree_map((0_u64..3).prop_map(id), token, 0..4),
    );
    let counts = || prop::sample::select(vec![0_u32, 9, 10, 11]);
    let slot = (0_u64..4, counts(), 0_u128..3).prop_map(|(nonce, decisions, max_fee)| Slot {
        nonce,
        decisions,
        max_fee,
    });
    let head = (0_u64..4, 0_u64..4, 0_u128..3).prop_map(|(mined, pending, base_fee)| Head {
        mined,
        pending,
        base_fee,
    });
    let host = AnchoredAgent::Host(Hostname::parse("audit.example").unwrap());
    let agents =
        (any_wanted(AnchoredAgent::Default, 1, URI), any_wanted(host, 2, HOST_URI), 0_usize..3);
    (view, prop::option::weighted(0.3, slot), head, agents, counts(), any::<bool>()).prop_map(
        |((count, agents, unkeyed, tokens), slot, head, (first, second, kept), waited, beside)| {
            let block = Block { number: count, hash: B256::ZERO };
            let agents_wanted = [first, second].into_iter().take(kept).collect();
            Situation {
                intent: Intent { account: US, agents: agents_wanted, mint_beside: beside },
                slot,
                view: View { block, count, agents, unkeyed, tokens },
                head,
                waited,
            }
        },
    )
}

proptest! {
    #![proptest_config(law(4_096))]

    #[test]
    fn whatever_is_signed_is_signed_at_the_final_count_for_what_the_view_lacks(s in any_situation()) {
        let decision = s.decide();
        let agents: Vec<_> = decision.agents.keys().cloned().collect();
        let wanted: Vec<_> = s.intent.agents.iter().map(|wanted| wanted.agent.clone()).collect();
        prop_assert_eq!(agents, wanted, "each agent has its reason");
        let ours = |id: &AgentId| s.view.tokens.get(id).is_some_and(|token| token.owner == US);
        match (&decision.step, &s.slot) {
            (Step::Sign(reservation), slot) => {
                prop_assert_eq!(reservation.nonce(), s.view.count);
                match (reservation.purpose(), slot) {
                    (Purpose::Bump, Some(slot)) => prop_assert_eq!(slot.nonce, reservation.nonce()),
                    (Purpose::Open { agent, call }, None) => {
                        prop_assert!(s.head.mined <= s.view.count);
                        prop_assert!(s.head.pending <= s.view.count || s.waited >= PATIENCE);
                        let own = s.intent.agents.iter().find(|wanted| wanted.agent == *agent).unwrap();
                        prop_assert!(own.failed < PAID_FAILURES);
                        match call {
                            Call::Mint { key, uri } => {
                                prop_assert_eq!((key, uri), (&own.key, &own.uri));
                                prop_assert!(!s.view.agents.contains_key(key));
                                prop_assert_eq!((own.readiness, own.adopt), (Readiness::Ready, None));
                            }
                            Call::Adopt { id, key } => {
                                prop_assert_eq!((Some(*id), key), (own.adopt, &own.key));
                                prop_assert!(!s.view.agents.contains_key(key) && ours(id));
                            }
                            Call::SetUri { id, .. } | Call::SetX402 { id } => {
                                prop_assert!(s.view.agents.get(&own.key) == Some(id) && ours(id));
                            }
                        }
                    }
                    (purpose, slot) => prop_assert!(false, "{:?} with {:?}", purpose, slot),
                }
            }
            (Step::Broadcast, slot) => prop_assert_eq!(slot.as_ref().map(|slot| slot.nonce), Some(s.view.count)),
            (Step::Forget, slot) => prop_assert!(slot.as_ref().is_some_and(|slot| slot.nonce < s.view.count)),
            (Step::Rest, _) => {}
        }
    }
}
