//! Attachments: sealed at rest, proved by their name, within their quota.

use std::sync::{Arc, Mutex};

use filing::desk::doctor;
use filing::desk::flow::attachment::{Begun, begin, read, sweep};
use filing::desk::flow::authorise::Callers;
use filing::desk::flow::receive::{Submission, receive};
use filing::desk::flow::unnamed::{self, Swept};
use filing::desk::problem::DeskError;
use filing::desk::record::attachment::{AttachmentRecord, Known};
use ring::digest::{SHA256, digest};
use runtime::clock::Clock as _;
use rustls::pki_types::CertificateDer;
use store::{Batch, Between, Fault, Faulty};
use time::Duration;

use crate::office::{CODE, Founded, OTHER, Office, firm, sign, vat};

fn name(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put(office: &Office, code: &'static str, sha256: &str, bytes: &[u8]) -> Result<u64, DeskError> {
    let caller = office.caller(&office.firm(code));
    match begin(&office.desk, &caller, sha256, Some(bytes.len() as u64))? {
        Begun::Known(size) => Ok(size),
        Begun::Take(mut incoming) => {
            for piece in bytes.chunks(70_001) {
                incoming.write(&office.desk, piece)?;
            }
            incoming.end(&office.desk)
        }
    }
}

#[test]
fn a_file_comes_back_as_it_came_and_goes_with_a_filing() {
    let office = Office::open();
    for size in [0_usize, 1, 256 * 1024, 256 * 1024 + 1, 1_000_003] {
        let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let sha256 = name(&bytes);
        assert_eq!(put(&office, CODE, &sha256, &bytes).unwrap(), size as u64);
        assert_eq!(put(&office, OTHER, &sha256, &bytes).unwrap(), size as u64, "the same again");
        let mut out = Vec::new();
        assert_eq!(read(&office.desk, &sha256, &mut out).unwrap(), size as u64);
        assert!(out == bytes);
        // At rest there is nothing of it to be read.
        let stored = std::fs::read(office.place.path().join("attachments").join(&sha256)).unwrap();
        assert!(size < 100 || !stored.windows(64).any(|window| window == &bytes[..64]));
    }
    let bytes = b"contract".to_vec();
    put(&office, CODE, &name(&bytes), &bytes).unwrap();
    let filing = vat(CODE, |filing| filing["attachments"] = serde_json::json!([{"name": "合同.pdf", "size": 8, "sha256": name(&bytes), "media_type": "application/pdf"}]));
    office.receipt(&office.firm(CODE), &filing);
    // Damaged at rest it is told, never given.
    let path = office.place.path().join("attachments").join(name(&bytes));
    let mut stored = std::fs::read(&path).unwrap();
    *stored.last_mut().unwrap() ^= 1;
    std::fs::write(&path, stored).unwrap();
    assert!(read(&office.desk, &name(&bytes), &mut Vec::new()).is_err());
}

#[test]
fn what_is_not_what_its_name_says_or_too_much_leaves_nothing() {
    let limits = |documents: &mut Vec<(&'static str, String)>| {
        documents[1].1 = documents[1].1.replace("max_bytes = 104857600", "max_bytes = 1000").replace("enterprise_bytes = 2147483648", "enterprise_bytes = 1500");
    };
    let office = Office::open_with(limits);
    let (small, large) = (vec![1; 900], vec![2; 1_001]);
    assert!(put(&office, CODE, &name(b"other"), &small).is_err());
    assert!(put(&office, CODE, &name(&large), &large).is_err());
    assert!(put(&office, CODE, "no digest", &small).is_err());
    put(&office, CODE, &name(&small), &small).unwrap();
    // Beyond the quota of one, another still has room.
    let more = vec![3; 900];
    assert!(put(&office, CODE, &name(&more), &more).is_err());
    put(&office, OTHER, &name(&more), &more).unwrap();
    let place = office.place.path().join("attachments");
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 2);
    std::fs::write(place.join(".9-9.new"), b"half").unwrap();
    sweep(&place).unwrap();
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 2);
}

/// What is on its way counts, announced or not, and gives its room back however it ends.
#[test]
fn what_is_on_its_way_counts_for_the_quota() {
    let limits = |documents: &mut Vec<(&'static str, String)>| {
        let text = documents[1].1.replace("max_bytes = 104857600", "max_bytes = 1000000").replace("enterprise_bytes = 2147483648", "enterprise_bytes = 1500000");
        documents[1].1 = text.replace("at_once = 256", "at_once = 3").replace("at_once_per_enterprise = 16", "at_once_per_enterprise = 2").replace("in_flight_bytes = 17179869184", "in_flight_bytes = 2000000");
    };
    let office = Office::open_with(limits);
    let (ours, theirs) = (office.caller(&office.firm(CODE)), office.caller(&office.firm(OTHER)));
    let start = |caller, bytes: &[u8], announced: Option<u64>| match begin(&office.desk, caller, &name(bytes), announced) {
        Ok(Begun::Take(incoming)) => Ok(incoming),
        Ok(Begun::Known(_)) => panic!("it is new"),
        Err(error) => Err(error),
    };
    let (first, second) = (vec![1; 900_000], vec![2; 900_000]);
    // 1. Announced: the second has no room while the first is on its way.
    let one = start(&ours, &first, Some(900_000)).unwrap();
    assert!(start(&ours, &second, Some(900_000)).is_err());
    // 2. Not announced: it is taken until there is no more room.
    let mut two = start(&ours, &second, None).unwrap();
    two.write(&office.desk, &second[..600_000]).unwrap();
    assert!(two.write(&office.desk, &second[..300_000]).is_err());
    // 3. No more at one time, of one and of all.
    assert!(matches!(start(&ours, b"3", None), Err(DeskError::TooFast { .. })));
    let three = start(&theirs, b"3", None).unwrap();
    assert!(matches!(start(&theirs, b"4", None), Err(DeskError::Full { .. })));
    drop((two, three));
    // All together have so many octets on their way.
    let mut three = start(&theirs, &second, None).unwrap();
    three.write(&office.desk, &second[..850_000]).unwrap();
    let mut two = start(&ours, &first[..10], None).unwrap();
    assert!(matches!(two.write(&office.desk, &first[..300_000]), Err(DeskError::Full { .. })));
    // 4. What ends gives its room back, and what is kept counts once.
    drop((one, two, three));
    put(&office, CODE, &name(&first), &first).unwrap();
    assert!(put(&office, CODE, &name(&second), &second).is_err());
    put(&office, CODE, &name(&second[..600_000]), &second[..600_000]).unwrap();
    assert_eq!(std::fs::read_dir(office.place.path().join("attachments")).unwrap().count(), 2);
}

/// Who asks whether a file is here learns it of its own alone; who has shown that it has it, has it here.
#[test]
fn what_another_sent_is_taken_again_and_counts_once() {
    let office = Office::open();
    let bytes = b"the contract of two".to_vec();
    let sha256 = name(&bytes);
    put(&office, CODE, &sha256, &bytes).unwrap();
    let (ours, theirs) = (office.caller(&office.firm(CODE)), office.caller(&office.firm(OTHER)));
    let known = |caller| matches!(begin(&office.desk, caller, &sha256, None).unwrap(), Begun::Known(19));
    assert!(known(&ours) && !known(&theirs));
    // Other octets under its name are no key to it.
    assert!(put(&office, OTHER, &sha256, b"guessed").is_err() && !known(&theirs));
    assert_eq!(put(&office, OTHER, &sha256, &bytes).unwrap(), 19);
    assert!(known(&theirs));
    let sum = |code| office.desk.store.sum(&filing::desk::record::attachment::AttachmentRecord::sum(code)).unwrap();
    assert_eq!((sum(CODE), sum(OTHER)), (19, 0));
    assert_eq!(std::fs::read_dir(office.place.path().join("attachments")).unwrap().count(), 1);
    // The log tells of it once, and not by a digest that others can compute.
    let leaves: Vec<merkle::Leaf> = office.desk.store.read_stream("log", 0, 100).unwrap().iter().map(|leaf| merkle::Leaf::parse(leaf).unwrap()).filter(|leaf| [10, 38].contains(&leaf.kind())).collect();
    assert!(leaves.len() == 1 && leaves[0].kind() == 38 && !leaves[0].payload().contains(&sha256), "{leaves:?}");
}

fn naming(bytes: &[u8], change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
    vat(CODE, |filing| {
        filing["attachments"] = serde_json::json!([{"name": "合同.pdf", "size": bytes.len(), "sha256": name(bytes), "media_type": "application/pdf"}]);
        change(filing);
    })
}

fn swept(office: &Office) -> Swept {
    unnamed::pass(&office.desk, &|| false).unwrap()
}

fn waiting(office: &Office) -> (u64, u64) {
    (office.desk.store.sum(AttachmentRecord::WAITING).unwrap(), office.desk.store.sum(AttachmentRecord::WAITING_BYTES).unwrap())
}

fn files(office: &Office) -> usize {
    std::fs::read_dir(office.place.path().join("attachments")).unwrap().count()
}

#[test]
fn what_no_filing_names_in_its_days_is_removed_and_gives_its_room_back() {
    let office = Office::open();
    let (filed, forgotten, asked) = (b"filed".as_slice(), b"forgotten".as_slice(), b"asked for again".as_slice());
    for bytes in [filed, forgotten, asked] {
        put(&office, CODE, &name(bytes), bytes).unwrap();
    }
    assert_eq!(waiting(&office), (3, 29));
    office.receipt(&office.firm(CODE), &naming(filed, |_| {}));
    assert_eq!((waiting(&office), swept(&office)), ((2, 24), Swept::default()));
    // Whoever shows anew that it means to file it has its days anew.
    office.clock.advance(Duration::days(29));
    put(&office, CODE, &name(asked), asked).unwrap();
    assert_eq!((swept(&office), waiting(&office)), (Swept::default(), (2, 24)));
    office.clock.advance(Duration::days(1) + Duration::seconds(1));
    let told = || doctor::examine(&office.desk).unwrap().into_iter().map(|one| one.what).find(|what| what.starts_with("attachments:")).unwrap();
    assert!(told().contains("2 with 24 bytes"), "{}", told());
    assert_eq!((swept(&office), swept(&office), files(&office)), (Swept { files: 1, bytes: 9 }, Swept::default(), 2));
    assert!(matches!(read(&office.desk, &name(forgotten), &mut Vec::new()), Err(DeskError::NotFound { .. })));
    assert_eq!(office.desk.store.sum(&AttachmentRecord::sum(CODE)).unwrap(), 20);
    let leaves: Vec<merkle::Leaf> = office.desk.store.read_stream("log", 0, 100).unwrap().iter().map(|leaf| merkle::Leaf::parse(leaf).unwrap()).filter(|leaf| leaf.kind() == 132).collect();
    assert!(leaves.len() == 1 && leaves[0].payload().contains("\"size\":9") && !leaves[0].payload().contains(&name(forgotten)), "{leaves:?}");
    // It may come again; what a filing names never goes.
    put(&office, CODE, &name(forgotten), forgotten).unwrap();
    office.clock.advance(Duration::days(31));
    assert_eq!((swept(&office), waiting(&office), files(&office)), (Swept { files: 2, bytes: 24 }, (0, 0), 1));
    assert_eq!(read(&office.desk, &name(filed), &mut Vec::new()).unwrap(), 5);
}

/// The filing that names it and the pass that removes it at one moment: one of them is first, and the other finds it so.
#[test]
fn a_file_that_is_named_while_it_is_removed_stays_or_is_asked_for_again() {
    let bytes = b"contract".as_slice();
    for filed_first in [true, false] {
        let founded = Arc::new(Founded::new());
        let memory = crate::office::founded_store();
        let desk = Arc::new(founded.desk(Arc::clone(&memory), |_| {}));
        founded.seal(&desk);
        let firm = firm(&founded.world.issuer, CODE, |_| {});
        let chain = [CertificateDer::from(firm.certificate.clone()), CertificateDer::from(founded.world.issuer.certificate.clone())];
        let caller = Callers::default().authorise(&desk, &chain).unwrap();
        let Begun::Take(mut incoming) = begin(&desk, &caller, &name(bytes), None).unwrap() else { panic!("it is new") };
        incoming.write(&desk, bytes).unwrap();
        incoming.end(&desk).unwrap();
        assert_eq!(unnamed::pass(&desk, &|| false).unwrap(), Swept::default());
        founded.clock.advance(Duration::days(31));
        let filing = naming(bytes, |_| {});
        let submission = Submission { signature: sign(&founded.world, &firm, &filing, founded.clock.now()), filing, received_at: founded.clock.now() };
        // The other one comes between what was looked at and the commit.
        let (theirs, heard) = (Arc::clone(&desk), Arc::new(Mutex::new(None)));
        let said = Arc::clone(&heard);
        if filed_first {
            let between = Between::before_commit(Arc::clone(&memory), 0, move || *said.lock().unwrap() = Some(receive(&theirs, &caller, &submission).unwrap()));
            assert_eq!(unnamed::pass(&founded.desk(Arc::new(between), |_| {}), &|| false).unwrap(), Swept::default());
            crate::office::receipted(heard.lock().unwrap().take().unwrap());
        } else {
            let between = Between::before_commit(Arc::clone(&memory), 0, move || assert_eq!(unnamed::pass(&theirs, &|| false).unwrap(), Swept { files: 1, bytes: 8 }));
            let outrun = receive(&founded.desk(Arc::new(between), |_| {}), &caller, &submission).unwrap();
            assert_eq!(crate::office::refused(outrun), [1]);
        }
        assert_eq!(read(&desk, &name(bytes), &mut Vec::new()).is_ok(), filed_first);
        assert_eq!((memory.sum(AttachmentRecord::WAITING).unwrap(), memory.sum(&AttachmentRecord::sum(CODE)).unwrap()), (0, if filed_first { 8 } else { 0 }));
    }
}

/// A store from before it was noted which files wait: gone over once, and nothing that a filing names is taken for forgotten.
#[test]
fn a_store_from_before_is_gone_over_once() {
    let office = Office::open();
    let (filed, forgotten) = (b"filed".as_slice(), b"forgotten".as_slice());
    put(&office, CODE, &name(filed), filed).unwrap();
    office.receipt(&office.firm(CODE), &naming(filed, |_| {}));
    put(&office, CODE, &name(forgotten), forgotten).unwrap();
    // As it was before: no place, no sum, nothing known.
    let record = AttachmentRecord::decode(&office.desk.store.get(&AttachmentRecord::key(&name(forgotten))).unwrap().unwrap()).unwrap();
    let mut before = Batch::new().delete(AttachmentRecord::waits(record.kept_at, &name(forgotten))).delete(Known::key());
    record.count_waiting(false, &mut before);
    office.desk.store.commit(before).unwrap();
    assert_eq!((waiting(&office), swept(&office), waiting(&office)), ((0, 0), Swept::default(), (1, 9)));
    // Cut off between record and file: the next pass goes on.
    office.desk.store.commit(Batch::new().put(AttachmentRecord::unrecorded(&name(b"left")), name(b"left").as_bytes())).unwrap();
    std::fs::write(office.place.path().join("attachments").join(name(b"left")), b"left").unwrap();
    office.clock.advance(Duration::days(31));
    assert_eq!((swept(&office), files(&office)), (Swept { files: 1, bytes: 9 }, 1));
    assert_eq!(read(&office.desk, &name(filed), &mut Vec::new()).unwrap(), 5);
}

/// Cut off between the file and its record, the file is nobody's and goes; recorded though nobody heard of it, it stays.
#[test]
fn a_file_whose_record_was_never_made_is_swept() {
    for (fault, stays) in [(Fault::Lost, false), (Fault::DoneReportedLost, true)] {
        let founded = Founded::new();
        let memory = crate::office::founded_store();
        let caller = |desk: &filing::desk::Desk| {
            let firm = firm(&founded.world.issuer, CODE, |_| {});
            Callers::default().authorise(desk, &[CertificateDer::from(firm.certificate), CertificateDer::from(founded.world.issuer.certificate.clone())]).unwrap()
        };
        let take = |desk: &filing::desk::Desk, bytes: &[u8]| {
            let Begun::Take(mut incoming) = begin(desk, &caller(desk), &name(bytes), None).unwrap() else { panic!("it is new") };
            incoming.write(desk, bytes).unwrap();
            incoming.end(desk)
        };
        // The first commit says that it comes, the second is its record.
        let broken = founded.desk(Arc::new(Faulty::new(Arc::clone(&memory)).at(1, fault)), |_| {});
        assert!(take(&broken, b"cut off").is_err());
        let desk = founded.desk(Arc::clone(&memory), |_| {});
        let path = desk.attachments.join(name(b"cut off"));
        assert!(path.exists());
        assert_eq!(unnamed::pass(&desk, &|| false).unwrap(), Swept::default());
        assert_eq!((path.exists(), read(&desk, &name(b"cut off"), &mut Vec::new()).is_ok()), (stays, stays));
        let (from, to) = AttachmentRecord::all_unrecorded();
        assert!(memory.scan(&from, &to, 9).unwrap().is_empty());
        // It may come again.
        if !stays {
            assert_eq!(take(&desk, b"cut off").unwrap(), 7);
            assert_eq!(unnamed::pass(&desk, &|| false).unwrap(), Swept::default());
            assert!(path.exists());
        }
    }
}

/// A file that goes, or is asked for again, while a store from before is gone over leaves no place behind it that is another's.
#[test]
fn a_file_that_changes_while_a_store_from_before_is_gone_over_is_looked_at_again() {
    let founded = Arc::new(Founded::new());
    let memory = crate::office::founded_store();
    let record = |kept_at| AttachmentRecord { size: 9, kept_at, by: CODE.into(), sm3: None };
    let (key, sha256) = (AttachmentRecord::key(&name(b"forgotten")), name(b"forgotten"));
    memory.commit(Batch::new().put(key.clone(), record(1).encode().unwrap())).unwrap();
    let theirs = Arc::clone(&memory);
    // It came anew between the look and the commit, and waits since then.
    let later = AttachmentRecord { kept_at: u64::try_from(crate::office::NOW.unix_timestamp() * 1_000).unwrap(), ..record(0) };
    let (encoded, place) = (later.encode().unwrap(), AttachmentRecord::waits(later.kept_at, &sha256));
    let (anew, waits) = (key.clone(), place.clone());
    let between = Between::before_commit(Arc::clone(&memory), 0, move || {
        let mut batch = Batch::new().put(anew, encoded).put(waits, name(b"forgotten").as_bytes());
        later.count_waiting(true, &mut batch);
        theirs.commit(batch).unwrap();
    });
    assert_eq!(unnamed::pass(&founded.desk(Arc::new(between), |_| {}), &|| false).unwrap(), Swept::default());
    assert_eq!(memory.sum(AttachmentRecord::WAITING).unwrap(), 1);
    assert!(memory.get(&AttachmentRecord::waits(1, &sha256)).unwrap().is_none() && memory.get(&place).unwrap().is_some());
}

/// What a filing tells of a file by SM3 is held against the file; a file that came before SM3 was kept comes once more.
#[test]
fn sm3_of_a_file_is_what_the_filing_tells() {
    let office = Office::open();
    let (firm, bytes) = (office.firm(CODE), b"contract".as_slice());
    put(&office, CODE, &name(bytes), bytes).unwrap();
    let sm3: String = {
        use sm3::Digest as _;
        sm3::Sm3::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let telling = |sm3: &str| naming(bytes, |filing| filing["attachments"][0]["sm3"] = sm3.into());
    assert_eq!(office.refused(&firm, &telling(&"0f".repeat(32))), [1]);
    // As it was kept before: asked for anew, by its sender too, and known from then on.
    let (key, known) = (AttachmentRecord::key(&name(bytes)), |office: &Office| AttachmentRecord::decode(&office.desk.store.get(&AttachmentRecord::key(&name(bytes))).unwrap().unwrap()).unwrap());
    let before = AttachmentRecord { sm3: None, ..known(&office) };
    office.desk.store.commit(Batch::new().put(key, before.encode().unwrap())).unwrap();
    assert_eq!(office.refused(&firm, &telling(&sm3)), [1]);
    let caller = office.caller(&firm);
    assert!(matches!(begin(&office.desk, &caller, &name(bytes), None).unwrap(), Begun::Take(_)));
    put(&office, CODE, &name(bytes), bytes).unwrap();
    assert!(matches!(begin(&office.desk, &caller, &name(bytes), None).unwrap(), Begun::Known(8)));
    assert_eq!((known(&office), waiting(&office), files(&office)), (AttachmentRecord { sm3: Some(sm3.clone()), ..before }, (1, 8), 1));
    office.receipt(&firm, &telling(&sm3));
    // What a filing names already learns it too, and waits for nobody.
    let named = AttachmentRecord { sm3: None, ..known(&office) };
    office.desk.store.commit(Batch::new().put(AttachmentRecord::key(&name(bytes)), named.encode().unwrap())).unwrap();
    put(&office, CODE, &name(bytes), bytes).unwrap();
    assert_eq!((known(&office).sm3, waiting(&office)), (Some(sm3), (0, 0)));
}

/// A file that comes once more, so that its SM3 is known, is in the quota already: it needs no room beside itself.
#[test]
fn what_comes_again_for_its_sm3_counts_once() {
    let limits = |documents: &mut Vec<(&'static str, String)>| {
        documents[1].1 = documents[1].1.replace("max_bytes = 104857600", "max_bytes = 1000").replace("enterprise_bytes = 2147483648", "enterprise_bytes = 1500");
    };
    let office = Office::open_with(limits);
    let (ours, theirs) = (office.caller(&office.firm(CODE)), office.caller(&office.firm(OTHER)));
    let (bytes, more) = (vec![1; 900], vec![2; 601]);
    let key = AttachmentRecord::key(&name(&bytes));
    let record = || AttachmentRecord::decode(&office.desk.store.get(&key).unwrap().unwrap()).unwrap();
    let forget_sm3 = || office.desk.store.commit(Batch::new().put(key.clone(), AttachmentRecord { sm3: None, ..record() }.encode().unwrap())).unwrap();
    put(&office, CODE, &name(&bytes), &bytes).unwrap();
    forget_sm3();
    // On its way it takes no room from another, and gives none to it.
    let again = begin(&office.desk, &ours, &name(&bytes), Some(900)).unwrap();
    assert!(begin(&office.desk, &ours, &name(&more), Some(601)).is_err());
    let Begun::Take(mut other) = begin(&office.desk, &ours, &name(&more[..600]), Some(600)).unwrap() else { panic!("it is new") };
    let Begun::Take(mut again) = again else { panic!("its SM3 is known") };
    other.write(&office.desk, &more[..600]).unwrap();
    other.end(&office.desk).unwrap();
    again.write(&office.desk, &bytes).unwrap();
    // More than it has is beyond the quota.
    assert!(again.write(&office.desk, &[3]).is_err());
    drop(again);
    assert!(record().sm3.is_none());
    // The quota is full, and it comes all the same; announced or not, it counts once.
    put(&office, CODE, &name(&bytes), &bytes).unwrap();
    assert!(record().sm3.is_some());
    assert_eq!(office.desk.store.sum(&AttachmentRecord::sum(CODE)).unwrap(), 1_500);
    assert!(put(&office, CODE, &name(b"one more"), b"one more").is_err());
    // Of another enterprise that has shown it too it was never counted.
    put(&office, OTHER, &name(&bytes), &bytes).unwrap();
    let full = vec![4; 1_000];
    put(&office, OTHER, &name(&full), &full).unwrap();
    forget_sm3();
    assert!(matches!(begin(&office.desk, &theirs, &name(&bytes), Some(900)).unwrap(), Begun::Take(_)));
}
