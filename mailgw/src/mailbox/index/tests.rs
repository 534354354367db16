//! The index and a plain scan say the same, whatever is asked of whatever mail.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use proptest::prelude::*;
use protocol::imap::content::Searchable;
use protocol::imap::content::charset::fold;
use protocol::imap::exchange::{Flags, Needle, Place, StoreOp, SystemFlag};
use store::{Batch, Fault, Faulty, Key, Memory, Store};

use super::{LEAST, MessageStore, SEGMENT};
use crate::mailbox::{Delivery, standard_folders};
use crate::record::words;

const BOX: &str = "1234567897";

fn founded() -> (Arc<Memory>, MessageStore) {
    let store = Arc::new(Memory::new());
    store.commit(standard_folders(Batch::new(), BOX)).unwrap();
    let mail = MessageStore::new(Arc::clone(&store) as Arc<dyn Store>, crate::mailbox::test_keys::data_key());
    (store, mail)
}

fn deliver(mail: &MessageStore, folder: &str, messages: &[Vec<u8>]) {
    for some in messages.chunks(100) {
        let delivery = |bytes: &Vec<u8>| Delivery { mailbox: BOX.into(), folder: folder.into(), content: bytes.clone().into(), unix_millis: 1, flags: Flags::new(), event: None, mark: None };
        mail.deliver(&some.iter().map(delivery).collect::<Vec<_>>(), 1).unwrap();
    }
}

fn truth(bytes: &[u8], needle: &Needle) -> bool {
    let message = Searchable::new(bytes, &[]);
    match &needle.place {
        Place::Body => message.body_contains(&needle.text).unwrap(),
        Place::Text => message.text_contains(&needle.text).unwrap(),
        Place::Field(name) => message.header_contains(name, &needle.text),
    }
}

/// For every message of INBOX: what the index says agrees with what is there.
fn agrees(mail: &MessageStore, needles: &[Needle], least_known: usize) {
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    let (known, hits) = mail.find(BOX, needles).unwrap();
    assert!(known.len() >= least_known, "{} known", known.len());
    for info in mail.view(BOX, "INBOX").unwrap().messages {
        if known.binary_search(&info.content).is_err() {
            continue;
        }
        let bytes = mail.load(&inbox, info.uid).unwrap();
        for (needle, hits) in needles.iter().zip(&hits) {
            let (holds, perhaps) = (hits.holds.binary_search(&info.content).is_ok(), hits.perhaps.binary_search(&info.content).is_ok());
            let there = truth(&bytes, needle);
            assert!(if holds { there } else { perhaps || !there }, "{:?} {:?}: holds {holds} perhaps {perhaps} there {there}", needle.place, needle.text);
            let short = needle.text.chars().count() <= 3 && !matches!(&needle.place, Place::Field(name) if name == "X-NOTE");
            assert!(!short || !perhaps, "a short string is decided without reading");
        }
    }
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let words = "[公积金住房养老ab Ａ１\r\n]{0,40}";
    (words, words, "[公积金ab]{0,6}", 0..4).prop_map(|(text, other, subject, form)| {
        let subject = fold(&subject).replace(['\r', '\n'], " ");
        let coded = |text: &str| quoted(text.as_bytes());
        match form {
            0 => format!("Subject: {subject}\r\nFrom: 公积金 <a@b.cn>\r\nX-Note: {subject}b\r\n\r\n{text}").into_bytes(),
            1 => format!("Subject: =?utf-8?Q?{}?=\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{}", coded(&subject), coded(&text)).into_bytes(),
            2 => {
                let head = "Subject: two\r\nTo: ab@b.cn\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n";
                format!("{head}{text}\r\n--x\r\nContent-Type: text/csv; name=a.csv\r\n\r\n{other}\r\n--x\r\nContent-Type: application/pdf\r\n\r\n公积金\r\n--x--\r\n").into_bytes()
            }
            // Raw octets of GB 18030: 公积金.
            _ => [format!("Subject: {subject}\r\n\r\n").as_bytes(), &[0xb9, 0xab, 0xbb, 0xfd, 0xbd, 0xf0], other.replace(|ch: char| !ch.is_ascii(), "").as_bytes()].concat(),
        }
    })
}

fn quoted(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("={byte:02X}")).collect()
}

/// What is looked for is not for logs, so a needle cannot be printed; what it is made of can.
fn needle() -> impl Strategy<Value = (usize, String)> {
    (0..6_usize, "[公积金住房养老ab Ａ１]{1,6}")
}

fn made((place, text): &(usize, String)) -> Needle {
    let field = |name: &str| Place::Field(name.to_owned());
    let place = [Place::Body, Place::Text, field("SUBJECT"), field("FROM"), field("TO"), field("X-NOTE")][*place].clone();
    Needle { place, text: fold(text) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn the_index_and_a_scan_say_the_same(before in prop::collection::vec(message(), 1..20), after in prop::collection::vec(message(), 0..5), needles in prop::collection::vec(needle(), 1..12)) {
        let (_, mail) = founded();
        let needles: Vec<Needle> = needles.iter().map(made).collect();
        deliver(&mail, "INBOX", &before);
        mail.reindex(BOX, &mut |_, _| true).unwrap();
        deliver(&mail, "INBOX", &after);
        agrees(&mail, &needles, before.len());
        mail.index(BOX, 1, &mut |_, _| true).unwrap();
        agrees(&mail, &needles, before.len() + after.len());
    }
}

#[test]
fn a_segment_is_made_when_there_is_enough_for_one_and_only_then() {
    let (store, mail) = founded();
    let texts: Vec<Vec<u8>> = (0..SEGMENT + 100).map(|n| format!("Subject: {n}\r\n\r\n缴存公积金 {n}").into_bytes()).collect();
    deliver(&mail, "INBOX", &texts[..LEAST - 1]);
    assert_eq!(mail.index_due(&|| true).unwrap(), 0);
    deliver(&mail, "Archive", &texts[LEAST - 1..SEGMENT + LEAST - 1]);
    assert_eq!(mail.index_due(&|| true).unwrap(), 1);
    assert_eq!(mail.index_due(&|| true).unwrap(), 0);
    let ask = |text: &str| vec![Needle { place: Place::Body, text: text.to_owned() }];
    let (known, hits) = mail.find(BOX, &ask("积")).unwrap();
    assert_eq!((known.len(), hits[0].holds.len(), hits[0].perhaps.len()), (SEGMENT, SEGMENT, 0));
    // Some dozen make a small one, which later ones are joined with.
    deliver(&mail, "INBOX", &texts[SEGMENT + LEAST - 1..]);
    assert_eq!((mail.index_due(&|| true).unwrap(), mail.find(BOX, &ask("积")).unwrap().0.len()), (1, SEGMENT + 100));
    // Copies and moves are known by their content; what is gone is no hit of anything.
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    mail.move_to(&inbox, &[1, 2, 3], BOX, "Trash", 5).unwrap();
    assert_eq!(mail.find(BOX, &ask("缴存公")).unwrap().0.len(), SEGMENT + 100);
    // Anew; nothing of the old one is left.
    let mut told = Vec::new();
    assert_eq!(mail.reindex(BOX, &mut |done, all| { told.push((done, all)); true }).unwrap(), 2);
    assert_eq!(told, [(SEGMENT, SEGMENT + 100), (SEGMENT + 100, SEGMENT + 100)]);
    assert_eq!(mail.find(BOX, &ask("没有")).unwrap(), ((mail.find(BOX, &ask("积")).unwrap().0), vec![Default::default()]));
    // Sealed: no word stands there, and another mailbox has none of it.
    for (from, to) in [words::segments(BOX), words::shelves(BOX)] {
        let all = store.scan(&from, &to, usize::MAX).unwrap();
        assert!(!all.is_empty());
        assert!(all.iter().all(|(key, value)| [key.as_bytes(), value].iter().all(|bytes| !bytes.windows(9).any(|part| part == "公积金".as_bytes()))));
    }
    assert_eq!(mail.find("2234567890", &ask("积")).unwrap(), (vec![], vec![Default::default()]));
}

/// Bounded by what is kept of it, not by how often it is told.
#[test]
fn what_repeats_itself_fills_no_segment() {
    let (_, mail) = founded();
    let texts: Vec<Vec<u8>> = (0..LEAST).map(|n| format!("Subject: {n}\r\n\r\n{}", "公积金\r\n".repeat(10_000)).into_bytes()).collect();
    assert!(LEAST * 10_000 * 3 * 3 > 2 * super::MAX_RUNS);
    deliver(&mail, "INBOX", &texts);
    assert_eq!(mail.index_due(&|| true).unwrap(), 1);
    let (known, hits) = mail.find(BOX, &[Needle { place: Place::Body, text: "金".into() }]).unwrap();
    assert_eq!((known.len(), hits[0].holds.len()), (LEAST, LEAST));
}

#[test]
fn what_has_too_much_text_is_read_by_every_search() {
    let (_, mail) = founded();
    deliver(&mail, "INBOX", &[format!("Subject: big\r\n\r\n{}", "长文 ".repeat(100_000)).into_bytes(), b"Subject: small\r\n\r\nsmall".to_vec()]);
    mail.reindex(BOX, &mut |_, _| true).unwrap();
    let (known, hits) = mail.find(BOX, &[Needle { place: Place::Body, text: "无".into() }]).unwrap();
    assert_eq!((known.len(), hits[0].holds.len(), hits[0].perhaps.len()), (2, 0, 1));
}

#[test]
fn a_segment_that_is_not_whole_is_not_believed() {
    let (store, mail) = founded();
    deliver(&mail, "INBOX", &["Subject: 一\r\n\r\n公积金".as_bytes().to_vec()]);
    mail.reindex(BOX, &mut |_, _| true).unwrap();
    let ask = [Needle { place: Place::Body, text: "公积".into() }];
    let (known, hits) = mail.find(BOX, &ask).unwrap();
    assert_eq!((known.len(), hits[0].holds.len()), (1, 1));
    // As a search sees it while the index is dropped: the list is there, the shelves are not.
    let (from, to) = words::shelves(BOX);
    let gone = store.scan(&from, &to, usize::MAX).unwrap();
    assert_eq!(gone.len(), 256);
    store.commit(gone.into_iter().fold(Batch::new(), |batch, (key, _)| batch.delete(key))).unwrap();
    assert_eq!(mail.find(BOX, &ask).unwrap(), (vec![], vec![Default::default()]));
}

#[test]
fn eight_segments_become_one_and_what_is_deleted_is_forgotten() {
    let (store, mail) = founded();
    let count = 8 * SEGMENT + 10;
    let texts: Vec<Vec<u8>> = (0..count).map(|n| format!("Subject: {n}\r\n\r\n缴存公积金{}", if n == 77 { "鼉" } else { "" }).into_bytes()).collect();
    deliver(&mail, "INBOX", &texts);
    assert_eq!(mail.index_due(&|| true).unwrap(), 8);
    let ask = |text: &str| [Needle { place: Place::Body, text: text.to_owned() }];
    let count_of = |(from, to): (Key, Key)| store.scan(&from, &to, usize::MAX).unwrap().len();
    let counts = || (count_of(words::segments(BOX)), count_of(words::shelves(BOX)), count_of(words::leaving(BOX)));
    assert_eq!(counts(), (1, 256, 0));
    let held = |text: &str| mail.find(BOX, &ask(text)).unwrap().1[0].holds.len();
    assert_eq!((mail.find(BOX, &ask("积")).unwrap().0.len(), held("公积金"), held("鼉")), (8 * SEGMENT, 8 * SEGMENT, 1));
    agrees(&mail, &[Needle { place: Place::Field("SUBJECT".into()), text: "77".into() }], 8 * SEGMENT);
    // Two of the messages go, one of them with a word that no other has.
    let inbox = mail.folder(BOX, "INBOX").unwrap();
    assert_eq!(mail.forget_removed(&|| true).unwrap(), 0);
    mail.store_flags(BOX, &inbox, &[78, 4_000], StoreOp::Add, &Flags::new().with(SystemFlag::Deleted)).unwrap();
    mail.expunge(BOX, &inbox, &[78, 4_000], 9).unwrap();
    assert_eq!(held("鼉"), 1);
    assert_eq!((mail.forget_removed(&|| true).unwrap(), mail.forget_removed(&|| true).unwrap()), (1, 0));
    assert_eq!((counts(), held("鼉"), held("公积金")), ((1, 256, 0), 0, 8 * SEGMENT - 2));
    agrees(&mail, &ask("存公积"), 8 * SEGMENT - 2);
}

#[test]
fn joining_that_is_cut_off_anywhere_leaves_an_index_that_says_the_same() {
    let texts: Vec<Vec<u8>> = (0..8).map(|n| format!("Subject: {n}\r\n\r\n公积金{n}").into_bytes()).collect();
    let needles = ["公积金", "3", "金5"].map(|text| Needle { place: Place::Body, text: text.to_owned() });
    let mut cut = 0;
    loop {
        let (below, mail) = founded();
        for text in &texts[..7] {
            deliver(&mail, "INBOX", std::slice::from_ref(text));
            mail.index(BOX, 1, &mut |_, _| true).unwrap();
        }
        deliver(&mail, "INBOX", &texts[7..]);
        let faulty = Arc::new(Faulty::new(below.clone() as Arc<dyn Store>).at(cut, [Fault::Lost, Fault::DoneReportedLost][usize::try_from(cut % 2).unwrap()]));
        let failing = MessageStore::new(faulty, crate::mailbox::test_keys::data_key());
        let done = failing.index(BOX, 1, &mut |_, _| true);
        agrees(&mail, &needles, 7);
        mail.index(BOX, 1, &mut |_, _| true).unwrap();
        agrees(&mail, &needles, 8);
        let (from, to) = words::shelves(BOX);
        assert_eq!((mail.stored(BOX).unwrap().len(), below.scan(&from, &to, usize::MAX).unwrap().len()), (1, 256), "cut at commit {cut}");
        if done.is_ok() {
            assert!(cut > 18, "{cut}");
            return;
        }
        cut += 1;
    }
}
