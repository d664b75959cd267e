//! What holds of every decision, whatever it sees.

use std::collections::BTreeMap;

use alloy::primitives::B256;
use proptest::prelude::*;

use super::situation::{HOST_URI, Situation, URI, quiet, token};
use crate::{
    anchor::{
        account::InFlight,
        evidence::{Block, Token, View},
        key::AnchorKey,
        plan::{
            BUMP_AFTER_DECISIONS, Call, Decision, DesiredAgent, DesiredState, FormerAccount,
            HeadState, PAID_FAILURES, Purpose, Retirement, Step, next,
        },
        testing::{FORMER, STRANGER, US, desired, host, id, in_flight, key, registry},
    },
    registration::{AgentId, AgentName, Selling},
    testing::law,
};

#[test]
fn no_words_of_a_node_are_an_input() {
    // Numbers, keys and URIs that the operator or final evidence gave: an error's text has no way
    // in.
    type Decides =
        fn(&DesiredState, Option<&InFlight>, &[FormerAccount], &View, &HeadState, u32) -> Decision;
    let _: Decides = next;
    let FormerAccount { final_count, pending, recorded } =
        FormerAccount { final_count: 0, pending: 0, recorded: None };
    let _: ([u64; 2], Option<u64>) = ([final_count, pending], recorded);
    let HeadState { mined, pending, base_fee, tip, balance, is_known } = quiet().head;
    let _: ([u64; 2], [u128; 3], bool) = ([mined, pending], [base_fee, tip, balance], is_known);
}

fn any_desired(
    agent: AgentName,
    key_: AnchorKey,
    uri: &'static str,
) -> impl Strategy<Value = DesiredAgent> {
    let selling = prop::sample::select(vec![Selling::Open, Selling::Nothing, Selling::Draining]);
    let some_id = || prop::option::of((0_u64..3).prop_map(id));
    let unclear = prop::option::weighted(0.2, Just("unclear".to_owned()));
    let retirement =
        prop::sample::select(vec![None, Some(Retirement::Retired), Some(Retirement::Revived)]);
    (selling, some_id(), some_id(), unclear, 0_u32..5, retirement).prop_map(
        move |(selling, adopt, known, unclear, failed, retirement)| {
            let earlier_keys = vec![key(9)];
            let agent = desired(agent.clone(), key_, uri);
            DesiredAgent {
                earlier_keys,
                selling,
                adopt,
                known,
                unclear,
                failed,
                retirement,
                ..agent
            }
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
    let sent = (0_u64..4, counts(), 0_u128..3)
        .prop_map(|(nonce, decisions, max_fee)| in_flight(nonce, decisions, max_fee));
    let head = (0_u64..4, 0_u64..4, 0_u128..3, any::<bool>()).prop_map(
        |(mined, pending, base_fee, is_known)| HeadState {
            mined,
            pending,
            base_fee,
            tip: 0,
            balance: 0,
            is_known,
        },
    );
    let former = (0_u64..3, 0_u64..3, prop::option::of(0_u64..3)).prop_map(
        |(final_count, pending, recorded)| FormerAccount { final_count, pending, recorded },
    );
    let formers = prop::collection::vec(former, 0..2);
    let agents = (
        any_desired(AgentName::Default, key(1), URI),
        any_desired(host("audit.example"), key(2), HOST_URI),
        0_usize..3,
    );
    let sent = (prop::option::weighted(0.3, sent), formers);
    (view, sent, head, agents, counts(), any::<bool>()).prop_map(
        |(view, (sent, formers), head, (first, second, kept), waited, beside)| {
            let (count, agents, unkeyed, tokens) = view;
            let block = Block { number: count, hash: B256::ZERO };
            let all = [first, second].into_iter().take(kept).collect();
            Situation {
                desired: DesiredState {
                    registry: registry(1),
                    account: US,
                    agents: all,
                    mint_beside: beside,
                },
                in_flight: sent,
                formers,
                view: View {
                    block,
                    count,
                    former_counts: BTreeMap::new(),
                    agents,
                    duplicates: BTreeMap::new(),
                    unkeyed,
                    tokens,
                },
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
        let desired: Vec<_> = s.desired.agents.iter().map(|desired| desired.agent.clone()).collect();
        prop_assert_eq!(agents, desired, "each agent has its reason");
        let ours = |id: &AgentId| s.view.tokens.get(id).is_some_and(|token| token.owner == US);
        match (&decision.step, &s.in_flight) {
            (Step::Confirm(claim), None) => {
                let reservation = claim.reservation();
                prop_assert_eq!(reservation.nonce(), s.view.count);
                prop_assert!(!s.formers.iter().any(FormerAccount::is_busy));
                prop_assert!(s.head.mined <= s.view.count);
                prop_assert!(s.head.pending <= s.view.count || s.waited >= BUMP_AFTER_DECISIONS);
                let Purpose::Open { agent, call } = reservation.purpose() else {
                    return Err(TestCaseError::fail("a bump claims nothing"));
                };
                let own = s.desired.agents.iter().find(|desired| desired.agent == *agent).unwrap();
                prop_assert!(own.failed < PAID_FAILURES);
                prop_assert!(!s.view.agents.contains_key(&own.key));
                prop_assert!(own.retirement != Some(Retirement::Retired));
                match call {
                    Call::Mint { key, uri } => {
                        prop_assert_eq!((key, uri), (&own.key, &own.uri));
                        prop_assert_eq!((own.selling, own.adopt), (Selling::Open, None));
                        prop_assert!(own.unclear.is_none() || s.desired.mint_beside);
                    }
                    Call::Adopt { id, key } => {
                        prop_assert_eq!((Some(*id), key), (own.adopt, &own.key));
                        prop_assert!(ours(id));
                    }
                    Call::SetUri { .. } | Call::SetDataUri { .. } | Call::SetX402 { .. } => {
                        prop_assert!(false, "{} gives no token a κ", call);
                    }
                }
            }
            (Step::Confirm(_), Some(_)) => prop_assert!(false, "something is in flight"),
            (Step::Sign(reservation), sent) => {
                prop_assert_eq!(reservation.nonce(), s.view.count);
                match (reservation.purpose(), sent) {
                    (Purpose::Bump, Some(sent)) => prop_assert_eq!(sent.nonce, reservation.nonce()),
                    (Purpose::Open { agent, call }, None) => {
                        prop_assert!(s.head.mined <= s.view.count);
                        prop_assert!(s.head.pending <= s.view.count || s.waited >= BUMP_AFTER_DECISIONS);
                        let own = s.desired.agents.iter().find(|desired| desired.agent == *agent).unwrap();
                        prop_assert!(own.failed < PAID_FAILURES);
                        match call {
                            Call::Mint { .. } | Call::Adopt { .. } => {
                                prop_assert!(false, "{} is not confirmed", call);
                            }
                            Call::SetUri { id, .. }
                            | Call::SetDataUri { id, .. }
                            | Call::SetX402 { id } => {
                                prop_assert!(s.view.agents.get(&own.key) == Some(id) && ours(id));
                            }
                        }
                    }
                    (purpose, sent) => prop_assert!(false, "{:?} with {:?}", purpose, sent),
                }
            }
            (Step::Broadcast, sent) => prop_assert_eq!(sent.as_ref().map(|sent| sent.nonce), Some(s.view.count)),
            (Step::Release, sent) => prop_assert!(sent.as_ref().is_some_and(|sent| sent.nonce < s.view.count)),
            (Step::Wait, _) => {}
        }
    }
}
