//! Memory and the start.

use std::{thread, time::Duration};

use crate::{
    api::{Api, offer},
    many,
    process::Process,
    report::Report,
};

const FEW: usize = 1_000;

pub fn run(report: &mut Report) {
    let few = {
        let api = Api::start((0..FEW).map(|number| offer(number, "")).collect());
        let process = Process::start(&api, &[]);
        process.await_document();
        settled(&process)
    };
    report.at_most(format!("resident at {FEW} offers in all"), "MiB", few / 1_024.0, [30.0, 20.0]);
    let offers = many();
    let api = Api::start((0..offers).map(|number| offer(number, "")).collect());
    let process = Process::start(&api, &[]);
    let started = process.await_document();
    let what = format!("start to first document at {offers} offers");
    report.at_most(what, "s", started.as_secs_f64(), [5.0, 2.0]);
    let steady = settled(&process);
    let per_offer = (steady - few) / (offers - FEW) as f64;
    report.at_most(format!("resident per offer at {offers}"), "KiB", per_offer, [2.5, 1.6]);
    process.reset_peak();
    api.relist();
    settled(&process);
    let peak = process.status_kib("VmHWM") / steady;
    report.at_most(format!("peak during a relist of {offers} to steady"), "×", peak, [1.15, 1.02]);
}

/// Resident memory in KiB, once it has stopped moving.
fn settled(process: &Process) -> f64 {
    let mut last = 0.0;
    for _ in 0..60 {
        thread::sleep(Duration::from_millis(500));
        let now = process.status_kib("VmRSS");
        if now == last {
            break;
        }
        last = now;
    }
    last
}
