//! Mail that comes: SMTP, APPEND, LMTP, and a month's push beside LMTP of the same messages ready-made.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use certs_test::office::{Account, bureau_of, of_another_account};
use rustls::ClientConfig;

use super::least::Least;
use super::letters::{letter, of_neighbour};
use super::measure::{Sample, interleaved, line};
use super::town::{Place, Town};
use super::wire::{Imap, Smtp, source, stuffed};

/// Messages of one SMTP connection.
const A_CONNECTION: usize = 10;
const APPENDERS: usize = 10;
const NEIGHBOURS: usize = 10;
/// Statements that are ready-made; mailboxes get them in turn.
const TEMPLATES: usize = 50;

/// `count` pieces of work taken in turn by so many sessions, each a thread.
fn crowd(sessions: usize, count: usize, session: impl Fn(usize, &mut dyn Iterator<Item = usize>) + Sync) {
    let next = AtomicUsize::new(0);
    let (next, session) = (&next, &session);
    std::thread::scope(|scope| {
        for one in 0..sessions {
            scope.spawn(move || session(one, &mut std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < count))));
        }
    });
}

/// A new connection for each ten messages. Postfix's rate is that of its 250s while it delivers; its processor time is until all is
/// delivered, as ours is.
pub fn smtp(town: &Town, messages: usize) {
    let letters: Vec<Vec<u8>> = (0..200).map(|number| stuffed(&letter(number))).collect();
    for sessions in [10, 50] {
        let sent = |port: u16| {
            crowd(sessions, messages / A_CONNECTION, |one, connections| {
                for connection in connections {
                    let mut client = Smtp::open(port, source(one), "EHLO");
                    for at in connection * A_CONNECTION..(connection + 1) * A_CONNECTION {
                        client.deliver(&town.accounts[at % town.accounts.len()], &letters[at % letters.len()]);
                    }
                    client.quit();
                }
            });
            messages / A_CONNECTION * A_CONNECTION
        };
        let mut delivered = Vec::new();
        let (ours, theirs) = interleaved(
            |_| town.gateway().measure(|| sent(town.ours().smtp)),
            |_| {
                let (mut accepted, trees) = (None, town.postfix_trees());
                let whole = trees.measure(|| {
                    let taken = trees.measure(|| sent(town.theirs().smtp));
                    town.postfix.wait_delivered();
                    accepted = Some(taken);
                    taken.operations as usize
                });
                delivered.push(whole);
                Sample { processor: whole.processor, ..accepted.unwrap() }
            },
        );
        line(&format!("SMTP accept, {sessions} sessions (Postfix: 250, and CPU to delivery)"), 4.0, &ours, &theirs);
        line("  the same, Postfix's rate to the last delivery", 4.0, &ours, &delivered);
    }
}

/// Ten sessions under TLS, each to its own mailbox.
pub fn append(town: &Town, messages: usize) {
    let letters: Vec<[Vec<u8>; 1]> = (0..200).map(|number| [letter(number)]).collect();
    let appended = |place: &Place| {
        crowd(APPENDERS, messages, |one, places| {
            let mut client = Imap::open(place.imaps, source(one), &town.trust, &town.accounts[one]);
            places.for_each(|at| client.append(&letters[at % letters.len()]));
            client.logout();
        });
        messages
    };
    let (ours, theirs) = interleaved(|_| town.gateway().measure(|| appended(&town.ours())), |_| town.dovecot_trees().measure(|| appended(&town.theirs())));
    line(&format!("APPEND of 8 KiB, {APPENDERS} sessions"), 5.0, &ours, &theirs);
}

/// Statements in ten sessions, each to another mailbox: by LMTP to both, and by a push to us. Beside them the least that any server does.
pub fn statements(town: &Town, home: &Path) {
    let mut pushes = vec![push(town, "first")];
    let templates = templates(town);
    println!("  ready-made statements of {} octets on the average", templates.iter().map(Vec::len).sum::<usize>() / templates.len());
    let delivered = |port: u16| {
        crowd(NEIGHBOURS, town.accounts.len(), |one, places| {
            let mut client = Smtp::open(port, source(one), "LHLO");
            places.for_each(|at| client.deliver(&town.accounts[at], &templates[at % templates.len()]));
            client.quit();
        });
        town.accounts.len()
    };
    let (ours, theirs) = interleaved(|_| town.gateway().measure(|| delivered(town.ours().lmtp)), |_| town.dovecot_trees().measure(|| delivered(town.theirs().lmtp)));
    line(&format!("LMTP of statements to {} mailboxes, {NEIGHBOURS} sessions", town.accounts.len()), 10.0, &ours, &theirs);
    let least = Least::start(&home.join("least"));
    let (least, again) = interleaved(|_| least.trees().measure(|| delivered(least.1)), |_| town.dovecot_trees().measure(|| delivered(town.theirs().lmtp)));
    line("  the least that a server on our store does for it", 10.0, &least, &again);
    pushes.extend(["second", "third"].map(|name| push(town, name)));
    line("push of as many, judged, sealed, evident, beside that LMTP", 20.0, &pushes, &theirs);
}

/// A file that nobody has seen: statements of other accounts of the same people.
fn push(town: &Town, name: &str) -> Sample {
    prepare(town, name);
    town.gateway_and_sealer().measure(|| pushed(town, name))
}

pub fn prepare(town: &Town, name: &str) {
    let office = &town.office;
    office.amend("housing-fund", name, name, |_, fields| of_another_account(fields, name));
    office.sign_file(&bureau_of("housing-fund"), &format!("city/{name}.manifest.json"), &format!("{name}.p7s"));
}

pub fn pushed(town: &Town, name: &str) -> usize {
    let [rows, manifest, signature] = [format!("city/{name}.csv"), format!("city/{name}.manifest.json"), format!("{name}.p7s")];
    let report = town.office.mailgw(&["--json", "push", &rows, "--manifest", &manifest, "--signature", &signature]).json();
    let delivered = report["counts"]["delivered"].as_u64().unwrap();
    assert_eq!(Some(delivered), report["rows"].as_u64(), "{report:#}");
    delivered as usize
}

/// What the push brought the first mailboxes.
fn templates(town: &Town) -> Vec<Vec<u8>> {
    let fetched = |account: &Account| newest(&town.ours(), &town.trust, account);
    town.accounts.iter().take(TEMPLATES).map(|account| stuffed(&of_neighbour(&fetched(account)))).collect()
}

fn newest(place: &Place, trust: &Arc<ClientConfig>, account: &Account) -> Vec<u8> {
    let mut client = Imap::open(place.imaps, source(0), trust, account);
    client.ask("SELECT INBOX");
    client.ask("FETCH * BODY.PEEK[]");
    let message = std::mem::take(&mut client.literal);
    client.logout();
    message
}
