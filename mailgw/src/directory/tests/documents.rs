//! Which document of a citizen's proves that somebody owns the mailbox.
use super::*;
use crate::flow::approval::Approved;
use crate::record::account;

const CARD: (&str, &str) = ("01", "440106189602290015");

fn officers(request: &str) -> Binding {
    Binding::Officers(Approved { request: request.into(), officers: vec!["A-1".into(), "A-2".into()] })
}

fn add(directory: &Directory, number: MailboxNumber, further: (&str, &str), binding: &Binding, now: OffsetDateTime) -> Result<Account, DirectoryError> {
    directory.add_document(number, &document(further.0, further.1), &PersonName::parse("陈秀英").unwrap(), binding, &rename::proof(), now)
}

/// A namesake's passport, whoever adds it, leads to nobody's mailbox; nor does a document that is nobody's.
#[test]
fn a_name_alone_adds_no_document() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, chen()).account.number;
    opened(&directory, citizen("01", "510104189707071279", "陈秀英"));
    let before = (records(&*store), events(&*store));
    for shown in [("01", "510104189707071279"), ("03", "E12345678"), ("06", "H12345678")] {
        let refused = add(&directory, number, ("03", "E12345678"), &Binding::Held(document(shown.0, shown.1)), NOW);
        assert!(matches!(refused, Err(DirectoryError::NotHeld { mailbox }) if mailbox == number), "{shown:?}");
    }
    assert!((records(&*store), events(&*store)) == before);
    add(&directory, number, ("03", "E12345678"), &Binding::Held(document(CARD.0, CARD.1)), NOW).unwrap();
    // What two officers signed for adds one, once.
    add(&directory, number, ("06", "H12345678"), &officers("one"), NOW).unwrap();
    let Some(Event::DocumentProved(told)) = events(&*store).pop() else { panic!("the log does not know of it") };
    assert_eq!((told.held_shown, told.request.as_deref(), told.officers.len()), (false, Some("one"), 2));
    assert!(matches!(add(&directory, number, ("06", "H12345678"), &officers("one"), NOW), Err(DirectoryError::Exists { .. })));
    assert!(matches!(add(&directory, number, ("07", "01234567"), &officers("one"), NOW), Err(DirectoryError::Spent)));
    add(&directory, number, ("07", "01234567"), &officers("two"), NOW).unwrap();
}

/// Thirty days as shipped; those of the opening, and of before this was noted, prove their owner at once.
#[test]
fn a_document_that_was_taken_in_lately_proves_nothing_yet() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, chen()).account.number;
    let other = opened(&directory, citizen("01", "510104189707071279", "李志强")).account.number;
    add(&directory, number, ("03", "E12345678"), &Binding::Held(document(CARD.0, CARD.1)), NOW).unwrap();
    let proves = |mailbox, (kind, text): (&str, &str), now| directory.proves_owner(&directory.get(mailbox).unwrap().unwrap(), &document(kind, text), now);
    let young = |result| matches!(result, Err(DirectoryError::DocumentYoung { mailbox, from }) if mailbox == number && from == "2026-12-25T08:00:00Z");
    let due = NOW + time::Duration::days(30);
    assert!(proves(number, CARD, NOW).unwrap() && !proves(other, CARD, NOW).unwrap());
    for now in [NOW, due - time::Duration::milliseconds(1)] {
        assert!(young(proves(number, ("03", "E12345678"), now)));
        assert!(!proves(other, ("03", "E12345678"), now).unwrap());
    }
    assert!(proves(number, ("03", "E12345678"), due).unwrap());
    // Neither is a further one bound by it, nor its owner renamed, before.
    assert!(matches!(add(&directory, number, ("06", "H12345678"), &Binding::Held(document("03", "E12345678")), NOW), Err(DirectoryError::DocumentYoung { .. })));
    assert!(matches!(directory.rename(number, &citizen("03", "E12345678", "陈新"), &rename::proof(), NOW), Err(DirectoryError::DocumentYoung { .. })));
    directory.rename(number, &citizen("03", "E12345678", "陈新"), &rename::proof(), due).unwrap();
    let shown = directory.shown(&directory.get(number).unwrap().unwrap()).documents;
    assert_eq!(shown.iter().map(|held| held.added_at.as_deref()).collect::<Vec<_>>(), [None, Some("2026-11-25T08:00:00Z")]);
    // A record of before says no time.
    let (account, verifier) = account::open(number, &store.get(&account::key(number)).unwrap().unwrap(), &data_key()).unwrap();
    let Holder::Citizen { name, mut documents } = account.holder else { panic!("it is a citizen's") };
    documents.iter_mut().for_each(|held| (held.added_at, held.digest) = (None, None));
    let before = account::seal(&Account { holder: Holder::Citizen { name, documents }, ..account }, &verifier, &data_key()).unwrap();
    store.commit(store::Batch::new().put(account::key(number), before)).unwrap();
    assert!(proves(number, ("03", "E12345678"), NOW).unwrap());
}

/// Their masks are alike, their digests are not: each counts from its own day on.
#[test]
fn of_documents_that_look_alike_each_has_its_own_age() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, citizen("03", "E12345678", "陈秀英")).account.number;
    let (alike, later) = ("E12995678", "E12885678");
    assert!([alike, later].iter().all(|text| document("03", text).masked() == document("03", "E12345678").masked()));
    let bound = Binding::Held(document("03", "E12345678"));
    add(&directory, number, ("03", alike), &bound, NOW).unwrap();
    let day = NOW + time::Duration::days(1);
    add(&directory, number, ("03", later), &bound, day).unwrap();
    let account = directory.get(number).unwrap().unwrap();
    let proves = |text: &str, now| directory.proves_owner(&account, &document("03", text), now);
    let young = |text: &str, now| matches!(proves(text, now), Err(DirectoryError::DocumentYoung { .. }));
    assert!(proves("E12345678", NOW).unwrap() && young(alike, NOW) && young(later, NOW));
    let due = NOW + time::Duration::days(30);
    assert!(proves(alike, due).unwrap() && young(later, due) && proves(later, due + time::Duration::days(1)).unwrap());
    // The right one goes, and when each came stays with the others.
    directory.withdraw_document(number, &document("03", alike), &PersonName::parse("陈秀英").unwrap(), None, "ab", day).unwrap();
    let added: Vec<_> = directory.shown(&directory.get(number).unwrap().unwrap()).documents.into_iter().map(|held| held.added_at).collect();
    assert_eq!(added, [None, Some("2026-11-26T08:00:00Z".to_owned())]);
    assert!(directory.find_person(&document("03", alike)).unwrap().is_none());
    // The opening's, too; those that were added stay who they are.
    let approved = Approved { request: "one".into(), officers: vec!["A-1".into(), "A-2".into()] };
    directory.withdraw_document(number, &document("03", "E12345678"), &PersonName::parse("陈秀英").unwrap(), Some(&approved), "ab", day).unwrap();
    let account = directory.get(number).unwrap().unwrap();
    assert!(matches!(directory.proves_owner(&account, &document("03", later), day), Err(DirectoryError::DocumentYoung { .. })));
    assert!(matches!(directory.withdraw_document(number, &document("03", later), &PersonName::parse("陈秀英").unwrap(), None, "ab", day), Err(DirectoryError::LastDocument { .. })));
}

/// Nor does one word undo what two officers signed. With a document that goes a recovery goes that may rest on it.
#[test]
fn what_officers_bound_officers_alone_take_away() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, chen()).account.number;
    let approved = |request: &str| Approved { request: request.into(), officers: vec!["A-1".into(), "A-2".into()] };
    add(&directory, number, ("03", "E12345678"), &Binding::Officers(approved("one")), NOW).unwrap();
    let place = crate::record::recovery::Recovery::key(number);
    store.commit(store::Batch::new().put(place.clone(), b"under way".as_slice())).unwrap();
    let withdraw = |approved: Option<&Approved>| directory.withdraw_document(number, &document("03", "E12345678"), &PersonName::parse("陈秀英").unwrap(), approved, "ab", NOW);
    assert!(matches!(withdraw(None), Err(DirectoryError::DocumentCounts { .. })));
    assert!(store.get(&place).unwrap().is_some());
    withdraw(Some(&approved("two"))).unwrap();
    assert_eq!((store.get(&place).unwrap(), directory.find_person(&document("03", "E12345678")).unwrap()), (None, None));
    assert!(events(&*store).iter().any(|event| matches!(event, Event::RecoveryEnded(ended) if ended.why == "document-withdrawn")));
}

/// A mailbox that was opened with another's document keeps that person from none: it is closed, and two officers take the document away.
#[test]
fn a_closed_mailbox_keeps_no_document_from_its_holder() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, citizen("03", "E12345678", "陈秀英")).account.number;
    let approved = Approved { request: "one".into(), officers: vec!["A-1".into(), "A-2".into()] };
    let withdraw = |approved: Option<&Approved>| directory.withdraw_document(number, &document("03", "E12345678"), &PersonName::parse("陈秀英").unwrap(), approved, "ab", NOW);
    assert!(matches!(withdraw(Some(&approved)), Err(DirectoryError::LastDocument { .. })));
    directory.close(number, NOW).unwrap();
    assert!(matches!(withdraw(None), Err(DirectoryError::Closed { .. })));
    withdraw(Some(&approved)).unwrap();
    assert!(matches!(withdraw(Some(&approved)), Err(DirectoryError::NoSuchDocument { .. })));
    let theirs = opened(&directory, citizen("03", "E12345678", "黄雅婷")).account.number;
    assert!(theirs != number && !directory.get(number).unwrap().unwrap().is_open());
}

/// Whose it is opens a mailbox with it; a mailbox that was full of documents has room again. Half of it is never done.
#[test]
fn a_withdrawn_document_is_free_and_nothing_is_half_done() {
    let name = || PersonName::parse("陈秀英").unwrap();
    for fault in [Fault::Lost, Fault::DoneReportedLost] {
        let done = fault == Fault::DoneReportedLost;
        let store = Arc::new(Memory::new());
        let whole = directory(&store);
        let number = opened(&whole, chen()).account.number;
        let bound = Binding::Held(document(CARD.0, CARD.1));
        (1..16).for_each(|n| drop(add(&whole, number, ("07", &format!("000000{n:02}")), &bound, NOW).unwrap()));
        assert!(matches!(add(&whole, number, ("03", "E12345678"), &bound, NOW), Err(DirectoryError::TooManyDocuments { .. })));
        let leaves = events(&*store).len();
        let faulty = Arc::new(Faulty::new(Arc::clone(&store) as Arc<dyn Store>).at(0, fault));
        let failed = directory(&faulty).withdraw_document(number, &document("07", "00000007"), &name(), None, "ab", NOW);
        assert!(matches!(failed, Err(DirectoryError::Commit(CommitError::Poisoned { .. }))));
        let found = whole.find_person(&document("07", "00000007")).unwrap().is_none();
        let held = whole.shown(&whole.get(number).unwrap().unwrap()).documents.len();
        assert_eq!((found, held, events(&*store).len() - leaves), (done, 16 - usize::from(done), usize::from(done)), "{fault:?}");
        // Said again: it is gone, or goes now.
        let again = whole.withdraw_document(number, &document("07", "00000007"), &name(), None, "ab", NOW);
        assert_eq!(matches!(again, Err(DirectoryError::NoSuchDocument { .. })), done);
        assert_eq!(events(&*store).len() - leaves, 1);
        opened(&whole, citizen("07", "00000007", "林浩然"));
        add(&whole, number, ("03", "E12345678"), &bound, NOW).unwrap();
    }
}
