//! The incremental form against the full fold, over random histories of a domain so small that
//! offers collide often; and mutants that this comparison finds.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use flate2::read::GzDecoder;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{TestRng, TestRunner},
};
use serde_json::json;

use super::{LiveProjection, changes::TransitionKind};
use crate::{
    offer::{Grants, Hostname, OfferId, Offers, ParsedOffer, Timestamp},
    page::Page,
    registration::{
        Identity, Ids, OfferState, PublishedAgents, Reason, Rules, SizeLimits, project,
        tests::laws::{any_rules, ids, instant, resource},
    },
    testing::{NOON, Resource, at, law, offer, public_url, rules},
};

/// What happens at one instant.
#[derive(Clone, Debug)]
struct Event {
    now: Timestamp,
    changes: BTreeMap<OfferId, Option<Arc<ParsedOffer>>>,
}

#[derive(Clone, Debug)]
struct History {
    rules: Rules,
    ids: Ids,
    events: Vec<Event>,
}

/// A change of one of a few offers; most changes set it.
fn change() -> impl Strategy<Value = (OfferId, Option<Arc<ParsedOffer>>)> {
    (resource(true), prop::bool::weighted(0.75))
        .prop_map(|(made, exists)| (made.id(), exists.then(|| Arc::new(made.parsed()))))
}

fn events(changes: usize, events: usize) -> impl Strategy<Value = Vec<Event>> {
    let changes = prop::collection::vec(change(), 0..changes);
    let event = (instant(), changes)
        .prop_map(|(now, changes)| Event { now, changes: changes.into_iter().collect() });
    prop::collection::vec(event, 1..events)
}

/// Ids of the default agent and of two hosts, one of which is the public URL's own.
fn any_ids() -> impl Strategy<Value = Ids> {
    any::<bool>().prop_map(|anchored| {
        let hosts = ["i.example", "seller.example", "free.example"];
        let hosts = hosts.into_iter().filter(|_| anchored).filter_map(Hostname::parse);
        Ids { default: ids(), hosts: hosts.map(|host| (host, ids())).collect() }
    })
}

fn any_grants() -> impl Strategy<Value = Option<Grants>> {
    let granted = json!({ "a": { "hosts": ["h.example"], "paths": ["/p", "/services"] } });
    prop::option::weighted(0.3, Just(Grants::parse(&granted).unwrap()))
}

fn histories() -> impl Strategy<Value = History> {
    (any_rules(), any_grants(), any_ids(), events(4, 9)).prop_map(|(rules, grants, ids, events)| {
        History { rules: Rules { grants, ..rules }, ids, events }
    })
}

fn empty(history: &History, now: Timestamp) -> LiveProjection {
    LiveProjection::new(history.rules.clone().into(), history.ids.clone().into(), public_url(), now)
}

fn sent(page: &Page) -> [(bytes::Bytes, bytes::Bytes); 2] {
    [page.identity(), page.gzip()].map(|form| (form.etag.clone(), form.body.to_bytes()))
}

fn gunzipped(page: &Page) -> Vec<u8> {
    let mut plain = Vec::new();
    GzDecoder::new(&page.gzip().body.to_bytes()[..]).read_to_end(&mut plain).unwrap();
    plain
}

/// Fails with a sentence unless both are equal.
fn same<T: PartialEq + std::fmt::Debug>(what: &str, live: T, whole: T) -> Result<(), String> {
    if live == whole { Ok(()) } else { Err(format!("{what}: {live:?} instead of {whole:?}")) }
}

/// Compares a live projection with the full fold of the same facts at the same instant.
fn compare(
    live: &LiveProjection,
    offers: &Offers,
    history: &History,
    now: Timestamp,
) -> Result<(), String> {
    let fold = |now| project(offers, &history.ids, &public_url(), &history.rules, now);
    let whole = fold(now);
    same("default", sent_text(&live.default), text(&whole.default.render()))?;
    let hosts = live.hosts.iter().map(|(host, page)| {
        (host.clone(), (page.holder.clone(), page.is_active, sent_text(&page.page)))
    });
    let expected = whole.hosts.iter().map(|(host, agent)| {
        let document = &agent.document;
        (host.clone(), (agent.holder.clone(), document.active, text(&document.render())))
    });
    same("hosts", hosts.collect::<BTreeMap<_, _>>(), expected.collect())?;
    let rows = live.published_after(None).map(|row| {
        let page = live.offer(&row.id).map(sent_text);
        (row.id, (row.availability, row.reason, row.web, row.host, page))
    });
    let expected = whole.published.iter().map(|offer| {
        let page = Some(text(&offer.document.render()));
        let row = (offer.availability, offer.reason, offer.web.clone(), offer.host.clone(), page);
        (offer.id.clone(), row)
    });
    same("published", rows.collect::<BTreeMap<_, _>>(), expected.collect())?;
    let explanations: Vec<_> = live.explanations_after(None).collect();
    same("explanations", &explanations, &whole.explanations)?;
    same("next change", live.next_change(), whole.next_change)?;
    for state in OfferState::ALL {
        let of = whole.explanations.iter().filter(|explained| explained.state == state);
        same(state.as_str(), live.count_in_state(state), of.count())?;
    }
    for reason in Reason::ALL {
        let of = whole.explanations.iter().filter(|explained| explained.reason == reason);
        same(reason.as_str(), live.count_with_reason(reason), of.count())?;
    }
    let registrations = history.ids.default.clone();
    let identity = Identity { registrations, problems: Vec::new() };
    let agents = PublishedAgents::new(&whole, &public_url(), &identity);
    same("agents", live.agents(&identity), agents)?;
    if let Some(from) = live.valid_from() {
        same("from the start on", fold(from).explanations, whole.explanations.clone())?;
        let before = fold(from - chrono::TimeDelta::nanoseconds(1)).explanations;
        if before == whole.explanations {
            return Err(format!("nothing changed at {from}, from which on it is said to hold"));
        }
    }
    // A process that starts at this instant has the same bytes and tags.
    let mut fresh = empty(history, now);
    fresh.apply(offers.iter().map(|(id, parsed)| (id.clone(), Some(Arc::clone(parsed)))), now);
    same("bytes and tags", pages(live), pages(&fresh))?;
    same("valid from", live.valid_from(), fresh.valid_from())?;
    same("gzip", text(&gunzipped(&live.default)), sent_text(&live.default))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn sent_text(page: &Page) -> String {
    text(&page.identity().body.to_bytes())
}

fn pages(live: &LiveProjection) -> Vec<[(bytes::Bytes, bytes::Bytes); 2]> {
    let own = live.published_after(None).filter_map(|row| live.offer(&row.id));
    let hosts = live.hosts.values().map(|host| &host.page);
    own.chain(hosts).chain([&live.default]).map(sent).collect()
}

/// Plays a history, and lets `mutant` change the state after each event, from what it was before.
fn play(
    history: &History,
    mutant: impl Fn(&LiveProjection, &mut LiveProjection),
) -> Result<(), String> {
    let mut live = empty(history, history.events[0].now);
    let mut offers = Offers::new();
    for Event { now, changes } in &history.events {
        for (id, parsed) in changes {
            match parsed {
                Some(parsed) => offers.insert(id.clone(), Arc::clone(parsed)),
                None => offers.remove(id),
            };
        }
        let before = live.clone();
        let touched = live.apply(changes.clone(), *now);
        let seen = |projection: &LiveProjection, id: &OfferId| {
            let entry = projection.entries.get(id)?;
            let page = projection.offer(id).map(sent);
            Some((entry.state, entry.reason, entry.standing, page))
        };
        for id in before.entries.keys().chain(live.entries.keys()) {
            if !touched.contains(id) {
                same("an offer that was not touched", seen(&live, id), seen(&before, id))?;
            }
        }
        mutant(&before, &mut live);
        compare(&live, &offers, history, *now)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(law(400))]

    #[test]
    fn after_any_history_the_incremental_form_is_the_full_fold(history in histories()) {
        play(&history, |_, _| {}).map_err(TestCaseError::fail)?;
    }
}

/// Offers under many names, so that trees, segments and cuts have something to do.
fn crowd() -> impl Strategy<Value = History> {
    let change = (resource(true), 0..90_u8, prop::bool::weighted(0.8));
    let change = change.prop_map(|(made, number, exists)| {
        let id = OfferId::new("c", &format!("n{number}"));
        let own_path = format!("/services/n{number}");
        let made = if number % 5 == 0 { made } else { made.path(&own_path) };
        let parsed = ParsedOffer::parse(&id, &made.set("/metadata/name", id.name.as_ref()).0);
        (id, exists.then(|| Arc::new(parsed)))
    });
    let changes = prop::collection::vec(change, 0..60);
    let event = (instant(), changes)
        .prop_map(|(now, changes)| Event { now, changes: changes.into_iter().collect() });
    let limits = (
        prop::sample::select(vec![1_048_576, 20_000, 9_000, 3_000]),
        prop::sample::select(vec![65_536, 150]),
    );
    (limits, any_ids(), prop::collection::vec(event, 1..8)).prop_map(
        |((document, offer), ids, events)| {
            let limits = SizeLimits { document, offer };
            History { rules: Rules { limits, ..rules() }, ids, events }
        },
    )
}

proptest! {
    #![proptest_config(law(12))]

    #[test]
    fn the_same_is_true_of_a_crowd(history in crowd()) {
        play(&history, |_, _| {}).map_err(TestCaseError::fail)?;
    }
}

/// The first difference that random histories show in a mutant of the incremental form.
fn found(mutant: impl Fn(&LiveProjection, &mut LiveProjection)) -> Option<String> {
    let rng = TestRng::deterministic_rng(law(1).rng_algorithm);
    let mut runner = TestRunner::new_with_rng(law(1), rng);
    let mut next = || histories().new_tree(&mut runner).unwrap().current();
    (0..400).find_map(|_| play(&next(), &mutant).err())
}

#[test]
fn mutants_of_the_incremental_form_are_found() {
    assert_eq!(found(|_, _| {}), None);
    let forgotten_claim = found(|_, live| {
        // Nobody notes who claims what another offer holds.
        live.claims.keys().iter().for_each(|key| live.claims.forget_rivals(key));
    });
    assert!(forgotten_claim.is_some(), "a forgotten claim");
    let missed_flip = found(|_, live| {
        live.flips = live.flips.without_min().1;
    });
    assert!(missed_flip.is_some(), "a missed flip");
    let stale_cut = found(|before, live| {
        live.cut = before.cut.clone();
    });
    assert!(stale_cut.is_some(), "a stale cut");
    let stale_aggregate = found(|before, live| {
        live.default = before.default.clone();
    });
    assert!(stale_aggregate.is_some(), "a stale aggregate");
    let stale_host = found(|before, live| live.hosts = before.hosts.clone());
    assert!(stale_host.is_some(), "a stale host");
    let stale_frame = found(|before, live| {
        live.frame = before.frame.clone();
        live.default = live.segments.page(&live.frame);
    });
    assert!(stale_frame.is_some(), "a stale frame");
}

/// The transitions of an offer from one form to another, and the reasons for which it is refused anew.
fn changed(from: Option<Resource>, to: Option<Resource>) -> (Vec<TransitionKind>, Vec<Reason>) {
    let history = History { rules: rules(), ids: Ids::default(), events: Vec::new() };
    let mut live = empty(&history, at(NOON));
    let id = OfferId::new("llm", "chat");
    live.apply(from.map(|made| (id.clone(), Some(Arc::new(made.parsed())))), at(NOON));
    let earlier = live.clone();
    let touched = live.apply([(id, to.map(|made| Arc::new(made.parsed())))], at(NOON));
    let transitions = live.transitions_since(&earlier, &touched).into_iter();
    let refused = live.refusals_since(&earlier, &touched).into_iter();
    (
        transitions.map(|transition| transition.kind).collect(),
        refused.map(|explanation| explanation.reason).collect(),
    )
}

#[test]
fn a_transition_is_what_became_of_an_offer() {
    use TransitionKind::{Drained, Draining, Published, Restored, Withdrawn};
    let chat = || offer("llm/chat");
    let drains = |grace: &str| chat().draining(NOON, grace);
    let rows = [
        (None, Some(chat()), vec![Published]),
        (Some(chat().disabled()), Some(chat()), vec![Published]),
        (Some(chat()), Some(chat().set("/spec/registration/name", "Other")), vec![]),
        (Some(chat()), Some(drains("1h")), vec![Draining]),
        (None, Some(drains("1h")), vec![Draining]),
        (Some(drains("1h")), Some(drains("2h")), vec![Draining]),
        (Some(drains("1h")), Some(drains("1h").service("A2A", "https://a.example")), vec![]),
        (Some(drains("1h")), Some(drains("0s")), vec![Drained]),
        (Some(chat()), Some(drains("0s")), vec![Drained]),
        (None, Some(drains("0s")), vec![]),
        (Some(drains("1h")), Some(chat()), vec![Restored]),
        (Some(drains("0s")), Some(chat()), vec![Restored]),
        (Some(drains("0s")), Some(drains("1h")), vec![Draining]),
        (Some(chat()), Some(chat().disabled()), vec![Withdrawn]),
        (Some(chat()), None, vec![Withdrawn]),
        (Some(drains("1h")), None, vec![Withdrawn]),
        (Some(drains("0s")), None, vec![]),
        (Some(chat().disabled()), None, vec![]),
    ];
    for (at, (from, to, expected)) in rows.into_iter().enumerate() {
        assert_eq!(changed(from, to).0, expected, "row {at}");
    }
}

#[test]
fn a_refusal_is_told_when_its_reason_is_new_and_only_if_the_seller_did_not_ask_for_it() {
    let chat = || offer("llm/chat");
    let reserved = || chat().set("/spec/path", "/.well-known/x");
    let invalid = || chat().set("/spec/path", "x y");
    let rows = [
        (None, Some(chat()), vec![]),
        (None, Some(reserved()), vec![Reason::ReservedPath]),
        (Some(chat()), Some(reserved()), vec![Reason::ReservedPath]),
        (Some(reserved()), Some(reserved().set("/spec/registration/name", "Other")), vec![]),
        (Some(reserved()), Some(invalid()), vec![Reason::InvalidPath]),
        (Some(chat()), Some(chat().disabled()), vec![]),
        (Some(chat()), Some(chat().draining(NOON, "0s")), vec![]),
        (Some(reserved()), Some(chat()), vec![]),
        (Some(reserved()), None, vec![]),
    ];
    for (at, (from, to, expected)) in rows.into_iter().enumerate() {
        assert_eq!(changed(from, to).1, expected, "row {at}");
    }
}
