//! Attachments: sealed at rest, proved by their name, within their quota.

use filing::desk::flow::attachment::{Begun, begin, read, sweep};
use filing::desk::problem::DeskError;
use ring::digest::{SHA256, digest};

use crate::office::{CODE, OTHER, Office, vat};

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
