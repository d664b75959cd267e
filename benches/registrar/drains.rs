//! Drains that end: how late their documents go, and whether others wait.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use serde_json::Value;

use crate::{
    api::{Api, id, offer},
    client::{Client, document_of},
    process::Process,
    report::{Report, quantile},
};

const OFFERS: usize = 10_000;
const DRAINS: usize = 40;

pub fn run(report: &mut Report) {
    let first = wall() + Duration::from_secs(12);
    let first = first.as_secs();
    let with_host = |number: usize| {
        let mut object = offer(number, "");
        object["spec"]["hostname"] = format!("shop-{number}.example").into();
        object
    };
    let object = |number: usize| {
        let mut object: Value = with_host(number);
        if number < DRAINS {
            let at = first + number as u64;
            let at = chrono::DateTime::from_timestamp(i64::try_from(at).unwrap(), 0).unwrap();
            object["spec"]["drainAt"] =
                at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into();
            object["spec"]["drainGracePeriod"] = "0s".into();
        }
        object
    };
    let api = Api::start((0..OFFERS).map(object).collect());
    let process = Process::start(&api, &[]);
    process.await_document();
    let stop = Arc::new(AtomicBool::new(false));
    let waits: Arc<Mutex<Vec<f64>>> = Arc::default();
    let other = {
        let (stop, waits, address) =
            (Arc::clone(&stop), Arc::clone(&waits), process.public.clone());
        thread::spawn(move || {
            let mut client = Client::public(&address);
            let path = document_of(&id(OFFERS - 1));
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                assert_eq!(client.get(&path).0, 200);
                waits.lock().unwrap().push(began.elapsed().as_secs_f64() * 1e3);
                thread::sleep(Duration::from_micros(300));
            }
        })
    };
    let mut client = Client::public(&process.public);
    // A connection without a request is closed long before the first drain ends.
    client.get(&document_of(&id(0)));
    let mut late = Vec::new();
    for number in 0..DRAINS {
        let end = Duration::from_secs(first + number as u64);
        let path = document_of(&id(number));
        thread::sleep(end.saturating_sub(wall()).saturating_sub(Duration::from_millis(5)));
        loop {
            let (status, _) = client.get(&path);
            let now = wall();
            if status == 404 {
                assert!(now >= end, "it ended before its end");
                late.push((now - end).as_secs_f64() * 1e3);
                break;
            }
            assert_eq!(status, 200, "an answer waits for what is due");
        }
    }
    stop.store(true, Ordering::Relaxed);
    other.join().unwrap();
    report.note(
        format!("end of a drain among {OFFERS} with hosts, median"),
        "ms",
        quantile(&mut late, 0.5),
    );
    let what = format!("end of a drain visible after its instant, p99 of {DRAINS}");
    report.at_most(what, "ms", quantile(&mut late, 0.99), [5.0, 3.0]);
    let mut waits = waits.lock().unwrap();
    let worst = quantile(&mut waits, 1.0);
    report.at_most("answers of other offers meanwhile, worst", "ms", worst, [10.0, 5.0]);
}

fn wall() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "drains end by the wall clock")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap()
}
