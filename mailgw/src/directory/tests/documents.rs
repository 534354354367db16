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
    documents.iter_mut().for_each(|held| held.added_at = None);
    let before = account::seal(&Account { holder: Holder::Citizen { name, documents }, ..account }, &verifier, &data_key()).unwrap();
    store.commit(store::Batch::new().put(account::key(number), before)).unwrap();
    assert!(proves(number, ("03", "E12345678"), NOW).unwrap());
}

/// They are kept by their masks: of two that look alike the later one counts, whichever is shown.
#[test]
fn of_documents_that_look_alike_the_later_one_counts() {
    let store = Arc::new(Memory::new());
    let directory = directory(&store);
    let number = opened(&directory, citizen("03", "E12345678", "陈秀英")).account.number;
    let alike = "E12995678";
    assert_eq!(document("03", alike).masked(), document("03", "E12345678").masked());
    add(&directory, number, ("03", alike), &Binding::Held(document("03", "E12345678")), NOW).unwrap();
    let account = directory.get(number).unwrap().unwrap();
    for text in ["E12345678", alike] {
        assert!(matches!(directory.proves_owner(&account, &document("03", text), NOW), Err(DirectoryError::DocumentYoung { .. })), "{text}");
    }
}
