//! What holds of every decision, whatever it sees.

use crate::{
    anchor::{
        evidence::{Block, Token, View},
        key::AnchoredAgent,
        plan::{
            BUMP_AFTER_DECISIONS, Call, Decision, DesiredAgent, DesiredState, Head, MintReadiness,
            PAID_FAILURES, Purpose, Slot, Step, next,
        },
    },
    offer::Hostname,
    registration::AgentId,
    testing::law,
};
use alloy::primitives::B256;
use proptest::prelude::*;

use super::situation::{FORMER, HOST_URI, STRANGER, Situation, URI, US, id, key, quiet, token};

#[test]
fn no_words_of_a_node_are_an_input() {
    // Numbers, keys and URIs that the operator or final evidence gave: an error's text has no way in.
    let _: fn(&DesiredState, Option<&Slot>, &View, &Head, u32) -> Decision = next;
    let Situation { slot, head, .. } =
        Situation { slot: Some(Slot { nonce: 0, decisions: 0, max_fee: 0 }), ..quiet() };
    let Head { mined, pending, base_fee } = head;
    let Some(Slot { nonce, decisions, max_fee }) = slot else { panic!("there is one") };
    let _: ([u64; 3], u32, [u128; 2]) = ([mined, pending, nonce], decisions, [base_fee, max_fee]);
}

fn any_wanted(
    agent: AnchoredAgent,
    own: u8,
    uri: &'static str,
) -> impl Strategy<Value = DesiredAgent> {
    let readiness = prop::sample::select(vec![
        MintReadiness::Ready,
        MintReadiness::Tombstone,
        MintReadiness::Draining,
    ]);
    let some_id = || prop::option::of((0_u64..3).prop_map(id));
    (readiness, some_id(), some_id(), 0_u32..5).prop_map(
        move |(readiness, adopt, known, failed)| {
            let (key, earlier_keys, uri) = (key(own), vec![key(9)], uri.to_owned());
            DesiredAgent {
                agent: agent.clone(),
                key,
                earlier_keys,
                uri,
                readiness,
                adopt,
                known,
                failed,
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
                intent: DesiredState { account: US, agents: agents_wanted, mint_beside: beside },
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
                        prop_assert!(s.head.pending <= s.view.count || s.waited >= BUMP_AFTER_DECISIONS);
                        let own = s.intent.agents.iter().find(|wanted| wanted.agent == *agent).unwrap();
                        prop_assert!(own.failed < PAID_FAILURES);
                        match call {
                            Call::Mint { key, uri } => {
                                prop_assert_eq!((key, uri), (&own.key, &own.uri));
                                prop_assert!(!s.view.agents.contains_key(key));
                                prop_assert_eq!((own.readiness, own.adopt), (MintReadiness::Ready, None));
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
            (Step::Release, slot) => prop_assert!(slot.as_ref().is_some_and(|slot| slot.nonce < s.view.count)),
            (Step::Wait, _) => {}
        }
    }
}
