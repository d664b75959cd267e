//! One change: from the line of a watch to the new bytes, and what it costs.

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::{
    api::{Api, id, offer},
    client::{Client, document_of},
    many,
    process::Process,
    report::{Report, quantile},
};

const FEW: usize = 1_000;
const CHANGES: usize = 500;
/// Changes are this far apart while CPU time is measured, so that each is published on its own.
const APART: Duration = Duration::from_millis(4);

pub fn run(report: &mut Report) {
    let mut cpu = Vec::new();
    for (offers, goals) in [(FEW, [3.0, 1.0]), (many(), [5.0, 2.0])] {
        let api = Api::start((0..offers).map(|number| offer(number, "")).collect());
        let process = Process::start(&api, &[]);
        process.await_document();
        api.await_watch();
        let mut latencies = latencies(&api, &process, offers);
        let median = quantile(&mut latencies, 0.5);
        report.note(format!("watch line to new bytes among {offers} offers, median"), "ms", median);
        let what = format!("watch line to new bytes among {offers} offers, p99 of {CHANGES}");
        report.at_most(what, "ms", quantile(&mut latencies, 0.99), goals);
        cpu.push(cpu_of_changes(&api, &process, offers));
        report.note(format!("CPU of one change among {offers} offers"), "ms", cpu[cpu.len() - 1]);
        burst(report, &api, &process, offers);
    }
    let what = format!("CPU of one change among {} to that among {FEW} offers", many());
    report.at_most(what, "×", cpu[1] / cpu[0], [2.0, 1.2]);
}

/// The offers that change: spread over all of them.
fn changed(round: usize, offers: usize) -> usize {
    (round * 7_919) % offers
}

/// In milliseconds.
fn latencies(api: &Api, process: &Process, offers: usize) -> Vec<f64> {
    let mut client = Client::public(&process.public);
    let once = |round: usize| {
        let number = changed(round, offers);
        let (path, marker) = (document_of(&id(number)), format!("change-{round}."));
        client.get(&path);
        let sent = api.modify(offer(number, &marker));
        while !client.get(&path).1.contains(&marker) {}
        sent.elapsed().as_secs_f64() * 1e3
    };
    let mut once = once;
    // The first ones warm up.
    (0..CHANGES + 20).map(&mut once).skip(20).collect()
}

/// In milliseconds per change, without what an idle process costs.
fn cpu_of_changes(api: &Api, process: &Process, offers: usize) -> f64 {
    let objects: Vec<_> =
        (0..CHANGES).map(|round| offer(changed(round, offers), "for CPU time")).collect();
    let measure = |mut act: Box<dyn FnMut() + '_>| {
        let before = process.cpu();
        act();
        // What the last change caused is over by then.
        thread::sleep(Duration::from_millis(200));
        (process.cpu() - before).as_secs_f64() * 1e3
    };
    let idle = measure(Box::new(|| thread::sleep(APART * u32::try_from(CHANGES).unwrap())));
    let busy = measure(Box::new(|| {
        for object in &objects {
            api.modify(object.clone());
            thread::sleep(APART);
        }
    }));
    (busy - idle) / CHANGES as f64
}

/// 10,000 changes within a second: when is the last one served?
fn burst(report: &mut Report, api: &Api, process: &Process, offers: usize) {
    const BURST: usize = 10_000;
    let objects: Vec<_> =
        (0..BURST).map(|round| offer(changed(round, offers), &format!("burst-{round}."))).collect();
    let mut last = api.modify(offer(0, "before the burst"));
    let began = last;
    for (at, object) in objects.into_iter().enumerate() {
        let due = began + Duration::from_micros(100) * u32::try_from(at).unwrap();
        thread::sleep(due.saturating_duration_since(Instant::now()));
        last = api.modify(object);
    }
    let rate = BURST as f64 / (last - began).as_secs_f64();
    let mut client = Client::public(&process.public);
    let (path, marker) =
        (document_of(&id(changed(BURST - 1, offers))), format!("burst-{}.", BURST - 1));
    while !client.get(&path).1.contains(&marker) {}
    let behind = last.elapsed().as_secs_f64() * 1e3;
    report.note(format!("rate of a burst of {BURST} changes among {offers} offers"), "/s", rate);
    report.at_most(
        format!("last change of that burst to its bytes, among {offers} offers"),
        "ms",
        behind,
        [250.0, 250.0],
    );
}
