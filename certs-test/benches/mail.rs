//! `scripts/bench`: the mail gateway beside Debian's Postfix and Dovecot in one run — same mail, same accounts, same durability, same disk,
//! rounds in turn. Rates and processor time of whole process trees, both as ratios: above 1 we are ahead. What missed its aim bears a `*`.
//!
//! `SUIYIN_BENCH_MAILBOXES` (default 1,000) mailboxes, each of which gets a statement of each push; `SUIYIN_BENCH_MESSAGES` (3,000)
//! messages of a round of SMTP or APPEND; `SUIYIN_BENCH_LISTED` (10,000) letters of the large mailbox; `SUIYIN_BENCH_IDLE` (1,000)
//! waiting connections, for which `ulimit -n` must have room. Arguments choose parts: idle smtp append statements
//! login notice mailbox busy hostile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "mail/delivery.rs"]
mod delivery;
#[path = "mail/hostile.rs"]
mod hostile;
#[path = "mail/least.rs"]
mod least;
#[path = "mail/least_imap.rs"]
mod least_imap;
#[path = "mail/letters.rs"]
mod letters;
#[path = "mail/measure.rs"]
mod measure;
#[path = "mail/peers.rs"]
mod peers;
#[path = "mail/reading.rs"]
mod reading;
#[path = "mail/town.rs"]
mod town;
#[path = "mail/waiting.rs"]
mod waiting;
#[path = "mail/wire.rs"]
mod wire;

use std::os::unix::fs::PermissionsExt;

use town::Town;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // Cargo asks a bench without a harness to list its tests; there are none.
    if arguments.iter().any(|argument| argument == "--list") {
        return;
    }
    least::serve(&arguments);
    least_imap::serve(&arguments);
    if let Some(package) = peers::missing() {
        eprintln!("{package} is not installed; run scripts/bench, or apt-get install postfix dovecot-imapd dovecot-lmtpd");
        std::process::exit(1);
    }
    let parts: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen = |part: &str| parts.is_empty() || parts.iter().any(|chosen| *chosen == part);
    let [mailboxes, messages, listed, idle] = [("MAILBOXES", 1_000), ("MESSAGES", 3_000), ("LISTED", 10_000), ("IDLE", 1_000)].map(|(name, usual)| number(name).unwrap_or(usual));
    let base = std::env::var("SUIYIN_BENCH_DIR").unwrap_or_else(|_| "target".into());
    let place = tempfile::tempdir_in(base).unwrap();
    // Postfix and Dovecot come there as users of their own.
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    println!("an office with {mailboxes} mailboxes, Postfix and Dovecot beside it …");
    let home = place.path().canonicalize().unwrap();
    let mut town = Town::open(&home, mailboxes);
    measure::heading();
    if chosen("idle") {
        waiting::memory(&town, idle);
    }
    if chosen("smtp") {
        delivery::smtp(&town, messages);
    }
    if chosen("append") {
        delivery::append(&town, messages);
    }
    if chosen("statements") {
        delivery::statements(&town, &home);
    }
    if chosen("login") {
        reading::login(&town);
    }
    if chosen("notice") {
        waiting::notice(&town);
    }
    if chosen("mailbox") || chosen("busy") {
        reading::fill(&town, listed);
    }
    if chosen("mailbox") {
        reading::mailbox(&town, listed);
        reading::least(&town, &home, listed);
    }
    if chosen("busy") {
        waiting::interactive(&town);
    }
    println!("memory after all: the gateway {} MiB, Dovecot {} MiB, Postfix {} MiB", town.gateway().memory_kib() / 1024, town.dovecot_trees().memory_kib() / 1024, town.postfix_trees().memory_kib() / 1024);
    if chosen("hostile") {
        hostile::hostile(&mut town);
    }
}

fn number(name: &str) -> Option<usize> {
    std::env::var(format!("SUIYIN_BENCH_{name}")).ok()?.parse().ok()
}
