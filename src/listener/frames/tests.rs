use std::time::{Duration, Instant};

use super::{Flood, FrameMeter, PREFACE};
use crate::testing::for_each_row;

fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
    let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
    frame.resize(9 + usize::from(length), 0);
    frame
}

/// How many such frames pass at once, up to 10,000.
fn passed(bytes: &[u8], written: u64) -> usize {
    let now = Instant::now();
    let mut meter = FrameMeter::new(now);
    meter.read(PREFACE, 0, now).unwrap();
    (0..10_000).take_while(|_| meter.read(bytes, written, now).is_ok()).count()
}

#[test]
fn each_kind_of_frame_is_limited_by_what_it_costs() {
    let rows = [
        ("a request", frame(0x1, 0x5, 20), 10_000),
        ("data", frame(0x0, 0, 5), 10_000),
        ("empty data", frame(0x0, 0, 0), 1_000),
        ("priority", frame(0x2, 0, 5), 1_000),
        ("a reset", frame(0x3, 0, 4), 200),
        ("settings", frame(0x4, 0, 6), 20),
        ("an acknowledgement of settings", frame(0x4, 1, 0), 20),
        ("a ping", frame(0x6, 0, 8), 100),
        ("a window update", frame(0x8, 0, 4), 2_000),
        ("continuation", frame(0x9, 0, 1), 200),
        ("an unknown frame", frame(0x77, 0, 0), 1_000),
    ];
    for_each_row(rows, |(case, bytes, expected)| assert_eq!(passed(&bytes, 0), expected, "{case}"));
    assert_eq!(passed(&frame(0x8, 0, 4), 8_192_000), 10_000, "a reader that makes progress");
}

#[test]
fn the_budget_comes_back_with_time_and_never_exceeds_itself() {
    let start = Instant::now();
    let mut meter = FrameMeter::new(start);
    meter.read(PREFACE, 0, start).unwrap();
    let ping = frame(0x6, 0, 8);
    let burst = |meter: &mut FrameMeter, now| {
        let passed = (0..1_000).take_while(|_| meter.read(&ping, 0, now).is_ok()).count();
        // The rest of the frame that was refused.
        meter.skip = 0;
        passed
    };
    assert_eq!(burst(&mut meter, start), 100);
    assert_eq!(burst(&mut meter, start + Duration::from_millis(999)), 0);
    assert_eq!(burst(&mut meter, start + Duration::from_secs(1)), 20);
    assert_eq!(burst(&mut meter, start + Duration::from_secs(3_600)), 100);
}

#[test]
fn frames_are_found_however_their_bytes_are_cut() {
    let now = Instant::now();
    let mut bytes = PREFACE.to_vec();
    for _ in 0..100 {
        bytes.extend(frame(0x6, 0, 8));
        bytes.extend(frame(0x0, 0, 200));
    }
    let excess = frame(0x6, 0, 8);
    for piece in [1, 2, 7, 8, 9, 10, 64, 1_000, bytes.len()] {
        let mut meter = FrameMeter::new(now);
        for part in bytes.chunks(piece) {
            assert_eq!(meter.read(part, 0, now), Ok(()), "pieces of {piece}");
        }
        assert_eq!(meter.read(&excess, 0, now), Err(Flood), "pieces of {piece}");
    }
}

#[test]
fn an_incomplete_head_is_known_by_its_age() {
    let start = Instant::now();
    let later = start + Duration::from_secs(4);
    let mut meter = FrameMeter::new(start);
    meter.read(PREFACE, 0, start).unwrap();
    assert_eq!(meter.open_block(), None);
    meter.read(&frame(0x1, 0x1, 20), 0, start).unwrap();
    meter.read(&frame(0x9, 0, 20), 0, later).unwrap();
    assert_eq!(meter.open_block(), Some(start));
    meter.read(&frame(0x9, 0x4, 20), 0, later).unwrap();
    assert_eq!(meter.open_block(), None);
}
