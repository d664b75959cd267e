//! What is told of offers and agents, and what is held back.

use alloy::primitives::Address;

use super::*;
use crate::registration::{AgentId, AgentRegistry, OnChainAgent};

fn note(number: usize, reason: &'static str) -> Note {
    let about = Subject::Offer(OfferId::parse(&format!("llm/offer-{number}")).unwrap());
    Note { about, reason, text: "A sentence.".to_owned(), is_warning: false }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn what_was_told_is_not_told_again_for_ten_minutes() {
    let mut limit = NoteLimit::default();
    assert!(limit.admits(&note(1, "Published"), at(0)));
    assert!(!limit.admits(&note(1, "Published"), at(1)));
    assert!(limit.admits(&note(1, "Draining"), at(1)));
    assert!(limit.admits(&note(2, "Published"), at(1)));
    assert!(!limit.admits(&note(1, "Published"), at(599)));
    assert!(limit.admits(&note(1, "Published"), at(600)));
}

#[test]
fn a_burst_is_bounded_and_one_a_second_follows() {
    let mut limit = NoteLimit::default();
    let told = |limit: &mut NoteLimit, from: usize, now| {
        (from..from + 200).filter(|number| limit.admits(&note(*number, "Published"), now)).count()
    };
    assert_eq!(told(&mut limit, 0, at(5)), 50);
    assert_eq!(told(&mut limit, 1_000, at(5)), 0);
    assert_eq!(told(&mut limit, 2_000, at(8)), 3);
    assert_eq!(told(&mut limit, 3_000, at(1_000)), 50);
    assert!(limit.told.len() <= 50, "what was told long ago is forgotten");
}

#[test]
fn an_id_is_told_once_it_is_final_and_when_it_is_another() {
    let registry = AgentRegistry { chain_id: 97, address: Address::repeat_byte(0x80) };
    let host = Hostname::parse("audit.example").unwrap();
    let facts = |default, of_host| {
        let fact = |id| OnChainAgent { id, reason: "Anchored" };
        OnChainFacts(BTreeMap::from([
            ((AgentName::Default, registry), fact(default)),
            ((AgentName::Host(host.clone()), registry), fact(of_host)),
        ]))
    };
    let own = |id| OnChainId::Own(AgentId::parse(id).unwrap());
    let audit = OfferId::parse("llm/audit").unwrap();
    let told = |before: &OnChainFacts, now: &OnChainFacts| {
        let notes = notes_of_chain(before, now, |_| Some(audit.clone()));
        notes.into_iter().map(|note| note.about).collect::<Vec<_>>()
    };
    let nothing = OnChainFacts::default();
    let (unknown, withheld) = (OnChainId::Unknown, OnChainId::Withheld);
    let offer = || vec![Subject::Offer(audit.clone())];
    assert_eq!(told(&nothing, &facts(unknown, withheld)), []);
    assert_eq!(told(&facts(unknown, unknown), &facts(own("7"), unknown)), [Subject::DefaultAgent]);
    assert_eq!(told(&facts(own("7"), unknown), &facts(own("7"), own("8"))), offer());
    assert_eq!(told(&facts(own("7"), own("8")), &facts(own("7"), own("9"))), offer());
    assert_eq!(told(&facts(own("7"), own("8")), &facts(withheld, own("8"))), []);
}
