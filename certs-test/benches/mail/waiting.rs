//! Clients that wait: what each costs in memory, how soon it hears of mail, and how long it waits for answers while a push runs.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::delivery;
use super::letters::letter;
use super::measure::{Trees, median, quantile};
use super::town::{Place, Town};
use super::wire::{Imap, Smtp, source, stuffed};

/// Dovecot has a process for each: of more than so many it is not asked.
const PROCESSES: usize = 1_000;
const NOTICES: usize = 50;
/// Connections of one address.
const NEIGHBOURS: usize = 100;

/// Memory for each connection under TLS that is logged in, has selected its inbox and waits in IDLE.
pub fn memory(town: &Town, connections: usize) {
    let (ours, whole) = held(town, &town.ours(), &town.gateway(), connections);
    let fewer = connections.min(PROCESSES);
    let (theirs, all) = held(town, &town.theirs(), &town.dovecot_trees(), fewer);
    println!("idle TLS connection in IDLE: ours {ours:.1} KiB of {connections} (aim 40; whole gateway {whole} MiB), Dovecot's {theirs:.1} KiB of {fewer} (whole {all} MiB): {:.3} of theirs (aim 0.25)", ours / theirs);
}

/// KiB for each, and MiB of the server with all of them. The second half is counted: the first fills what was held and is free.
fn held(town: &Town, place: &Place, trees: &Trees, connections: usize) -> (f64, u64) {
    let open = |one: usize| {
        let mut client = Imap::greeted(place.imaps, source(one / NEIGHBOURS), &town.trust, 512);
        client.login(&town.accounts[one % town.accounts.len()]);
        client.ask("SELECT INBOX");
        client.idle();
        client
    };
    // Each mailbox is opened once before: what is kept of it, on whichever side, is no connection's.
    (0..connections.min(town.accounts.len())).for_each(|one| open(one).done());
    let measured = |clients: &[Imap]| {
        std::thread::sleep(Duration::from_secs(1));
        (trees.memory_kib(), clients.len())
    };
    let mut clients: Vec<Imap> = (0..connections / 2).map(open).collect();
    let (half, few) = measured(&clients);
    clients.extend((connections / 2..connections).map(open));
    let (with, all) = measured(&clients);
    clients.into_iter().for_each(|mut client| client.done());
    (with.saturating_sub(half) as f64 / (all - few) as f64, with / 1024)
}

/// From the 250 of a delivery by LMTP to the notice at a session in IDLE.
pub fn notice(town: &Town) {
    let message = stuffed(&letter(1));
    let times = |place: &Place| -> Vec<f64> {
        let account = &town.accounts[0];
        let mut waiting = Imap::open(place.imaps, source(0), &town.trust, account);
        waiting.ask("SELECT INBOX");
        waiting.idle();
        let mut client = Smtp::open(place.lmtp, source(1), "LHLO");
        let times = (0..NOTICES).map(|_| {
            client.deliver(account, &message);
            let delivered = Instant::now();
            while !waiting.read().ends_with("EXISTS\r\n") {}
            let took = delivered.elapsed().as_secs_f64() * 1e3;
            // RECENT may follow, and belongs to this message.
            std::thread::sleep(Duration::from_millis(20));
            took
        });
        let times = times.collect();
        waiting.done();
        times
    };
    let (ours, theirs) = (times(&town.ours()), times(&town.theirs()));
    let shown = |times: &[f64]| format!("median {:.1} ms, worst {:.1} ms", median(times.iter().copied()), quantile(times.iter().copied(), 1.0));
    println!("IDLE notice after the 250 (aim 50 ms): ours {}; Dovecot {}", shown(&ours), shown(&theirs));
}

/// A person reads, lists and flags in a large mailbox, ten times a second, while a push runs and while none does.
pub fn interactive(town: &Town) {
    let quiet = commands(town, |over| {
        std::thread::sleep(Duration::from_secs(5));
        over.store(true, Ordering::Relaxed);
    });
    delivery::prepare(town, "crowded");
    let mut rate = 0.0;
    let crowded = commands(town, |over| {
        let (began, rows) = (Instant::now(), delivery::pushed(town, "crowded"));
        rate = rows as f64 / began.elapsed().as_secs_f64();
        over.store(true, Ordering::Relaxed);
    });
    let shown = |times: &[f64]| {
        let at = |part| quantile(times.iter().copied(), part);
        format!("median {:.1} ms, p99 {:.1} ms, worst {:.1} ms of {}", at(0.5), at(0.99), at(1.0), times.len())
    };
    println!("interactive IMAP commands: {}", shown(&quiet));
    println!("  while {} statements are pushed, {rate:.0}/s (aim p99 150 ms): {}", town.accounts.len(), shown(&crowded));
}

/// Milliseconds of each command until `until` says that it is over.
fn commands(town: &Town, until: impl FnOnce(&AtomicBool)) -> Vec<f64> {
    let (place, over) = (town.ours(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut client = Imap::open(place.imaps, source(0), &town.trust, &town.reader);
            let (mut times, mut at) = (Vec::new(), 0_usize);
            client.ask("SELECT INBOX");
            while !over.load(Ordering::Relaxed) {
                at += 1;
                let message = at * 37 % 100 + 1;
                for command in ["NOOP".to_owned(), format!("FETCH {message}:{} (UID FLAGS ENVELOPE)", message + 20), format!("FETCH {message} BODY.PEEK[]"), format!("STORE {message} +FLAGS (\\Seen)"), "SELECT INBOX".to_owned()] {
                    let began = Instant::now();
                    client.ask(&command);
                    times.push(began.elapsed().as_secs_f64() * 1e3);
                    std::thread::sleep(Duration::from_millis(20));
                }
            }
            client.logout();
            times
        });
        until(&over);
        client.join().unwrap()
    })
}
