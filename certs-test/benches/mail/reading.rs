//! What a mail program does: it logs in, and it reads, flags and searches a large mailbox.

use std::path::Path;

use super::least_imap::{Least, READY};
use super::letters::{RARE, letter};
use super::measure::{Sample, interleaved, line};
use super::town::{Place, Town};
use super::wire::{Imap, source};

/// Connections that stand under TLS before the logins are timed.
const WAITING: usize = 100;
const BODIES: usize = 10_000;
const STORES: usize = 500;
/// So many that hundredths of a second tell their processor time.
const SELECTS: usize = 1_000;
/// Letters of one APPEND when a mailbox is filled.
const AT_ONCE: usize = 50;

/// LOGIN alone, on connections whose TLS is made: passwords that were right a moment ago, so that neither hashes. Ours looks at its
/// keyed tags of recent logins; Dovecot at its cache of logins, with the password in the clear, and makes the process of the session.
pub fn login(town: &Town) {
    let batch = |place: &Place| -> Vec<Imap> { (0..WAITING).map(|one| Imap::greeted(place.imaps, source(one), &town.trust, 1024)).collect() };
    let round = |place: &Place, trees: &super::measure::Trees| {
        let mut whole = Sample { operations: 0.0, seconds: 0.0, processor: 0.0 };
        for _ in 0..5 {
            let mut clients = batch(place);
            let took = trees.measure(|| {
                // Five at a time.
                std::thread::scope(|scope| {
                    for (at, some) in clients.chunks_mut(WAITING / 5).enumerate() {
                        scope.spawn(move || some.iter_mut().enumerate().for_each(|(one, client)| client.login(&town.accounts[(at * WAITING / 5 + one) % town.accounts.len()])));
                    }
                });
                WAITING
            });
            whole = Sample { operations: whole.operations + took.operations, seconds: whole.seconds + took.seconds, processor: whole.processor + took.processor };
            clients.into_iter().for_each(Imap::logout);
        }
        whole
    };
    for place in [town.ours(), town.theirs()] {
        // The passwords are looked at once.
        batch(&place).into_iter().enumerate().for_each(|(one, mut client)| client.login(&town.accounts[one % town.accounts.len()]));
    }
    let (ours, theirs) = interleaved(|_| round(&town.ours(), &town.gateway()), |_| round(&town.theirs(), &town.dovecot_trees()));
    line("LOGIN after TLS, password in both caches, 5 at a time", 5.0, &ours, &theirs);
    let whole = |place: &Place| {
        for _ in 0..WAITING {
            Imap::open(place.imaps, source(0), &town.trust, &town.accounts[0]).logout();
        }
        WAITING
    };
    let (ours, theirs) = interleaved(|_| town.gateway().measure(|| whole(&town.ours())), |_| town.dovecot_trees().measure(|| whole(&town.theirs())));
    line("  connection, TLS, LOGIN and LOGOUT, one after another", 1.0, &ours, &theirs);
}

/// The same letters in both.
pub fn fill(town: &Town, letters: usize) {
    for (place, trees) in [(town.ours(), town.gateway()), (town.theirs(), town.dovecot_trees())] {
        let mut client = open(town, &place);
        let took = trees.measure(|| {
            for first in (0..letters).step_by(AT_ONCE) {
                client.append(&(first..letters.min(first + AT_ONCE)).map(letter).collect::<Vec<_>>());
            }
            letters
        });
        println!("  a mailbox of {letters} letters by APPEND of {AT_ONCE} at once: {:.0}/s, {:.0} µs of processor each", took.operations / took.seconds, took.processor * 1e6 / took.operations);
        client.logout();
    }
}

fn open(town: &Town, place: &Place) -> Imap {
    Imap::open(place.imaps, source(0), &town.trust, &town.reader)
}

/// One line: `work` on a session of each that has selected the mailbox.
fn compared(town: &Town, name: &str, aim: f64, work: impl Fn(&mut Imap) -> usize) {
    let round = |place: &Place, trees: &super::measure::Trees| {
        let mut client = open(town, place);
        client.ask("SELECT INBOX");
        let took = trees.measure(|| work(&mut client));
        client.logout();
        took
    };
    let (ours, theirs) = interleaved(|_| round(&town.ours(), &town.gateway()), |_| round(&town.theirs(), &town.dovecot_trees()));
    line(name, aim, &ours, &theirs);
}

pub fn mailbox(town: &Town, letters: usize) {
    const LISTING: &str = "FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE)";
    const FIELDS: &str = "FETCH 1:* (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER SUBJECT TO CC MESSAGE-ID REFERENCES CONTENT-TYPE IN-REPLY-TO REPLY-TO)])";
    first_listing(town, letters, LISTING);
    compared(town, "  listing again, messages", 5.0, |client| client.count(LISTING, "FETCH"));
    compared(town, "  listing of header fields, as mutt and Thunderbird ask", 5.0, |client| client.count(FIELDS, "FETCH"));
    compared(town, "SELECT", 5.0, |client| (0..SELECTS).map(|_| client.ask("SELECT INBOX")).count());
    compared(town, &format!("bodies of 8 KiB, {} in one FETCH", BODIES.min(letters)), 2.0, |client| {
        let count = client.count(&format!("FETCH 1:{} BODY.PEEK[]", BODIES.min(letters)), "FETCH");
        assert_eq!(client.literal, letter(BODIES.min(letters) - 1), "the last body is not what was appended");
        count
    });
    compared(town, "STORE, one message a command", 2.0, |client| {
        for at in 1..=STORES {
            client.ask(&format!("STORE {at} +FLAGS (\\Flagged)"));
            client.ask(&format!("STORE {at} -FLAGS (\\Flagged)"));
        }
        STORES * 2
    });
    compared(town, "STORE, all messages in one command, messages", 2.0, |client| {
        client.ask("STORE 1:* +FLAGS.SILENT (\\Answered)");
        client.ask("STORE 1:* -FLAGS.SILENT (\\Answered)");
        letters * 2
    });
    compared(town, "FLAGS listing, messages", 1.0, |client| (0..3).map(|_| client.count("FETCH 1:* (UID FLAGS)", "FETCH")).sum());
    // Its index is made as mail comes, within seconds.
    let expected = letters.div_ceil(1_000);
    for (name, word, least) in [("a rare word", RARE, expected), ("a word of each letter", "公积金", letters)] {
        compared(town, &format!("SEARCH BODY, {name} in {letters}"), 50.0, |client| {
            let found = client.search(&format!("CHARSET UTF-8 BODY {{{}+}}\r\n{word}", word.len()));
            assert!(found + found / 20 >= least && found <= letters, "{found} found, {least} hoped for");
            1
        });
    }
}

/// Beside the least that any server on our store does for it.
pub fn least(town: &Town, home: &Path, letters: usize) {
    let least = Least::start(&home.join("least-imap"), BODIES.min(letters));
    let fetch = format!("FETCH 1:{} BODY.PEEK[]", BODIES.min(letters));
    type Work<'w> = &'w dyn Fn(&mut Imap) -> usize;
    let beside = |name: &str, aim: f64, of_ours: Work<'_>, of_theirs: Work<'_>| {
        let round = |mut client: Imap, trees: &super::measure::Trees, work: Work<'_>| {
            client.ask("SELECT INBOX");
            let took = trees.measure(|| work(&mut client));
            client.logout();
            took
        };
        let ours = |_| round(Imap::open(least.port, source(0), &least.trust, &town.reader), &least.trees(), of_ours);
        let (ours, theirs) = interleaved(ours, |_| round(open(town, &town.theirs()), &town.dovecot_trees(), of_theirs));
        line(name, aim, &ours, &theirs);
    };
    let select: Work<'_> = &|client| (0..SELECTS).map(|_| client.ask("SELECT INBOX")).count();
    beside("  the least that a server does: SELECT", 5.0, select, select);
    let bodies: Work<'_> = &|client| client.count(&fetch, "FETCH");
    beside("  the least that a server on our store does: bodies", 2.0, bodies, bodies);
    let ready = format!("FETCH 1:{} {READY}", BODIES.min(letters));
    beside("  the most that this client takes in: bodies", 2.0, &|client| client.count(&ready, "FETCH"), bodies);
}

/// A session selects a mailbox that nobody has listed yet, and lists it. Ours keeps what it tells from when mail comes, and the last few
/// dozen letters are read; Dovecot's looks at the letters and keeps what it found, which is forgotten before each round.
fn first_listing(town: &Town, letters: usize, listing: &str) {
    let round = |place: &Place, trees: &super::measure::Trees| {
        let mut client = open(town, place);
        let took = trees.measure(|| {
            client.ask("SELECT INBOX");
            client.count(listing, "FETCH")
        });
        assert_eq!(took.operations as usize, letters);
        client.logout();
        took
    };
    let (ours, theirs) = interleaved(
        |_| round(&town.ours(), &town.gateway()),
        |_| {
            town.dovecot.forget_listing(&town.reader);
            round(&town.theirs(), &town.dovecot_trees())
        },
    );
    line(&format!("SELECT and first listing of {letters}, messages"), 5.0, &ours, &theirs);
}
