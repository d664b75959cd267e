use super::*;
use crate::check::anchoring::{AnchoringFacts, ChainFacts, Lease, judge, judge_lease};

fn chain() -> ChainFacts {
    let endpoint = |name: &str| (name.to_owned(), Ok(8453));
    ChainFacts {
        name: "eip155:8453".to_owned(),
        endpoints: vec![endpoint("a.example (endpoint 1)"), endpoint("b.example (endpoint 2)")],
        chain_id: 8453,
        final_block: Ok((41_700_000, Some(now() - TimeDelta::minutes(20)))),
        registry: Ok("2.0.0".to_owned()),
        width: Ok(()),
        history: Ok(()),
        days_of_funds: Ok(30.0),
    }
}

fn with_facts(change: impl FnOnce(&mut AnchoringFacts)) -> Report {
    let mut facts = AnchoringFacts {
        now: now(),
        chains: vec![chain()],
        signer: Some(Ok("0x00000000000000000000000000000000000000aA".to_owned())),
        journal: Ok(vec![]),
    };
    change(&mut facts);
    judged(|report| judge(&facts, report))
}

fn with(change: impl FnOnce(&mut ChainFacts)) -> Report {
    with_facts(|facts| change(&mut facts.chains[0]))
}

fn silent() -> String {
    "a.example (endpoint 1) did not answer".to_owned()
}

fn lease(holder: &str, age: i64) -> Report {
    let renewed = Some(now() - TimeDelta::seconds(age));
    let lease = Lease { holder: holder.to_owned(), renewed, seconds: 15 };
    judged(|report| judge_lease(&Ok(Some(lease)), now(), report))
}

pub(super) fn rows() -> Vec<Row> {
    let old = now() - TimeDelta::minutes(61);
    vec![
        (CheckId::ChainEndpoints, Status::Fail, with(|chain| chain.endpoints[1].1 = Ok(1))),
        (CheckId::ChainEndpoints, Status::Fail, with(|chain| chain.endpoints[1].1 = Err(silent()))),
        (CheckId::ChainQuorum, Status::Warn, with(|chain| drop(chain.endpoints.pop()))),
        (CheckId::ChainFinality, Status::Fail, with(|chain| chain.final_block = Err(silent()))),
        (
            CheckId::ChainFinality,
            Status::Fail,
            with(|chain| chain.final_block = Ok((7, Some(old)))),
        ),
        (CheckId::ChainFinality, Status::Pass, with(|chain| chain.final_block = Ok((7, None)))),
        (CheckId::ChainRegistry, Status::Fail, with(|chain| chain.registry = Err(silent()))),
        (
            CheckId::ChainRegistry,
            Status::Warn,
            with(|chain| chain.registry = Ok("3.0.0".to_owned())),
        ),
        (CheckId::ChainWidth, Status::Fail, with(|chain| chain.width = Err(silent()))),
        (CheckId::ChainHistory, Status::Fail, with(|chain| chain.history = Err(silent()))),
        (CheckId::AccountFunds, Status::Warn, with(|chain| chain.days_of_funds = Ok(6.9))),
        (CheckId::AccountFunds, Status::Warn, with(|chain| chain.days_of_funds = Err(silent()))),
        (
            CheckId::AccountSigner,
            Status::Fail,
            with_facts(|facts| facts.signer = Some(Err("wrong password".to_owned()))),
        ),
        (CheckId::AccountSigner, Status::Skip, with_facts(|facts| facts.signer = None)),
        (CheckId::LeaseHeld, Status::Pass, lease("registrar-0", 10)),
        (CheckId::LeaseHeld, Status::Fail, lease("registrar-0", 21)),
        (CheckId::LeaseHeld, Status::Fail, lease("", 1)),
        (CheckId::LeaseHeld, Status::Fail, judged(|report| judge_lease(&Ok(None), now(), report))),
        (
            CheckId::LeaseHeld,
            Status::Fail,
            judged(|report| judge_lease(&Err(silent()), now(), report)),
        ),
        (
            CheckId::JournalUsable,
            Status::Fail,
            with_facts(|facts| facts.journal = Err("it is corrupt".to_owned())),
        ),
        (
            CheckId::JournalBlocked,
            Status::Skip,
            with_facts(|facts| facts.journal = Err("it is corrupt".to_owned())),
        ),
        (
            CheckId::JournalBlocked,
            Status::Fail,
            with_facts(|facts| facts.journal = Ok(vec!["default is NoFunds.".to_owned()])),
        ),
    ]
}

#[test]
fn sound_anchoring_passes() {
    let mut report = with_facts(|_| {});
    report.add(CheckId::LeaseHeld, Status::Pass, "It is judged apart.");
    assert_eq!(troubles(report, "anchoring"), vec![]);
}
