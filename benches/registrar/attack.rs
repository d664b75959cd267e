//! The public listener under attack, and with many subscribers.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    api::{Api, offer},
    process::Process,
    report::{Report, quantile},
};

const OFFERS: usize = 1_000;
const MINUTE: Duration = Duration::from_secs(60);
const SUBSCRIBERS: usize = 10_000;
const DOCUMENT: &str = "GET /.well-known/agent-registration.json HTTP/1.1\r\nHost: a\r\n\r\n";

/// Six kinds of attack at once, each from a thread that does nothing else.
const ATTACKS: [fn(&str, &AtomicBool); 6] =
    [half_heads, silence, never_read, head_bombs, frame_floods, churn];

pub fn run(report: &mut Report) {
    let api = Api::start((0..OFFERS).map(|number| offer(number, "")).collect());
    let process = Process::start(&api, &[]);
    process.await_document();
    let stop = Arc::new(AtomicBool::new(false));
    let attackers = ATTACKS.map(|attack| {
        let (address, stop) = (process.public.clone(), Arc::clone(&stop));
        thread::spawn(move || attack(&address, &stop))
    });
    let began = Instant::now();
    let (mut waits, mut failures) = (Vec::new(), 0);
    while began.elapsed() < MINUTE {
        let asked = Instant::now();
        // Each time from a connection of its own, as a client that comes now and then.
        match ask(&process.public) {
            Some(()) => waits.push(asked.elapsed().as_secs_f64() * 1e3),
            None => failures += 1,
        }
        thread::sleep(Duration::from_millis(5));
    }
    stop.store(true, Ordering::Relaxed);
    attackers.into_iter().for_each(|attacker| attacker.join().unwrap());
    let what = format!(
        "under six kinds of attack for a minute: p99 of a good client ({} requests)",
        waits.len()
    );
    report.at_most(what, "ms", quantile(&mut waits, 0.99), [100.0, 25.0]);
    report.at_most("the same: its requests that failed", "", f64::from(failures), [0.0, 0.0]);
    let peak = process.status_kib("VmHWM:") / 1_024.0;
    report.at_most("the same: peak of resident memory", "MiB", peak, [128.0, 64.0]);
}

/// Subscribers of `/events` that hear nothing.
pub fn subscribers(report: &mut Report) {
    let api = Api::start((0..OFFERS).map(|number| offer(number, "")).collect());
    let process = Process::start(&api, &["--max-connections", "12000"]);
    process.await_document();
    let before = process.status_kib("VmRSS:");
    let open: Vec<TcpStream> = (0..SUBSCRIBERS)
        .map(|_| {
            let mut stream = connect(&process.public).unwrap();
            stream.write_all(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            let mut bytes = [0; 1_024];
            assert!(stream.read(&mut bytes).unwrap() > 0);
            stream
        })
        .collect();
    let taken = (process.status_kib("VmRSS:") - before) / 1_024.0;
    report.at_most(format!("{} subscribers of /events", open.len()), "MiB", taken, [200.0, 100.0]);
}

/// One request; `None` if its answer is not 200, or none.
fn ask(address: &str) -> Option<()> {
    let mut stream = connect(address)?;
    let request = DOCUMENT.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    answer.starts_with(b"HTTP/1.1 200").then_some(())
}

fn connect(address: &str) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.set_write_timeout(Some(Duration::from_secs(10))).ok()?;
    Some(stream)
}

/// Keeps so many connections open, each begun by `first` and continued by `next` twice in a second.
fn keep(address: &str, stop: &AtomicBool, count: usize, first: &[u8], next: &[u8]) {
    let mut open: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
    while !stop.load(Ordering::Relaxed) {
        for slot in &mut open {
            let goes_on = slot.as_mut().is_some_and(|stream| match stream.write(next) {
                Ok(_) => !next.is_empty() || !is_closed(stream),
                Err(error) => error.kind() == ErrorKind::WouldBlock,
            });
            if !goes_on {
                *slot = connect(address).and_then(|mut stream| {
                    stream.write_all(first).ok()?;
                    stream.set_nonblocking(true).ok()?;
                    Some(stream)
                });
            }
        }
        thread::sleep(Duration::from_millis(500));
    }
}

fn is_closed(stream: &TcpStream) -> bool {
    matches!(stream.peek(&mut [0]), Ok(0))
}

fn half_heads(address: &str, stop: &AtomicBool) {
    keep(address, stop, 1_000, b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x");
}

fn silence(address: &str, stop: &AtomicBool) {
    keep(address, stop, 1_000, b"", b"");
}

fn never_read(address: &str, stop: &AtomicBool) {
    keep(address, stop, 50, DOCUMENT.repeat(100).as_bytes(), b"");
}

fn head_bombs(address: &str, stop: &AtomicBool) {
    let bomb = format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X: y\r\n".repeat(20_000));
    send_again(address, stop, bomb.as_bytes());
}

/// HTTP/2: pings, settings, and streams that are reset at once.
fn frame_floods(address: &str, stop: &AtomicBool) {
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..20_000_u32).step_by(2) {
        flood.extend(b"\0\0\x08\x06\0\0\0\0\0attacker");
        flood.extend(b"\0\0\0\x04\0\0\0\0\0");
        // GET / over http at "a", then RST_STREAM.
        flood.extend(b"\0\0\x06\x01\x05");
        flood.extend(stream.to_be_bytes());
        flood.extend(b"\x82\x86\x84\x41\x01a");
        flood.extend(b"\0\0\x04\x03\0");
        flood.extend(stream.to_be_bytes());
        flood.extend(b"\0\0\0\x08");
    }
    send_again(address, stop, &flood);
}

/// Sends the same on one new connection after the other, and reads what comes.
fn send_again(address: &str, stop: &AtomicBool, bytes: &[u8]) {
    while !stop.load(Ordering::Relaxed) {
        let Some(mut stream) = connect(address) else { continue };
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read(&mut [0; 4_096]);
    }
}

fn churn(address: &str, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        drop(TcpStream::connect(address));
    }
}
