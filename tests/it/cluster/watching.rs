//! Watches that fail, lie or fall silent, on a stand-in API server: documents stay as they are, and
//! what the server holds is published in the end.

use std::{fmt::Write, time::Duration};

use tokio::time::Instant;

use super::sold;
use crate::support::{
    api_server::{ApiServer, Asked, Fault},
    process::{Server, endpoints, eventually, json as body, registrar, text},
    resource::Resource,
};

pub const URL: &str = "https://seller.example";
/// Enough offers for the shrink brake.
const MANY: usize = 25;

pub fn numbered(number: usize) -> Resource {
    sold(&format!("llm/stays-{number:03}"))
}

/// A server that holds so many offers, and a process that reads it.
pub async fn served(offers: usize, args: &[&str]) -> (ApiServer, Server) {
    let api = ApiServer::start().await;
    for number in 0..offers {
        api.put(&numbered(number));
    }
    let server = serve(&api, args).await;
    eventually("all are served", async || server.endpoints().await.len() == offers).await;
    (api, server)
}

pub async fn serve(api: &ApiServer, args: &[&str]) -> Server {
    let kubeconfig = api.kubeconfig();
    let own =
        ["--kubeconfig", kubeconfig.to_str().unwrap(), "--public-url", URL, "--identity", "none"];
    Server::start(&[&own[..], args].concat()).await
}

pub async fn problems(server: &Server) -> String {
    let report = body(server.admin("/readyz?verbose").await).await;
    let mut shown = String::new();
    for problem in report["problems"].as_array().unwrap() {
        let (code, message) = (text(problem, "code"), text(problem, "message"));
        writeln!(shown, "{code}: {}: {message}", text(problem, "about")).unwrap();
    }
    shown
}

async fn metric(server: &Server, name: &str) -> f64 {
    let scrape = server.admin("/metrics").await.text().await.unwrap();
    let line = scrape.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.split(' ').nth(1).unwrap().parse().unwrap()
}

async fn lists(server: &Server, name: &str) -> bool {
    let wanted = format!("{URL}/services/{name}");
    server.endpoints().await.contains(&wanted)
}

/// The most requests that began within one second, pages of one list not counted.
fn rate(api: &ApiServer) -> usize {
    let asked: Vec<Instant> = api
        .asked()
        .iter()
        .filter(|asked| !asked.query.contains_key("continue"))
        .map(|asked| asked.at)
        .collect();
    // Less than a second, since the times are those of the arrival on a busy machine.
    let second = Duration::from_millis(700);
    let within =
        |from: Instant| asked.iter().filter(|at| **at >= from && **at - from < second).count();
    asked.iter().map(|from| within(*from)).max().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_fails_in_any_form_ends_in_a_list() {
    let gone = r#"{"kind":"Status","status":"Failure","reason":"Expired","code":410,"message":"too old resource version"}"#;
    let compacted = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":500,"message":"etcdserver: mvcc: required revision has been compacted"}}"#;
    let rows = [
        ("410 as the status", Fault::WatchStatus(410, gone.to_owned())),
        ("410 as the status of a page", Fault::WatchStatus(410, "<html>Gone</html>".to_owned())),
        (
            "410 in the stream",
            Fault::WatchBody(format!("{{\"type\":\"ERROR\",\"object\":{gone}}}\n")),
        ),
        ("500 in the stream", Fault::WatchBody(format!("{compacted}\n"))),
        ("a page", Fault::WatchBody("<html>\n<body>Sorry</body>\n</html>\n".to_owned())),
        ("half a line", Fault::WatchBody(r#"{"type":"ADDED","object":{"kind":"#.to_owned())),
        ("nothing", Fault::WatchBody(String::new())),
        ("a refusal", Fault::WatchStatus(500, "oops".to_owned())),
        ("a day's wait", Fault::WatchStatus(429, "slow down".to_owned())),
    ];
    let (api, server) = served(3, &[]).await;
    for (number, (name, fault)) in rows.into_iter().enumerate() {
        let added = sold(&format!("llm/added-{number}"));
        api.fault(fault);
        api.cut();
        api.put(&added);
        let took =
            eventually(name, async || lists(&server, &format!("added-{number}")).await).await;
        println!("{name}: listed again after {took:?}");
        api.heal();
        let opened = api.count(true);
        eventually("the watch goes on", async || api.count(true) > opened).await;
    }
    assert!(rate(&api) <= 2, "{} requests in a second", rate(&api));
    eventually("nothing is wrong any more", async || problems(&server).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_is_denied_is_named_while_lists_keep_documents_current() {
    let (api, server) = served(3, &[]).await;
    api.fault(Fault::WatchStatus(
        403,
        r#"{"kind":"Status","code":403,"message":"cannot watch"}"#.to_owned(),
    ));
    api.cut();
    eventually("it is named", async || {
        problems(&server).await.contains("grant get, list and watch")
    })
    .await;
    api.put(&sold("llm/added"));
    eventually("the list shows it", async || lists(&server, "added").await).await;
    assert!(rate(&api) <= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_noticed_and_documents_say_how_old_they_are() {
    let (api, server) = served(3, &[]).await;
    api.fault(Fault::Frozen);
    let frozen = Instant::now();
    eventually("the silence is named", async || problems(&server).await.contains("ServiceOffers"))
        .await;
    println!("the silence was named after {:?}", frozen.elapsed());
    let path = "/.well-known/agent-registration.json";
    let age = async || {
        let answer = server.get(path).await;
        let age = answer.headers().get("registrar-source-age").cloned();
        age.map(|age| age.to_str().unwrap().parse::<u64>().unwrap())
    };
    eventually("documents say so", async || age().await.is_some()).await;
    println!("documents said so after {:?}", frozen.elapsed());
    assert!(age().await.unwrap() > 34);
    assert!(problems(&server).await.contains("StaleSource: ServiceOffers"));
    assert_eq!(server.endpoints().await.len(), 3);
    api.heal();
    api.put(&sold("llm/added"));
    let healed = eventually("it goes on", async || lists(&server, "added").await).await;
    println!("a change after it was served {healed:?} after its write");
    assert_eq!(age().await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_goes_silent_while_lists_work_is_given_up() {
    let (api, server) = served(3, &[]).await;
    api.fault(Fault::SilentWatches);
    api.put(&sold("llm/added"));
    let took = eventually("a list shows it", async || lists(&server, "added").await).await;
    println!("a change that the watch did not send was served after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_a_watch_drops_are_found_counted_and_named_by_the_next_resync() {
    let (api, server) = served(3, &["--resync", "3s"]).await;
    eventually("a resync comes", async || api.count(false) > 1).await;
    assert!(metric(&server, "registrar_source_drift_total").await < 0.5, "nothing was missed");
    api.fault(Fault::DropEvents);
    api.put(&sold("llm/dropped"));
    api.delete(&numbered(0));
    eventually("both are seen", async || {
        lists(&server, "dropped").await && !lists(&server, "stays-000").await
    })
    .await;
    assert!((metric(&server, "registrar_source_drift_total").await - 2.0).abs() < 0.5);
    assert!(server.log().contains("llm/dropped"), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_arrive_in_time_are_no_drift() {
    let (api, server) = served(3, &["--resync", "1s"]).await;
    let mut number = 0;
    eventually("five resyncs", async || {
        number += 1;
        api.put(&sold(&format!("llm/new-{}", number % 40)));
        api.count(false) > 5
    })
    .await;
    assert!(metric(&server, "registrar_source_drift_total").await < 0.5, "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_whose_second_page_fails_publishes_nothing_of_the_first() {
    let (api, server) = served(600, &[]).await;
    api.fault(Fault::SecondPageFails);
    api.delete(&numbered(0));
    eventually("the deletion is seen", async || server.endpoints().await.len() == 599).await;
    let before = api.count(false);
    api.restart();
    // The restart alone would let the watch go on.
    api.fault(Fault::WatchStatus(410, String::new()));
    eventually("three lists fail", async || {
        assert_eq!(server.endpoints().await.len(), 599);
        api.count(false) > before + 6
    })
    .await;
    let fresh = serve(&api, &[]).await;
    eventually("a fresh process has listed", async || {
        let document = fresh.document().await;
        assert_eq!(document["status"], 503, "{document}");
        text(&document, "detail").contains("the page is lost")
    })
    .await;
    api.heal();
    eventually("it is ready", async || fresh.endpoints().await.len() == 599).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_short_list_withdraws_nothing() {
    let (api, server) = served(MANY, &[]).await;
    api.fault(Fault::ShortList(1));
    api.fault(Fault::WatchStatus(410, String::new()));
    api.cut();
    eventually("the brake is engaged", async || {
        assert_eq!(server.endpoints().await.len(), MANY);
        metric(&server, "registrar_source_brake_engaged").await > 0.5
    })
    .await;
    api.heal();
    eventually("the next list releases it", async || {
        assert_eq!(server.endpoints().await.len(), MANY);
        metric(&server, "registrar_source_brake_engaged").await < 0.5
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_of_deletions_is_held_until_a_list_confirms_it() {
    let (api, server) = served(MANY, &[]).await;
    let began = Instant::now();
    (1..MANY).for_each(|number| api.delete(&numbered(number)));
    eventually("the brake is engaged", async || {
        problems(&server).await.contains("ShrinkBrake: ServiceOffers")
    })
    .await;
    let held = server.endpoints().await.len();
    println!("{held} of {MANY} offers stayed published");
    assert!(held >= MANY - 3, "{held}");
    assert!(server.log().contains("disappeared at once"), "{}", server.log());
    eventually("the loss is confirmed", async || server.endpoints().await.len() == 1).await;
    println!("the loss was confirmed after {:?}", began.elapsed());
    assert!(began.elapsed() >= Duration::from_secs(10));
    eventually("nothing is wrong any more", async || problems(&server).await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_releases_the_brake_at_once() {
    let (api, server) = served(MANY, &[]).await;
    (1..MANY).for_each(|number| api.delete(&numbered(number)));
    eventually("the brake is engaged and all are gone", async || {
        problems(&server).await.contains("ShrinkBrake")
    })
    .await;
    let order = async || {
        let address = format!("{}/debug/release-brake", server.admin);
        let answer = crate::support::process::http().post(address).send().await.unwrap();
        body(answer).await["releasedOffers"].as_u64().unwrap()
    };
    let released = order().await;
    assert!(released > 0, "{released}");
    eventually("they are withdrawn", async || {
        let _ = order().await;
        server.endpoints().await.len() == 1
    })
    .await;
    assert_eq!(order().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_restored_is_published_and_its_cause_is_logged() {
    let (api, server) = served(3, &[]).await;
    let before = api.revision();
    api.put(&sold("llm/later"));
    eventually("it is served", async || lists(&server, "later").await).await;
    api.restore(before);
    let began = Instant::now();
    eventually("it is gone again", async || !lists(&server, "later").await).await;
    println!("the restored state was published after {:?}", began.elapsed());
    assert!(server.log().contains("restored from an older snapshot"), "{}", server.log());
    api.put(&sold("llm/again"));
    eventually("the watch goes on", async || lists(&server, "again").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_rotated_on_disk_is_picked_up() {
    let (api, server) = served(3, &[]).await;
    api.write_kubeconfig("second");
    let before = api.asked().len();
    api.require_token("second");
    api.cut();
    api.put(&sold("llm/added"));
    eventually("the new token is used", async || lists(&server, "added").await).await;
    let old = api.asked()[before..].iter().filter(|asked| asked.token == "first").count();
    assert!(old <= 1, "{old} requests with the old token");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_watches_ask_for_nothing_that_an_older_server_lacks() {
    let (api, server) = served(600, &["--resync", "1s"]).await;
    eventually("a resync and a watch", async || api.count(false) > 4 && api.count(true) > 1).await;
    let known = [
        "allowWatchBookmarks",
        "continue",
        "limit",
        "resourceVersion",
        "resourceVersionMatch",
        "timeoutSeconds",
        "watch",
    ];
    let asked: std::collections::BTreeSet<String> =
        api.asked().into_iter().flat_map(|asked| asked.query.into_keys()).collect();
    assert!(asked.iter().all(|name| known.contains(&&**name)), "{asked:?}");
    let watches: Vec<_> = api.asked().into_iter().filter(|asked| asked.is_watch).collect();
    let has_bookmarks = |asked: &Asked| asked.query["allowWatchBookmarks"] == "true";
    assert!(
        !watches.is_empty() && watches.iter().all(has_bookmarks),
        "an idle watch needs bookmarks"
    );
    assert!(problems(&server).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_at_the_start_is_waited_for() {
    let api = ApiServer::start().await;
    api.put(&numbered(0));
    api.set_down(true);
    let server = serve(&api, &[]).await;
    eventually("the connection is named", async || {
        let answer = server.get("/.well-known/agent-registration.json").await;
        assert!(answer.status() == 503 && answer.headers().contains_key("retry-after"));
        text(&body(answer).await, "detail").contains("NotListed: ServiceOffers")
    })
    .await;
    assert_eq!(server.admin("/livez").await.status(), 200);
    api.set_down(false);
    let took =
        eventually("it is served", async || endpoints(&server.document().await).len() == 1).await;
    println!("ready {took:?} after the server came up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_that_cannot_be_read_is_not_a_missing_url() {
    let api = ApiServer::start().await;
    api.put(&numbered(0));
    let kubeconfig = api.kubeconfig();
    let args = ["explain", "--kubeconfig", kubeconfig.to_str().unwrap(), "--identity", "none"];
    let explain = async || {
        let args = args.map(str::to_owned);
        let run = move || registrar(&args.each_ref().map(String::as_str));
        tokio::task::spawn_blocking(run).await.unwrap()
    };
    let missing = explain().await;
    assert_eq!(missing.code, Some(0), "{}", missing.stderr);
    assert!(missing.stderr.contains("set --public-url"), "{}", missing.stderr);
    for code in [403, 500] {
        api.fault(Fault::TunnelStatus(code));
        let refused = explain().await;
        assert_eq!(refused.code, Some(1), "{code}: {}", refused.stdout);
        let named = "ConfigMap obol-frontend/obol-stack-config cannot be read";
        assert!(refused.stderr.contains(named), "{code}: {}", refused.stderr);
        api.heal();
    }
}
