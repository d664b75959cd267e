//! Random histories of faults between a process and its API server.
//!
//! `REGISTRAR_SOAK_STEPS` and `REGISTRAR_SOAK_SEED` make it longer and repeat one: `make soak`.

use std::{collections::BTreeSet, time::Duration};

use fastrand::Rng;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    sold,
    watching::{URL, numbered, problems, served},
};
use crate::support::{
    api_server::{ApiServer, Fault},
    histories::setting,
    process::{Server, eventually},
};

/// Offers that are there from the start to the end, so many that no other ones decide the brake.
const LASTING: usize = 30;
/// At most so many others at a time.
const PASSING: usize = 8;

/// One step: mostly a change, now and then a fault or the end of all faults. Names are never used
/// twice, so that one that comes back is one that was resurrected.
fn step(random: &mut Rng, api: &ApiServer, passing: &mut Vec<String>, made: &mut usize) {
    match random.usize(..40) {
        0..=11 if passing.len() < PASSING => {
            let name = format!("passing-{made}");
            *made += 1;
            api.put(&sold(&format!("llm/{name}")));
            passing.push(name);
        }
        12..=21 if !passing.is_empty() => {
            let index = random.usize(..passing.len());
            let name = passing.swap_remove(index);
            api.delete(&sold(&format!("llm/{name}")));
        }
        22 | 23 => api.put(&numbered(random.usize(..LASTING))),
        24 => api.cut(),
        25 => api.restart(),
        26 => api.set_down(true),
        27 => api.fault(Fault::SilentWatches),
        28 => api.fault(Fault::Frozen),
        29 => api.fault(Fault::DropEvents),
        30 => api.fault(Fault::CutEvents(random.usize(..400))),
        31 => api.fault(Fault::WatchStatus([403, 410, 429, 500][random.usize(..4)], String::new())),
        32 => {
            let lies =
                ["", "<html>\n</html>\n", "{\"type\":", "null\n", "{\"type\":\"MODIFIED\"}\n"];
            api.fault(Fault::WatchBody(lies[random.usize(..lies.len())].to_owned()));
        }
        33 => api.fault(Fault::ListStatus([403, 429, 500, 503][random.usize(..4)])),
        34 => api.fault(Fault::ShortList(random.usize(..3))),
        35..=38 => api.heal(),
        _ => {}
    }
}

/// What must hold at every moment: everything lasting is there, and nothing comes back.
fn check(shown: &BTreeSet<String>, gone: &mut BTreeSet<String>, last: &BTreeSet<String>) {
    for number in 0..LASTING {
        let lasting = format!("{URL}/services/stays-{number:03}");
        assert!(shown.contains(&lasting), "{lasting} is missing among {}", shown.len());
    }
    gone.extend(last.difference(shown).cloned());
    let resurrected: Vec<_> = shown.intersection(gone).collect();
    assert!(resurrected.is_empty(), "{resurrected:?}");
}

async fn shown(server: &Server) -> BTreeSet<String> {
    server.endpoints().await.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_history_of_faults_empties_a_document_or_lasts() {
    let steps = setting("REGISTRAR_SOAK_STEPS").unwrap_or(400);
    let seed = setting("REGISTRAR_SOAK_SEED").unwrap_or_else(|| std::process::id().into());
    println!("seed {seed}, {steps} steps");
    let mut random = Rng::with_seed(seed);
    let (api, server) = served(LASTING, &["--resync", "5s"]).await;
    let (mut passing, mut made) = (Vec::new(), 0);
    let (mut last, mut gone) = (shown(&server).await, BTreeSet::new());
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for _ in 0..steps {
        ticks.tick().await;
        step(&mut random, &api, &mut passing, &mut made);
        let now = shown(&server).await;
        check(&now, &mut gone, &last);
        last = now;
    }
    api.heal();
    let path = |id: &String| format!("{URL}/services/{}", id.trim_start_matches("llm/"));
    let truth: BTreeSet<String> = api.names().iter().map(path).collect();
    let took = eventually("what the server holds is published", async || {
        let now = shown(&server).await;
        check(&now, &mut gone, &last);
        last.clone_from(&now);
        now == truth
    })
    .await;
    println!("{made} offers came and {} went; in agreement {took:?} after the end", gone.len());
    eventually("nothing is wrong any more", async || problems(&server).await.is_empty()).await;
}
