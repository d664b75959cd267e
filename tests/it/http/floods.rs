//! Clients that send too much of something: header fields, frames, resets.

use crate::support::{
    rows::for_each_row_async,
    wire::{Wire, frame, get_block, preface, status},
};

use super::ground::{WELL_KNOWN, is_served, offers, serve};

#[tokio::test]
async fn a_head_that_is_too_large_is_431_or_414() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let fields = |count: usize| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    let rows = [
        (
            "99 fields and Host",
            format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(99)),
            200,
        ),
        (
            "100 fields and Host",
            format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\n{}\r\n", fields(100)),
            431,
        ),
        (
            "a field of 20 KiB",
            format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(20_480)),
            200,
        ),
        (
            "a field of 64 KiB",
            format!("GET {WELL_KNOWN} HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(65_536)),
            431,
        ),
        (
            "a target of 64 KiB",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(65_536)),
            431,
        ),
        ("fields without end", format!("GET / HTTP/1.1\r\nHost: a\r\n{}", fields(200_000)), 431),
    ];
    for_each_row_async(rows, async |(case, request, expected)| {
        let mut wire = Wire::to(&server.public).await;
        wire.send(&request).await;
        let head = wire.head().await;
        assert_eq!(status(&head), expected, "{case}: {head}");
    })
    .await;
    is_served(&server).await;
    assert!(server.resident_mib() < 128, "{} MiB", server.resident_mib());
}

#[tokio::test]
async fn frames_that_ask_for_nothing_end_the_connection() {
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let open = frame(1, 0x1, 1, &get_block("/offers"));
    let reset_pairs: Vec<u8> = (0..2_000_u32)
        .flat_map(|number| {
            let stream = 2 * number + 1;
            let mut pair = frame(1, 0x5, stream, &get_block(WELL_KNOWN));
            pair.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
            pair
        })
        .collect();
    let rows = [
        ("pings", frame(6, 0, 0, &[0; 8]).repeat(5_000)),
        ("settings", frame(4, 0, 0, &[]).repeat(5_000)),
        ("resets", reset_pairs),
        (
            "empty data",
            [frame(1, 0x4, 1, &get_block("/offers")), frame(0, 0, 1, &[]).repeat(5_000)].concat(),
        ),
        ("priorities", frame(2, 0, 3, &[0, 0, 0, 1, 1]).repeat(5_000)),
        ("window updates", frame(8, 0, 0, &1_u32.to_be_bytes()).repeat(9_000)),
        ("continuations", [open, frame(9, 0, 1, &[]).repeat(5_000)].concat()),
        ("unknown frames", frame(0x77, 0, 0, &[]).repeat(5_000)),
        ("no frames at all", b"x".repeat(100_000)),
    ];
    for_each_row_async(rows, async |(case, flood)| {
        let mut wire = Wire::to(&server.public).await;
        wire.send(preface()).await;
        wire.send(&flood).await;
        assert!(wire.is_closed().await, "{case}: still connected");
        is_served(&server).await;
    })
    .await;
    assert!(server.resident_mib() < 128, "{} MiB", server.resident_mib());
}

/// The streams of `/events` never end by themselves.
#[tokio::test]
async fn one_connection_has_at_most_128_streams_open_and_others_are_refused_alone() {
    const STREAMS: u32 = 128;
    const MAX_CONCURRENT_STREAMS: [u8; 2] = [0, 3];
    const REFUSED_STREAM: [u8; 4] = 7_u32.to_be_bytes();
    let dir = offers(1);
    let server = serve(&dir, &[]).await;
    let mut wire = Wire::to(&server.public).await;
    wire.send(preface()).await;
    let (kind, _, settings) = wire.frame().await;
    let announced = [&MAX_CONCURRENT_STREAMS[..], &STREAMS.to_be_bytes()].concat();
    assert!(kind == 4 && settings.chunks(6).any(|it| it == announced), "{settings:?}");
    let ask = |number: u32| frame(1, 0x5, 2 * number + 1, &get_block("/events"));
    wire.send((0..=STREAMS).flat_map(ask).collect::<Vec<u8>>()).await;
    let (mut answered, mut refused) = (Vec::new(), Vec::new());
    while answered.len() + refused.len() <= usize::try_from(STREAMS).unwrap() {
        match wire.frame().await {
            (1, stream, _) => answered.push(stream),
            (3, stream, code) => {
                assert_eq!(code, REFUSED_STREAM, "stream {stream}");
                refused.push(stream);
            }
            _ => {}
        }
    }
    assert_eq!(refused, [2 * STREAMS + 1]);
    answered.sort_unstable();
    assert!(answered.into_iter().eq((0..STREAMS).map(|number| 2 * number + 1)));
    is_served(&server).await;
}
