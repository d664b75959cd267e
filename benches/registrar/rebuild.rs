//! One change of the incremental form against making everything anew, in one process.

use std::{hint::black_box, sync::Arc, time::Instant};

use crate::{
    api, many,
    offer::{OfferId, Offers, Origin, ParsedOffer, Timestamp},
    page::Page,
    registration::{Ids, LiveProjection, ProfileOverrides, Rules, SizeLimits, project},
    report::{Report, quantile},
};

const CHANGES: usize = 400;

pub fn run(report: &mut Report) {
    let mut medians = Vec::new();
    for offers in [1_000, many()] {
        medians.push(measure(report, offers));
    }
    report.note(
        "incremental change, in process, largest world to 1,000",
        "×",
        medians[1] / medians[0],
    );
}

fn measure(report: &mut Report, count: usize) -> f64 {
    let parsed = |number: usize, marker: &str| {
        let id = OfferId::parse(&api::id(number)).unwrap();
        let parsed = ParsedOffer::parse(&id, &api::offer(number, marker));
        (id, Arc::new(parsed))
    };
    let mut offers: Offers = (0..count).map(|number| parsed(number, "")).collect();
    let now = Timestamp::UNIX_EPOCH + chrono::TimeDelta::days(20_700);
    let url = Origin::parse("https://seller.example").unwrap();
    let all = |offers: &Offers| {
        let mut live =
            LiveProjection::new(Arc::new(rules()), Arc::new(Ids::default()), url.clone(), now);
        live.apply(offers.iter().map(|(id, parsed)| (id.clone(), Some(Arc::clone(parsed)))), now);
        live
    };
    let began = Instant::now();
    let mut live = all(&offers);
    let every_page = began.elapsed().as_secs_f64() * 1e3;
    // The change of an offer that the aggregate has no room for makes fewer bytes anew.
    let listed = listed(&live);
    let mut steps = Vec::new();
    let mut folds = Vec::new();
    let rounds = 4;
    for round in 0..rounds {
        for change in 0..CHANGES / rounds {
            let number = listed[(round * CHANGES + change) * 7_919 % listed.len()];
            let (id, parsed) = parsed(number, &format!("change {round} {change}"));
            offers.insert(id.clone(), Arc::clone(&parsed));
            let began = Instant::now();
            black_box(live.apply([(id, Some(parsed))], now));
            // A snapshot is taken of each state.
            black_box(live.clone());
            steps.push(began.elapsed().as_secs_f64() * 1e3);
        }
        let began = Instant::now();
        let whole = project(&offers, &Ids::default(), &url, &rules(), now);
        let page = Page::new(&whole.default.render());
        folds.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(page.identity().body.to_bytes(), live.default().identity().body.to_bytes());
    }
    report.note(
        format!("offers of {count} that the aggregate lists, all changes are of these"),
        "",
        listed.len() as f64,
    );
    let (median, worst) = (quantile(&mut steps, 0.5), quantile(&mut steps, 0.99));
    let fold = quantile(&mut folds, 0.5);
    report.note(format!("incremental change at {count}, median"), "ms", median);
    report.note(format!("incremental change at {count}, p99"), "ms", worst);
    report.note(
        format!("full fold, and the aggregate's bytes, tag and gzip, at {count}"),
        "ms",
        fold,
    );
    report.note(format!("every document with its tags and gzip, at {count}"), "ms", every_page);
    if count == many() {
        let what = format!("full rebuild of every document to one change, at {count}");
        report.at_least(what, "×", every_page / median, [1_500.0, 5_000.0]);
        report.note(
            format!("full fold and aggregate only to one change, at {count}"),
            "×",
            fold / median,
        );
    }
    median
}

/// The numbers of the offers that the aggregate lists.
fn listed(live: &LiveProjection) -> Vec<usize> {
    let bytes = live.default().identity().body.to_bytes();
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let endpoints = document["services"].as_array().unwrap().iter();
    let numbers =
        endpoints.filter_map(|it| it["endpoint"].as_str()?.rsplit('/').next()?.parse().ok());
    let numbers: std::collections::BTreeSet<usize> = numbers.collect();
    numbers.into_iter().collect()
}

fn rules() -> Rules {
    let required = ["ModelReady", "UpstreamHealthy", "PaymentGateReady", "RoutePublished"];
    Rules {
        required_conditions: required.map(str::to_owned).into(),
        drop_unready_drains: false,
        service_names: None,
        limits: SizeLimits { document: 1_048_576, offer: 65_536 },
        grants: None,
        profile: ProfileOverrides::default(),
        agent_name: "default".to_owned(),
    }
}
