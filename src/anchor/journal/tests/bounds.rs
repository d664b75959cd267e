//! What is left out of a journal where there is little room.

use serde_json::json;

use super::*;
use crate::anchor::evm::SavedReading;

/// A reading with a scan of each endpoint that found so many gifts.
fn reading(endpoints: &[(&str, u64)]) -> SavedReading {
    let scan = |gifts: u64| {
        let transfers: Vec<Value> = (0..gifts)
            .map(|gift| {
                json!({ "at": { "block": gift, "index": 0 }, "id": "0x1", "from": OLD, "to": US })
            })
            .collect();
        json!({
            "first": 1, "last": { "number": 9, "hash": B256::ZERO }, "target": 10, "width": 5,
            "accounts": [US], "mints": [], "transfers": transfers, "keys": [],
        })
    };
    let scans: BTreeMap<_, _> =
        endpoints.iter().map(|(endpoint, gifts)| (*endpoint, scan(*gifts))).collect();
    serde_json::from_value(json!({ "scans": scans, "failures": { "node.example #1": "refused" } }))
        .unwrap()
}

#[test]
fn where_there_is_little_room_the_largest_readings_are_left_out_and_nothing_else() {
    let mut whole = journal(US);
    whole.readings = BTreeMap::from([
        (key(US), reading(&[("a", 10), ("b", 3_000)])),
        (key(OLD), reading(&[("a", 1_000)])),
    ]);
    assert_eq!(whole.encode_within(usize::MAX), whole.encode());
    let scans = |room: usize| {
        let bounded = Journal::decode(&whole.encode_within(room), "here").unwrap();
        assert_eq!(bounded.accounts, whole.accounts);
        let size: usize = bounded.readings.values().map(SavedReading::size).sum();
        assert!(size <= room, "{size} in {room}");
        let kept = |account| {
            let reading = bounded.readings.get(&key(account))?;
            Some(reading.scans.keys().cloned().collect::<Vec<_>>().join(" "))
        };
        (kept(US), kept(OLD))
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(scans(4 * 1_024 * 1_024), (text("a b"), text("a")));
    assert_eq!(scans(256 * 1_024), (text("a"), text("a")));
    assert_eq!(scans(8 * 1_024), (text("a"), text("")));
    assert_eq!(scans(200), (text(""), text("")));
    assert_eq!(scans(0), (None, None));
}
