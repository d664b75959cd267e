//! Laws of the projection, on a domain so small that offers collide often.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use crate::{
    catalog::Catalog,
    offer::{Offers, Timestamp},
    page::{Page, Representation},
    registration::tests::reference::{parsed_once, rendered_without_drains},
    registration::{
        Document, Identity, Ids, OnChainFacts, Projection, Reason, Registrations, Rules,
        SizeLimits, chains::KnownRegistries, project,
    },
    testing::{Resource, at, ids_of, law, offer, offers, public_url, rules},
};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

/// Grace periods move the end of a drain from one of these instants to another.
const INSTANTS: [&str; 6] = [
    "2026-05-24T14:00:00Z",
    "2026-05-24T14:00:00.5Z",
    "2026-05-24T14:00:01Z",
    "2026-05-24T14:30:00Z",
    "2026-05-24T15:00:00Z",
    "2026-05-24T15:30:00Z",
];

pub(crate) fn resource(drains: bool) -> impl Strategy<Value = Resource> {
    let id = (select(&["a", "b"][..]), select(&["x", "y", "z"][..]));
    let created = select(vec![None, Some(0), Some(1), Some(4)]);
    let path = select(&["", "/p", "/p/", "/q", "/services/x", "/api", "bad"][..]);
    let host =
        select(&["", "", "h.example", "H.example", "i.example", "seller.example", "nodot"][..]);
    let drain = select(vec![None, None, Some(0), Some(1), Some(3), Some(5)]);
    let grace = select(&["", "0s", "500ms", "30m", "1h", "-1m", "1 hour"][..]);
    let kind = select(vec![json!("http"), json!("http"), json!("inference"), json!(5)]);
    let entries = select(&["", "https://h.example/a2a", "/a2a", "http://h.example", "h.eth"][..]);
    let flags = (
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.1),
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.1),
        any::<bool>(),
    );
    (id, created, path, host, drain, grace, kind, entries, flags).prop_map(
        move |((namespace, name), created, path, host, drain, grace, kind, entry, flags)| {
            let (enabled, deleting, ready, skilled, paused, card) = flags;
            let mut made = offer(&format!("{namespace}/{name}"))
                .set("/metadata/creationTimestamp", created.map(|at: usize| INSTANTS[at]))
                .path(path)
                .host(host)
                .set("/spec/type", kind)
                .set("/spec/model/name", "m")
                .set("/spec/registration/enabled", enabled)
                .set("/spec/paused", paused);
            if !entry.is_empty() {
                made = made.service(if entry.ends_with(".eth") { "ENS" } else { "A2A" }, entry);
            }
            if deleting {
                made = made.set("/metadata/deletionTimestamp", INSTANTS[0]);
            }
            if ready {
                made = made.ready(&["ModelReady"]);
            }
            if card {
                made = made.set("/spec/payment/method", "card");
            }
            if skilled {
                made = made.set("/spec/registration/skills", json!(["s"]));
            }
            match drain.filter(|_| drains) {
                Some(at) if grace.is_empty() => made.set("/spec/drainAt", INSTANTS[at]),
                Some(at) => made.draining(INSTANTS[at], grace),
                None => made,
            }
        },
    )
}

/// Up to five resources with different ids.
fn resources(drains: bool) -> impl Strategy<Value = Vec<Resource>> {
    prop::collection::vec(resource(drains), 0..6).prop_map(|made| {
        made.into_iter()
            .map(|made| (made.id(), made))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect()
    })
}

pub(crate) fn any_rules() -> impl Strategy<Value = Rules> {
    let limits = (select(vec![1_048_576, 1_048_576, 700, 500, 1]), select(vec![65_536, 150, 0]));
    (any::<bool>(), any::<bool>(), limits, any::<bool>()).prop_map(
        |(strict, drop, (document, offer), named)| Rules {
            required_conditions: strict.then(|| "ModelReady".to_owned()).into_iter().collect(),
            drop_unready_drains: drop,
            service_names: named.then(|| ["A2A".to_owned(), "OASF".to_owned()].into()),
            limits: SizeLimits { document, offer },
            ..rules()
        },
    )
}

pub(crate) fn instant() -> impl Strategy<Value = Timestamp> {
    let around = select(vec![-1, 0, 0, 1]);
    (select(&INSTANTS[..]), around)
        .prop_map(|(text, nanos)| at(text) + chrono::TimeDelta::nanoseconds(nanos))
}

pub(crate) fn ids() -> Registrations {
    let largest = "115792089237316195423570985008687907853269984665640564039457584007913129639935";
    let entries =
        json!([{ "chain": "base", "agentId": "0" }, { "chain": "sepolia", "agentId": largest }]);
    let identity = json!({ "status": { "registrations": entries } });
    Identity::parse(&identity, &KnownRegistries::default()).registrations
}

fn projected(offers: &Offers, rules: &Rules, now: Timestamp) -> Projection {
    project(offers, &ids_of(&ids()), &public_url(), rules, now)
}

/// All documents of a projection.
fn documents(projection: &Projection) -> Vec<Vec<u8>> {
    let hosts = projection.hosts.values().map(|host| &host.document);
    let own = projection.published.iter().map(|offer| &offer.document);
    hosts.chain(own).chain([&projection.default]).map(|document| document.render()).collect()
}

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = include_str!("../../../schema/agent-registration.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
});

proptest! {
    #![proptest_config(law(400))]

    #[test]
    fn a_projection_holds_until_its_next_change_and_not_at_it(
        made in resources(true), rules in any_rules(), now in instant(), later in instant(),
    ) {
        let offers = offers(&made);
        let projection = projected(&offers, &rules, now);
        let unchanged = Projection { next_change: None, ..projection.clone() };
        let of = |at| Projection { next_change: None, ..projected(&offers, &rules, at) };
        match projection.next_change {
            Some(next) => {
                prop_assert!(now < next);
                prop_assert_eq!(&of(next - chrono::TimeDelta::nanoseconds(1)), &unchanged);
                prop_assert_ne!(of(next), unchanged.clone());
                if (now..next).contains(&later) {
                    prop_assert_eq!(of(later), unchanged);
                }
            }
            None => prop_assert_eq!(of(now.max(later) + chrono::TimeDelta::days(400_000)), unchanged),
        }
    }

    #[test]
    fn nothing_depends_on_the_order_of_arrival(
        (made, shuffled) in resources(true).prop_flat_map(|made| (Just(made.clone()), Just(made).prop_shuffle())),
        rules in any_rules(), now in instant(),
    ) {
        let mut grown = Offers::new();
        for resource in &shuffled {
            // An object is seen before its drain and its status are, as in a watch.
            grown.insert(resource.id(), Arc::new(offer(&resource.id().to_string()).parsed()));
            grown.insert(resource.id(), Arc::new(resource.parsed()));
        }
        prop_assert_eq!(projected(&grown, &rules, now), projected(&offers(&made), &rules, now));
    }

    #[test]
    fn an_unpublished_offer_touches_others_by_its_claims_alone(made in resources(true), now in instant()) {
        let all = offers(&made);
        let rules = rules();
        let whole = projected(&all, &rules, now);
        for (id, parsed) in &all {
            let is_published = whole.published.iter().any(|offer| offer.id == *id);
            if is_published || parsed.deleting {
                continue;
            }
            // The same claims in a form that says nothing else.
            let mut bare = (**parsed).clone();
            bare.enabled = false;
            bare.verdict = Err(crate::offer::Rejection::Undecodable("x".to_owned()));
            let mut replaced = all.clone();
            replaced.insert(id.clone(), Arc::new(bare));
            let bare = projected(&replaced, &rules, now);
            prop_assert_eq!(&bare.default, &whole.default);
            prop_assert_eq!(&bare.published, &whole.published);
            prop_assert_eq!(&bare.hosts, &whole.hosts);
        }
        let living = all.iter().filter(|(_, parsed)| !parsed.deleting);
        let living = living.map(|(id, parsed)| (id.clone(), Arc::clone(parsed))).collect();
        let living = projected(&living, &rules, now);
        prop_assert_eq!((&living.default, &living.hosts), (&whole.default, &whole.hosts));
    }

    #[test]
    fn a_world_without_drains_renders_as_if_there_were_none(
        made in resources(false), now in instant(), strict in any::<bool>(),
    ) {
        let required_conditions = strict.then(|| "ModelReady".to_owned()).into_iter().collect();
        let rules = Rules { required_conditions, ..rules() };
        let projection = project(&offers(&made), &Ids::default(), &public_url(), &rules, now);
        let required = strict.then_some("ModelReady");
        let reference = rendered_without_drains(&made, required);
        prop_assert_eq!(String::from_utf8(projection.default.render()).unwrap(), reference);
        prop_assert_eq!(projection.next_change, None);
    }

    #[test]
    fn every_document_parses_has_no_key_twice_and_fits_the_schema(
        made in resources(true), rules in any_rules(), now in instant(),
    ) {
        for bytes in documents(&projected(&offers(&made), &rules, now)) {
            let document = parsed_once(&bytes).map_err(TestCaseError::fail)?;
            let errors: Vec<_> = SCHEMA.iter_errors(&document).map(|error| error.to_string()).collect();
            prop_assert!(errors.is_empty(), "{errors:?} in {document}");
        }
    }

    #[test]
    fn every_offer_has_one_state_and_one_reason(made in resources(true), rules in any_rules(), now in instant()) {
        let offers = offers(&made);
        let projection = projected(&offers, &rules, now);
        let explained: Vec<_> = projection.explanations.iter().map(|explanation| &explanation.id).collect();
        prop_assert_eq!(explained, offers.keys().collect::<Vec<_>>());
        let listed = projection.explanations.iter().filter(|explanation| explanation.state.is_listed());
        let mut published: Vec<_> = projection.published.iter().map(|offer| (&offer.id, offer.reason)).collect();
        published.sort();
        prop_assert_eq!(listed.map(|explanation| (&explanation.id, explanation.reason)).collect::<Vec<_>>(), published);
        prop_assert_eq!(projection.default.active, !projection.published.is_empty());
        for host in projection.hosts.values() {
            let is_published = projection.published.iter().any(|offer| Some(&offer.id) == host.holder.as_ref());
            prop_assert_eq!(host.document.active, is_published);
        }
    }

    #[test]
    fn a_cut_removes_large_offers_first_then_the_newest_and_no_more_than_needed(
        made in resources(true), rules in any_rules(), now in instant(),
    ) {
        let whole = Rules { limits: SizeLimits { document: usize::MAX, offer: 0 }, ..rules.clone() };
        let whole = projected(&offers(&made), &whole, now);
        let cut = projected(&offers(&made), &rules, now);
        prop_assert_eq!((&cut.default.profile, &cut.hosts), (&whole.default.profile, &whole.hosts));
        let size = |kept: &[usize]| {
            let services = kept.iter().map(|at| whole.default.services[*at].clone()).collect();
            Document { services, ..whole.default.clone() }.render().len()
        };
        // Removes one at a time, and measures what is left.
        let mut kept: Vec<usize> = (0..whole.default.services.len()).collect();
        let is_large = |at: &&usize| whole.default.services[**at].len() > rules.limits.offer;
        while kept.len() > 1 && size(&kept) > rules.limits.document {
            let removed = kept.iter().rev().find(is_large).or(kept.last()).copied();
            kept.retain(|at| Some(*at) != removed);
        }
        prop_assert_eq!(cut.default.services.len(), kept.len());
        prop_assert_eq!(cut.default.render().len(), size(&kept));
        for (at, (before, after)) in whole.published.iter().zip(&cut.published).enumerate() {
            prop_assert_eq!(&before.document, &after.document);
            let expected = match (kept.contains(&at), is_large(&&at)) {
                (true, _) => before.reason,
                (false, true) => Reason::OfferTooLarge,
                (false, false) => Reason::DocumentFull,
            };
            prop_assert_eq!(after.reason, expected);
        }
    }

    #[test]
    fn a_restart_serves_the_bytes_of_a_process_that_was_always_up(
        before in resources(true), made in resources(true), rules in any_rules(),
        earlier in instant(), now in instant(),
    ) {
        let catalog = |made: &[Resource], last: Option<&Catalog>, at| {
            crate::testing::catalog(&offers(made), &ids(), &OnChainFacts::default(), &rules, last, at)
        };
        let (earlier, now) = (earlier.min(now), earlier.max(now));
        let first = catalog(&before, None, earlier);
        let warm = catalog(&made, Some(&first), now);
        let cold = catalog(&made, None, now);
        prop_assert_eq!(pages(&warm), pages(&cold));
        let rows = |catalog: &Catalog| {
            let listed: Vec<_> = catalog.listed_after(None).collect();
            (listed, catalog.projection.explanations_after(None).collect::<Vec<_>>())
        };
        prop_assert_eq!(rows(&warm), rows(&cold));
        prop_assert_eq!(warm.valid_until, cold.valid_until);
        let agents = |catalog: &Catalog| serde_json::to_string(&catalog.agents_after(None).collect::<Vec<_>>()).unwrap();
        prop_assert_eq!(agents(&warm), agents(&cold));
        let unmoved = first.projection.default().is_same(warm.projection.default());
        prop_assert_eq!(warm.changed_at, if unmoved { earlier } else { now });
    }
}

/// A tag and a body.
type Sent = (String, Vec<u8>);

/// Every page of a catalog: what it is of, and what is sent in each encoding.
fn pages(catalog: &Catalog) -> Vec<(String, [Sent; 2])> {
    let projection = &catalog.projection;
    let hosts = projection.hosts().iter().map(|(host, agent)| (host.to_string(), &agent.page));
    let offers = catalog
        .listed_after(None)
        .filter_map(|row| Some((row.id.to_string(), projection.offer(&row.id)?)));
    let all = hosts.chain(offers).chain([("default".to_owned(), projection.default())]);
    let sent = |sent: Representation| {
        (String::from_utf8(sent.etag.to_vec()).unwrap(), sent.body.to_bytes().to_vec())
    };
    let page = |page: &Page| [sent(page.identity()), sent(page.gzip())];
    all.map(|(key, of)| (key, page(of))).collect()
}
